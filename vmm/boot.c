/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling a planned guest's memory: image, boot information, bookkeeping, page tables, and the tables of
 * boot_tables.h. */
#include "vmm/boot.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd_io.h"
#include "vmm/boot_tables.h"

#include "arch/regs.h"

#include <hindsight/abi.h>
#include <hindsight/paging.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* Bytes of the image that are read at once: fits a second-level cache, so the copy into the guest finds them there. */
#define CHUNK_BYTES (256u * 1024u)

/* What a boot works on; all borrowed for the call. */
struct boot {
	const struct hs_phys *phys;
	const struct hs_image *image;
	const struct hs_layout *layout;
	const struct hs_vm_config *config;
	uint64_t seed;
};

static enum hs_status put(const struct boot *boot, uint64_t gpa, const void *bytes, size_t length, struct hs_error *err)
{
	return boot->phys->ops->write(boot->phys->ctx, hs_gpa_of(gpa), bytes, length, err);
}

static enum hs_status copy_segment(const struct boot *boot, size_t index, uint8_t *chunk, struct hs_error *err)
{
	const struct hs_image_segment *segment = &boot->image->segments[index];
	uint64_t gpa = boot->layout->segment_gpa[index].v + segment->gva.v % HS_PAGE_SIZE;
	uint64_t done = 0;

	while (done < segment->file_length) {
		uint64_t left = segment->file_length - done;
		size_t length = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
		enum hs_status st = hs_fd_pread(boot->image->fd, boot->image->path, chunk, length,
						segment->file_offset + done, err);

		if (st) {
			return st;
		}
		st = put(boot, gpa + done, chunk, length, err);
		if (st) {
			return st;
		}
		done += length;
	}
	return HS_OK;
}

static enum hs_status copy_image(const struct boot *boot, struct hs_error *err)
{
	HS_FREE uint8_t *chunk = malloc(CHUNK_BYTES);

	if (!chunk) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory to read the image into");
	}
	for (size_t i = 0; i < boot->image->segment_count; i++) {
		enum hs_status st = copy_segment(boot, i, chunk, err);

		if (st) {
			return st;
		}
	}
	return HS_OK;
}

static void set_range(const struct boot *boot, enum hs_area_kind kind, uint64_t *ret_start, uint64_t *ret_length)
{
	const struct hs_area *area = hs_layout_area(boot->layout, kind);

	*ret_start = area->gva.v;
	*ret_length = area->length;
}

static void describe(const struct boot *boot, struct hs_abi_boot *ret)
{
	const struct hs_layout *layout = boot->layout;
	uint64_t list = hs_layout_area(layout, HS_AREA_BOOT)->gva.v + sizeof(*ret);

	*ret = (struct hs_abi_boot){
		.magic = HS_BOOT_MAGIC,
		.version = HS_BOOT_VERSION,
		.bytes = sizeof(*ret),
		.page_size = HS_PAGE_SIZE,
		.seed = boot->seed,
		.log_level = boot->config->log_level,
		.image_start = boot->image->lowest,
		.image_length = boot->image->highest - boot->image->lowest + 1,
		.scratch_start = layout->scratch_gva.v,
		.scratch_length = layout->scratch_bytes,
		.scratch_gpa = layout->scratch_gpa.v,
		.tables_gpa = hs_layout_area(layout, HS_AREA_TABLES)->gpa.v,
		.args_start = list + boot->config->mapping_count * sizeof(struct hs_abi_mapping),
		.args_length = layout->args_bytes,
		.args_count = boot->config->args_count,
		.mappings_start = boot->config->mapping_count > 0 ? list : 0,
		.mappings_count = boot->config->mapping_count,
	};
	set_range(boot, HS_AREA_HEAP, &ret->heap_start, &ret->heap_length);
	set_range(boot, HS_AREA_STACK, &ret->stack_start, &ret->stack_length);
	set_range(boot, HS_AREA_INPUT, &ret->input_start, &ret->input_length);
	set_range(boot, HS_AREA_OUTPUT, &ret->output_start, &ret->output_length);
}

