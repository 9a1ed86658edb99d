/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's own debugging on the software CPU: DR0-3, TF, RF, the shadow of mov ss (SDM vol. 3B 17.2, 17.3). */
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTOR_DB 1
#define TF (1u << 8)
#define RF (1u << 16)
#define CR4_DE (1u << 3)
#define DR6_BD (1u << 13)
#define DR6_BS (1u << 14)
#define DR7_GD (1u << 13)
#define ON_EXECUTION 0u
#define ON_WRITE 1u
#define ON_PORT 2u
#define ON_ACCESS 3u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

/* The same text as code of the machine's mode. */
#define CODE_FOR(machine, text) ((machine)->config.mode == MACHINE_64 ? CODE64(text) : CODE32(text))

static void each_config(void (*check)(struct machine *machine))
{
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		struct machine machine;

		machine_init(&machine, &configs[i]);
		check(&machine);
		machine_deinit(&machine);
	}
}

/* Length as DR7 has it (SDM vol. 3B 17.2.4). */
static uint64_t dr7_of(unsigned int i, unsigned int condition, unsigned int length)
{
	uint64_t field = length == 8 ? 2 : length - 1;

	return UINT64_C(1) << (2 * i + i % 2) | (uint64_t)(condition | field << 2) << (16 + 4 * i) | 0x400;
}

static void set_register(struct machine *machine, unsigned int i, uint64_t address, unsigned int condition,
			 unsigned int length)
{
	memset(machine->cpu.dr, 0, 4 * sizeof(machine->cpu.dr[0]));
	machine->cpu.dr[i] = address;
	machine->cpu.dr[6] = 0xffff0ff0;
	machine->cpu.dr[7] = dr7_of(i, condition, length);
}

static void expect_trap(const struct machine_stop *stop, uint64_t rip, uint64_t dr6)
{
	assert_int_equal(stop->kind, MACHINE_FAULT);
	assert_int_equal(stop->vector, VECTOR_DB);
	assert_int_equal(stop->cpu.rip, rip);
	assert_int_equal(stop->cpu.dr[6], 0xffff0ff0 | dr6);
}

/* Go on with the interrupted code, as its handler's iret would. */
static void go_on(struct machine *machine, struct machine_stop *stop, uint64_t set_flags, uint64_t clear_flags)
{
	machine->cpu = stop->cpu;
	machine->cpu.dr[6] = 0xffff0ff0;
	machine->cpu.rflags = (machine->cpu.rflags | (stop->rf ? RF : 0) | set_flags) & ~clear_flags;
	machine_start(machine, stop);
}

/* ---- DR0-3 ---- */

static void check_execution(struct machine *machine)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct machine_stop stop;

		machine_set_code(machine, CODE_FOR(machine, "add eax, 1\n add eax, 2\n add eax, 4"));
		machine->cpu.gpr[HS_RAX] = 0;
		set_register(machine, i, MACHINE_CODE + 3, ON_EXECUTION, 1);
		machine_start(machine, &stop);
		for (unsigned int again = 0; again < 2; again++) {
			expect_trap(&stop, MACHINE_CODE + 3, 1u << i);
			assert_int_equal(stop.cpu.gpr[HS_RAX], 1);
			assert_false(stop.rf);
			go_on(machine, &stop, again ? RF : 0, 0);
		}
		assert_int_equal(stop.kind, MACHINE_HLT);
		assert_int_equal(stop.cpu.gpr[HS_RAX], 7);
		assert_int_equal(stop.cpu.rflags & RF, 0);
		machine->cpu.rflags = 2;
	}
}

static void test_execution_breakpoint_faults_unless_rf(void **state)
{
	(void)state;
	each_config(check_execution);
}

struct access {
	struct code code;
	unsigned int bytes;
	bool writes;
};

