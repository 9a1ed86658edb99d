/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * String instructions that are repeated may be done many at once: that must not be seen. Each is run in one go, by
 * single steps and by other numbers of instructions; registers, memory and the number of instructions are the same.
 */
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

/* What is tried: the instruction and where its operands lie, in MACHINE_DATA. */
struct trial {
	const char *name;
	struct code code;
	uint32_t from, to; /* offsets */
	uint32_t count;
};

/* Bytes that are equal in long stretches, but not everywhere. */
static uint8_t pattern(size_t i)
{
	return (uint8_t)(i % 0xC00 == 0xBFF ? 0x80 : i % 0x600 / 0x200);
}

struct result {
	struct machine_stop stop;
	uint8_t data[0x8000];
};

/* Run it, a number of instructions at a time; 0 means all at once. */
static void run_trial(const struct machine_config *config, const struct trial *trial, uint64_t instructions,
		      struct result *ret)
{
	struct hs_debug_request request = { .step = instructions > 0, .instructions = instructions };
	struct machine machine;

	machine_init(&machine, config);
	machine_set_code(&machine, trial->code);
	for (size_t i = 0; i < sizeof(ret->data); i++) {
		*machine_at(&machine, MACHINE_DATA + i) = pattern(i);
	}
	machine.cpu.gpr[HS_RAX] = 0x0101010101010101;
	machine.cpu.gpr[HS_RSI] = MACHINE_DATA + trial->from;
	machine.cpu.gpr[HS_RDI] = MACHINE_DATA + trial->to;
	machine.cpu.gpr[HS_RCX] = trial->count;
	if (config->mode == MACHINE_32 || config->mode == MACHINE_COMPAT) {
		machine.cpu.gpr[HS_RAX] = (uint32_t)machine.cpu.gpr[HS_RAX];
	}
	machine_load(&machine);
	do {
		assert_int_equal(config->ops->set_debug(machine.backend, &request, NULL), HS_OK);
		machine_run(&machine, &ret->stop);
	} while (ret->stop.kind == MACHINE_EXIT && ret->stop.exit.kind == HS_EXIT_STEPPED);
	memcpy(ret->data, machine_at(&machine, MACHINE_DATA), sizeof(ret->data));
	machine_deinit(&machine);
}

static void assert_same(const struct trial *trial, const struct result *a, const struct result *b)
{
	if (a->stop.kind != b->stop.kind || a->stop.vector != b->stop.vector ||
	    memcmp(a->stop.cpu.gpr, b->stop.cpu.gpr, sizeof(a->stop.cpu.gpr)) != 0 ||
	    a->stop.cpu.rip != b->stop.cpu.rip || a->stop.cpu.rflags != b->stop.cpu.rflags) {
		fail_msg("%s: the registers differ", trial->name);
	}
	if (memcmp(a->data, b->data, sizeof(a->data)) != 0) {
		fail_msg("%s: the memory differs", trial->name);
	}
	if (a->stop.cpu.msr.tsc != b->stop.cpu.msr.tsc) {
		fail_msg("%s: %llu instructions at once, %llu one by one", trial->name,
			 (unsigned long long)a->stop.cpu.msr.tsc, (unsigned long long)b->stop.cpu.msr.tsc);
	}
}

static void check_trial(const struct trial *trial)
{
	static const uint64_t numbers[] = { 1, 7, 1000 };
	struct result *whole = malloc(sizeof(*whole));
	struct result *parts = malloc(sizeof(*parts));

	assert_non_null(whole);
	assert_non_null(parts);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		run_trial(&configs[i], trial, 0, whole);
		for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++) {
			run_trial(&configs[i], trial, numbers[j], parts);
			assert_same(trial, whole, parts);
		}
	}
	free(whole);
	free(parts);
}

/* Offsets and counts that begin, end and turn at pages, with elements across two of them, and overlapping both ways. */
static void check_everywhere(const char *name, struct code code, unsigned int bytes)
{
	const uint32_t places[][2] = {
		{ 0, 0x3000 }, { 0x123, 0x3FFD }, { 0xFFF, 0x2001 }, { 0x800, 0x803 }, { 0x803, 0x800 }, { 0, 0 },
	};
	const uint32_t counts[] = { 0, 1, 5, 0x1800 / bytes, 0x2345 / bytes };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		for (size_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++) {
			struct trial trial = { name, code, places[i][0], places[i][1], counts[j] };

			check_trial(&trial);
		}
	}
}

static void test_rep_movs_at_once_is_as_one_by_one(void **state)
{
	(void)state;
	check_everywhere("rep movsb", CODE32("rep movsb"), 1);
	check_everywhere("rep movsw", CODE32("rep movsw"), 2);
	check_everywhere("rep movsd", CODE32("rep movsd"), 4);
}

static void test_rep_stos_at_once_is_as_one_by_one(void **state)
{
	(void)state;
	check_everywhere("rep stosb", CODE32("rep stosb"), 1);
	check_everywhere("rep stosw", CODE32("rep stosw"), 2);
	check_everywhere("rep stosd", CODE32("rep stosd"), 4);
}

