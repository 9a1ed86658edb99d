/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Far jumps and calls, to code segments and through call gates, and returns to the same and to outer levels: where they
 * lead, what they push, and the exact exception for everything that is bad (SDM vol. 3A 5.8; vol. 2, CALL, IRET, JMP,
 * RET).
 */
#include "protection_scene.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SPARE MACHINE_SPARE
#define GATE (MACHINE_SPARE + 0x10)
#define OUTSIDE 0x1000
#define TARGET (MACHINE_CODE + 0x80)
#define NONE                                                                                                           \
	{                                                                                                              \
		-1, 0                                                                                                  \
	}

static const uint8_t hlt = 0xF4;

/* The spellings of far pointers differ between assemblers. */
static struct code jmp_code(void)
{
	return CODE32(".byte 0xff, 0x2b"); /* jmp far [rbx] */
}

static struct code call_code(void)
{
	return CODE32(".byte 0xff, 0x1b"); /* call far [rbx] */
}

static void set_pointer(struct machine *machine, uint32_t offset, uint16_t selector)
{
	machine->cpu.gpr[HS_RBX] = MACHINE_DATA;
	hs_put_le32(machine_at(machine, MACHINE_DATA), offset);
	hs_put_le16(machine_at(machine, MACHINE_DATA + 4), selector);
}

static uint32_t stack_word(struct machine *machine, uint64_t at)
{
	return hs_get_le32(machine_at(machine, at));
}

/* ---- To code segments ---- */

struct code_row {
	const char *what;
	uint8_t modes, cpl;
	uint8_t access; /* of the descriptor at SPARE */
	bool other;     /* 32-bit code where it would be 64-bit, and the other way round */
	uint16_t selector;
	struct expected expected;
};

static const struct code_row code_rows[] = {
	{ "code", EVERYWHERE, 0, ACCESS(0, CODE_RX), false, SPARE, NONE },
	{ "code of the other size", IN_LONG, 0, ACCESS(0, CODE_RX), true, SPARE, NONE },
	{ "code of ring 3", EVERYWHERE, 3, ACCESS(3, CODE_X), false, SPARE, NONE },
	{ "code of ring 3 of the other size", IN_LONG, 3, ACCESS(3, CODE_X), true, SPARE | 3, NONE },
	{ "code with an RPL", EVERYWHERE, 0, ACCESS(0, CODE_RX), false, SPARE | 3, { 13, SPARE } },
	{ "code of an outer level", EVERYWHERE, 0, ACCESS(3, CODE_RX), false, SPARE, { 13, SPARE } },
	{ "code of an inner level", EVERYWHERE, 3, ACCESS(0, CODE_RX), false, SPARE, { 13, SPARE } },
	{ "conforming code", EVERYWHERE, 3, ACCESS(0, CONFORMING_X), false, SPARE | 3, NONE },
	{ "conforming code of an outer level", EVERYWHERE, 0, ACCESS(3, CONFORMING_RX), false, SPARE, { 13, SPARE } },
	{ "code that is not there", EVERYWHERE, 0, ABSENT(ACCESS(0, CODE_RX)), false, SPARE, { 11, SPARE } },
	{ "code of ring 0 that is not there", EVERYWHERE, 3, ABSENT(ACCESS(0, CODE_RX)), false, SPARE, { 13, SPARE } },
	{ "data", EVERYWHERE, 0, ACCESS(0, DATA_RW), false, SPARE, { 13, SPARE } },
	{ "an LDT", EVERYWHERE, 0, SYSTEM(0, 2), false, SPARE, { 13, SPARE } },
	{ "a busy TSS", EVERYWHERE, 0, SYSTEM(0, 11), false, SPARE, { 13, SPARE } },
	{ "a TSS", IN_LONG, 0, SYSTEM(0, 9), false, SPARE, { 13, SPARE } },
	{ "a task gate", IN_LONG, 0, SYSTEM(0, 5), false, SPARE, { 13, SPARE } },
	{ "an interrupt gate", EVERYWHERE, 0, SYSTEM(0, 14), false, SPARE, { 13, SPARE } },
	{ "null", EVERYWHERE, 3, 0, false, 3, { 13, 0 } },
	{ "outside the table", EVERYWHERE, 3, 0, false, OUTSIDE | 3, { 13, OUTSIDE } },
	{ "of no LDT", EVERYWHERE, 0, ACCESS(0, CODE_RX), false, SPARE | 4, { 13, SPARE | 4 } },
};

