/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots of a small guest with two spaces: what is in them, what they are taken with, and what is refused. The image
 * of its memory is checked through its own operations; test_plan has compaction itself.
 */
#include "ram.h"

#include "base/bytes.h"
#include "snapshot/snapshot.h"

#include <hindsight/abi.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MEMORY_GPA UINT64_C(0x1000)
#define MEMORY_BYTES UINT64_C(0x40000)
#define SCRATCH_BYTES UINT64_C(0x60000)
#define SCRATCH_GPA (UINT64_C(0x40000000) - SCRATCH_BYTES)
#define BUFFER_BYTES UINT64_C(0x4000)
#define CODE_GVA UINT64_C(0x400000)
#define DATA_GVA UINT64_C(0x600000)
#define OWN_GVA UINT64_C(0x700000)
#define GDT_GVA (DATA_GVA + 0x100)
#define TSS_GVA (DATA_GVA + 0x200)
#define IDT_GVA (DATA_GVA + 0x300)
/* Pages that one entry alone maps: the top one of a stack that the TSS names is the last of them. */
#define STACK_GVA UINT64_C(0x800000)
#define STACK_PAGES 8

struct guest {
	struct ram ram;
	struct hs_root roots[2];
	struct hs_cpu_state cpu;
	struct hs_snapshot_guest facts;
	struct hs_snapshot_input input;
};

static uint64_t window_gva(const struct guest *guest)
{
	return (guest->roots[0].format >= HS_PAGING_4LEVEL ? UINT64_C(0xfffffffffffff000) : UINT64_C(0xfffff000)) -
	       SCRATCH_BYTES;
}

static void map(struct guest *guest, unsigned int root, uint64_t gva, uint64_t gpa, uint64_t pages, int prot)
{
	struct hs_mapping mapping = {
		.gva = { gva },
		.gpa = { gpa },
		.length = pages * HS_PAGE_SIZE,
		.prot = prot,
	};

	assert_int_equal(ram_map(&guest->ram, &guest->roots[root], &mapping), HS_OK);
}

/* A GDT whose third descriptor is a busy 32-bit TSS, that would load the second root. */
static void put_tss(struct guest *guest, uint64_t data_gpa)
{
	uint64_t tss = TSS_GVA;

	ram_put(&guest->ram, data_gpa + 0x110, 8,
		0x67 | (tss & 0xffffff) << 16 | UINT64_C(0x8b) << 40 | (tss >> 24) << 56);
	ram_put(&guest->ram, data_gpa + 0x200 + 28, 4, guest->roots[1].base.v | 0x18);
	guest->cpu.gdt = (struct hs_dtable){ .base = GDT_GVA, .limit = 3 * 8 - 1 };
	guest->cpu.idt = (struct hs_dtable){ .base = IDT_GVA, .limit = 15 };
	guest->cpu.seg[HS_TR].base = TSS_GVA;
}

static struct guest *guest_create(enum hs_paging_format format)
{
	/* Registers are aligned to 64 bytes. */
	struct guest *guest = aligned_alloc(64, (sizeof(*guest) + 63) & ~(size_t)63);

