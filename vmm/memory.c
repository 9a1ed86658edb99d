/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory from an image: a region for each of its parts, and one for each stretch of scratch between them, which is
 * zero. What the guest or the host writes to is noted, page by page, so that putting it back costs what was written;
 * where that is much, dropping all private pages costs less.
 */
#include "vmm/memory.h"

#include "base/error.h"
#include "vmm/vm_private.h"

#include <string.h>

/* Parts, and what of scratch is around them. */
#define PIECES_MAX (2 * HS_MEMORY_PARTS_MAX + 1)

/* As many pages as this, 16 MiB, are dropped and not copied: then their memory goes back to the host. */
#define DROP_PAGES 4096

struct piece {
	uint64_t gpa, length;
	const struct hs_memory_part *part; /* NULL: zero */
};

static void insert(struct piece *pieces, size_t *count, struct piece piece)
{
	size_t at = *count;

	if (piece.length == 0) {
		return;
	}
	for (; at > 0 && pieces[at - 1].gpa > piece.gpa; at--) {
		pieces[at] = pieces[at - 1];
	}
	pieces[at] = piece;
	(*count)++;
}

/* In ascending order. */
static size_t pieces_of(const struct hs_memory_image *image, struct piece *ret)
{
	uint64_t scratch = image->scratch_gpa.v;
	uint64_t end = scratch + image->scratch_length;
	size_t count = 0;
	size_t parts;

	for (size_t i = 0; i < image->part_count; i++) {
		const struct hs_memory_part *part = &image->parts[i];

		insert(ret, &count, (struct piece){ part->gpa.v, part->length, part });
	}
	parts = count;
	for (size_t i = 0; i < parts; i++) {
		uint64_t gpa = ret[i].gpa;

		if (gpa - image->scratch_gpa.v < image->scratch_length) {
			/* Behind the list as long as the list is walked. */
			ret[count++] = (struct piece){ scratch, gpa - scratch, NULL };
			scratch = gpa + ret[i].length;
		}
	}
	ret[count++] = (struct piece){ scratch, end - scratch, NULL };
	parts = count;
	count = 0;
	for (size_t i = 0; i < parts; i++) {
		insert(ret, &count, ret[i]);
	}
	return count;
}

static struct hs_ram_source source_of(const struct hs_memory_image *image, const struct piece *piece, bool share)
{
	struct hs_ram_source source = { .name = "scratch region" };

	if (piece->gpa - image->scratch_gpa.v >= image->scratch_length) {
		source.name = "snapshot region";
	}
	if (piece->part) {
		source.kind = share && piece->part->shared ? HS_RAM_SHARED : HS_RAM_PRIVATE;
		source.fd = image->fd;
		source.offset = piece->part->offset;
	}
	return source;
}

/* Whether regions can be replaced in place. */
static bool same_places(const struct hs_ram *ram, const struct hs_memory_image *image, const struct piece *pieces,
			size_t count, bool share)
{
	if (ram->count != count) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		const struct hs_ram_region *region = &ram->regions[i];
		bool shared = source_of(image, &pieces[i], share).kind == HS_RAM_SHARED;

		if (region->gpa.v != pieces[i].gpa || region->length != pieces[i].length ||
		    region->kind == HS_RAM_BORROWED || region->read_only != shared) {
			return false;
		}
	}
	return true;
}

enum hs_status hs_vm_take_memory_away(struct hs_vm *vm, struct hs_error *err)
{
	while (vm->ram.count > 0) {
		enum hs_status st = vm->ops->unmap(vm->backend, vm->ram.regions[vm->ram.count - 1].gpa, err);

		if (st) {
			return st;
		}
		hs_ram_remove(&vm->ram, vm->ram.count - 1);
	}
	return HS_OK;
}

static enum hs_status put(struct hs_vm *vm, const struct piece *piece, const struct hs_ram_source *source,
			  struct hs_error *err)
{
	enum hs_status st = hs_ram_add(&vm->ram, hs_gpa_of(piece->gpa), piece->length, source, err);
	const struct hs_ram_region *region = st ? NULL : hs_ram_find(&vm->ram, piece->gpa);