static void check_arrived(struct machine *machine, const struct code_row *row, const struct machine_stop *stop,
			  bool is_call)
{
	bool wide = (machine->config.mode == MACHINE_64) != row->other;

	assert_int_equal(stop->cpu.rip, TARGET);
	assert_int_equal(stop->cpu.seg[HS_CS].selector, SPARE | row->cpl);
	assert_int_equal(stop->cpu.seg[HS_CS].l, wide && machine->config.mode != MACHINE_32);
	assert_int_equal(stop->cpu.seg[HS_SS].selector, machine->cpu.seg[HS_SS].selector);
	assert_int_equal(*scene_access(machine, SPARE), row->access | 1);
	assert_int_equal(stop->cpu.gpr[HS_RSP], MACHINE_STACK - (is_call ? 8 : 0));
	if (is_call) {
		assert_int_equal(stack_word(machine, MACHINE_STACK - 8), MACHINE_CODE + 2);
		assert_int_equal(stack_word(machine, MACHINE_STACK - 4), machine->cpu.seg[HS_CS].selector);
	}
}

static void run_code_row(const struct code_row *row, enum machine_mode mode, bool is_call)
{
	const struct machine_config config = scene_config(mode, row->cpl);
	struct machine_stop stop;
	struct machine machine;

	if (!(row->modes >> mode & 1) || machine_missing(&config)) {
		return;
	}
	machine_init(&machine, &config);
	scene_put_segment(&machine, SPARE, row->access, mode != MACHINE_32 && (mode == MACHINE_64) != row->other);
	machine_set_code(&machine, is_call ? call_code() : jmp_code());
	machine_put(&machine, TARGET, &hlt, 1);
	set_pointer(&machine, TARGET, row->selector);
	scene_expect(&machine, row->what, &row->expected, &stop);
	if (row->expected.vector < 0) {
		check_arrived(&machine, row, &stop, is_call);
	}
	machine_deinit(&machine);
}

static void test_transfers_far_check_code(void **state)
{
	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		for (size_t i = 0; i < sizeof(code_rows) / sizeof(code_rows[0]); i++) {
			run_code_row(&code_rows[i], (enum machine_mode)mode, false);
			run_code_row(&code_rows[i], (enum machine_mode)mode, true);
		}
	}
}

/* Beyond the limit, or with L and D both. */
static void test_transfers_far_check_offsets(void **state)
{
	const struct expected beyond = { 13, 0 };
	const struct expected undefined = { 13, SPARE };

	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		const struct machine_config config = scene_config((enum machine_mode)mode, 0);
		struct machine_stop stop;
		struct machine machine;

		if (machine_missing(&config)) {
			continue;
		}
		machine_init(&machine, &config);
		machine_set_code(&machine, call_code());
		scene_put_small(&machine, SPARE, ACCESS(0, CODE_RX), 0, TARGET - 1);
		set_pointer(&machine, TARGET, SPARE);
		scene_expect(&machine, "beyond the limit", &beyond, &stop);
		*machine_at(&machine, MACHINE_GDT + SPARE + 6) |= 0x60;
		if (mode != MACHINE_32) {
			scene_expect(&machine, "L and D", &undefined, &stop);
		}
		machine_deinit(&machine);
	}
}

/* ---- Through call gates ---- */

struct gate_row {
	const char *what;
	uint8_t modes, cpl;
	uint8_t gate;      /* its byte 5 */
	uint16_t selector; /* of the code behind it; SPARE has `access` */
	uint8_t access;
	bool is_jmp, other;
	uint8_t rpl;
	struct expected expected;
};

