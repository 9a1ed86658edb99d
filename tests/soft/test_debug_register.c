/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's own debug registers on the software CPU (SDM vol. 3B 17.2, 17.3.1). */
#include "trap_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_execution_breakpoint_faults_unless_rf),
		cmocka_unit_test(test_data_breakpoint_traps_on_overlap_by_kind_and_length),
		cmocka_unit_test(test_several_causes_are_one_trap),
		cmocka_unit_test(test_mov_to_dr_takes_effect_at_once),
		cmocka_unit_test(test_port_breakpoint_traps_with_cr4_de),
		cmocka_unit_test(test_general_detect_faults_and_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
