/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_core_write: what is in the file, byte for byte, and what is a hole. */
#include "arch/regs.h"
#include "base/bytes.h"
#include "guest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x1000)
#define RAM GUEST_RAM_GPA

static struct guest guest;
static struct hs_core_result result;

static int setup(void **state)
{
	(void)state;
	guest_init(&guest, HS_ARCH_AMD64, true);
	return 0;
}

static int setup_copied(void **state)
{
	(void)state;
	guest_init(&guest, HS_ARCH_AMD64, false);
	return 0;
}

static int setup_i686(void **state)
{
	(void)state;
	guest_init(&guest, HS_ARCH_I686, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_deinit(&guest);
	return 0;
}

/** The core's bytes at gva are those of the guest at gpa. */
static void check_memory(const struct hs_core *core, uint64_t gva, uint64_t gpa, uint64_t length)
{
	uint8_t bytes[4096];

	for (uint64_t at = 0; at < length; at += PAGE) {
		size_t done = 0;

		assert_int_equal(hs_core_read(core, hs_gva_of(gva + at), bytes, sizeof(bytes), &done, NULL), HS_OK);
		assert_int_equal(done, sizeof(bytes));
		assert_memory_equal(bytes, ram_at(&guest.ram, gpa + at), sizeof(bytes));
	}
}

static void test_write_memory_reads_back_the_same(void **state)
{
	(void)state;
	guest_fill(&guest, RAM, 8 * PAGE);
	guest_fill(&guest, RAM + 10 * PAGE, PAGE);
	guest_map(&guest, 0x400000, RAM, 12 * PAGE, GUEST_RW);
	guest_map(&guest, 0x800000, RAM + 7 * PAGE, 4 * PAGE, HS_PROT_READ);
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_int_equal(hs_core_info(core)->segment_count, 2);
	assert_int_equal(result.segments, 2);
	check_memory(core, 0x400000, RAM, 12 * PAGE);
	check_memory(core, 0x800000, RAM + 7 * PAGE, 4 * PAGE);
	hs_core_close(core);
}

static void test_write_one_byte_in_a_page_is_enough_to_store_it(void **state)
{
	(void)state;
	for (uint64_t page = 0; page < 16; page++) {
		*ram_at(&guest.ram, RAM + 2 * page * PAGE + page * 273) = 1;
	}
	guest_map(&guest, 0x400000, RAM, 32 * PAGE, GUEST_RW);
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	check_memory(core, 0x400000, RAM, 32 * PAGE);
	hs_core_close(core);
}

/** Where the data of the one segment is. */
static uint64_t data_offset(void)
{
	struct hs_core *core = guest_open(result.path);
	uint64_t offset = hs_core_segment(core, 0)->offset;

	hs_core_close(core);
	return offset;
}

static void test_write_zero_pages_are_holes_and_others_are_not(void **state)
{
	(void)state;
	guest_map(&guest, 0x400000, RAM, 64 * PAGE, GUEST_RW);
	for (uint64_t page = 0; page < 64; page += 4) {
		guest_fill(&guest, RAM + page * PAGE, PAGE);
	}
	guest_dump(&guest, &result);
	uint64_t start = data_offset();
	int fd = open(result.path, O_RDONLY | O_CLOEXEC);
	struct stat info;

	assert_int_equal(fstat(fd, &info), 0);
	assert_int_equal(info.st_size, result.bytes);
	assert_int_equal(result.bytes, start + 64 * PAGE);
	assert_int_equal(result.stored_bytes % PAGE, result.stored_bytes - 16 * PAGE);
	/* One page of headers and notes, and 16 of data: a file system may take a few more for itself. */
	assert_in_range(info.st_blocks * 512, 17 * PAGE, 21 * PAGE);
	for (uint64_t page = 0; page < 64; page++) {
		off_t at = (off_t)(start + page * PAGE);

		assert_int_equal(lseek(fd, at, SEEK_DATA) == at, page % 4 == 0);
	}
	close(fd);
}

static void test_write_large_guest_that_touched_three_pages_is_small(void **state)
{
	const uint64_t large = UINT64_C(256) << 20;
	struct stat info;

	(void)state;
	ram_add(&guest.ram, UINT64_C(0x100000000), large);
	const struct hs_mapping mapping = {
		.gva = { 0x10000000 },
		.gpa = { UINT64_C(0x100000000) },
		.length = large,
		.prot = GUEST_RW,
		.large = true,
	};

	assert_int_equal(ram_map(&guest.ram, &guest.root, &mapping), HS_OK);
	*ram_at(&guest.ram, UINT64_C(0x100000000)) = 1;
	*ram_at(&guest.ram, UINT64_C(0x108000123)) = 2;
	*ram_at(&guest.ram, UINT64_C(0x100000000) + large - 1) = 3;
	guest_dump(&guest, &result);
	assert_int_equal(stat(result.path, &info), 0);
	assert_true((uint64_t)info.st_size > large);
	assert_true(info.st_blocks * 512 < 64 * 1024);
	assert_int_equal(result.segments, 1);
}

static void test_write_hole_at_the_end_counts_in_the_size(void **state)
{
	struct stat info;

	(void)state;
	guest_map(&guest, 0x400000, RAM, 4 * PAGE, GUEST_RW);
	guest_dump(&guest, &result);
	assert_int_equal(stat(result.path, &info), 0);
	assert_int_equal(info.st_size, data_offset() + 4 * PAGE);
	assert_int_equal(info.st_mode & 07777, 0600);
}

static void test_write_notes_say_what_the_input_said(void **state)
{
	const struct hs_core_file files[] = {
		{ { 0x400000 }, 0x2000, 0, "/guests/fault.elf" },
		{ { 0x600000 }, 0x1000, 0x3000, "/guests/fault.elf" },
	};

	(void)state;
	guest.input.files = files;
	guest.input.file_count = 2;
	guest.input.auxv = (struct hs_core_auxv){ .entry = 0x401234, .phdr = 0x400040, .phent = 56, .phnum = 7 };
	guest.input.root.smap = true;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);
	const struct hs_core_info *info = hs_core_info(core);

	assert_int_equal(info->arch, HS_ARCH_AMD64);
	assert_int_equal(info->signal, 11);
	assert_true(info->has_siginfo);
	assert_int_equal(info->code, 1);
	assert_int_equal(info->fault_address, 0x10);
	assert_string_equal(info->name, "fault.elf");
	assert_string_equal(info->command_line, "./fault.elf one two");
	assert_string_equal(info->reason_name, "exception");
	assert_string_equal(info->reason, guest.input.reason);
	assert_true(strncmp(info->producer, "hindsight ", 10) == 0);
	assert_true(info->has_root);
	assert_memory_equal(&info->root.base, &guest.root.base, sizeof(info->root.base));
	assert_int_equal(info->root.format, HS_PAGING_4LEVEL);
	assert_true(info->root.nxe);
	assert_true(info->root.smap);
	assert_false(info->root.pse || info->root.wp || info->root.smep);
	assert_int_equal(info->auxv.entry, 0x401234);
	assert_int_equal(info->auxv.phdr, 0x400040);
	assert_int_equal(info->auxv.page_bytes, 4096);
	assert_int_equal(info->file_count, 2);
	assert_int_equal(hs_core_file(core, 1)->start.v, 0x600000);
	assert_int_equal(hs_core_file(core, 1)->length, 0x1000);
	assert_int_equal(hs_core_file(core, 1)->file_offset, 0x3000);
	assert_string_equal(hs_core_file(core, 1)->path, "/guests/fault.elf");
	assert_false(info->partial);
	assert_int_equal(info->missing_bytes, 0);
	hs_core_close(core);
}

