/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_vmem_read and hs_vmem_write across pages, regions and holes, with and without host pointers. */
#include "ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = { 0x1000 } };

/*
 * gva 0x400000 .. 0x402fff, three pages that lie at gpa 0x12000, 0x11000 and 0x20000, the last one on a region of half
 * a page; then a hole. gva 0x500000 is a page that is not backed.
 */
static void make_space(struct ram *ram, bool pointers)
{
	struct hs_mapping mappings[] = {
		{ .gva = { 0x400000 }, .gpa = { 0x12000 }, .length = 0x1000, .prot = HS_PROT_WRITE },
		{ .gva = { 0x401000 }, .gpa = { 0x11000 }, .length = 0x1000 },
		{ .gva = { 0x402000 }, .gpa = { 0x20000 }, .length = 0x1000, .prot = HS_PROT_WRITE },
		{ .gva = { 0x500000 }, .gpa = { 0x90000 }, .length = 0x1000, .prot = HS_PROT_WRITE },
		{ .gva = { UINT64_C(0xfffffffffffff000) }, .gpa = { 0x13000 }, .length = 0x1000 },
		{ .gva = { 0 }, .gpa = { 0x12000 }, .length = 0x1000 },
	};

	ram_init(ram, pointers);
	ram_add(ram, 0x1000, 0x13000);
	ram_add(ram, 0x20000, 0x800);
	ram_set_tables(ram, 0x2000, 0xf000);
	for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++) {
		assert_int_equal(ram_map(ram, &root, &mappings[i]), HS_OK);
	}
	memset(ram_at(ram, 0x12000), 'a', 0x1000);
	memset(ram_at(ram, 0x11000), 'b', 0x1000);
	memset(ram_at(ram, 0x20000), 'c', 0x800);
	memset(ram_at(ram, 0x13000), 'z', 0x1000);
}

static void check_reads(bool pointers)
{
	struct ram ram;
	struct hs_error err;
	uint8_t bytes[0x4000];
	size_t length = 77;

	make_space(&ram, pointers);
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(0x400ffe), bytes, 4, &length, NULL), HS_OK);
	assert_int_equal(length, 4);
	assert_memory_equal(bytes, "aabb", 4);
	/* Over all pages: up to the middle of the third, where the region ends. */
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(0x400000), bytes, sizeof(bytes), &length, NULL),
			 HS_OK);
	assert_int_equal(length, 0x2800);
	assert_int_equal(bytes[0x1fff], 'b');
	assert_int_equal(bytes[0x2000], 'c');
	assert_int_equal(bytes[0x27ff], 'c');
	/* Into the hole at 0x403000 from below there is nothing to read at all. */
	length = 77;
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(0x402800), bytes, 1, &length, &err),
			 HS_ERR_UNREADABLE);
	assert_int_equal(err.where, 0x402800);
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(0x403000), bytes, 1, &length, &err),
			 HS_ERR_UNREADABLE);
	assert_int_equal(err.where, 0x403000);
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(0x500000), bytes, 1, &length, &err),
			 HS_ERR_UNREADABLE);
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(UINT64_C(1) << 60), bytes, 1, &length, &err),
			 HS_ERR_UNREADABLE);
	assert_int_equal(length, 77);
	/* The last bytes of the address space: no wrap to 0. */
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(UINT64_MAX - 2), bytes, 16, &length, NULL), HS_OK);
	assert_int_equal(length, 3);
	assert_memory_equal(bytes, "zzz", 3);
	assert_int_equal(hs_vmem_read(&ram.phys, &root, hs_gva_of(0x403000), bytes, 0, &length, NULL), HS_OK);
	assert_int_equal(length, 0);
	ram_deinit(&ram);
}

static void test_vmem_read_goes_up_to_the_first_byte_that_is_not_there(void **state)
{
	(void)state;
	check_reads(true);
	check_reads(false);
}

static void check_writes(bool pointers)
{
	struct ram ram;
	struct hs_error err;
	uint8_t bytes[0x3000];

	make_space(&ram, pointers);
	memset(bytes, 'X', sizeof(bytes));
	/* The second page has W clear: that is the guest's business. */
	assert_int_equal(hs_vmem_write(&ram.phys, &root, hs_gva_of(0x400fff), bytes, 0x1002, NULL), HS_OK);
	assert_int_equal(*ram_at(&ram, 0x12ffe), 'a');
	assert_int_equal(*ram_at(&ram, 0x12fff), 'X');
	assert_int_equal(*ram_at(&ram, 0x11000), 'X');
	assert_int_equal(*ram_at(&ram, 0x11fff), 'X');
	assert_int_equal(*ram_at(&ram, 0x20000), 'X');
	assert_int_equal(*ram_at(&ram, 0x20001), 'c');
	/* All or nothing: the last byte is not backed, then not mapped. */
	memset(bytes, 'Y', sizeof(bytes));
	assert_int_equal(hs_vmem_write(&ram.phys, &root, hs_gva_of(0x400000), bytes, 0x2801, &err), HS_ERR_UNREADABLE);
	assert_int_equal(err.where, 0x402000);
	assert_int_equal(*ram_at(&ram, 0x12000), 'a');
	assert_int_equal(*ram_at(&ram, 0x11000), 'X');
	assert_int_equal(hs_vmem_write(&ram.phys, &root, hs_gva_of(UINT64_MAX), bytes, 2, &err), HS_ERR_UNREADABLE);
	assert_int_equal(*ram_at(&ram, 0x13fff), 'z');
	assert_int_equal(hs_vmem_write(&ram.phys, &root, hs_gva_of(0x500000), bytes, 1, &err), HS_ERR_UNREADABLE);
	assert_int_equal(hs_vmem_write(&ram.phys, &root, hs_gva_of(0x403000), bytes, 0, &err), HS_OK);
	/* Half of it on memory that refuses writes. */
	ram.regions[1].read_only = true;
	assert_int_equal(hs_vmem_write(&ram.phys, &root, hs_gva_of(0x401ff0), bytes, 0x20, &err), HS_ERR_PERMISSION);
	assert_int_equal(*ram_at(&ram, 0x11ff0), 'X');
	ram.ops.write = NULL;
	assert_int_equal(hs_vmem_write(&ram.phys, &root, hs_gva_of(0x400000), bytes, 1, &err), HS_ERR_UNSUPPORTED);
	ram_deinit(&ram);
}

static void test_vmem_write_is_all_or_nothing(void **state)
{
	(void)state;
	check_writes(true);
	check_writes(false);
}

static void test_vmem_without_paging_is_physical_memory(void **state)
{
	struct hs_root flat = { .format = HS_PAGING_NONE };
	struct ram ram;
	uint8_t bytes[4];
	size_t length;

	(void)state;
	ram_init(&ram, true);
	ram_add(&ram, 0x1000, 0x1000);
	ram_add(&ram, 0x2000, 0x1000);
	*ram_at(&ram, 0x1fff) = 1;
	*ram_at(&ram, 0x2000) = 2;
	assert_int_equal(hs_vmem_read(&ram.phys, &flat, hs_gva_of(0x1fff), bytes, 2, &length, NULL), HS_OK);
	assert_int_equal(length, 2);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(bytes[1], 2);
	ram_deinit(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vmem_read_goes_up_to_the_first_byte_that_is_not_there),
		cmocka_unit_test(test_vmem_write_is_all_or_nothing),
		cmocka_unit_test(test_vmem_without_paging_is_physical_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