static void check_data_register(struct machine *machine, unsigned int i, unsigned int length, unsigned int condition)
{
	const struct access accesses[] = {
		{ CODE_FOR(machine, "mov [ebx], al"), 1, true },
		{ CODE_FOR(machine, "mov [ebx], eax"), 4, true },
		{ CODE_FOR(machine, "movzx eax, word ptr [ebx]"), 2, false },
	};
	const uint64_t start = MACHINE_DATA + 0x100;

	for (size_t a = 0; a < sizeof(accesses) / sizeof(accesses[0]); a++) {
		for (int at = -4; at <= 8; at++) {
			uint64_t gva = start + (uint64_t)(int64_t)at;
			bool overlaps = gva < start + length && start < gva + accesses[a].bytes;
			struct machine_stop stop;

			machine_set_code(machine, accesses[a].code);
			/* The low bits of the address do not count. */
			set_register(machine, i, start + length - 1, condition, length);
			machine->cpu.gpr[HS_RBX] = gva;
			machine_start(machine, &stop);
			if (overlaps && (accesses[a].writes || condition == ON_ACCESS)) {
				expect_trap(&stop, MACHINE_CODE + accesses[a].code.length, 1u << i);
				assert_false(stop.rf);
			} else {
				assert_int_equal(stop.kind, MACHINE_HLT);
			}
		}
	}
}

static void check_data(struct machine *machine)
{
	static const unsigned int lengths[] = { 1, 2, 4, 8 };

	for (unsigned int i = 0; i < 4; i++) {
		for (unsigned int n = 0; n < 4; n++) {
			check_data_register(machine, i, lengths[n], ON_WRITE);
			check_data_register(machine, i, lengths[n], ON_ACCESS);
		}
	}
}

static void test_data_breakpoint_traps_on_overlap_by_kind_and_length(void **state)
{
	(void)state;
	each_config(check_data);
}

/* One instruction that touches two, and a step besides; of what is not enabled nothing is seen. */
static void check_several(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "movsd"));
	set_register(machine, 0, MACHINE_DATA, ON_ACCESS, 4);
	machine->cpu.dr[3] = MACHINE_DATA + 0x100;
	machine->cpu.dr[2] = MACHINE_DATA + 0x100;
	machine->cpu.dr[7] |= dr7_of(3, ON_WRITE, 2);
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA + 0xfe;
	machine->cpu.rflags = 2 | TF;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 1, DR6_BS | 9);
}

static void test_several_causes_are_one_trap(void **state)
{
	(void)state;
	each_config(check_several);
}

/* The guest's own instructions set it, when the page is known already. */
static void check_mov_to_dr(struct machine *machine)
{
	struct machine_stop stop;

	if (machine->config.cpl != 0) {
		return;
	}
	if (machine->config.mode == MACHINE_64) {
		machine_set_code(machine, CODE64("mov [ebx], eax\n mov dr1, rbx\n mov dr7, rcx\n 1: mov [ebx], eax\n"
						 "jmp 1b"));
	} else {
		machine_set_code(machine, CODE32("mov [ebx], eax\n mov dr1, ebx\n mov dr7, ecx\n 1: mov [ebx], eax\n"
						 "jmp 1b"));
	}
	machine->cpu.gpr[HS_RBX] = MACHINE_DATA;
	machine->cpu.gpr[HS_RCX] = dr7_of(1, ON_WRITE, 4);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.cpu.dr[6] & 0xf, 2);
	assert_int_equal(stop.cpu.dr[1], MACHINE_DATA);
}

static void test_mov_to_dr_takes_effect_at_once(void **state)
{
	(void)state;
	each_config(check_mov_to_dr);
}

static void expect_port_trap(struct machine *machine, struct code code, enum hs_exit_kind kind, bool trap)
{
	struct machine_stop stop;

	machine_set_code(machine, code);
	machine->cpu.gpr[HS_RDX] = 0x81;
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_EXIT);
	assert_int_equal(stop.exit.kind, kind);
	machine_run(machine, &stop);
	if (trap) {
		expect_trap(&stop, MACHINE_CODE + code.length, 2);
	} else {
		assert_int_equal(stop.kind, MACHINE_HLT);
	}
}