static void check_registers(const struct hs_core *core, size_t cpu, const struct hs_cpu_state *expected)
{
	struct hs_cpu_state state;
	size_t count;
	const struct hs_reg *rows = hs_regs(guest.input.arch, &count);

	hs_core_cpu(core, cpu, &state);
	for (size_t i = 0; i < count; i++) {
		uint8_t got[HS_REG_BYTES_MAX] = { 0 }, want[HS_REG_BYTES_MAX] = { 0 };

		hs_reg_get(&rows[i], &state, got);
		hs_reg_get(&rows[i], expected, want);
		if (rows[i].prstatus >= 0 || rows[i].feature == HS_REG_SSE) {
			assert_memory_equal(got, want, sizeof(got));
		}
	}
	assert_memory_equal(state.xsave, expected->xsave, sizeof(state.xsave));
	assert_int_equal(state.xcr0, expected->xcr0);
}

static void test_write_registers_read_back_the_same(void **state)
{
	(void)state;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_int_equal(hs_core_info(core)->cpu_count, 1);
	check_registers(core, 0, &guest.cpu);
	hs_core_close(core);
}

static void test_write_every_cpu_has_registers_of_its_own(void **state)
{
	struct hs_cpu_state cpus[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		cpus[i] = guest.cpu;
		cpus[i].rip += i;
		hs_put_le64(cpus[i].xsave + HS_XSAVE_XMM0, i);
	}
	guest.input.cpus = cpus;
	guest.input.cpu_count = 3;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_int_equal(hs_core_info(core)->cpu_count, 3);
	for (unsigned int i = 0; i < 3; i++) {
		check_registers(core, i, &cpus[i]);
	}
	hs_core_close(core);
}

