/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Through the IDT: gates, code segments and stacks of every bad kind, met by a software interrupt and by an exception,
 * with the exact error codes (SDM vol. 3A 6.12 to 6.14; vol. 2A, INT); double faults and shutdowns (6.15).
 */
#include "protection_scene.h"
#include "state_difference.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SPARE MACHINE_SPARE
#define OUTSIDE 0x1000
#define VECTOR 0x81 /* of int; its stub is a hlt */
#define UD 6        /* what ud2 raises */
#define IDT(vector) ((vector)*8 + 2)
#define THIS_GATE 0xFFFF0000u /* as error code: that of the gate, whichever vector it is */
#define INTERRUPT_GATE 0x8E
#define TRAP_GATE 0x8F
#define NOWHERE 0x38000 /* no page */
#define TSS_LIMIT 0x67

/* What the gate of VECTOR, or of #UD, and what it leads to look like. Zero in a field leaves it as usual. */
struct row {
	const char *what;
	uint8_t modes, cpl;
	uint8_t gate; /* byte 5 */
	uint8_t ist;
	uint16_t selector; /* of the handler; 0: CS0 */
	uint8_t access;    /* of the descriptor at SPARE */
	bool narrow;       /* and it is 32-bit code */
	uint16_t ss0;      /* 32-bit mode: of the TSS */
	uint64_t stack;    /* of ring 0 in the TSS */
	uint64_t offset;   /* of the handler */
	uint16_t tss_limit;
	struct expected expected;
};

#define NONE                                                                                                           \
	{                                                                                                              \
		-1, 0                                                                                                  \
	}

static const struct row rows[] = {
	{ "an interrupt gate", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .expected = NONE },
	{ "a trap gate", EVERYWHERE, 0, .gate = TRAP_GATE, .expected = NONE },
	{ "from ring 3", EVERYWHERE, 3, .gate = INTERRUPT_GATE | 0x60, .expected = NONE },
	{ "a gate that is not there", EVERYWHERE, 0, .gate = 0x0E, .expected = { 11, THIS_GATE } },
	{ "a call gate", EVERYWHERE, 0, .gate = 0x8C, .expected = { 13, THIS_GATE } },
	{ "a data segment for a gate", EVERYWHERE, 0, .gate = 0x9E, .expected = { 13, THIS_GATE } },
	{ "no gate", EVERYWHERE, 3, .gate = 0x60, .expected = { 13, THIS_GATE } },
	{ "a task gate", IN_LONG, 0, .gate = 0x85, .expected = { 13, THIS_GATE } },
	{ "a 16-bit gate", IN_LONG, 0, .gate = 0x86, .expected = { 13, THIS_GATE } },
	{ "code that is not there", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .selector = SPARE,
	  .access = ABSENT(ACCESS(0, CODE_RX)), .expected = { 11, SPARE } },
	{ "data for code", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .selector = SPARE, .access = ACCESS(0, DATA_RW),
	  .expected = { 13, SPARE } },
	{ "a TSS for code", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .selector = SPARE, .access = SYSTEM(0, 9),
	  .expected = { 13, SPARE } },
	{ "code of ring 3", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .selector = SPARE | 3, .access = ACCESS(3, CODE_RX),
	  .expected = { 13, SPARE } },
	{ "code to execute only", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .selector = SPARE, .access = ACCESS(0, CODE_X),
	  .expected = NONE },
	{ "an RPL does not count", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .selector = SPARE | 3,
	  .access = ACCESS(0, CODE_X), .expected = NONE },
	{ "32-bit code", IN_LONG, 0, .gate = INTERRUPT_GATE, .selector = SPARE, .access = ACCESS(0, CODE_RX),
	  .narrow = true, .expected = { 13, SPARE } },
	{ "code outside the table", EVERYWHERE, 0, .gate = INTERRUPT_GATE, .selector = OUTSIDE,
	  .expected = { 13, OUTSIDE } },
	{ "code of no LDT", EVERYWHERE, 3, .gate = INTERRUPT_GATE | 0x60, .selector = SPARE | 4,
	  .expected = { 13, SPARE | 4 } },
	{ "an offset that is not canonical", IN_LONG, 0, .gate = INTERRUPT_GATE, .offset = UINT64_C(1) << 47,
	  .expected = { 13, 0 } },
	{ "a TSS that ends before its stack", IN_LONG, 0, .gate = INTERRUPT_GATE, .ist = 7, .tss_limit = 90,
	  .expected = { 10, MACHINE_TR } },
	{ "a stack that is not canonical", IN_LONG, 3, .gate = INTERRUPT_GATE | 0x60, .stack = UINT64_C(1) << 47,
	  .expected = { 12, 0 } },
	{ "a stack that is not mapped", EVERYWHERE, 3, .gate = INTERRUPT_GATE | 0x60, .stack = NOWHERE + 0x1000,
	  .expected = { 14, 2 } },
	{ "no stack segment", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .ss0 = 3, .expected = { 10, 0 } },
	{ "a stack outside the table", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .ss0 = OUTSIDE,
	  .expected = { 10, OUTSIDE } },
	{ "a stack with an RPL", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .ss0 = MACHINE_DS0 | 3,
	  .expected = { 10, MACHINE_DS0 } },
	{ "a stack of ring 3", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .ss0 = MACHINE_DS3,
	  .expected = { 10, MACHINE_DS3 } },
	{ "code for a stack", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .ss0 = MACHINE_CS0,
	  .expected = { 10, MACHINE_CS0 } },
	{ "a stack to read only", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .access = ACCESS(0, DATA_RO), .ss0 = SPARE,
	  .expected = { 10, SPARE } },
	{ "a stack that is not there", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .access = ABSENT(ACCESS(0, DATA_RW)),
	  .ss0 = SPARE, .expected = { 12, SPARE } },
	{ "a stack without room", IN_32, 3, .gate = INTERRUPT_GATE | 0x60, .access = ACCESS(0, DATA_RW), .ss0 = SPARE,
	  .stack = 8, .expected = { 12, SPARE } },
};

