/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/checkpoint.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/vm_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One page, of as many checkpoints as have it. */
struct frame {
	uint64_t owners;
	uint8_t bytes[HS_PAGE_SIZE];
};

struct page {
	uint64_t gpa;
	struct frame *frame;
};

struct hs_vm_checkpoint {
	struct hs_checkpoint_pool *pool;
	struct hs_cpu_state *cpu;     /* owned */
	struct hs_memory_image image; /* what pages differ from; part_count is 0 for a guest that was booted here */
	bool share;
	struct hs_vm_guest guest;
	struct hs_devices devices;
	bool calls;
	bool at_breakpoint;
	uint64_t breakpoint_rip;
	struct page *pages; /* owned; ascending */
	size_t count, capacity;
};

static void release_frame(struct hs_checkpoint_pool *pool, struct frame *frame)
{
	if (--frame->owners == 0) {
		pool->bytes -= HS_PAGE_SIZE;
		free(frame);
	}
}

static struct frame *new_frame(struct hs_checkpoint_pool *pool, const uint8_t *bytes)
{
	struct frame *frame = malloc(sizeof(*frame));

	if (frame) {
		frame->owners = 1;
		memcpy(frame->bytes, bytes, HS_PAGE_SIZE);
		pool->bytes += HS_PAGE_SIZE;
	}
	return frame;
}

static enum hs_status add_page(struct hs_vm_checkpoint *checkpoint, uint64_t gpa, struct hs_error *err)
{
	if (checkpoint->count == checkpoint->capacity) {
		size_t capacity = checkpoint->capacity ? 2 * checkpoint->capacity : 256;
		struct page *pages = reallocarray(checkpoint->pages, capacity, sizeof(*pages));

		if (!pages) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a checkpoint");
		}
		checkpoint->pages = pages;
		checkpoint->capacity = capacity;
	}
	checkpoint->pages[checkpoint->count++] = (struct page){ .gpa = gpa };
	return HS_OK;
}

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, HS_PAGE_SIZE - 1) == 0;
}

/* Whether a page of a region differs from what is behind it: the region's file, or zeros. */
static bool differs_from_source(const struct hs_ram_region *region, uint64_t offset)
{
	uint8_t source[HS_PAGE_SIZE];
	ssize_t got;

	if (region->kind != HS_RAM_PRIVATE) {
		return !is_zero(region->host + offset);
	}
	got = pread(region->fd, source, sizeof(source), (off_t)(region->offset + offset));
	if (got < 0) {
		return true;
	}
	memset(source + got, 0, sizeof(source) - (size_t)got);
	return memcmp(source, region->host + offset, HS_PAGE_SIZE) != 0;
}

/* Of a guest that was booted here nobody has noted what was written. */
static enum hs_status find_in_region(struct hs_vm_checkpoint *checkpoint, const struct hs_ram_region *region,
				     struct hs_error *err)
{
	uint64_t start;
	uint64_t end;

	for (uint64_t from = 0; from < region->length && hs_ram_region_copies(region, from, &start, &end); from = end) {
		for (uint64_t at = start; at < end; at += HS_PAGE_SIZE) {
			enum hs_status st =
				differs_from_source(region, at) ? add_page(checkpoint, region->gpa.v + at, err) : HS_OK;

			if (st) {
				return st;
			}
		}
	}
	return HS_OK;
}

static int compare_pages(const void *a, const void *b)
{
	const struct page *one = a;
	const struct page *other = b;

	return one->gpa < other->gpa ? -1 : one->gpa > other->gpa;
}

static enum hs_status find_written(struct hs_vm *vm, struct hs_vm_checkpoint *checkpoint, struct hs_error *err)
{
	enum hs_status st = vm->ops->collect(vm->backend, err);

	for (size_t i = 0; i < vm->written.count && !st; i++) {
		struct hs_dirty_page page = vm->written.pages[i];
		const struct hs_ram_region *region = &vm->ram.regions[page.region];
		const uint8_t *origin = vm->origins[page.region];
		uint64_t offset = (uint64_t)page.number * HS_PAGE_SIZE;
		bool same = origin ? memcmp(region->host + offset, origin + offset, HS_PAGE_SIZE) == 0
				   : is_zero(region->host + offset);

		st = same ? HS_OK : add_page(checkpoint, region->gpa.v + offset, err);
	}
	if (checkpoint->count > 0) {
		qsort(checkpoint->pages, checkpoint->count, sizeof(*checkpoint->pages), compare_pages);
	}
	return st;
}

