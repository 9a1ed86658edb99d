/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Task switches outside long mode: what is saved, linked and loaded, and the exact exception for everything that is
 * bad, before the switch and in the new task (SDM vol. 3A 7.2 to 7.4).
 */
#include "protection_scene.h"

#include "base/bytes.h"
#include "vmm/tss32.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TASK MACHINE_SPARE
#define GATE (MACHINE_SPARE + 8)
#define OUTSIDE 0x1000
#define TSS (MACHINE_DATA + 0x400)
#define TARGET (MACHINE_CODE + 0x80)
#define TASK_STACK (MACHINE_STACK + 0x800)
#define FLAG_NT 0x4000u
#define CR0_TS 8u
#define AVAILABLE 0x89
#define BUSY 0x8B
#define NONE                                                                                                           \
	{                                                                                                              \
		-1, 0                                                                                                  \
	}

static uint32_t at32(struct machine *machine, uint64_t at)
{
	return hs_get_le32(machine_at(machine, at));
}

static void set_task_segment(struct machine *machine, int seg, uint16_t selector)
{
	hs_put_le16(machine_at(machine, TSS + HS_TSS32_SEG + 4 * (uint64_t)seg), selector);
}

/* A task that runs `code` at TARGET, with 0x100, 0x101, ... in its registers; its descriptor and a gate to it. */
static void put_task(struct machine *machine, struct code code)
{
	const uint8_t hlt = 0xF4;

	scene_put_small(machine, TASK, AVAILABLE, TSS, HS_TSS_BYTES - 1);
	scene_put_gate(machine, MACHINE_GDT + GATE, TASK, 0, SYSTEM(0, 5), 0);
	for (int i = 0; i < 8; i++) {
		hs_put_le32(machine_at(machine, TSS + HS_TSS32_GPR + 4 * (uint64_t)i), 0x100 + (uint32_t)i);
	}
	hs_put_le32(machine_at(machine, TSS + HS_TSS32_GPR + 4 * HS_RSP), TASK_STACK);
	hs_put_le32(machine_at(machine, TSS + HS_TSS32_EIP), TARGET);
	hs_put_le32(machine_at(machine, TSS + HS_TSS32_EFLAGS), 0x203);
	hs_put_le32(machine_at(machine, TSS + HS_TSS32_CR3), (uint32_t)machine->cpu.cr3);
	for (int i = HS_ES; i <= HS_GS; i++) {
		set_task_segment(machine, i, i == HS_CS ? MACHINE_CS0 : MACHINE_DS0);
	}
	machine_put(machine, TARGET, code.bytes, code.length);
	machine_put(machine, TARGET + code.length, &hlt, 1);
}

static void set_pointer(struct machine *machine, uint16_t selector)
{
	machine->cpu.gpr[HS_RBX] = MACHINE_DATA;
	hs_put_le16(machine_at(machine, MACHINE_DATA + 4), selector);
}

static struct code jmp_code(void)
{
	return CODE32(".byte 0xff, 0x2b"); /* jmp far [ebx] */
}

static struct code call_code(void)
{
	return CODE32(".byte 0xff, 0x1b"); /* call far [ebx] */
}

static bool start_32(struct machine *machine, struct code code, struct code task)
{
	const struct machine_config config = scene_config(MACHINE_32, 0);

	if (machine_missing(&config)) {
		return false;
	}
	machine_init(machine, &config);
	machine_set_code(machine, code);
	put_task(machine, task);
	machine->cpu.gpr[HS_RSI] = 0x51515151;
	machine->cpu.rflags = 0x47;
	machine->cpu.dr[7] = 0x403; /* L0 and G0, of no use at DR0 = 0 */
	return true;
}