/* The level's own stack serves the faults that the rows expect: in long mode those have IST1, in 32-bit mode a row
 * that breaks ring 0's stack gets its faults on a task of their own. */
static void set_stack(struct machine *machine, const struct row *row)
{
	uint8_t *tss = machine_at(machine, MACHINE_TSS);

	if (machine->config.mode != MACHINE_32) {
		hs_put_le64(tss + 4, row->stack ? row->stack : MACHINE_EXCEPTION_STACK);
		return;
	}
	hs_put_le32(tss + 4, row->stack ? (uint32_t)row->stack : MACHINE_EXCEPTION_STACK);
	hs_put_le16(tss + 8, row->ss0 ? row->ss0 : MACHINE_DS0);
}

static void prepare(struct machine *machine, const struct row *row, unsigned int vector)
{
	uint64_t stub = MACHINE_STUBS + 16 * VECTOR;

	scene_put_segment(machine, SPARE, row->access, machine->config.mode != MACHINE_32 && !row->narrow);
	scene_put_gate(machine, scene_gate_of(machine, vector), row->selector ? row->selector : MACHINE_CS0,
		       row->offset ? row->offset : stub, row->gate, row->ist);
	set_stack(machine, row);
	machine->cpu.seg[HS_TR].limit = row->tss_limit ? row->tss_limit : TSS_LIMIT;
	machine->cpu.rflags = 0x202;
}

static void check_entered(struct machine *machine, const struct row *row, const struct machine_stop *stop)
{
	bool clears_if = (row->gate & 15) == 14;

	assert_int_equal(stop->cpu.rip, MACHINE_STUBS + 16 * VECTOR);
	assert_int_equal(stop->cpu.rflags, clears_if ? 2 : 0x202);
	assert_int_equal(stop->cpu.seg[HS_CS].selector & 3, 0);
	assert_int_equal(stop->cpu.seg[HS_SS].dpl, 0);
	if (row->selector) {
		assert_int_equal(*scene_access(machine, SPARE), row->access | 1);
	}
}