	assert_non_null(guest);
	memset(guest, 0, sizeof(*guest));
	ram_init(&guest->ram, true);
	ram_add(&guest->ram, MEMORY_GPA, MEMORY_BYTES);
	ram_add(&guest->ram, SCRATCH_GPA, SCRATCH_BYTES);
	ram_set_tables(&guest->ram, SCRATCH_GPA + 0x20000, 0x30000);
	for (unsigned int i = 0; i < 2; i++) {
		guest->roots[i] = (struct hs_root){ .format = format, .nxe = true };
		assert_int_equal(guest->ram.source.take(guest->ram.source.ctx, &guest->roots[i].base, NULL), HS_OK);
		map(guest, i, CODE_GVA, 0x3000, 2, HS_PROT_READ | HS_PROT_EXEC);
		map(guest, i, DATA_GVA, 0x8000, 1, HS_PROT_READ | HS_PROT_WRITE);
		map(guest, i, OWN_GVA, 0xa000 + 0x2000 * i, 1, HS_PROT_READ | HS_PROT_WRITE);
		map(guest, i, window_gva(guest), SCRATCH_GPA, SCRATCH_BYTES / HS_PAGE_SIZE,
		    HS_PROT_READ | HS_PROT_WRITE);
		ram_put(&guest->ram, 0xa000 + 0x2000 * i, 8, 0x1111 * (i + 1));
	}
	ram_put(&guest->ram, SCRATCH_GPA + SCRATCH_BYTES - HS_SCRATCH_COUNTER_OFFSET, 8, 77);
	ram_put(&guest->ram, SCRATCH_GPA + SCRATCH_BYTES - HS_SCRATCH_EXCEPTION_STACK_OFFSET, 8, 0x5550);
	guest->cpu.cr0 = UINT64_C(0x80050033);
	guest->cpu.cr4 = format == HS_PAGING_32BIT ? 0 : format == HS_PAGING_5LEVEL ? 0x1020 : 0x20;
	guest->cpu.msr.efer = format >= HS_PAGING_4LEVEL ? 0xd00 : 0x800;
	guest->cpu.cr3 = guest->roots[1].base.v | 0x18;
	guest->cpu.gpr[HS_RSP] = DATA_GVA + 0x1000;
	put_tss(guest, 0x8000);
	guest->facts = (struct hs_snapshot_guest){
		.input_bytes = BUFFER_BYTES,
		.output_bytes = BUFFER_BYTES,
		.generation = 3,
		.features = HS_FEATURE_COW,
	};
	guest->input = (struct hs_snapshot_input){
		.phys = &guest->ram.phys,
		.cpu = &guest->cpu,
		.roots = guest->roots,
		.root_count = 2,
		.current = 1,
		.guest = &guest->facts,
		.gpa = { MEMORY_GPA },
		.limit = MEMORY_BYTES,
		.scratch_gpa = { SCRATCH_GPA },
		.scratch_gva = { window_gva(guest) },
		.scratch_bytes = SCRATCH_BYTES,
	};
	return guest;
}

static void guest_destroy(struct guest *guest)
{
	ram_deinit(&guest->ram);
	free(guest);
}

static struct hs_snapshot *take(struct guest *guest)
{
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err = { 0 };

	if (hs_snapshot_take(&guest->input, &snapshot, &err)) {
		fail_msg("%s", err.message);
	}
	return snapshot;
}

static uint64_t read_at(const struct hs_snapshot *snapshot, unsigned int root, uint64_t gva, size_t bytes)
{
	struct hs_phys phys = hs_snapshot_phys(snapshot);
	uint8_t word[8] = { 0 };
	size_t length;

	assert_int_equal(hs_vmem_read(&phys, &hs_snapshot_info(snapshot)->roots[root], hs_gva_of(gva), word, bytes,
				      &length, NULL),
			 HS_OK);
	assert_int_equal(length, bytes);
	return hs_get_le64(word);
}

static void check_guest(enum hs_paging_format format)
{
	struct guest *guest = guest_create(format);
	struct hs_snapshot *snapshot = take(guest);
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	uint64_t top = window_gva(guest) + SCRATCH_BYTES;

	/* On the root that it was on, with CR3's flags. */
	assert_int_equal(info->current, 1);
	assert_int_equal(hs_snapshot_cpu(snapshot)->cr3, info->roots[1].base.v | 0x18);
	assert_int_equal(hs_snapshot_cpu(snapshot)->gpr[HS_RSP], guest->cpu.gpr[HS_RSP]);
	assert_true(info->cow);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(read_at(snapshot, i, OWN_GVA, 8), 0x1111 * (i + 1));
		assert_int_equal(read_at(snapshot, i, top - HS_SCRATCH_COUNTER_OFFSET, 8), 77);
		assert_int_equal(read_at(snapshot, i, top - HS_SCRATCH_EXCEPTION_STACK_OFFSET, 8), 0x5550);
		assert_int_equal(read_at(snapshot, i, top - HS_SCRATCH_GENERATION_OFFSET, 8), 3);
		assert_int_equal(read_at(snapshot, i, top - HS_SCRATCH_SIZE_OFFSET, 8), SCRATCH_BYTES);
		assert_int_equal(read_at(snapshot, i, top - HS_SCRATCH_TABLES_OFFSET, 8), SCRATCH_GPA + 0x8000);
		assert_int_equal(read_at(snapshot, i, top - HS_SCRATCH_NEXT_FREE_OFFSET, 8),
				 SCRATCH_GPA + 0x8000 + info->table_bytes);
		/* The rest of scratch is zero, though nothing of the file is there. */
		assert_int_equal(read_at(snapshot, i, top - 0x3000, 8), 0);
	}
	/* The task's root has moved where tasks have one. */
	assert_int_equal(read_at(snapshot, 0, TSS_GVA + 28, 4),
			 (format >= HS_PAGING_4LEVEL ? guest->roots[1].base.v : info->roots[1].base.v) | 0x18);
	hs_snapshot_unref(snapshot);
	guest_destroy(guest);
}