/* What is the same for every way in. The old task is in its TSS, as it goes on. */
static void check_switched(struct machine *machine, const struct machine_stop *stop, uint32_t eip, bool nested)
{
	assert_int_equal(stop->cpu.rip, TARGET);
	assert_int_equal(stop->cpu.seg[HS_TR].selector, TASK);
	assert_int_equal(stop->cpu.seg[HS_TR].type, 11);
	assert_int_equal(stop->cpu.gpr[HS_RSI], 0x106);
	assert_int_equal(stop->cpu.rflags, 0x203 | (nested ? FLAG_NT : 0));
	assert_int_equal(stop->cpu.cr0 & CR0_TS, CR0_TS);
	assert_int_equal(stop->cpu.dr[7], 0x402);
	assert_int_equal(*scene_access(machine, TASK), BUSY);
	assert_int_equal(*scene_access(machine, MACHINE_TR), nested ? BUSY : AVAILABLE);
	assert_int_equal(at32(machine, TSS) & 0xFFFF, nested ? MACHINE_TR : 0);
	assert_int_equal(at32(machine, MACHINE_TSS + HS_TSS32_EIP), eip);
	assert_int_equal(at32(machine, MACHINE_TSS + HS_TSS32_EFLAGS) & 0xFFFF, 0x47);
	assert_int_equal(at32(machine, MACHINE_TSS + HS_TSS32_GPR + 4 * HS_RSI), 0x51515151);
	assert_int_equal(at32(machine, MACHINE_TSS + HS_TSS32_GPR + 4 * HS_RSP), MACHINE_STACK);
	assert_int_equal(at32(machine, MACHINE_TSS + HS_TSS32_SEG + 4 * HS_CS), MACHINE_CS0);
}

static void test_tasks_jump(void **state)
{
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	for (int by_gate = 0; by_gate < 2; by_gate++) {
		if (!start_32(&machine, jmp_code(), CODE32("nop"))) {
			skip();
		}
		machine_put(&machine, TARGET, "\xF4", 1);
		set_pointer(&machine, by_gate ? GATE : TASK);
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_HLT);
		check_switched(&machine, &stop, MACHINE_CODE + 2, false);
		assert_int_equal(stop.cpu.gpr[HS_RSP], TASK_STACK);
		machine_deinit(&machine);
	}
}

static void test_tasks_call_and_iret(void **state)
{
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	if (!start_32(&machine, call_code(), CODE32("hlt\n iretd"))) {
		skip();
	}
	set_pointer(&machine, GATE);
	machine_start(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	check_switched(&machine, &stop, MACHINE_CODE + 2, true);
	machine_run(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.rip, MACHINE_CODE + 2);
	assert_int_equal(stop.cpu.rflags, 0x47);
	assert_int_equal(stop.cpu.gpr[HS_RSI], 0x51515151);
	assert_int_equal(stop.cpu.seg[HS_TR].selector, MACHINE_TR);
	assert_int_equal(*scene_access(&machine, TASK), AVAILABLE);
	assert_int_equal(*scene_access(&machine, MACHINE_TR), BUSY);
	assert_int_equal(at32(&machine, TSS + HS_TSS32_EIP), TARGET + 2);
	assert_int_equal(at32(&machine, TSS + HS_TSS32_EFLAGS), 0x203);
	machine_deinit(&machine);
}

/* A 16-bit TSS has half of everything: upper halves of registers become ones, FS and GS null, CR3 stays. */
static void test_tasks_16_bit(void **state)
{
	const unsigned int ip = 14, flags = 16, gpr = 18, seg = 34;
	const uint16_t segments[] = { MACHINE_DS0, MACHINE_CS0, MACHINE_DS0, MACHINE_DS0 };
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	if (!start_32(&machine, call_code(), CODE32("hlt\n iretd"))) {
		skip();
	}
	memset(machine_at(&machine, TSS), 0, HS_TSS_BYTES);
	scene_put_small(&machine, TASK, SYSTEM(0, 1), TSS, 43);
	hs_put_le16(machine_at(&machine, TSS + ip), TARGET);
	hs_put_le16(machine_at(&machine, TSS + flags), 0x203);
	hs_put_le16(machine_at(&machine, TSS + gpr + 2 * HS_RSI), 0x106);
	for (unsigned int i = 0; i < 4; i++) {
		hs_put_le16(machine_at(&machine, TSS + seg + 2 * i), segments[i]);
	}
	set_pointer(&machine, TASK);
	machine_start(&machine, &stop);
	assert_int_equal(stop.cpu.rip, TARGET);
	assert_int_equal(stop.cpu.rflags, 0x203 | FLAG_NT);
	assert_int_equal(stop.cpu.gpr[HS_RSI], 0xFFFF0106);
	assert_int_equal(stop.cpu.seg[HS_TR].type, 3);
	assert_int_equal(stop.cpu.seg[HS_FS].selector, 0);
	assert_int_equal(stop.cpu.cr3, machine.cpu.cr3);
	machine_run(&machine, &stop);
	assert_int_equal(stop.cpu.rip, MACHINE_CODE + 2);
	assert_int_equal(stop.cpu.gpr[HS_RSI], 0x51515151);
	assert_int_equal(hs_get_le16(machine_at(&machine, TSS + ip)), TARGET + 2);
	assert_int_equal(hs_get_le16(machine_at(&machine, TSS + gpr + 2 * HS_RSI)), 0x106);
	machine_deinit(&machine);
}

/* A software interrupt goes on behind itself; a fault at itself, with RF, and its error code is on the task's stack. */
static void test_tasks_interrupts_and_faults(void **state)
{
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	for (int fault = 0; fault < 2; fault++) {
		uint32_t rf = 0x10000;

		if (!start_32(&machine, fault ? CODE32("mov fs, eax") : CODE32("int 0x81"), CODE32("nop"))) {
			skip();
		}
		machine_put(&machine, TARGET, "\xF4", 1);
		machine.cpu.gpr[HS_RAX] = 0xFFF8;
		scene_put_gate(&machine, scene_gate_of(&machine, fault ? 13 : 0x81), TASK, 0, SYSTEM(0, 5), 0);
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_HLT);
		check_switched(&machine, &stop, MACHINE_CODE + (fault ? 0 : 2), true);
		assert_int_equal(at32(&machine, MACHINE_TSS + HS_TSS32_EFLAGS), fault ? 0x47 | rf : 0x47);
		assert_int_equal(stop.cpu.gpr[HS_RSP], TASK_STACK - (fault ? 4 : 0));
		if (fault) {
			assert_int_equal(at32(&machine, TASK_STACK - 4), 0xFFF8);
		}
		machine_deinit(&machine);
	}
}