/* In 32-bit mode a fault needs ring 0's stack as well: a row that breaks it has nowhere to go but the task of #DF. */
static bool is_seen(const struct row *row, enum machine_mode mode)
{
	return mode != MACHINE_32 || row->cpl == 0 || !(row->ss0 || row->stack);
}

static void run_row(const struct row *row, enum machine_mode mode, bool by_int)
{
	const struct machine_config config = scene_config(mode, row->cpl);
	unsigned int vector = by_int ? VECTOR : UD;
	struct expected expected = row->expected;
	struct machine_stop stop;
	struct machine machine;

	if (!(row->modes >> mode & 1) || machine_missing(&config)) {
		return;
	}
	machine_init(&machine, &config);
	prepare(&machine, row, vector);
	machine_set_code(&machine, by_int ? CODE32("int 0x81") : CODE32("ud2"));
	if (expected.error == THIS_GATE) {
		expected.error = IDT(vector);
	}
	if (!by_int && expected.vector >= 0 && expected.vector != 14) {
		expected.error |= 1; /* EXT */
	}
	if (!is_seen(row, mode)) {
		expected = (struct expected){ 8, 0 };
	}
	scene_expect(&machine, row->what, &expected, &stop);
	if (expected.vector < 0) {
		check_entered(&machine, row, &stop);
	}
	machine_deinit(&machine);
}

static void test_delivery_checks_gate_code_and_stack(void **state)
{
	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			run_row(&rows[i], (enum machine_mode)mode, true);
			run_row(&rows[i], (enum machine_mode)mode, false);
		}
	}
}

/* In long mode: five words below a multiple of 16, on the stack at hand, the level's or the gate's. */
static void test_delivery_long_mode_frame(void **state)
{
	const struct {
		unsigned int cpl, ist;
		uint64_t rsp, top;
	} rows64[] = {
		{ 0, 0, MACHINE_STACK - 5, MACHINE_STACK - 16 },
		{ 0, 3, MACHINE_STACK - 5, MACHINE_STACK + 0x1000 },
		{ 3, 0, UINT64_C(0xFFFF800000000001), MACHINE_EXCEPTION_STACK },
		{ 3, 3, 0x123, MACHINE_STACK + 0x1000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows64) / sizeof(rows64[0]); i++) {
		const struct machine_config config = scene_config(MACHINE_64, rows64[i].cpl);
		unsigned int cpl = rows64[i].cpl;
		uint64_t at = rows64[i].top - 40;
		struct machine_stop stop;
		struct machine machine;

		machine_init(&machine, &config);
		machine_set_code(&machine, CODE64("int 0x81"));
		*machine_at(&machine, scene_gate_of(&machine, VECTOR) + 4) = (uint8_t)rows64[i].ist;
		hs_put_le64(machine_at(&machine, MACHINE_TSS + 52), MACHINE_STACK + 0x100F); /* IST3 */
		hs_put_le64(machine_at(&machine, MACHINE_TSS + 4), MACHINE_EXCEPTION_STACK + 0xF);
		machine.cpu.gpr[HS_RSP] = rows64[i].rsp;
		machine.cpu.rflags = 0x4ED7; /* NT among them */
		machine_start(&machine, &stop);
		assert_int_equal(stop.cpu.rip, MACHINE_STUBS + 16 * VECTOR);
		assert_int_equal(stop.cpu.rflags, 0xCD7);
		assert_int_equal(stop.cpu.gpr[HS_RSP], at);
		assert_int_equal(stop.cpu.seg[HS_SS].selector, cpl ? 0 : MACHINE_DS0);
		assert_int_equal(stop.cpu.seg[HS_SS].unusable, cpl ? 1 : 0);
		assert_int_equal(hs_get_le64(machine_at(&machine, at)), MACHINE_CODE + 2);
		assert_int_equal(hs_get_le64(machine_at(&machine, at + 8)), machine.cpu.seg[HS_CS].selector);
		assert_int_equal(hs_get_le64(machine_at(&machine, at + 16)), 0x4ED7);
		assert_int_equal(hs_get_le64(machine_at(&machine, at + 24)), rows64[i].rsp);
		assert_int_equal(hs_get_le64(machine_at(&machine, at + 32)), machine.cpu.seg[HS_SS].selector);
		machine_deinit(&machine);
	}
}