static enum hs_status find_pages(struct hs_vm *vm, struct hs_vm_checkpoint *checkpoint, struct hs_error *err)
{
	enum hs_status st = HS_OK;

	if (vm->loaded.part_count > 0) {
		return find_written(vm, checkpoint, err);
	}
	for (size_t i = 0; i < vm->ram.count && !st; i++) {
		const struct hs_ram_region *region = &vm->ram.regions[i];

		/* What somebody lends for reading alone is not put back either. */
		if (!(region->kind == HS_RAM_BORROWED && region->read_only)) {
			st = find_in_region(checkpoint, region, err);
		}
	}
	return st;
}

/* The same page of another checkpoint, if it has the same bytes. *at is where to look from. */
static struct frame *find_same(const struct hs_vm_checkpoint *like, uint64_t gpa, const uint8_t *bytes, size_t *at)
{
	while (like && *at < like->count && like->pages[*at].gpa < gpa) {
		++*at;
	}
	if (!like || *at == like->count || like->pages[*at].gpa != gpa ||
	    memcmp(like->pages[*at].frame->bytes, bytes, HS_PAGE_SIZE) != 0) {
		return NULL;
	}
	return like->pages[*at].frame;
}

static const uint8_t *host_page(struct hs_vm *vm, uint64_t gpa)
{
	const struct hs_ram_region *region = hs_ram_find(&vm->ram, gpa);

	return region->host + (gpa - region->gpa.v);
}

static enum hs_status keep_pages(struct hs_vm *vm, struct hs_vm_checkpoint *checkpoint,
				 const struct hs_vm_checkpoint *like, struct hs_error *err)
{
	struct hs_checkpoint_pool *pool = checkpoint->pool;
	size_t at = 0;

	for (size_t i = 0; i < checkpoint->count; i++) {
		struct page *page = &checkpoint->pages[i];
		const uint8_t *bytes = host_page(vm, page->gpa);

		page->frame = find_same(like, page->gpa, bytes, &at);
		if (page->frame) {
			page->frame->owners++;
			continue;
		}
		if (pool->limit > 0 && pool->bytes + HS_PAGE_SIZE > pool->limit) {
			return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0,
					    "checkpoints may take %llu MiB together, and this one has %zu pages",
					    (unsigned long long)(pool->limit >> 20), checkpoint->count);
		}
		page->frame = new_frame(pool, bytes);
		if (!page->frame) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a checkpoint");
		}
	}
	return HS_OK;
}

static enum hs_status fill(struct hs_vm *vm, const struct hs_vm_checkpoint *like, struct hs_vm_checkpoint *checkpoint,
			   struct hs_error *err)
{
	enum hs_status st = hs_vm_cpu_get(vm, checkpoint->cpu, err);

	checkpoint->image = vm->loaded;
	checkpoint->share = vm->loaded_shared;
	checkpoint->guest = vm->guest;
	checkpoint->devices = vm->bus.devices;
	checkpoint->calls = vm->bus.calls;
	checkpoint->at_breakpoint = vm->at_breakpoint;
	checkpoint->breakpoint_rip = vm->breakpoint_rip;
	st = st ? st : find_pages(vm, checkpoint, err);
	return st ? st : keep_pages(vm, checkpoint, like, err);
}

enum hs_status hs_vm_checkpoint_take(struct hs_vm *vm, const struct hs_vm_checkpoint *like,
				     struct hs_checkpoint_pool *pool, struct hs_vm_checkpoint **ret,
				     struct hs_error *err)
{
	struct hs_vm_checkpoint *checkpoint;
	enum hs_status st;

	if (vm->ended || vm->unusable) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "%s",
				    vm->ended ? "the guest has ended" : "the guest's memory is in pieces");
	}
	checkpoint = calloc(1, sizeof(*checkpoint));
	if (!checkpoint) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a checkpoint");
	}
	checkpoint->pool = pool;
	checkpoint->cpu = HS_NEW_ALIGNED(struct hs_cpu_state);
	st = checkpoint->cpu ? fill(vm, like, checkpoint, err)
			     : hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a checkpoint");
	if (st) {
		hs_vm_checkpoint_destroy(checkpoint);
		return st;
	}
	*ret = checkpoint;
	return HS_OK;
}

void hs_vm_checkpoint_destroy(struct hs_vm_checkpoint *checkpoint)
{
	if (!checkpoint) {
		return;
	}
	for (size_t i = 0; i < checkpoint->count; i++) {
		if (checkpoint->pages[i].frame) {
			release_frame(checkpoint->pool, checkpoint->pages[i].frame);
		}
	}
	free(checkpoint->pages);
	free(checkpoint->cpu);
	free(checkpoint);
}