/* The boot information is words and nothing else, so that it is encoded as such. */
_Static_assert(sizeof(struct hs_abi_boot) % sizeof(uint64_t) == 0, "struct hs_abi_boot is made of u64");

static enum hs_status write_mapping(const struct boot *boot, size_t index, uint64_t gpa, struct hs_error *err)
{
	const struct hs_vm_mapping *mapping = &boot->config->mappings[index];
	uint8_t bytes[sizeof(struct hs_abi_mapping)] = { 0 };

	hs_put_le64(bytes + offsetof(struct hs_abi_mapping, start), hs_layout_mapping(boot->layout, index)->gva.v);
	hs_put_le64(bytes + offsetof(struct hs_abi_mapping, length), mapping->length);
	hs_put_le64(bytes + offsetof(struct hs_abi_mapping, gpa), mapping->gpa.v);
	hs_put_le64(bytes + offsetof(struct hs_abi_mapping, flags), mapping->writable ? HS_MAPPING_WRITABLE : 0);
	memcpy(bytes + offsetof(struct hs_abi_mapping, label), mapping->label,
	       strnlen(mapping->label, HS_MAPPING_LABEL_BYTES - 1));
	return put(boot, gpa, bytes, sizeof(bytes), err);
}

static enum hs_status write_boot_information(const struct boot *boot, struct hs_error *err)
{
	uint8_t bytes[sizeof(struct hs_abi_boot)];
	uint64_t words[sizeof(struct hs_abi_boot) / sizeof(uint64_t)];
	struct hs_abi_boot information;
	uint64_t gpa = hs_layout_area(boot->layout, HS_AREA_BOOT)->gpa.v;
	enum hs_status st;

	describe(boot, &information);
	memcpy(words, &information, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hs_put_le64(bytes + 8 * i, words[i]);
	}
	st = put(boot, gpa, bytes, sizeof(bytes), err);
	gpa += sizeof(bytes);
	for (size_t i = 0; !st && i < boot->config->mapping_count; i++) {
		st = write_mapping(boot, i, gpa, err);
		gpa += sizeof(struct hs_abi_mapping);
	}
	for (size_t i = 0; !st && i < boot->config->args_count; i++) {
		size_t length = strlen(boot->config->args[i]) + 1;

		st = put(boot, gpa, boot->config->args[i], length, err);
		gpa += length;
	}
	return st;
}

static enum hs_status write_bookkeeping(const struct boot *boot, struct hs_error *err)
{
	const struct hs_layout *layout = boot->layout;
	uint64_t end = layout->scratch_gpa.v + layout->scratch_bytes;
	/* Generation and counter start at zero, which they are. */
	const struct {
		uint64_t offset, value;
	} words[] = {
		{ HS_SCRATCH_SIZE_OFFSET, layout->scratch_bytes },
		{ HS_SCRATCH_NEXT_FREE_OFFSET, hs_layout_area(layout, HS_AREA_FREE)->gpa.v },
		{ HS_SCRATCH_TABLES_OFFSET, hs_layout_area(layout, HS_AREA_TABLES)->gpa.v },
		{ HS_SCRATCH_EXCEPTION_STACK_OFFSET, hs_boot_exception_stack(layout) },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		uint8_t bytes[8];
		enum hs_status st;

		hs_put_le64(bytes, words[i].value);
		st = put(boot, end - words[i].offset, bytes, sizeof(bytes), err);
		if (st) {
			return st;
		}
	}
	return HS_OK;
}

/* Where the builder's tables come from: the area's pages in order; they are zero still. */
struct table_pool {
	uint64_t next, end;
};

static enum hs_status take_table(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct table_pool *pool = ctx;

	if (pool->next == pool->end) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, pool->end, "no page left for the guest's page tables");
	}
	*ret = hs_gpa_of(pool->next);
	pool->next += HS_PAGE_SIZE;
	return HS_OK;
}

