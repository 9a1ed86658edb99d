/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A core of the memory that a VM has: what the guest never touched stays untouched, and what it did is in the file. */
#include "arch/regs.h"
#include "vmm/ram.h"

#include <hindsight/coredump.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE ((uint64_t)HS_PAGE_SIZE)
#define TABLES 0x1000u
#define TABLE_PAGES 256u
#define HEAP 0x200000u
#define HEAP_PAGES (UINT64_C(256) << 8) /* 256 MiB */

static struct hs_ram ram;
static uint64_t next_table = TABLES + HS_PAGE_SIZE;

static enum hs_status take(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	(void)ctx;
	(void)err;
	*ret = hs_gpa_of(next_table);
	next_table += PAGE;
	return HS_OK;
}

/* The pages of the heap that have come to be. */
static uint64_t count_touched(void)
{
	static unsigned char there[HEAP_PAGES];
	uint64_t count = 0;

	assert_int_equal(mincore(hs_ram_find(&ram, HEAP)->host, HEAP_PAGES * PAGE, there), 0);
	for (uint64_t i = 0; i < HEAP_PAGES; i++) {
		count += there[i] & 1;
	}
	return count;
}

static void test_core_of_an_empty_heap_touches_none_of_it(void **state)
{
	const struct hs_root root = { .format = HS_PAGING_4LEVEL, .base = hs_gpa_of(TABLES), .nxe = true };
	const struct hs_table_source tables = { .take = take };
	const struct hs_mapping mapping = {
		.gva = hs_gva_of(HEAP), .gpa = hs_gpa_of(HEAP), .length = HEAP_PAGES * PAGE, .prot = HS_PROT_READ
	};
	struct hs_phys phys = hs_ram_phys(&ram);
	struct hs_cpu_state cpu;
	struct hs_core_input input = {
		.arch = HS_ARCH_AMD64, .cpus = &cpu, .cpu_count = 1, .phys = phys, .root = root, .name = "heap"
	};
	static struct hs_core_result result;
	char directory[] = "/tmp/hs-heap-XXXXXX";
	struct hs_core *core = NULL;
	char text[8] = "";
	size_t length;

	(void)state;
	hs_cpu_state_init(&cpu);
	hs_ram_init(&ram);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(TABLES), TABLE_PAGES * PAGE, NULL, NULL), HS_OK);
	assert_int_equal(hs_ram_add(&ram, hs_gpa_of(HEAP), HEAP_PAGES * PAGE, NULL, NULL), HS_OK);
	assert_int_equal(madvise(hs_ram_find(&ram, HEAP)->host, HEAP_PAGES * PAGE, MADV_NOHUGEPAGE), 0);
	assert_int_equal(hs_build_map(&phys, &root, &mapping, &tables, NULL), HS_OK);
	assert_int_equal(phys.ops->write(phys.ctx, hs_gpa_of(HEAP + 4711 * PAGE), "kept", 5, NULL), HS_OK);
	assert_int_equal(count_touched(), 1);
	assert_non_null(mkdtemp(directory));
	assert_int_equal(hs_core_write(&input, directory, &result, NULL), HS_OK);
	assert_int_equal(count_touched(), 1);
	assert_int_equal(hs_core_open(result.path, &core, NULL), HS_OK);
	assert_int_equal(hs_core_info(core)->segment_count, 1);
	assert_int_equal(hs_core_segment(core, 0)->length, HEAP_PAGES * PAGE);
	assert_int_equal(hs_core_read(core, hs_gva_of(HEAP + 4711 * PAGE), text, sizeof(text), &length, NULL), HS_OK);
	assert_string_equal(text, "kept");
	assert_int_equal(result.stored_bytes - result.stored_bytes % PAGE, PAGE);
	hs_core_close(core);
	unlink(result.path);
	rmdir(directory);
	hs_ram_deinit(&ram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_core_of_an_empty_heap_touches_none_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