static void test_write_strings_may_be_missing_or_long(void **state)
{
	char text[200];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	guest.input.name = guest.input.command_line = text;
	guest.input.reason = guest.input.reason_name = NULL;
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_int_equal(strlen(hs_core_info(core)->name), 15);
	assert_int_equal(strlen(hs_core_info(core)->command_line), 79);
	assert_string_equal(hs_core_info(core)->reason, "");
	hs_core_close(core);
}

static void test_write_walk_over_budget_gives_a_core_that_says_so(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 16; i++) {
		guest_map(&guest, 0x400000 + 2 * i * PAGE, RAM, PAGE, GUEST_RW);
	}
	guest.input.budget = (struct hs_budget){ .tables = 100, .ranges = 5 };
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_true(result.partial);
	assert_int_equal(result.segments, 5);
	assert_true(hs_core_info(core)->partial);
	assert_in_range(hs_core_info(core)->reached, 0x400000 + 9 * PAGE, 0x400000 + 10 * PAGE);
	assert_int_equal(hs_core_info(core)->segment_count, 5);
	hs_core_close(core);
}

/** Memory that promises more than it has: its upper half cannot be read. */
static enum hs_status read_lower_half(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct ram *ram = ctx;

	if (gpa.v < RAM + GUEST_RAM_BYTES && gpa.v + length > RAM + GUEST_RAM_BYTES / 2) {
		return HS_ERR_UNREADABLE;
	}
	return ram->ops.read(ctx, gpa, buffer, length, err);
}

static void test_write_unreadable_pages_are_holes_and_counted(void **state)
{
	struct hs_phys_ops ops = guest.ram.ops;

	(void)state;
	ops.read = read_lower_half;
	guest.input.phys.ops = &ops;
	guest_fill(&guest, RAM, GUEST_RAM_BYTES);
	guest_map(&guest, 0x400000, RAM + GUEST_RAM_BYTES / 2 - 3 * PAGE, 8 * PAGE, GUEST_RW);
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);
	uint8_t bytes[4096];
	size_t done;

	assert_true(result.partial);
	assert_true(hs_core_info(core)->partial);
	assert_int_equal(hs_core_info(core)->unbacked_bytes, 5 * PAGE);
	check_memory(core, 0x400000, RAM + GUEST_RAM_BYTES / 2 - 3 * PAGE, 3 * PAGE);
	assert_int_equal(hs_core_read(core, hs_gva_of(0x403000), bytes, sizeof(bytes), &done, NULL), HS_OK);
	assert_int_equal(bytes[0], 0);
	hs_core_close(core);
}

static void test_write_memory_that_ends_within_a_page_is_kept_to_its_end(void **state)
{
	uint8_t bytes[4096];
	size_t done;

	(void)state;
	ram_add(&guest.ram, 0x700000, PAGE + 100);
	memset(ram_at(&guest.ram, 0x700000), 0x5A, PAGE + 100);
	guest_map(&guest, 0x400000, 0x700000, 2 * PAGE, GUEST_RW);
	guest_dump(&guest, &result);
	struct hs_core *core = guest_open(result.path);

	assert_int_equal(hs_core_read(core, hs_gva_of(0x401000), bytes, sizeof(bytes), &done, NULL), HS_OK);
	assert_int_equal(bytes[99], 0x5A);
	assert_int_equal(bytes[100], 0);
	hs_core_close(core);
}