static void check_ports(struct machine *machine)
{
	machine->cpu.rflags |= 3u << 12;
	for (unsigned int de = 0; de < 2; de++) {
		machine->cpu.cr4 = (machine->cpu.cr4 & ~(uint64_t)CR4_DE) | (de ? CR4_DE : 0);
		set_register(machine, 1, 0x80, ON_PORT, 2);
		expect_port_trap(machine, CODE_FOR(machine, "out 0x81, al"), HS_EXIT_PORT_OUT, de);
		expect_port_trap(machine, CODE_FOR(machine, "in al, dx"), HS_EXIT_PORT_IN, de);
		expect_port_trap(machine, CODE_FOR(machine, "in ax, 0x7f"), HS_EXIT_PORT_IN, de);
		expect_port_trap(machine, CODE_FOR(machine, "out 0x82, eax"), HS_EXIT_PORT_OUT, false);
	}
}

static void test_port_breakpoint_traps_with_cr4_de(void **state)
{
	(void)state;
	each_config(check_ports);
}

static void check_general_detect(struct machine *machine)
{
	struct machine_stop stop;

	if (machine->config.cpl != 0) {
		return;
	}
	machine_set_code(machine, machine->config.mode == MACHINE_64 ? CODE64("mov rax, dr0") : CODE32("mov eax, dr0"));
	machine->cpu.dr[6] = 0xffff0ff0;
	machine->cpu.dr[7] = 0x400 | DR7_GD;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE, DR6_BD);
	assert_int_equal(stop.cpu.dr[7], 0x400);
}

static void test_general_detect_faults_and_is_cleared(void **state)
{
	(void)state;
	each_config(check_general_detect);
}

/* ---- TF, RF, the shadow ---- */

static void check_single_step(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "nop\n jmp 1f\n nop\n1: nop"));
	machine->cpu.rflags = 2 | TF;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 1, DR6_BS);
	assert_true(stop.cpu.rflags & TF);
	assert_false(stop.rf);
	go_on(machine, &stop, 0, 0);
	expect_trap(&stop, MACHINE_CODE + 4, DR6_BS);
	go_on(machine, &stop, 0, TF);
	assert_int_equal(stop.kind, MACHINE_HLT);
}

static void test_single_step_traps_behind_each_instruction(void **state)
{
	(void)state;
	each_config(check_single_step);
}

/* popf: the TF before it counts. 0x58 and 0x50 are pop and push of a whole register. */
static void check_popf(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "pushf\n .byte 0x58\n or eax, 0x100\n .byte 0x50\n popf\n nop\n"
						    "1: nop"));
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 10, DR6_BS);

	machine_set_code(machine, CODE_FOR(machine, "popf\n nop\n nop"));
	machine->cpu.rflags = 2 | TF;
	*machine_at(machine, MACHINE_STACK) = 2;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 1, DR6_BS);
	assert_false(stop.cpu.rflags & TF);
	go_on(machine, &stop, 0, 0);
	assert_int_equal(stop.kind, MACHINE_HLT);
}

static void test_popf_traps_by_the_flag_before_it(void **state)
{
	(void)state;
	each_config(check_popf);
}

static void check_int(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "int 0x80"));
	machine->cpu.rflags = 2 | TF;
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.dr[6] & DR6_BS, 0);

	machine_set_code(machine, CODE_FOR(machine, ".byte 0xf1"));
	machine->cpu.rflags = 2;
	machine->cpu.dr[6] = 0xffff0ff0;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 1, 0);
}

static void test_int_clears_tf_before_it_could_trap(void **state)
{
	(void)state;
	each_config(check_int);
}

static void check_repeated(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, "rep stosb\n nop"));
	machine->cpu.gpr[HS_RCX] = 3;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA;
	machine->cpu.rflags = 2 | TF;
	machine_start(machine, &stop);
	for (unsigned int left = 2; left > 0; left--) {
		expect_trap(&stop, MACHINE_CODE, DR6_BS);
		assert_int_equal(stop.cpu.gpr[HS_RCX], left);
		assert_true(stop.rf);
		go_on(machine, &stop, 0, 0);
	}
	expect_trap(&stop, MACHINE_CODE + 2, DR6_BS);
	assert_false(stop.rf);
	assert_int_equal(stop.cpu.gpr[HS_RCX], 0);

	/* A breakpoint on it: once. */
	machine_set_code(machine, CODE_FOR(machine, "rep stosb"));
	set_register(machine, 2, MACHINE_CODE, ON_EXECUTION, 1);
	machine->cpu.gpr[HS_RCX] = 3;
	machine->cpu.rflags = 2;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE, 4);
	go_on(machine, &stop, RF, 0);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_RCX], 0);
}

