/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page tables without a VM: two address spaces that share a kernel half are built in ordinary memory and read back.
 *
 *     gcc page_tables.c $(pkg-config --cflags --libs hindsight) -o page_tables && ./page_tables
 *
 * The physical memory is an array; of the library only <hindsight/paging.h> and <hindsight/spaces.h> are used, which
 * need nothing of its VM.
 */
#include <hindsight/paging.h>
#include <hindsight/spaces.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_BYTES 0x200000u
#define KERNEL UINT64_C(0xffff800000000000)

/* Physical memory from 0 on; tables are made from its end downwards. */
struct memory {
	uint8_t *bytes;
	uint64_t tables;
};

static bool has(hs_gpa gpa, size_t length)
{
	return gpa.v <= MEMORY_BYTES && length <= MEMORY_BYTES - gpa.v;
}

static enum hs_status memory_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	(void)err;
	if (!has(gpa, length)) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(buffer, ((struct memory *)ctx)->bytes + gpa.v, length);
	return HS_OK;
}

static enum hs_status memory_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	(void)err;
	if (!has(gpa, length)) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(((struct memory *)ctx)->bytes + gpa.v, buffer, length);
	return HS_OK;
}

static enum hs_status take_table(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct memory *memory = ctx;

	(void)err;
	memory->tables -= HS_PAGE_SIZE;
	*ret = hs_gpa_of(memory->tables);
	return HS_OK;
}

static void check(enum hs_status status, const struct hs_error *err)
{
	if (status) {
		fprintf(stderr, "page_tables: %s: %s\n", hs_status_name(status), err->message);
		exit(1);
	}
}

/* Two programs: the same code, data of their own, and a page of the first that the second would copy when it writes. */
static void build(const struct hs_phys *phys, struct memory *memory, struct hs_root roots[2])
{
	const struct hs_mapping mappings[2][3] = {
		{ { .gva = { KERNEL }, .gpa = { 0 }, .length = MEMORY_BYTES, .prot = HS_PROT_WRITE, .large = true },
		  { .gva = { 0x400000 }, .gpa = { 0x10000 }, .length = 0x3000, .prot = HS_PROT_EXEC, .user = true },
		  { .gva = { 0x600000 }, .gpa = { 0x20000 }, .length = 0x2000, .prot = HS_PROT_WRITE, .user = true } },
		{ { .gva = { 0x400000 }, .gpa = { 0x10000 }, .length = 0x3000, .prot = HS_PROT_EXEC, .user = true },
		  { .gva = { 0x600000 }, .gpa = { 0x30000 }, .length = 0x1000, .prot = HS_PROT_WRITE, .user = true },
		  { .gva = { 0x700000 }, .gpa = { 0x21000 }, .length = 0x1000, .user = true, .cow = true } },
	};
	const struct hs_table_source tables = { take_table, memory };
	struct hs_space_item kernel = {
		.kind = HS_SPACE_ALIAS, .depth = 1, .gva = { KERNEL }, .owner_gva = { KERNEL }
	};
	struct hs_path path;
	struct hs_error err = { 0 };

	for (unsigned int i = 0; i < 2; i++) {
		roots[i] = (struct hs_root){ .format = HS_PAGING_4LEVEL, .nxe = true, .wp = true, .smap = true };
		check(take_table(memory, &roots[i].base, &err), &err);
		for (unsigned int j = 0; j < 3; j++) {
			check(hs_build_map(phys, &roots[i], &mappings[i][j], &tables, &err), &err);
		}
	}
	/* The kernel is linked in, table and all, with the flags that the first space has for it. */
	hs_path_find(phys, &roots[0], kernel.gva, &path);
	kernel.entry = path.levels[0].entry;
	check(hs_build_link(phys, &roots[1], &kernel, &roots[0], &err), &err);
}