static const struct gate_row gate_rows[] = {
	{ "to ring 0", EVERYWHERE, 3, SYSTEM(3, 12), SPARE, ACCESS(0, CODE_RX), .rpl = 3, .expected = NONE },
	{ "at the same level", EVERYWHERE, 0, SYSTEM(0, 12), SPARE, ACCESS(0, CODE_RX), .expected = NONE },
	{ "a jump", EVERYWHERE, 0, SYSTEM(0, 12), SPARE, ACCESS(0, CODE_RX), .is_jmp = true, .expected = NONE },
	{ "to conforming code", EVERYWHERE, 3, SYSTEM(3, 12), SPARE, ACCESS(0, CONFORMING_X), .expected = NONE },
	{ "a jump to conforming code", EVERYWHERE, 3, SYSTEM(3, 12), SPARE, ACCESS(0, CONFORMING_X), .is_jmp = true,
	  .expected = NONE },
	{ "a jump to ring 0", EVERYWHERE, 3, SYSTEM(3, 12), SPARE, ACCESS(0, CODE_RX), .is_jmp = true,
	  .expected = { 13, SPARE } },
	{ "a gate of ring 0", EVERYWHERE, 3, SYSTEM(0, 12), SPARE, ACCESS(0, CODE_RX), .expected = { 13, GATE } },
	{ "an RPL above the gate's DPL", EVERYWHERE, 0, SYSTEM(2, 12), SPARE, ACCESS(0, CODE_RX), .rpl = 3,
	  .expected = { 13, GATE } },
	{ "a gate that is not there", EVERYWHERE, 0, ABSENT(SYSTEM(0, 12)), SPARE, ACCESS(0, CODE_RX),
	  .expected = { 11, GATE } },
	{ "null", EVERYWHERE, 3, SYSTEM(3, 12), 3, 0, .expected = { 13, 0 } },
	{ "outside the table", EVERYWHERE, 0, SYSTEM(3, 12), OUTSIDE, 0, .expected = { 13, OUTSIDE } },
	{ "data", EVERYWHERE, 0, SYSTEM(3, 12), SPARE, ACCESS(0, DATA_RW), .expected = { 13, SPARE } },
	{ "code of an outer level", EVERYWHERE, 0, SYSTEM(3, 12), SPARE, ACCESS(3, CODE_RX),
	  .expected = { 13, SPARE } },
	{ "code that is not there", EVERYWHERE, 3, SYSTEM(3, 12), SPARE, ABSENT(ACCESS(0, CODE_RX)),
	  .expected = { 11, SPARE } },
	{ "32-bit code", IN_LONG, 0, SYSTEM(3, 12), SPARE, ACCESS(0, CODE_RX), .other = true,
	  .expected = { 13, SPARE } },
	{ "a 16-bit gate", IN_LONG, 0, SYSTEM(3, 4), SPARE, ACCESS(0, CODE_RX), .expected = { 13, GATE } },
};

#define PARAMETERS 2

/* Two parameters are copied to an inner stack outside long mode. */
static void check_gate_frame(struct machine *machine, const struct gate_row *row, const struct machine_stop *stop)
{
	bool is_long = machine->config.mode != MACHINE_32;
	bool inner = stop->cpu.seg[HS_SS].dpl < row->cpl;
	unsigned int word = is_long ? 8 : 4;
	unsigned int parameters = inner && !is_long ? PARAMETERS : 0;
	unsigned int words = row->is_jmp ? 0 : 2 + parameters + (inner ? 2 : 0);
	uint64_t top = inner ? MACHINE_EXCEPTION_STACK : MACHINE_STACK;
	uint64_t sp = top - words * word;

	assert_int_equal(stop->cpu.rip, TARGET);
	assert_int_equal(stop->cpu.gpr[HS_RSP], sp);
	if (row->is_jmp) {
		return;
	}
	assert_int_equal(stack_word(machine, sp), MACHINE_CODE + 2);
	assert_int_equal(stack_word(machine, sp + word), machine->cpu.seg[HS_CS].selector);
	for (unsigned int i = 0; i < parameters; i++) {
		assert_int_equal(stack_word(machine, sp + (2 + i) * word), 0x11111111 * (i + 1));
	}
	if (inner) {
		assert_int_equal(stack_word(machine, top - 2 * word), MACHINE_STACK);
		assert_int_equal(stack_word(machine, top - word), machine->cpu.seg[HS_SS].selector);
		assert_int_equal(stop->cpu.seg[HS_SS].selector, is_long ? 0 : MACHINE_DS0);
	}
}

static void run_gate_row(const struct gate_row *row, enum machine_mode mode)
{
	const struct machine_config config = scene_config(mode, row->cpl);
	struct machine_stop stop;
	struct machine machine;

	if (!(row->modes >> mode & 1) || machine_missing(&config)) {
		return;
	}
	machine_init(&machine, &config);
	scene_put_segment(&machine, SPARE, row->access, mode != MACHINE_32 && !row->other);
	scene_put_gate(&machine, MACHINE_GDT + GATE, row->selector, TARGET, row->gate, PARAMETERS);
	machine_set_code(&machine, row->is_jmp ? jmp_code() : call_code());
	machine_put(&machine, TARGET, &hlt, 1);
	set_pointer(&machine, 0xDEAD0000, GATE | row->rpl);
	hs_put_le32(machine_at(&machine, MACHINE_STACK), 0x11111111);
	hs_put_le32(machine_at(&machine, MACHINE_STACK + 4), 0x22222222);
	scene_expect(&machine, row->what, &row->expected, &stop);
	if (row->expected.vector < 0) {
		check_gate_frame(&machine, row, &stop);
	}
	machine_deinit(&machine);
}

