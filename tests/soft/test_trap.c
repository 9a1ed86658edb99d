/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TF, RF and the shadow of mov ss on the software CPU (SDM vol. 3B 17.3; vol. 3A 6.8.3). */
#include "trap_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* popf: the TF before it counts. As bytes: assemblers differ about the size of pushf (9c) and popf (9d); 58 and 50 are
 * pop and push. */
static void check_popf(struct machine *machine)
{
	struct machine_stop stop;

	machine_set_code(machine, CODE_FOR(machine, ".byte 0x9c, 0x58\n or eax, 0x100\n .byte 0x50, 0x9d\n nop\n"
						    "1: nop"));
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 10, DR6_BS);

	machine_set_code(machine, CODE_FOR(machine, ".byte 0x9d\n nop\n nop"));
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

/* The TF that they leave: FMASK takes it away, R11 brings it. */
static void check_syscall(struct machine *machine)
{
	struct machine_stop stop;

	if (machine->config.mode != MACHINE_64) {
		return;
	}
	machine_set_code(machine, CODE64("syscall\n hlt\n nop\n nop"));
	machine->cpu.msr.lstar = MACHINE_CODE + 3;
	machine->cpu.msr.star = (uint64_t)MACHINE_CS0 << 32;
	machine->cpu.rflags = 2 | TF;
	machine->cpu.msr.fmask = TF;
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.rip, MACHINE_CODE + 5);
	assert_true(stop.cpu.gpr[HS_R11] & TF);
	machine->cpu.msr.fmask = 0;
	machine->cpu.msr.lstar = MACHINE_CODE + 4;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 4, DR6_BS);
	machine->cpu.rflags = 2;
	if (machine->config.cpl != 0) {
		return;
	}
	machine_change_entry(machine, MACHINE_CODE, 0, 4);
	machine_set_code(machine, CODE64("sysretq\n nop\n nop"));
	machine->cpu.gpr[HS_R11] = 2 | TF;
	machine->cpu.gpr[HS_RCX] = MACHINE_CODE + 4;
	machine_start(machine, &stop);
	expect_trap(&stop, MACHINE_CODE + 4, DR6_BS);
}

static void test_syscall_and_sysret_trap_by_the_flag_they_leave(void **state)
{
	(void)state;
	each_config(check_syscall);
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

	/* It was never there, rather than late: int leaves none. */
	machine_set_code(machine, CODE_FOR(machine, "mov ss, eax\n int 0x80"));
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	machine_set_code(machine, CODE_FOR(machine, "mov ss, eax\n nop\n nop"));
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
		cmocka_unit_test(test_single_step_traps_behind_each_instruction),
		cmocka_unit_test(test_popf_traps_by_the_flag_before_it),
		cmocka_unit_test(test_int_clears_tf_before_it_could_trap),
		cmocka_unit_test(test_syscall_and_sysret_trap_by_the_flag_they_leave),
		cmocka_unit_test(test_repeated_string_traps_each_iteration_with_rf),
		cmocka_unit_test(test_shadow_of_mov_ss_holds_traps_back),
		cmocka_unit_test(test_step_of_single_stepping_guest_ends_in_its_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