static enum hs_status build_page_tables(const struct boot *boot, struct hs_error *err)
{
	const struct hs_area *area = hs_layout_area(boot->layout, HS_AREA_TABLES);
	struct table_pool pool = { .next = area->gpa.v + HS_PAGE_SIZE, .end = area->gpa.v + area->length };
	const struct hs_table_source source = { .take = take_table, .ctx = &pool };
	struct hs_mapping mappings[HS_LAYOUT_AREAS_MAX];
	size_t count = hs_layout_mappings(boot->layout, mappings);
	struct hs_root root;

	hs_layout_root(boot->layout, &root);
	for (size_t i = 0; i < count; i++) {
		enum hs_status st = hs_build_map(boot->phys, &root, &mappings[i], &source, err);

		if (st) {
			return st;
		}
	}
	return HS_OK;
}

static enum hs_status write_tables(const struct boot *boot, const struct hs_boot_tables *tables, struct hs_error *err)
{
	const struct hs_layout *layout = boot->layout;
	const struct hs_area *stack = hs_layout_area(layout, HS_AREA_STACK);
	enum hs_status st = put(boot, hs_layout_area(layout, HS_AREA_DESCRIPTORS)->gpa.v, tables->descriptors,
				sizeof(tables->descriptors), err);

	if (!st) {
		st = put(boot, hs_layout_area(layout, HS_AREA_IDT)->gpa.v, tables->idt, sizeof(tables->idt), err);
	}
	if (!st) {
		st = put(boot, hs_layout_area(layout, HS_AREA_STUBS)->gpa.v, tables->stubs, sizeof(tables->stubs), err);
	}
	if (!st) {
		st = put(boot, stack->gpa.v + stack->length - tables->stack_bytes, tables->stack, tables->stack_bytes,
			 err);
	}
	return st;
}

static enum hs_status enter(const struct boot *boot, struct hs_cpu_state *ret, struct hs_error *err)
{
	const struct hs_boot_entry entry = {
		.ip = boot->image->entry,
		.seed = boot->seed,
		.log_level = boot->config->log_level,
	};
	struct hs_boot_tables tables = { 0 };
	struct hs_cpu_state cpu;
	enum hs_status st;

	hs_cpu_state_init(&cpu);
	if (boot->layout->arch == HS_ARCH_I686) {
		hs_boot_i686_compose(boot->layout, &entry, &tables, &cpu);
	} else {
		hs_boot_amd64_compose(boot->layout, &entry, &tables, &cpu);
	}
	st = write_tables(boot, &tables, err);
	if (!st) {
		/* memcpy, not assignment: the padding, zero too, takes part in comparisons. */
		memcpy(ret, &cpu, sizeof(cpu));
	}
	return st;
}

static enum hs_status choose_seed(struct boot *boot, struct hs_error *err)
{
	boot->seed = boot->config->seed;
	if (boot->seed == 0 && getrandom(&boot->seed, sizeof(boot->seed), 0) != (ssize_t)sizeof(boot->seed)) {
		return hs_error_os(err, errno, "cannot get a random seed for the guest");
	}
	return HS_OK;
}

enum hs_status hs_boot_write(const struct hs_phys *phys, const struct hs_image *image, const struct hs_layout *layout,
			     const struct hs_vm_config *config, struct hs_cpu_state *ret, struct hs_error *err)
{
	static const struct hs_vm_config defaults;
	struct boot boot = {
		.phys = phys,
		.image = image,
		.layout = layout,
		.config = config ? config : &defaults,
	};
	enum hs_status st;

	if (!phys->ops->write) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "a guest cannot be loaded into memory that is read-only");
	}
	st = choose_seed(&boot, err);
	if (!st) {
		st = copy_image(&boot, err);
	}
	if (!st) {
		st = write_boot_information(&boot, err);
	}
	if (!st) {
		st = write_bookkeeping(&boot, err);
	}
	if (!st) {
		st = build_page_tables(&boot, err);
	}
	return st ? st : enter(&boot, ret, err);
}