static void print_range(const struct hs_range *range)
{
	printf("  0x%016llx +0x%-6llx -> 0x%06llx %c%c%c%c%s\n", (unsigned long long)range->start.v,
	       (unsigned long long)range->length, (unsigned long long)range->gpa.v,
	       range->prot & HS_PROT_READ ? 'r' : '-', range->prot & HS_PROT_WRITE ? 'w' : '-',
	       range->prot & HS_PROT_EXEC ? 'x' : '-', range->user ? 'u' : '-', range->cow ? " cow" : "");
}

static void print_ranges(const struct hs_phys *phys, const struct hs_root *root)
{
	struct hs_iter iter;
	struct hs_range range;

	hs_iter_init(&iter, phys, root, hs_gva_of(0), 0, hs_budget_default());
	while (hs_iter_next(&iter, &range, NULL) == HS_OK) {
		print_range(&range);
	}
}

/* Every table once, with its owner; what is reached again is a reference. */
static void print_spaces(const struct hs_phys *phys, const struct hs_root roots[2])
{
	static struct hs_space_place places[64];
	struct hs_spaces spaces;
	struct hs_space_item item;

	hs_spaces_init(&spaces, phys, roots, 2, places, 64, hs_budget_default());
	while (hs_spaces_next(&spaces, &item, NULL) == HS_OK) {
		if (item.kind == HS_SPACE_RANGE) {
			continue;
		}
		printf("  space %u depth %u 0x%016llx table 0x%06llx", item.space, item.depth,
		       (unsigned long long)item.gva.v, (unsigned long long)item.table.v);
		if (item.kind == HS_SPACE_ALIAS) {
			printf(" is that of space %u", item.owner);
		}
		printf("\n");
	}
}

static void print_aliases(const struct hs_phys *phys, const struct hs_root roots[2], hs_gpa frame)
{
	struct hs_reverse reverse;
	struct hs_reverse_item item;

	hs_reverse_init(&reverse, phys, roots, 2, frame, HS_PAGE_SIZE, hs_budget_default());
	while (hs_reverse_next(&reverse, &item, NULL) == HS_OK) {
		printf("  space %u", item.space);
		print_range(&item.range);
	}
}

static void print_path(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva)
{
	struct hs_path path;
	uint32_t error_code = 0;

	hs_path_find(phys, root, gva, &path);
	for (unsigned int depth = 0; depth < path.count; depth++) {
		struct hs_entry_fields fields;

		hs_entry_describe(root, depth, path.levels[depth].entry, &fields);
		printf("  0x%06llx: 0x%06llx", (unsigned long long)path.levels[depth].place.v,
		       (unsigned long long)fields.gpa.v);
		for (unsigned int i = 0; i < fields.count; i++) {
			if (fields.fields[i].value) {
				printf(" %s=%llu", fields.fields[i].name, (unsigned long long)fields.fields[i].value);
			}
		}
		printf("\n");
	}
	if (hs_access_check(root, &path.range, HS_ACCESS_BY_USER, HS_PROT_WRITE, &error_code) == HS_ACCESS_PAGE_FAULT) {
		printf("  a write by user mode is a page fault with error code %u\n", error_code);
	}
	printf("  a read by the supervisor is %s\n",
	       hs_access_rights(root, &path.range, HS_ACCESS_BY_SUPERVISOR) & HS_PROT_READ ? "allowed" : "refused");
}

int main(void)
{
	static const struct hs_phys_ops ops = { .read = memory_read, .write = memory_write };
	struct memory memory = { calloc(1, MEMORY_BYTES), MEMORY_BYTES };
	const struct hs_phys phys = { &ops, &memory };
	struct hs_root roots[2];

	if (!memory.bytes) {
		return 1;
	}
	build(&phys, &memory, roots);
	for (unsigned int i = 0; i < 2; i++) {
		printf("space %u maps\n", i);
		print_ranges(&phys, &roots[i]);
	}
	printf("tables\n");
	print_spaces(&phys, roots);
	printf("who maps 0x21000\n");
	print_aliases(&phys, roots, hs_gpa_of(0x21000));
	printf("the way of space 1 to 0x700000\n");
	print_path(&phys, &roots[1], hs_gva_of(0x700000));
	free(memory.bytes);
	return 0;
}