static void test_transfers_call_gates(void **state)
{
	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		for (size_t i = 0; i < sizeof(gate_rows) / sizeof(gate_rows[0]); i++) {
			run_gate_row(&gate_rows[i], (enum machine_mode)mode);
		}
	}
}

/* ---- Returns: retf and iretd with what lies on the stack ---- */

struct return_row {
	const char *what;
	uint8_t modes, cpl;
	uint16_t cs, ss;
	uint8_t access; /* of the descriptor at SPARE */
	struct expected expected;
};

#define CS3 (MACHINE_CS3_32 | 3)
#define DS3 (MACHINE_DS3 | 3)

static const struct return_row return_rows[] = {
	{ "to the same level", EVERYWHERE, 0, SPARE, MACHINE_DS0, ACCESS(0, CODE_RX), NONE },
	{ "in ring 3", EVERYWHERE, 3, CS3, DS3, 0, NONE },
	{ "to ring 3", EVERYWHERE, 0, CS3, DS3, 0, NONE },
	{ "to conforming code", EVERYWHERE, 0, SPARE | 3, DS3, ACCESS(1, CONFORMING_X), NONE },
	{ "to an inner level", EVERYWHERE, 3, SPARE, MACHINE_DS0, ACCESS(0, CODE_RX), { 13, SPARE } },
	{ "another DPL", EVERYWHERE, 0, SPARE | 3, DS3, ACCESS(0, CODE_RX), { 13, SPARE } },
	{ "conforming code of a level further out",
	  EVERYWHERE,
	  0,
	  SPARE | 1,
	  0,
	  ACCESS(3, CONFORMING_X),
	  { 13, SPARE } },
	{ "data", EVERYWHERE, 0, SPARE, MACHINE_DS0, ACCESS(0, DATA_RW), { 13, SPARE } },
	{ "a TSS", EVERYWHERE, 0, SPARE, MACHINE_DS0, SYSTEM(0, 9), { 13, SPARE } },
	{ "code that is not there", EVERYWHERE, 0, SPARE, MACHINE_DS0, ABSENT(ACCESS(0, CODE_RX)), { 11, SPARE } },
	{ "null", EVERYWHERE, 3, 3, DS3, 0, { 13, 0 } },
	{ "outside the table", EVERYWHERE, 0, OUTSIDE | 3, DS3, 0, { 13, OUTSIDE } },
	{ "a null stack", EVERYWHERE, 0, CS3, 3, 0, { 13, 0 } },
	{ "a stack outside the table", EVERYWHERE, 0, CS3, OUTSIDE | 3, 0, { 13, OUTSIDE } },
	{ "a stack of ring 0", EVERYWHERE, 0, CS3, MACHINE_DS0, 0, { 13, MACHINE_DS0 } },
	{ "a stack of ring 0 with RPL 3", EVERYWHERE, 0, CS3, MACHINE_DS0 | 3, 0, { 13, MACHINE_DS0 } },
	{ "a stack to read only", EVERYWHERE, 0, CS3, SPARE | 3, ACCESS(3, DATA_RO), { 13, SPARE } },
	{ "a stack that is not there", EVERYWHERE, 0, CS3, SPARE | 3, ABSENT(ACCESS(3, DATA_RW)), { 12, SPARE } },
};

#define OUTER_STACK (MACHINE_STACK + 0x1000)

/* What is of ring 0 is taken away on the way out; what ring 3 may use stays. */
static void check_returned(struct machine *machine, const struct return_row *row, const struct machine_stop *stop,
			   bool is_iret)
{
	bool outer = (row->cs & 3) > row->cpl;
	bool popped = outer || (is_iret && machine->config.mode == MACHINE_64);

	assert_int_equal(stop->cpu.rip, TARGET);
	assert_int_equal(stop->cpu.seg[HS_CS].selector, row->cs);
	assert_int_equal(stop->cpu.seg[HS_SS].selector, popped ? row->ss : machine->cpu.seg[HS_SS].selector);
	assert_int_equal(stop->cpu.seg[HS_SS].dpl, row->cs & 3);
	assert_int_equal(stop->cpu.gpr[HS_RSP], popped ? OUTER_STACK : MACHINE_STACK + (is_iret ? 12 : 8));
	assert_int_equal(stop->cpu.seg[HS_DS].unusable, outer);
	assert_int_equal(stop->cpu.seg[HS_DS].selector, outer ? 0 : machine->cpu.seg[HS_DS].selector);
	assert_int_equal(stop->cpu.seg[HS_FS].unusable, 0);
}