/* Borrowed memory cannot be dropped: where it is not zero it is written to. */
static void clear_borrowed(struct hs_vm *vm, const struct hs_ram_region *region)
{
	for (uint64_t at = 0; at < region->length && !region->read_only; at += HS_PAGE_SIZE) {
		if (!is_zero(region->host + at)) {
			memset(region->host + at, 0, HS_PAGE_SIZE);
			hs_vm_tell_written(vm, hs_gpa_of(region->gpa.v + at), HS_PAGE_SIZE);
		}
	}
}

/* Memory as it is before a boot. `there`: its regions are. */
static enum hs_status empty_memory(struct hs_vm *vm, bool there, struct hs_error *err)
{
	enum hs_status st = HS_OK;

	vm->loaded.part_count = 0;
	hs_dirty_deinit(&vm->written);
	if (!there) {
		st = hs_vm_take_memory_away(vm, err);
		st = st ? st : vm->ops->track(vm->backend, NULL, NULL, err);
		st = st ? st : hs_vm_make_memory(vm, err);
	}
	for (size_t i = 0; i < vm->ram.count && !st; i++) {
		const struct hs_ram_region *region = &vm->ram.regions[i];

		if (region->kind == HS_RAM_BORROWED) {
			clear_borrowed(vm, region);
		} else if (there) {
			st = hs_ram_drop(&vm->ram, i, err);
		}
	}
	return st;
}

/* Memory as the checkpoint's pages differ from it. */
static enum hs_status find_base(struct hs_vm *vm, const struct hs_vm_checkpoint *checkpoint, bool whole,
				struct hs_error *err)
{
	bool booted = checkpoint->image.part_count == 0;

	if (booted) {
		return empty_memory(vm, whole && vm->loaded.part_count == 0, err);
	}
	if (whole && vm->loaded.part_count > 0 && vm->loaded.fd == checkpoint->image.fd &&
	    vm->loaded_shared == checkpoint->share) {
		return hs_vm_rewind_pages(vm, err);
	}
	return hs_vm_load(vm, &checkpoint->image, checkpoint->share, whole, err);
}

static void put_pages(struct hs_vm *vm, const struct hs_vm_checkpoint *checkpoint)
{
	for (size_t i = 0; i < checkpoint->count; i++) {
		const struct page *page = &checkpoint->pages[i];
		struct hs_ram_region *region = hs_ram_find(&vm->ram, page->gpa);

		memcpy(region->host + (page->gpa - region->gpa.v), page->frame->bytes, HS_PAGE_SIZE);
		hs_vm_tell_written(vm, hs_gpa_of(page->gpa), HS_PAGE_SIZE);
		if (vm->loaded.part_count > 0) {
			hs_dirty_note(&vm->written, page->gpa);
		}
	}
}

/* What the VM remembers beside memory and the CPU's registers. */
static void put_rest(struct hs_vm *vm, const struct hs_vm_checkpoint *checkpoint)
{
	vm->guest = checkpoint->guest;
	vm->bus.devices = checkpoint->devices;
	vm->bus.calls = checkpoint->calls;
	vm->at_breakpoint = checkpoint->at_breakpoint;
	vm->breakpoint_rip = checkpoint->breakpoint_rip;
	vm->loaded_cpu = NULL; /* the registers are not those of a snapshot */
	hs_root_of_cpu(checkpoint->cpu, &vm->last_root);
	vm->root_known = true;
	vm->ended = false;
	vm->touched = true;
	vm->unusable = false;
}

enum hs_status hs_vm_checkpoint_restore(struct hs_vm *vm, const struct hs_vm_checkpoint *checkpoint,
					struct hs_error *err)
{
	bool whole = !vm->unusable;
	enum hs_status st;

	vm->unusable = true;
	vm->have = 0;
	vm->dirty = 0;
	vm->unretired = false;
	/* First what is under way: it may still write. */
	st = vm->ops->abandon(vm->backend, err);
	st = st ? st : find_base(vm, checkpoint, whole, err);
	if (!st) {
		put_pages(vm, checkpoint);
		st = vm->ops->restore(vm->backend, checkpoint->cpu, false, err);
	}
	if (!st) {
		put_rest(vm, checkpoint);
	}
	return st;
}

uint64_t hs_vm_checkpoint_pages(const struct hs_vm_checkpoint *checkpoint)
{
	return checkpoint->count;
}

const struct hs_cpu_state *hs_vm_checkpoint_cpu(const struct hs_vm_checkpoint *checkpoint)
{
	return checkpoint->cpu;
}