	return st ? st : vm->ops->map(vm->backend, region->gpa, region->length, region->host, region->read_only, err);
}

static void note(void *ctx, hs_gpa gpa)
{
	struct hs_vm *vm = ctx;

	hs_dirty_note(&vm->written, gpa.v);
}

static enum hs_status replace_all(struct hs_vm *vm, const struct hs_memory_image *image, bool share, bool whole,
				  struct hs_error *err)
{
	struct piece pieces[PIECES_MAX];
	size_t count = pieces_of(image, pieces);
	bool in_place = whole && same_places(&vm->ram, image, pieces, count, share);
	enum hs_status st = in_place ? HS_OK : hs_vm_take_memory_away(vm, err);

	/* Before there are regions: KVM takes milliseconds for each that it has to be told of again. */
	st = st ? st : vm->ops->track(vm->backend, note, vm, err);
	for (size_t i = 0; i < count && !st; i++) {
		struct hs_ram_source source = source_of(image, &pieces[i], share);

		st = in_place ? hs_ram_replace(&vm->ram, i, &source, err) : put(vm, &pieces[i], &source, err);
	}
	return st;
}

/* What the image has at gpa, where a region begins; NULL for zeros. */
static const uint8_t *origin_of(const struct hs_memory_image *image, uint64_t gpa)
{
	for (size_t i = 0; i < image->part_count; i++) {
		const struct hs_memory_part *part = &image->parts[i];

		if (part->length > 0 && part->gpa.v == gpa) {
			return image->bytes + part->offset;
		}
	}
	return NULL;
}

enum hs_status hs_vm_load(struct hs_vm *vm, const struct hs_memory_image *image, bool share, bool whole,
			  struct hs_error *err)
{
	enum hs_status st;

	vm->loaded.part_count = 0;
	hs_dirty_deinit(&vm->written);
	st = replace_all(vm, image, share, whole, err);
	st = st ? st : hs_dirty_init(&vm->written, &vm->ram, err);
	/* What was written while it was made is not the guest's doing. */
	st = st ? st : vm->ops->collect(vm->backend, err);
	if (!st) {
		hs_dirty_clear(&vm->written);
		vm->loaded = *image;
		vm->loaded_shared = share;
		for (size_t i = 0; i < vm->ram.count; i++) {
			vm->origins[i] = origin_of(image, vm->ram.regions[i].gpa.v);
		}
	}
	return st;
}

/* Pages that lie one behind the other in a region. */
static void put_back(struct hs_vm *vm, struct hs_dirty_page first, uint64_t count)
{
	struct hs_ram_region *region = &vm->ram.regions[first.region];
	const uint8_t *origin = vm->origins[first.region];
	uint64_t offset = (uint64_t)first.number * HS_PAGE_SIZE;

	if (origin) {
		memcpy(region->host + offset, origin + offset, count * HS_PAGE_SIZE);
	} else {
		memset(region->host + offset, 0, count * HS_PAGE_SIZE);
	}
	hs_vm_tell_written(vm, hs_gpa_of(region->gpa.v + offset), count * HS_PAGE_SIZE);
}

static void put_all_back(struct hs_vm *vm)
{
	const struct hs_dirty_page *pages = vm->written.pages;
	size_t count = vm->written.count;
	size_t next;

	for (size_t i = 0; i < count; i = next) {
		for (next = i + 1; next < count && pages[next].region == pages[i].region &&
				   pages[next].number == pages[i].number + (next - i);
		     next++) {
		}
		put_back(vm, pages[i], next - i);
	}
}

enum hs_status hs_vm_rewind_pages(struct hs_vm *vm, struct hs_error *err)
{
	enum hs_status st = vm->ops->collect(vm->backend, err);