static void test_take_guest_of_each_format_resumes_where_it_was(void **state)
{
	(void)state;
	check_guest(HS_PAGING_32BIT);
	check_guest(HS_PAGING_PAE);
	check_guest(HS_PAGING_4LEVEL);
}

static bool is_cow(const struct hs_snapshot *snapshot, uint64_t gva)
{
	struct hs_phys phys = hs_snapshot_phys(snapshot);
	struct hs_range range;

	hs_translate(&phys, &hs_snapshot_info(snapshot)->roots[1], hs_gva_of(gva), &range);
	assert_int_equal(range.kind, HS_RANGE_MAPPED);
	assert_true(range.cow != !!(range.prot & HS_PROT_WRITE));
	return range.cow;
}

/* A guest with a stack in its second space, named by the field of its TSS at this offset. */
static struct guest *guest_with_stack(enum hs_paging_format format, unsigned int field)
{
	struct guest *guest = guest_create(format);
	uint64_t top = STACK_GVA + STACK_PAGES * HS_PAGE_SIZE;

	map(guest, 1, STACK_GVA, 0x10000, STACK_PAGES, HS_PROT_READ | HS_PROT_WRITE);
	ram_put(&guest->ram, 0x8000 + 0x200 + field, format >= HS_PAGING_4LEVEL ? 8 : 4, top);
	return guest;
}