static void test_repeated_string_traps_each_iteration_with_rf(void **state)
{
	(void)state;
	each_config(check_repeated);
}

static void check_shadow(struct machine *machine)
{
	struct machine_stop stop;

	machine->cpu.gpr[HS_RAX] = machine->cpu.seg[HS_SS].selector;
	machine->cpu.gpr[HS_RBX] = MACHINE_DATA;
	memcpy(machine_at(machine, MACHINE_DATA), &machine->cpu.seg[HS_SS].selector, 2);

	machine_set_code(machine, CODE_FOR(machine, "mov ss, eax\n nop\n nop"));
	machine->cpu.rflags = 2 | TF;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 3, DR6_BS);
	machine->cpu.rflags = 2;

	/* A breakpoint right behind it is passed over; one further on is not. */
	set_register(machine, 0, MACHINE_CODE + 2, ON_EXECUTION, 1);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	set_register(machine, 0, MACHINE_CODE + 3, ON_EXECUTION, 1);
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 3, 1);

	/* What it has touched itself waits, too: even through a fault. */
	machine_set_code(machine, CODE_FOR(machine, "mov ss, [ebx]\n nop\n nop"));
	set_register(machine, 0, MACHINE_DATA, ON_ACCESS, 2);
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + (machine->config.mode == MACHINE_64 ? 4 : 3), 1);
	machine_set_code(machine, CODE_FOR(machine, "mov ss, [ebx]\n ud2"));
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.vector, VECTOR_DB);
	assert_in_range(stop.cpu.rip, MACHINE_STUBS, MACHINE_STUBS + 0xfff);
}

static void test_shadow_of_mov_ss_holds_traps_back(void **state)
{
	(void)state;
	each_config(check_shadow);
}

/* The debugger steps an instruction of a guest that steps itself: the trap is part of it. */
static void check_both_step(struct machine *machine)
{
	struct hs_debug_request step = { .step = true };
	struct hs_cpu_state cpu;
	struct hs_exit exit;

	machine_set_code(machine, CODE_FOR(machine, "nop\n nop"));
	machine->cpu.rflags = 2 | TF;
	machine_load(machine);
	assert_int_equal(machine->config.ops->set_debug(machine->backend, &step, NULL), HS_OK);
	assert_int_equal(machine->config.ops->run(machine->backend, &exit, NULL), HS_OK);
	assert_int_equal(exit.kind, HS_EXIT_STEPPED);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.rip, MACHINE_STUBS + 16 * VECTOR_DB);
	assert_int_equal(cpu.rflags & TF, 0);
	assert_int_equal(cpu.dr[6] & DR6_BS, DR6_BS);
}

static void test_step_of_single_stepping_guest_ends_in_its_handler(void **state)
{
	(void)state;
	each_config(check_both_step);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_execution_breakpoint_faults_unless_rf),
		cmocka_unit_test(test_data_breakpoint_traps_on_overlap_by_kind_and_length),
		cmocka_unit_test(test_several_causes_are_one_trap),
		cmocka_unit_test(test_mov_to_dr_takes_effect_at_once),
		cmocka_unit_test(test_port_breakpoint_traps_with_cr4_de),
		cmocka_unit_test(test_general_detect_faults_and_is_cleared),
		cmocka_unit_test(test_single_step_traps_behind_each_instruction),
		cmocka_unit_test(test_popf_traps_by_the_flag_before_it),
		cmocka_unit_test(test_int_clears_tf_before_it_could_trap),
		cmocka_unit_test(test_repeated_string_traps_each_iteration_with_rf),
		cmocka_unit_test(test_shadow_of_mov_ss_holds_traps_back),
		cmocka_unit_test(test_step_of_single_stepping_guest_ends_in_its_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