	if (!st && vm->written.count >= DROP_PAGES) {
		for (size_t i = 0; i < vm->ram.count && !st; i++) {
			st = hs_ram_drop(&vm->ram, i, err);
		}
	} else if (!st) {
		put_all_back(vm);
	}
	if (!st) {
		hs_dirty_clear(&vm->written);
	}
	return st;
}

struct hs_vm_bounds hs_vm_bounds(const struct hs_vm *vm)
{
	struct hs_vm_bounds bounds = {
		.scratch_gpa = vm->layout.scratch_gpa,
		.scratch_gva = vm->layout.scratch_gva,
		.scratch_bytes = vm->layout.scratch_bytes,
		.memory_bytes = vm->layout.memory_bytes,
		.input_bytes = vm->guest.input_bytes,
		.output_bytes = vm->guest.output_bytes,
	};

	/* The region ends where it did; a snapshot may have another size of it. */
	if (vm->loaded.part_count > 0) {
		bounds.scratch_gva.v += bounds.scratch_bytes - vm->loaded.scratch_length;
		bounds.scratch_gpa = vm->loaded.scratch_gpa;
		bounds.scratch_bytes = vm->loaded.scratch_length;
	}
	return bounds;
}

struct hs_vm_guest hs_vm_guest(const struct hs_vm *vm)
{
	return vm->guest;
}

void hs_vm_set_guest(struct hs_vm *vm, const struct hs_vm_guest *guest)
{
	memcpy(&vm->guest, guest, offsetof(struct hs_vm_guest, variable.symbol));
	vm->guest.variable.symbol[0] = '\0';
	if (guest->variable.count > 0) {
		memcpy(vm->guest.variable.symbol, guest->variable.symbol, sizeof(guest->variable.symbol));
	}
}

struct hs_devices hs_vm_devices(const struct hs_vm *vm)
{
	return vm->bus.devices;
}

void hs_vm_set_devices(struct hs_vm *vm, const struct hs_devices *devices)
{
	vm->bus.devices = *devices;
}

bool hs_vm_is_restored(const struct hs_vm *vm)
{
	return vm->loaded.part_count > 0 && !vm->unusable;
}

bool hs_vm_is_untouched(const struct hs_vm *vm)
{
	return hs_vm_is_restored(vm) && !vm->touched;
}

bool hs_vm_is_on(const struct hs_vm *vm, const struct hs_memory_image *image)
{
	return hs_vm_is_restored(vm) && vm->loaded.fd == image->fd;
}

enum hs_status hs_vm_pages_written(struct hs_vm *vm, uint64_t *ret, struct hs_error *err)
{
	enum hs_status st = vm->ops->collect(vm->backend, err);

	if (!st) {
		*ret = vm->written.count;
	}
	return st;
}

enum hs_status hs_vm_restore(struct hs_vm *vm, const struct hs_memory_image *image, bool share,
			     const struct hs_cpu_state *cpu, struct hs_error *err)
{
	bool same = hs_vm_is_on(vm, image) && vm->loaded_shared == share;
	bool whole = !vm->unusable;
	bool again = same && vm->loaded_cpu == cpu;
	enum hs_status st = again ? HS_OK : hs_vm_check_registers(vm, cpu, err);

	if (st) {
		return st;
	}
	vm->unusable = true;
	vm->have = 0;
	vm->dirty = 0;
	vm->unretired = false;
	/* First what is under way: it may still write. */
	st = vm->ops->abandon(vm->backend, err);
	if (!st) {
		st = same ? hs_vm_rewind_pages(vm, err) : hs_vm_load(vm, image, share, whole, err);
	}
	st = st ? st : vm->ops->restore(vm->backend, cpu, again, err);
	if (st) {
		return st;
	}
	if (!again) {
		hs_root_of_cpu(cpu, &vm->loaded_root);
		vm->loaded_cpu = cpu;
	}
	vm->last_root = vm->loaded_root;
	vm->root_known = true;
	vm->ended = false;
	vm->at_breakpoint = false;
	vm->touched = false;
	vm->unusable = false;
	return HS_OK;
}