/* A 16-bit gate pushes words, whatever the code was; a 16-bit TSS names a stack in words as well. */
static void test_delivery_16_bit_gates_push_words(void **state)
{
	(void)state;
	for (unsigned int cpl = 0; cpl <= 3; cpl += 3) {
		const struct machine_config config = scene_config(MACHINE_32, cpl);
		uint64_t top = cpl ? MACHINE_EXCEPTION_STACK - 0x100 : MACHINE_STACK;
		uint64_t sp = top - (cpl ? 10 : 6);
		struct machine_stop stop;
		struct machine machine;

		if (machine_missing(&config)) {
			skip();
		}
		machine_init(&machine, &config);
		machine_set_code(&machine, CODE32("int 0x81"));
		scene_put_gate(&machine, scene_gate_of(&machine, 0x81), MACHINE_CS0, MACHINE_STUBS + 16 * 0x81, 0xE6,
			       0);
		machine.cpu.seg[HS_TR].type = 3;
		hs_put_le16(machine_at(&machine, MACHINE_TSS + 2), MACHINE_EXCEPTION_STACK - 0x100);
		hs_put_le16(machine_at(&machine, MACHINE_TSS + 4), MACHINE_DS0);
		machine.cpu.rflags = 0x202;
		machine_start(&machine, &stop);
		assert_int_equal(stop.cpu.rip, MACHINE_STUBS + 16 * 0x81);
		assert_int_equal(stop.cpu.rflags, 2);
		assert_int_equal(stop.cpu.gpr[HS_RSP], sp);
		assert_int_equal(hs_get_le16(machine_at(&machine, sp)), MACHINE_CODE + 2);
		assert_int_equal(hs_get_le16(machine_at(&machine, sp + 2)), machine.cpu.seg[HS_CS].selector);
		assert_int_equal(hs_get_le16(machine_at(&machine, sp + 4)), 0x202);
		if (cpl) {
			assert_int_equal(hs_get_le16(machine_at(&machine, sp + 6)), MACHINE_STACK & 0xFFFF);
			assert_int_equal(hs_get_le16(machine_at(&machine, sp + 8)), MACHINE_DS3 | 3);
		}
		machine_deinit(&machine);
	}
}

/* The gate of an int is the caller's only from its DPL on; beyond the IDT there is none. */
static void test_delivery_int_checks_dpl_and_limit(void **state)
{
	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		const struct machine_config config = scene_config((enum machine_mode)mode, 3);
		const struct expected refused = { 13, IDT(0x40) };
		const struct expected outside = { 13, IDT(0x81) };
		struct machine_stop stop;
		struct machine machine;

		if (machine_missing(&config)) {
			continue;
		}
		machine_init(&machine, &config);
		machine_set_code(&machine, CODE32("int 0x40"));
		scene_expect(&machine, "a gate of DPL 0", &refused, &stop);
		machine_set_code(&machine, CODE32("int 0x81"));
		machine.cpu.idt.limit = (uint16_t)(scene_gate_of(&machine, 0x82) - MACHINE_IDT - 2);
		scene_expect(&machine, "a gate that the limit cuts", &outside, &stop);
		machine_deinit(&machine);
	}
}

/* ---- Faults while a fault is delivered ---- */

/* Where the first word goes on a stack that ends with the page NOWHERE. */
#define PUSHED (NOWHERE + 0xFF8)

/* How vector's delivery fails. */
enum obstacle { CLEAR, NOT_PRESENT, UNMAPPED_STACK };

