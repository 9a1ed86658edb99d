/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Large pages and invlpg: with any address of one, all of it is dropped (SDM vol. 3A 4.10.4.1), whatever pieces of it
 * are remembered. And what the host writes: a table drops what came of it, other memory drops nothing.
 */
#include "machine.h"

#include "arch/exception.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CR4_PSE 0x10
#define LARGE 0x83 /* present, writable, PS */
#define FAR 0x5000

static const struct row {
	enum machine_mode mode;
	enum hs_paging_format format;
	uint64_t gva; /* of the page */
	int depth;    /* of its entry */
} rows[] = {
	{ MACHINE_64, HS_PAGING_4LEVEL, 0x200000, 2 }, { MACHINE_64, HS_PAGING_4LEVEL, 0x40000000, 1 },
	{ MACHINE_64, HS_PAGING_5LEVEL, 0x600000, 3 }, { MACHINE_COMPAT, HS_PAGING_4LEVEL, 0x200000, 2 },
	{ MACHINE_32, HS_PAGING_PAE, 0x600000, 1 },    { MACHINE_32, HS_PAGING_32BIT, 0x400000, 0 },
};

/* Two pieces of the page are used, its entry is cleared, and invlpg names the first; then the second is loaded. */
static void run_row(const struct row *row, struct machine_stop *ret)
{
	const struct code code64 = CODE64("mov eax, [rbx]\n mov edx, [rbx + 0x5000]\n mov dword ptr [rsi], 0\n"
					  "invlpg [rbx]\n mov ecx, [rbx + 0x5000]");
	const struct code code32 = CODE32("mov eax, [ebx]\n mov edx, [ebx + 0x5000]\n mov dword ptr [esi], 0\n"
					  "invlpg [ebx]\n mov ecx, [ebx + 0x5000]");
	const struct machine_config config = { .ops = &TEST_OPS, .mode = row->mode, .format = row->format };
	struct machine machine;

	machine_init(&machine, &config);
	machine_map(&machine, MACHINE_TABLES, MACHINE_TABLES, MACHINE_BYTES - MACHINE_TABLES, HS_PROT_WRITE, false);
	machine_set_entry(&machine, row->gva, row->depth, LARGE);
	*machine_at(&machine, MACHINE_DATA) = 1;
	*machine_at(&machine, MACHINE_DATA + FAR) = 2;
	if (row->format == HS_PAGING_32BIT) {
		machine.cpu.cr4 |= CR4_PSE;
	}
	machine.cpu.gpr[HS_RBX] = row->gva + MACHINE_DATA;
	machine.cpu.gpr[HS_RSI] = machine_entry_at(&machine, row->gva, row->depth);
	machine_set_code(&machine, row->mode == MACHINE_64 ? code64 : code32);
	machine_start(&machine, ret);
	machine_deinit(&machine);
}

static void test_invlpg_of_one_address_drops_the_large_page(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct machine_stop stop;

		run_row(&rows[i], &stop);
		assert_int_equal(stop.kind, MACHINE_FAULT);
		assert_int_equal(stop.vector, HS_VECTOR_PF);
		assert_int_equal(stop.cpu.cr2, rows[i].gva + MACHINE_DATA + FAR);
		assert_int_equal(stop.cpu.gpr[HS_RAX], 1);
		assert_int_equal(stop.cpu.gpr[HS_RDX], 2);
	}
}

/* The entry is changed behind the CPU's back, so that what is loaded tells whether the translation was kept. */
static void test_host_write_drops_translations_when_it_is_to_a_table(void **state)
{
	const struct machine_config config = { .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL };
	struct machine_stop stop;
	struct machine machine;
	uint64_t entry;

	(void)state;
	machine_init(&machine, &config);
	*machine_at(&machine, MACHINE_DATA) = 1;
	*machine_at(&machine, MACHINE_DATA + FAR) = 2;
	machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
	machine_set_code(&machine, (struct code)CODE64("mov eax, [rbx]\n hlt\n mov ecx, [rbx]\n hlt\n mov edx, [rbx]"));
	machine_start(&machine, &stop);
	assert_int_equal(stop.cpu.gpr[HS_RAX], 1);
	entry = machine_entry_at(&machine, MACHINE_DATA, -1);
	*machine_at(&machine, entry + 1) = (uint8_t)((MACHINE_DATA + FAR) >> 8);
	machine_touched(&machine, MACHINE_DATA + FAR, HS_PAGE_SIZE);
	machine_run(&machine, &stop);
	assert_int_equal(stop.cpu.gpr[HS_RCX], 1);
	machine_touched(&machine, entry, 8);
	machine_run(&machine, &stop);
	assert_int_equal(stop.cpu.gpr[HS_RDX], 2);
	machine_deinit(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invlpg_of_one_address_drops_the_large_page),
		cmocka_unit_test(test_host_write_drops_translations_when_it_is_to_a_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