static void test_write_contradictory_input_is_refused(void **state)
{
	const struct hs_core_file nameless = { { 0x400000 }, 0x1000, 0, NULL };
	struct hs_core_input input = guest.input;

	(void)state;
	input.cpu_count = 0;
	assert_int_equal(hs_core_write(&input, guest.directory, &result, NULL), HS_ERR_INVALID);
	input.cpu_count = HS_CORE_CPUS_MAX + 1;
	assert_int_equal(hs_core_write(&input, guest.directory, &result, NULL), HS_ERR_INVALID);
	input = guest.input;
	input.files = &nameless;
	input.file_count = 1;
	assert_int_equal(hs_core_write(&input, guest.directory, &result, NULL), HS_ERR_INVALID);
	input = guest.input;
	input.arch = (enum hs_arch)7;
	assert_int_equal(hs_core_write(&input, guest.directory, &result, NULL), HS_ERR_INVALID);
	assert_int_equal(guest_files(&guest), 0);
}

struct told {
	unsigned int times;
	uint64_t done, total;
};

/** Each time farther, of the same in all. */
static void take_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct told *told = ctx;

	assert_true(done > told->done && done <= total);
	assert_true(told->times == 0 || total == told->total);
	*told = (struct told){ told->times + 1, done, total };
}

static void test_write_tells_its_progress_up_to_the_end(void **state)
{
	struct told told = { 0 };

	(void)state;
	guest_fill(&guest, RAM, 2 * PAGE);
	guest_fill(&guest, RAM + 7 * PAGE, PAGE);
	guest_map(&guest, 0x400000, RAM, 8 * PAGE, GUEST_RW);
	guest.input.options = (struct hs_core_options){ .progress = take_progress, .progress_ctx = &told };
	guest_dump(&guest, &result);
	assert_true(told.times >= 2);
	assert_int_equal(told.done, told.total);
	assert_int_equal(told.total, 8 * PAGE);
}

static void test_write_failure_leaves_the_result_and_the_signals_alone(void **state)
{
	const struct rlimit small = { 8192, RLIM_INFINITY };
	struct hs_core_result before = { .path = "untouched" };
	struct hs_error err = { 0 };
	struct rlimit limit;
	sigset_t mask, pending;

	(void)state;
	guest_fill(&guest, RAM, 16 * PAGE);
	guest_map(&guest, 0x400000, RAM, 16 * PAGE, GUEST_RW);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	enum hs_status st = hs_core_write(&guest.input, guest.directory, &before, &err);

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(st, HS_ERR_IO);
	assert_string_equal(before.path, "untouched");
	assert_int_equal(guest_files(&guest), 0);
	assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
	assert_int_equal(sigpending(&pending), 0);
	assert_int_equal(sigismember(&mask, SIGXFSZ), 0);
	assert_int_equal(sigismember(&pending, SIGXFSZ), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_COPIED(name)                                                                                              \
	{                                                                                                              \
#name " (copied)", name, setup_copied, teardown, NULL                                                  \
	}
#define TEST_I686(name)                                                                                                \
	{                                                                                                              \
#name " (i686)", name, setup_i686, teardown, NULL                                                      \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_write_memory_reads_back_the_same),
		TEST_COPIED(test_write_memory_reads_back_the_same),
		TEST_I686(test_write_memory_reads_back_the_same),
		TEST(test_write_one_byte_in_a_page_is_enough_to_store_it),
		TEST_COPIED(test_write_one_byte_in_a_page_is_enough_to_store_it),
		TEST(test_write_zero_pages_are_holes_and_others_are_not),
		TEST_COPIED(test_write_zero_pages_are_holes_and_others_are_not),
		TEST(test_write_large_guest_that_touched_three_pages_is_small),
		TEST(test_write_hole_at_the_end_counts_in_the_size),
		TEST(test_write_notes_say_what_the_input_said),
		TEST(test_write_registers_read_back_the_same),
		TEST_I686(test_write_registers_read_back_the_same),
		TEST(test_write_every_cpu_has_registers_of_its_own),
		TEST_I686(test_write_every_cpu_has_registers_of_its_own),
		TEST(test_write_strings_may_be_missing_or_long),
		TEST(test_write_walk_over_budget_gives_a_core_that_says_so),
		TEST_COPIED(test_write_unreadable_pages_are_holes_and_counted),
		TEST_COPIED(test_write_memory_that_ends_within_a_page_is_kept_to_its_end),
		TEST(test_write_memory_that_ends_within_a_page_is_kept_to_its_end),
		TEST(test_write_contradictory_input_is_refused),
		TEST(test_write_tells_its_progress_up_to_the_end),
		TEST_COPIED(test_write_tells_its_progress_up_to_the_end),
		TEST(test_write_failure_leaves_the_result_and_the_signals_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