struct row {
	const char *what;
	bool by_gate;
	uint16_t selector; /* in the gate; 0: TASK */
	uint8_t access;    /* of the TSS descriptor; 0: AVAILABLE */
	uint8_t gate;      /* byte 5 of the task gate; 0: as usual */
	uint32_t limit;    /* of the TSS; 0: as usual */
	uint8_t rpl;
	struct expected expected;
};

static const struct row rows[] = {
	{ "a busy TSS", .access = BUSY, .expected = { 13, TASK } },
	{ "a busy TSS by a gate", true, .access = BUSY, .expected = { 13, TASK } },
	{ "a TSS that is not there", .access = 9, .expected = { 11, TASK } },
	{ "a TSS that is not there by a gate", true, .access = 9, .expected = { 11, TASK } },
	{ "a TSS that is too small", .limit = HS_TSS_BYTES - 2, .expected = { 10, TASK } },
	{ "a TSS by an RPL it is not for", .rpl = 3, .expected = { 13, TASK } },
	{ "a gate by an RPL it is not for", true, .rpl = 1, .expected = { 13, GATE } },
	{ "a gate that is not there", true, .gate = 5, .expected = { 11, GATE } },
	{ "a gate to data", true, .selector = MACHINE_DS0, .expected = { 13, MACHINE_DS0 } },
	{ "a gate to an LDT's descriptor", true, .selector = TASK | 4, .expected = { 13, TASK | 4 } },
	{ "a gate out of the table", true, .selector = OUTSIDE, .expected = { 13, OUTSIDE } },
	{ "a gate to null", true, .selector = 3, .expected = { 13, 0 } },
};

static void test_tasks_check_before_the_switch(void **state)
{
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		if (!start_32(&machine, i % 2 ? call_code() : jmp_code(), CODE32("nop"))) {
			skip();
		}
		scene_put_small(&machine, TASK, row->access ? row->access : AVAILABLE, TSS,
				row->limit ? row->limit : HS_TSS_BYTES - 1);
		scene_put_gate(&machine, MACHINE_GDT + GATE, row->selector ? row->selector : TASK, 0,
			       row->gate ? row->gate : SYSTEM(0, 5), 0);
		set_pointer(&machine, (row->by_gate ? GATE : TASK) | row->rpl);
		scene_expect(&machine, row->what, &row->expected, &stop);
		machine_deinit(&machine);
	}
}