/* Exceptions are delivered there, so that a page fault could not be. */
static void test_take_stacks_of_the_cpu_stay_plainly_writable(void **state)
{
	static const struct {
		enum hs_paging_format format;
		unsigned int field;
	} cases[] = {
		{ HS_PAGING_4LEVEL, 4 },  { HS_PAGING_4LEVEL, 20 }, { HS_PAGING_4LEVEL, 36 },
		{ HS_PAGING_4LEVEL, 84 }, { HS_PAGING_5LEVEL, 36 }, { HS_PAGING_32BIT, 4 },
		{ HS_PAGING_32BIT, 20 },  { HS_PAGING_32BIT, 56 },  { HS_PAGING_PAE, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest *guest = guest_with_stack(cases[i].format, cases[i].field);
		struct hs_snapshot *snapshot = take(guest);

		assert_false(is_cow(snapshot, STACK_GVA + (STACK_PAGES - 1) * HS_PAGE_SIZE));
		assert_false(is_cow(snapshot, STACK_GVA + (STACK_PAGES - 4) * HS_PAGE_SIZE));
		assert_true(is_cow(snapshot, STACK_GVA + (STACK_PAGES - 5) * HS_PAGE_SIZE));
		assert_true(is_cow(snapshot, OWN_GVA));
		hs_snapshot_unref(snapshot);
		guest_destroy(guest);
	}
}

/* The page of GDT and TSS, which one entry alone maps here; and the current stack, which is an exception's too. */
static void test_take_tables_of_the_cpu_stay_plainly_writable(void **state)
{
	(void)state;
	for (enum hs_paging_format format = HS_PAGING_32BIT; format <= HS_PAGING_5LEVEL; format++) {
		struct guest *guest = guest_create(format);
		struct hs_snapshot *snapshot;

		map(guest, 1, STACK_GVA, 0x10000, STACK_PAGES, HS_PROT_READ | HS_PROT_WRITE);
		ram_put(&guest->ram, 0x12000 + 0x10, 8, UINT64_C(0x67));
		guest->cpu.gdt.base = STACK_GVA + 0x2000;
		guest->cpu.seg[HS_TR].base = STACK_GVA + 0x1fff;
		guest->cpu.gpr[HS_RSP] = STACK_GVA + 0x7080;
		snapshot = take(guest);
		assert_false(is_cow(snapshot, STACK_GVA + 0x2000));
		assert_int_equal(is_cow(snapshot, STACK_GVA + 0x1000), format < HS_PAGING_4LEVEL);
		assert_false(is_cow(snapshot, STACK_GVA + 0x7000));
		assert_true(is_cow(snapshot, STACK_GVA));
		hs_snapshot_unref(snapshot);
		guest_destroy(guest);
	}
}

/* By the guest's own mark: any of the bits that are software's but the tag of a copy. */
static void test_take_pages_that_the_guest_keeps_stay_plainly_writable(void **state)
{
	(void)state;
	for (enum hs_paging_format format = HS_PAGING_32BIT; format <= HS_PAGING_5LEVEL; format++) {
		struct guest *guest = guest_create(format);
		struct hs_mapping kept = {
			.gva = { STACK_GVA },
			.gpa = { 0x10000 },
			.length = HS_PAGE_SIZE,
			.prot = HS_PROT_READ | HS_PROT_WRITE,
			.leaf = HS_ENTRY_KEPT,
		};
		struct hs_snapshot *snapshot;

		assert_int_equal(ram_map(&guest->ram, &guest->roots[1], &kept), HS_OK);
		map(guest, 1, STACK_GVA + HS_PAGE_SIZE, 0x11000, 1, HS_PROT_READ | HS_PROT_WRITE);
		snapshot = take(guest);
		assert_false(is_cow(snapshot, STACK_GVA));
		assert_true(is_cow(snapshot, STACK_GVA + HS_PAGE_SIZE));
		hs_snapshot_unref(snapshot);
		guest_destroy(guest);
	}
}

/* Nobody would copy a page there. */
static void test_take_on_the_idt_of_the_host_nothing_is_copy_on_write(void **state)
{
	struct guest *guest = guest_create(HS_PAGING_4LEVEL);
	struct hs_snapshot *snapshot;

	(void)state;
	guest->facts.boot_idt = IDT_GVA;
	snapshot = take(guest);
	assert_false(hs_snapshot_info(snapshot)->cow);
	assert_false(is_cow(snapshot, OWN_GVA));
	hs_snapshot_unref(snapshot);
	guest_destroy(guest);
}

static void test_take_file_cannot_be_written(void **state)
{
	struct guest *guest = guest_create(HS_PAGING_4LEVEL);
	struct hs_snapshot *snapshot = hs_snapshot_ref(take(guest));
	int fd = hs_snapshot_info(snapshot)->memory.fd;

	(void)state;
	hs_snapshot_unref(snapshot);
	assert_true(pwrite(fd, "x", 1, 0) < 0);
	assert_true(mmap(NULL, HS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	hs_snapshot_unref(snapshot);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	guest_destroy(guest);
}

static void refuse(struct guest *guest, enum hs_status status, uint64_t where)
{
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err = { 0 };

	assert_int_equal(hs_snapshot_take(&guest->input, &snapshot, &err), status);
	assert_int_equal(err.status, status);
	assert_int_equal(err.where, where);
	assert_null(snapshot);
}

static void test_take_what_cannot_be_kept_is_refused(void **state)
{
	struct guest *guest = guest_create(HS_PAGING_4LEVEL);

	(void)state;
	/* A stack that empties at the top of scratch is in it, one that begins there is not. */
	guest->cpu.gpr[HS_RSP] = window_gva(guest) + SCRATCH_BYTES;
	refuse(guest, HS_ERR_STATE, window_gva(guest) + SCRATCH_BYTES);
	guest->cpu.gpr[HS_RSP] = window_gva(guest);
	guest->input.limit = HS_PAGE_SIZE;
	refuse(guest, HS_ERR_RANGE, 0);
	guest->input.limit = MEMORY_BYTES;
	guest->facts.input_bytes = SCRATCH_BYTES - BUFFER_BYTES - 18 * HS_PAGE_SIZE;
	refuse(guest, HS_ERR_RANGE, 0);
	guest->facts.input_bytes = BUFFER_BYTES;
	map(guest, 1, 0x900000, 0x20000000, 1, HS_PROT_READ);
	refuse(guest, HS_ERR_UNREADABLE, 0x20000000);
	guest_destroy(guest);
}

static void test_take_pointer_to_what_is_not_kept_is_refused(void **state)
{
	struct guest *guest = guest_create(HS_PAGING_4LEVEL);
	struct hs_root_pointer pointer = { .gva = { OWN_GVA + 8 }, .bytes = 8 };
	struct hs_snapshot *snapshot;

	(void)state;
	guest->input.pointers = &pointer;
	guest->input.pointer_count = 1;
	refuse(guest, HS_ERR_UNREADABLE, OWN_GVA + 8);
	ram_put(&guest->ram, 0xc008, 8, guest->roots[0].base.v);
	snapshot = take(guest);
	assert_int_equal(read_at(snapshot, 1, OWN_GVA + 8, 8), hs_snapshot_info(snapshot)->roots[0].base.v);
	hs_snapshot_unref(snapshot);
	/* In scratch it would be lost. */
	pointer.gva.v = window_gva(guest) + 0x10;
	ram_put(&guest->ram, SCRATCH_GPA + 0x10, 8, guest->roots[0].base.v);
	refuse(guest, HS_ERR_UNREADABLE, window_gva(guest) + 0x10);
	guest_destroy(guest);
}

static enum hs_status adopt(const struct hs_snapshot_info *sound, struct hs_memory_part part, uint32_t current)
{
	static const struct hs_cpu_state cpu;
	struct hs_snapshot_info info = *sound;
	struct hs_snapshot *snapshot = NULL;
	enum hs_status st;

	info.memory.fd = fcntl(sound->memory.fd, F_DUPFD_CLOEXEC, 0);
	info.memory.parts[1] = part;
	info.current = current;
	st = hs_snapshot_adopt(&info, &cpu, &snapshot, NULL);
	hs_snapshot_unref(snapshot);
	return st;
}

static void test_adopt_parts_out_of_bounds_are_refused(void **state)
{
	struct guest *guest = guest_create(HS_PAGING_4LEVEL);
	struct hs_snapshot *snapshot = take(guest);
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	struct hs_memory_part part = info->memory.parts[1];
	uint64_t file = info->memory.parts[3].offset + info->memory.parts[3].length;
	const struct hs_memory_part bad[] = {
		{ .gpa = { part.gpa.v + 1 }, .length = 0x1000, .offset = 0 },
		{ .gpa = part.gpa, .length = 0x1001, .offset = 0 },
		{ .gpa = part.gpa, .length = 0x1000, .offset = 1 },
		{ .gpa = part.gpa, .length = 0x1000, .offset = file },
		{ .gpa = part.gpa, .length = file + 0x1000, .offset = 0 },
		{ .gpa = { 0x1000 }, .length = 0x1000, .offset = 0 },
		{ .gpa = { SCRATCH_GPA - 0x1000 }, .length = 0x2000, .offset = 0 },
		{ .gpa = { SCRATCH_GPA }, .length = 0x1000, .offset = 0, .shared = true },
		{ .gpa = { SCRATCH_GPA + SCRATCH_BYTES - 0x1000 }, .length = 0x2000, .offset = 0 },
		{ .gpa = { UINT64_MAX - 0xfff }, .length = 0x1000, .offset = 0 },
		{ .gpa = part.gpa, .length = 0x1000, .offset = UINT64_MAX - 0xfff },
	};

	(void)state;
	assert_int_equal(adopt(info, part, 1), HS_OK);
	assert_int_equal(adopt(info, part, 2), HS_ERR_FORMAT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (adopt(info, bad[i], 0) != HS_ERR_FORMAT) {
			fail_msg("part %zu was taken", i);
		}
	}
	hs_snapshot_unref(snapshot);
	guest_destroy(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_guest_of_each_format_resumes_where_it_was),
		cmocka_unit_test(test_take_stacks_of_the_cpu_stay_plainly_writable),
		cmocka_unit_test(test_take_tables_of_the_cpu_stay_plainly_writable),
		cmocka_unit_test(test_take_pages_that_the_guest_keeps_stay_plainly_writable),
		cmocka_unit_test(test_take_on_the_idt_of_the_host_nothing_is_copy_on_write),
		cmocka_unit_test(test_take_file_cannot_be_written),
		cmocka_unit_test(test_take_what_cannot_be_kept_is_refused),
		cmocka_unit_test(test_take_pointer_to_what_is_not_kept_is_refused),
		cmocka_unit_test(test_adopt_parts_out_of_bounds_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