struct nest {
	const char *what;
	struct code (*code)(void);
	uint8_t first; /* the vector that code raises */
	enum obstacle first_fails, df_fails;
	struct expected expected; /* vector -1: shutdown */
	bool at_fault;            /* #NP fails as well */
	uint64_t cr2;
};

static struct code undefined_code(void)
{
	return CODE32("ud2");
}

static struct code protection_code(void)
{
	return CODE32("mov fs, eax"); /* selector 0xFFF8 */
}

static struct code page_code(void)
{
	return CODE32("mov ecx, [ebx]"); /* NOWHERE */
}

static const struct nest nests[] = {
	{ "#NP on #UD", undefined_code, 6, NOT_PRESENT, CLEAR, { 11, IDT(6) | 1 }, false, 0 },
	{ "#PF on #UD", undefined_code, 6, UNMAPPED_STACK, CLEAR, { 14, 2 }, false, PUSHED },
	{ "#NP on #GP", protection_code, 13, NOT_PRESENT, CLEAR, { 8, 0 }, false, 0 },
	{ "#PF on #GP", protection_code, 13, UNMAPPED_STACK, CLEAR, { 14, 2 }, false, PUSHED },
	{ "#NP on #PF", page_code, 14, NOT_PRESENT, CLEAR, { 8, 0 }, false, NOWHERE },
	{ "#PF on #PF", page_code, 14, UNMAPPED_STACK, CLEAR, { 8, 0 }, false, PUSHED },
	{ "#NP on #NP on #UD", undefined_code, 6, NOT_PRESENT, CLEAR, { 8, 0 }, true, 0 },
	{ "#NP on #DF", protection_code, 13, NOT_PRESENT, NOT_PRESENT, { -1, 0 }, false, 0 },
	{ "#PF on #DF", page_code, 14, UNMAPPED_STACK, UNMAPPED_STACK, { -1, 0 }, false, 0 },
	{ "#NP on #DF on #NP on #UD", undefined_code, 6, NOT_PRESENT, NOT_PRESENT, { -1, 0 }, true, 0 },
};

static void obstruct(struct machine *machine, unsigned int vector, enum obstacle obstacle)
{
	uint64_t gate = scene_gate_of(machine, vector);

	if (obstacle == NOT_PRESENT) {
		*machine_at(machine, gate + 5) &= 0x7F;
	} else if (obstacle == UNMAPPED_STACK) {
		*machine_at(machine, gate + 4) = 2; /* IST2 */
		hs_put_le64(machine_at(machine, MACHINE_TSS + 44), NOWHERE + 0x1000);
	}
	machine_touched(machine, gate, 8);
}

static void expect_shutdown(struct machine *machine, const char *what)
{
	const struct state_rules rules = { .rflags = 0 };
	uint8_t *before = machine_copy_memory(machine);
	struct machine_stop stop;
	const char *difference;
	char text[300];

	machine_start(machine, &stop);
	if (stop.kind != MACHINE_EXIT || stop.exit.kind != HS_EXIT_SHUTDOWN) {
		fail_msg("%s: stop %d, vector %u, exit %d", what, stop.kind, stop.vector, stop.exit.kind);
	}
	if (!stop.exit.registers_lost) {
		difference = state_difference(&stop.cpu, &machine->cpu, &rules, text, sizeof(text));
		if (difference) {
			fail_msg("%s: %s", what, difference);
		}
	}
	assert_int_equal(machine_compare_memory(machine, machine->ram, before, 0, 0), MACHINE_BYTES);
	free(before);
}