/* iret with NT: the back link is what is bad. In long mode there is none. */
static void test_tasks_return_checks_the_back_link(void **state)
{
	const struct {
		const char *what;
		uint16_t link;
		uint8_t access; /* of the TSS it names */
		struct expected expected;
	} links[] = {
		{ "null", 0, BUSY, { 10, 0 } },
		{ "of an LDT", TASK | 4, BUSY, { 10, TASK | 4 } },
		{ "out of the table", OUTSIDE, BUSY, { 10, OUTSIDE } },
		{ "to a TSS that is not busy", TASK, AVAILABLE, { 10, TASK } },
		{ "to a TSS that is not there", TASK, 11, { 11, TASK } },
		{ "to data", MACHINE_DS0, BUSY, { 10, MACHINE_DS0 } },
	};
	const struct expected refused = { 13, 0 };
	struct machine_config config = scene_config(MACHINE_64, 0);
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (!start_32(&machine, CODE32("iretd"), CODE32("nop"))) {
			skip();
		}
		*scene_access(&machine, TASK) = links[i].access;
		hs_put_le16(machine_at(&machine, MACHINE_TSS), links[i].link);
		machine.cpu.rflags |= FLAG_NT;
		scene_expect(&machine, links[i].what, &links[i].expected, &stop);
		machine_deinit(&machine);
	}
	machine_init(&machine, &config);
	machine_set_code(&machine, CODE64("iretq"));
	machine.cpu.rflags |= FLAG_NT;
	scene_expect(&machine, "NT in long mode", &refused, &stop);
	machine_deinit(&machine);
}

/* Bad segments of the new task are its own: the switch is done, and the handler sees its eip. */
static void test_tasks_bad_segments_fault_in_the_new_task(void **state)
{
	const struct {
		int seg;
		uint16_t selector;
		uint8_t access; /* of the descriptor at GATE */
		struct expected expected;
	} bad[] = {
		{ HS_DS, OUTSIDE, 0, { 10, OUTSIDE } },
		{ HS_ES, GATE, ABSENT(ACCESS(0, DATA_RW)), { 11, GATE } },
		{ HS_FS, GATE, ACCESS(0, CODE_X), { 10, GATE } },
		{ HS_GS, GATE | 3, ACCESS(0, DATA_RW), { 10, GATE } },
	};
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (!start_32(&machine, jmp_code(), CODE32("nop"))) {
			skip();
		}
		set_task_segment(&machine, bad[i].seg, bad[i].selector);
		scene_put_segment(&machine, GATE, bad[i].access, false);
		set_pointer(&machine, TASK);
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_FAULT);
		assert_int_equal(stop.vector, bad[i].expected.vector);
		assert_int_equal(stop.error_code, bad[i].expected.error);
		check_switched(&machine, &stop, MACHINE_CODE + 2, false);
		assert_int_equal(stop.cpu.gpr[HS_RSP], TASK_STACK);
		machine_deinit(&machine);
	}
}

/* A double fault whose task has no code is a shutdown, in the state before the first fault. */
static void test_tasks_bad_double_fault_task_is_a_shutdown(void **state)
{
	struct machine_stop stop;
	struct machine machine;

	(void)state;
	if (!start_32(&machine, CODE32("ud2"), CODE32("nop"))) {
		skip();
	}
	machine.cpu.idt.limit = 8 * 9 - 1; /* #GP and #NP lie behind #DF */
	*machine_at(&machine, scene_gate_of(&machine, 6) + 5) = 0;
	hs_put_le16(machine_at(&machine, MACHINE_DF_TSS + HS_TSS32_SEG + 4 * HS_CS), 0);
	machine_start(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_EXIT);
	assert_int_equal(stop.exit.kind, HS_EXIT_SHUTDOWN);
	assert_false(stop.exit.registers_lost);
	assert_int_equal(stop.cpu.rip, MACHINE_CODE);
	assert_int_equal(stop.cpu.rflags, 0x47);
	assert_int_equal(stop.cpu.gpr[HS_RSP], MACHINE_STACK);
	assert_int_equal(stop.cpu.seg[HS_TR].selector, MACHINE_TR);
	assert_int_equal(stop.cpu.seg[HS_CS].selector, MACHINE_CS0);
	machine_deinit(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tasks_jump),
		cmocka_unit_test(test_tasks_call_and_iret),
		cmocka_unit_test(test_tasks_16_bit),
		cmocka_unit_test(test_tasks_interrupts_and_faults),
		cmocka_unit_test(test_tasks_check_before_the_switch),
		cmocka_unit_test(test_tasks_return_checks_the_back_link),
		cmocka_unit_test(test_tasks_bad_segments_fault_in_the_new_task),
		cmocka_unit_test(test_tasks_bad_double_fault_task_is_a_shutdown),
	};

	return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