static void run_return_row(const struct return_row *row, enum machine_mode mode, bool is_iret)
{
	const struct machine_config config = scene_config(mode, row->cpl);
	uint64_t at = MACHINE_STACK;
	struct machine_stop stop;
	struct machine machine;

	if (!(row->modes >> mode & 1) || machine_missing(&config)) {
		return;
	}
	machine_init(&machine, &config);
	machine_change_entry(&machine, MACHINE_CODE, 0, 4); /* a user page */
	scene_put_segment(&machine, SPARE, row->access, mode == MACHINE_64);
	machine_set_code(&machine, is_iret ? CODE32("iretd") : CODE32(".byte 0xcb"));
	machine_put(&machine, TARGET, &hlt, 1);
	machine_segment(&machine, DS3, &machine.cpu.seg[HS_FS]);
	hs_put_le32(machine_at(&machine, at), TARGET);
	hs_put_le32(machine_at(&machine, at + 4), row->cs);
	at += 8;
	if (is_iret) {
		hs_put_le32(machine_at(&machine, at), 2);
		at += 4;
	}
	hs_put_le32(machine_at(&machine, at), OUTER_STACK);
	hs_put_le32(machine_at(&machine, at + 4), row->ss);
	scene_expect(&machine, row->what, &row->expected, &stop);
	if (row->expected.vector < 0) {
		check_returned(&machine, row, &stop, is_iret);
	}
	machine_deinit(&machine);
}

static void test_transfers_returns(void **state)
{
	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		for (size_t i = 0; i < sizeof(return_rows) / sizeof(return_rows[0]); i++) {
			run_return_row(&return_rows[i], (enum machine_mode)mode, true);
			run_return_row(&return_rows[i], (enum machine_mode)mode, false);
		}
	}
}

/* ---- The flags that iret takes at each level ---- */

static void run_flags(enum machine_mode mode, unsigned int cpl, uint64_t before, uint64_t image, uint64_t after)
{
	const struct machine_config config = scene_config(mode, cpl);
	uint16_t cs = mode == MACHINE_64 ? MACHINE_CS3_64 : MACHINE_CS3_32;
	struct machine_stop stop;
	struct machine machine;

	if (machine_missing(&config)) {
		return;
	}
	machine_init(&machine, &config);
	machine_set_code(&machine, CODE32("iretd"));
	machine_put(&machine, TARGET, &hlt, 1);
	machine.cpu.rflags = before;
	hs_put_le32(machine_at(&machine, MACHINE_STACK), TARGET);
	hs_put_le32(machine_at(&machine, MACHINE_STACK + 4), cpl == 3 ? cs | 3u : machine.cpu.seg[HS_CS].selector);
	hs_put_le32(machine_at(&machine, MACHINE_STACK + 8), (uint32_t)image);
	hs_put_le32(machine_at(&machine, MACHINE_STACK + 12), MACHINE_STACK);
	hs_put_le32(machine_at(&machine, MACHINE_STACK + 16), machine.cpu.seg[HS_SS].selector);
	machine_start(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.rip, TARGET);
	assert_int_equal(stop.cpu.rflags & ~UINT64_C(0x10000), after);
	machine_deinit(&machine);
}

static void test_transfers_iret_takes_the_flags_of_its_level(void **state)
{
	const uint64_t all = 0x247CD7; /* without TF, RF, VM and what is reserved; VIF and VIP */

	(void)state;
	for (int mode = MACHINE_64; mode <= MACHINE_32; mode++) {
		run_flags((enum machine_mode)mode, 0, 0x2, all, all | 2);
		run_flags((enum machine_mode)mode, 0, 0x3202, 0, 2);
		/* Ring 3: IOPL never, IF only with IOPL 3. */
		run_flags((enum machine_mode)mode, 3, 0x2, all, (all & ~UINT64_C(0x3200)) | 2);
		run_flags((enum machine_mode)mode, 3, 0x202, 0, 0x202);
		run_flags((enum machine_mode)mode, 3, 0x3002, 0x202, 0x3202);
		run_flags((enum machine_mode)mode, 3, 0x3202, 0x2, 0x3002);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transfers_far_check_code),
		cmocka_unit_test(test_transfers_far_check_offsets),
		cmocka_unit_test(test_transfers_call_gates),
		cmocka_unit_test(test_transfers_returns),
		cmocka_unit_test(test_transfers_iret_takes_the_flags_of_its_level),
	};

	return cmocka_run_group_tests_name("transfers", tests, NULL, NULL);
}