static void test_rep_scas_at_once_is_as_one_by_one(void **state)
{
	(void)state;
	check_everywhere("repne scasb", CODE32("repne scasb"), 1);
	check_everywhere("repe scasb", CODE32("repe scasb"), 1);
	check_everywhere("repne scasd", CODE32("repne scasd"), 4);
}

static void test_rep_cmps_at_once_is_as_one_by_one(void **state)
{
	(void)state;
	check_everywhere("repe cmpsb", CODE32("repe cmpsb"), 1);
	check_everywhere("repne cmpsb", CODE32("repne cmpsb"), 1);
	check_everywhere("repe cmpsd", CODE32("repe cmpsd"), 4);
}

static void test_rep_lods_and_downwards_are_as_one_by_one(void **state)
{
	const struct trial trials[] = {
		{ "rep lodsd", CODE32("rep lodsd"), 0x10, 0, 0x500 },
		{ "std, rep movsb", CODE32("std\n rep movsb\n cld"), 0x1100, 0x3100, 0x900 },
		{ "std, rep stosd", CODE32("std\n rep stosd\n cld"), 0, 0x2FFD, 0x500 },
		{ "std, repe cmpsb", CODE32("std\n repe cmpsb\n cld"), 0x1100, 0x4100, 0x900 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		check_trial(&trials[i]);
	}
}

/* What rep movsb leaves, known without the CPU: the count, the pointers, the bytes. */
static void test_rep_movs_copies_and_counts(void **state)
{
	const struct trial trial = { "rep movsb", CODE32("rep movsb"), 0x123, 0x2FF0, 0x1800 };
	struct result *result = malloc(sizeof(*result));

	(void)state;
	assert_non_null(result);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		run_trial(&configs[i], &trial, 0, result);
		assert_int_equal(result->stop.kind, MACHINE_HLT);
		assert_int_equal(result->stop.cpu.gpr[HS_RCX], 0);
		assert_int_equal(result->stop.cpu.gpr[HS_RSI], MACHINE_DATA + 0x123 + 0x1800);
		assert_int_equal(result->stop.cpu.gpr[HS_RDI], MACHINE_DATA + 0x2FF0 + 0x1800);
		for (size_t j = 0; j < 0x1800; j++) {
			assert_int_equal(result->data[0x2FF0 + j], pattern(0x123 + j));
		}
		assert_int_equal(result->data[0x2FEF], pattern(0x2FEF));
		assert_int_equal(result->data[0x47F0], pattern(0x47F0));
	}
	free(result);
}

/* In the middle of what could be done at once, and with a page that is missing. */
static void test_rep_stos_stops_at_a_watchpoint_and_at_a_fault(void **state)
{
	const struct hs_breakpoint watch = { .kind = HS_WATCH_WRITE, .gva = { MACHINE_DATA + 0x1803 }, .length = 1 };
	const struct hs_debug_request request = { .watches = &watch, .watch_count = 1 };

	(void)state;
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		struct machine machine;
		struct machine_stop stop;

		machine_init(&machine, &configs[i]);
		machine_set_code(&machine, CODE32("rep stosb"));
		machine.cpu.gpr[HS_RDI] = MACHINE_DATA + 0x800;
		machine.cpu.gpr[HS_RCX] = 0x2000;
		if (configs[i].format != HS_PAGING_NONE) {
			machine_change_entry(&machine, MACHINE_DATA + 0x2000, 1, 0);
		}
		machine_load(&machine);
		assert_int_equal(configs[i].ops->set_debug(machine.backend, &request, NULL), HS_OK);
		machine_run(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_EXIT);
		assert_int_equal(stop.exit.kind, HS_EXIT_WATCH);
		assert_int_equal(stop.cpu.gpr[HS_RDI], MACHINE_DATA + 0x1804);
		assert_int_equal(stop.cpu.gpr[HS_RCX], 0x2000 - 0x1004);
		machine_run(&machine, &stop);
		if (configs[i].format != HS_PAGING_NONE) {
			assert_int_equal(stop.kind, MACHINE_FAULT);
			assert_int_equal(stop.cpu.cr2, MACHINE_DATA + 0x2000);
			assert_int_equal(stop.cpu.gpr[HS_RDI], MACHINE_DATA + 0x2000);
			assert_int_equal(stop.cpu.gpr[HS_RCX], 0x800);
		} else {
			assert_int_equal(stop.kind, MACHINE_HLT);
			assert_int_equal(stop.cpu.gpr[HS_RCX], 0);
		}
		machine_deinit(&machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rep_movs_at_once_is_as_one_by_one),
		cmocka_unit_test(test_rep_stos_at_once_is_as_one_by_one),
		cmocka_unit_test(test_rep_scas_at_once_is_as_one_by_one),
		cmocka_unit_test(test_rep_cmps_at_once_is_as_one_by_one),
		cmocka_unit_test(test_rep_lods_and_downwards_are_as_one_by_one),
		cmocka_unit_test(test_rep_movs_copies_and_counts),
		cmocka_unit_test(test_rep_stos_stops_at_a_watchpoint_and_at_a_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