static void run_nest(const struct nest *nest, enum machine_mode mode, unsigned int cpl)
{
	const struct machine_config config = scene_config(mode, cpl);
	bool needs_ist = nest->first_fails == UNMAPPED_STACK || nest->df_fails == UNMAPPED_STACK;
	struct machine_stop stop;
	struct machine machine;

	if ((needs_ist && mode == MACHINE_32) || machine_missing(&config)) {
		return;
	}
	machine_init(&machine, &config);
	machine_set_code(&machine, nest->code());
	machine.cpu.gpr[HS_RAX] = 0xFFF8;
	machine.cpu.gpr[HS_RBX] = NOWHERE;
	obstruct(&machine, nest->first, nest->first_fails);
	obstruct(&machine, 8, nest->df_fails);
	if (nest->at_fault) {
		obstruct(&machine, 11, NOT_PRESENT);
	}
	if (nest->expected.vector < 0) {
		expect_shutdown(&machine, nest->what);
	} else {
		scene_expect(&machine, nest->what, &nest->expected, &stop);
		assert_int_equal(stop.cpu.cr2, nest->cr2);
	}
	machine_deinit(&machine);
}

static void test_delivery_faults_in_delivery_become_double_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nests) / sizeof(nests[0]); i++) {
		for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
			run_nest(&nests[i], (enum machine_mode)mode, 0);
			run_nest(&nests[i], (enum machine_mode)mode, 3);
		}
	}
}

/* A stack where there is no memory ends the run with nothing delivered, CR2 included. */
static void test_delivery_to_no_memory_is_an_exit(void **state)
{
	const uint64_t gpa = 0x200000;

	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		const struct machine_config config = scene_config((enum machine_mode)mode, 3);
		const struct state_rules rules = { .rflags = 0 };
		unsigned int word = mode == MACHINE_32 ? 4 : 8;
		struct machine_stop stop;
		struct machine machine;
		char text[300];

		machine_init(&machine, &config);
		machine_set_code(&machine, page_code());
		machine.cpu.gpr[HS_RBX] = NOWHERE;
		machine_map(&machine, NOWHERE + 0x1000, gpa, 0x1000, HS_PROT_WRITE, false);
		obstruct(&machine, 14, mode == MACHINE_32 ? CLEAR : UNMAPPED_STACK);
		hs_put_le64(machine_at(&machine, MACHINE_TSS + 44), NOWHERE + 0x2000);
		if (mode == MACHINE_32) {
			hs_put_le32(machine_at(&machine, MACHINE_TSS + 4), NOWHERE + 0x2000);
		}
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_EXIT);
		assert_int_equal(stop.exit.kind, HS_EXIT_UNMAPPED);
		assert_int_equal(stop.exit.gpa, gpa + 0x1000 - word);
		assert_true(stop.exit.is_write);
		assert_int_equal(stop.exit.size, word);
		assert_int_equal(stop.exit.written, machine.cpu.seg[HS_SS].selector);
		assert_null(state_difference(&stop.cpu, &machine.cpu, &rules, text, sizeof(text)));
		machine_deinit(&machine);
	}
}

/* #AC in ring 3 whose handler is in ring 3, on a stack that is not aligned: hardware hangs, here it is a shutdown. */
static void test_delivery_endless_alignment_checks_end(void **state)
{
	const struct machine_config config = scene_config(MACHINE_32, 3);
	struct machine machine;

	(void)state;
	machine_init(&machine, &config);
	machine_set_code(&machine, CODE32("mov eax, [ebx + 1]"));
	scene_put_gate(&machine, scene_gate_of(&machine, 17), MACHINE_CS3_32, MACHINE_CODE + 0x80, TRAP_GATE, 0);
	machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
	machine.cpu.gpr[HS_RSP] = MACHINE_STACK - 1;
	machine.cpu.cr0 |= 1u << 18;    /* AM */
	machine.cpu.rflags |= 1u << 18; /* AC */
	expect_shutdown(&machine, "endless #AC");
	machine_deinit(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delivery_checks_gate_code_and_stack),
		cmocka_unit_test(test_delivery_long_mode_frame),
		cmocka_unit_test(test_delivery_16_bit_gates_push_words),
		cmocka_unit_test(test_delivery_int_checks_dpl_and_limit),
		cmocka_unit_test(test_delivery_endless_alignment_checks_end),
		cmocka_unit_test(test_delivery_to_no_memory_is_an_exit),
		cmocka_unit_test(test_delivery_faults_in_delivery_become_double_faults),
	};

	return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
