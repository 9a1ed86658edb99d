/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a debugger can do with the software CPU: breakpoints, watchpoints, runs of N instructions, interrupts. */
#include "machine.h"
#include "state_difference.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BREAKS 1000u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_5LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

static void arm(struct machine *machine, const struct hs_debug_request *request)
{
	assert_int_equal(machine->config.ops->set_debug(machine->backend, request, NULL), HS_OK);
}

static struct hs_exit run(struct machine *machine)
{
	struct hs_exit exit;

	assert_int_equal(machine->config.ops->run(machine->backend, &exit, NULL), HS_OK);
	return exit;
}

static struct hs_exit run_armed(struct machine *machine, const struct hs_debug_request *request)
{
	arm(machine, request);
	return run(machine);
}

static void each_config(void (*check)(struct machine *machine))
{
	machine_each(configs, CONFIG_COUNT, check);
}

/* ---- Breakpoints ---- */

static void check_thousand(struct machine *machine)
{
	struct code code = CODE_FOR(machine, ".rept 1000\n inc eax\n .endr");
	struct hs_breakpoint breaks[BREAKS];
	size_t length = code.length / BREAKS;
	struct hs_cpu_state cpu;

	machine_set_code(machine, code);
	machine_load(machine);
	for (size_t i = 0; i < BREAKS; i++) {
		/* 7 and 1000 have no common factor: all of them, in no order. */
		breaks[i] = (struct hs_breakpoint){ .gva = hs_gva_of(MACHINE_CODE + i * 7 % BREAKS * length) };
	}
	for (size_t i = 0; i < BREAKS; i++) {
		struct hs_debug_request all = { .breaks = breaks, .break_count = BREAKS };
		struct hs_debug_request step = { .step = true };

		assert_int_equal(run_armed(machine, &all).kind, HS_EXIT_BREAK);
		machine_read(machine, &cpu);
		assert_int_equal(cpu.rip, MACHINE_CODE + i * length);
		assert_int_equal(cpu.gpr[HS_RAX], i);
		assert_int_equal(run_armed(machine, &step).kind, HS_EXIT_STEPPED);
	}
	machine_read(machine, &cpu);
	assert_int_equal(cpu.gpr[HS_RAX], BREAKS);
}

static void test_breaks_thousand_each_hit_once_in_order(void **state)
{
	(void)state;
	each_config(check_thousand);
}

/* A loop has been running from the decoded code before the breakpoint comes. */
static void check_late_break(struct machine *machine)
{
	struct hs_breakpoint at = { .gva = hs_gva_of(MACHINE_CODE) };
	struct hs_debug_request thousand = { .step = true, .instructions = 1000 };
	struct hs_debug_request broken = { .breaks = &at, .break_count = 1 };
	struct hs_cpu_state cpu;

	machine_set_code(machine, CODE_FOR(machine, "1: inc eax\n jmp 1b"));
	machine_load(machine);
	assert_int_equal(run_armed(machine, &thousand).kind, HS_EXIT_STEPPED);
	/* The list lies where it lay, with something else in it. */
	at.gva = hs_gva_of(MACHINE_CODE + 0x100);
	arm(machine, &broken);
	at.gva = hs_gva_of(MACHINE_CODE);
	thousand.instructions = 1;
	assert_int_equal(run_armed(machine, &thousand).kind, HS_EXIT_STEPPED);
	assert_int_equal(run_armed(machine, &broken).kind, HS_EXIT_BREAK);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.rip, MACHINE_CODE);
	assert_int_equal(cpu.gpr[HS_RAX], 501);
	assert_int_equal(run_armed(machine, &broken).kind, HS_EXIT_BREAK);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.gpr[HS_RAX], 501);
}

static void test_break_set_in_running_loop_is_hit(void **state)
{
	(void)state;
	each_config(check_late_break);
}

/* Whoever steps once from a breakpoint on a rep goes on with it, and is stopped when he comes back. */
static void check_break_on_rep(struct machine *machine)
{
	struct hs_breakpoint at = { .gva = hs_gva_of(MACHINE_CODE) };
	struct hs_debug_request broken = { .breaks = &at, .break_count = 1 };
	struct hs_debug_request step = { .step = true };
	struct hs_cpu_state cpu;

	machine_set_code(machine, CODE_FOR(machine, "1: rep stosb\n mov ecx, 2\n jmp 1b"));
	machine->cpu.gpr[HS_RCX] = 5;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA;
	machine_load(machine);
	assert_int_equal(run_armed(machine, &broken).kind, HS_EXIT_BREAK);
	assert_int_equal(run_armed(machine, &step).kind, HS_EXIT_STEPPED);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.rip, MACHINE_CODE);
	assert_int_equal(cpu.gpr[HS_RCX], 4);
	assert_int_equal(run_armed(machine, &broken).kind, HS_EXIT_BREAK);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.gpr[HS_RCX], 2);
	assert_int_equal(cpu.gpr[HS_RDI], MACHINE_DATA + 5);
}

static void test_break_on_rep_is_hit_once_a_visit(void **state)
{
	(void)state;
	each_config(check_break_on_rep);
}

/* ---- Watchpoints ---- */

/* Run code with ebx as given and one watchpoint; true when it was hit, with the registers behind the instruction. */
static bool hits(struct machine *machine, struct code code, uint64_t rbx, struct hs_breakpoint watch)
{
	struct hs_debug_request request = { .watches = &watch, .watch_count = 1 };
	struct hs_cpu_state cpu;
	struct hs_exit exit;

	machine_set_code(machine, code);
	machine->cpu.gpr[HS_RBX] = rbx;
	machine_load(machine);
	exit = run_armed(machine, &request);
	machine_read(machine, &cpu);
	if (exit.kind != HS_EXIT_WATCH) {
		return false;
	}
	assert_int_equal(exit.watch, 0);
	assert_int_equal(cpu.rip, MACHINE_CODE + code.length);
	return true;
}

/* 1, 2 and 4 bytes written, read, and both; everywhere around the ends of the watchpoint. */
static void check_edges(struct machine *machine, uint64_t start, uint64_t length)
{
	const struct {
		struct code code;
		unsigned int bytes;
		bool reads, writes;
	} accesses[] = {
		{ CODE_FOR(machine, "mov [ebx], al"), 1, false, true },
		{ CODE_FOR(machine, "mov [ebx], ax"), 2, false, true },
		{ CODE_FOR(machine, "mov [ebx], eax"), 4, false, true },
		{ CODE_FOR(machine, "mov eax, [ebx]"), 4, true, false },
		{ CODE_FOR(machine, "cmp byte ptr [ebx], 0"), 1, true, false },
		{ CODE_FOR(machine, "add [ebx], eax"), 4, true, true },
	};
	static const enum hs_break_kind kinds[] = { HS_WATCH_WRITE, HS_WATCH_READ, HS_WATCH_ACCESS };

	for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
		for (size_t k = 0; k < 3; k++) {
			struct hs_breakpoint watch = { kinds[k], hs_gva_of(start), length, 0 };
			bool wanted = (kinds[k] != HS_WATCH_READ && accesses[i].writes) ||
				      (kinds[k] != HS_WATCH_WRITE && accesses[i].reads);

			for (int64_t at = -4; at <= 4; at++) {
				uint64_t gva = start + length + (uint64_t)at;
				bool overlaps = gva < start + length && start < gva + accesses[i].bytes;

				assert_int_equal(hits(machine, accesses[i].code, gva, watch), wanted && overlaps);
				gva = start + (uint64_t)at;
				overlaps = gva < start + length && start < gva + accesses[i].bytes;
				assert_int_equal(hits(machine, accesses[i].code, gva, watch), wanted && overlaps);
			}
		}
	}
}

static void check_watches(struct machine *machine)
{
	check_edges(machine, MACHINE_DATA + 0x10, 4);
	check_edges(machine, MACHINE_DATA + 0x13, 1);
	check_edges(machine, MACHINE_DATA + 0xFFD, 7); /* across two pages */
	check_edges(machine, MACHINE_DATA + 0x1000, 0x1000);
	check_edges(machine, MACHINE_DATA + 0x100, 0x10000); /* 64 KiB */
}

static void test_watch_edges_of_all_kinds_hit_what_overlaps(void **state)
{
	(void)state;
	each_config(check_watches);
}

/* Stores to the same page have made its translation known before it is watched. */
static void check_late_watch(struct machine *machine)
{
	struct hs_breakpoint watch = { HS_WATCH_WRITE, hs_gva_of(MACHINE_DATA + 0x200), 4, 0 };
	struct hs_debug_request some = { .step = true, .instructions = 100 };
	struct hs_debug_request watched = { .watches = &watch, .watch_count = 1 };
	struct hs_cpu_state cpu;

	machine_set_code(machine, CODE_FOR(machine, "1: mov [ebx], eax\n add ebx, 4\n jmp 1b"));
	machine->cpu.gpr[HS_RBX] = MACHINE_DATA;
	machine_load(machine);
	assert_int_equal(run_armed(machine, &some).kind, HS_EXIT_STEPPED);
	assert_int_equal(run_armed(machine, &watched).kind, HS_EXIT_WATCH);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.gpr[HS_RBX], MACHINE_DATA + 0x200);
}

static void test_watch_set_in_running_loop_is_hit(void **state)
{
	(void)state;
	each_config(check_late_watch);
}

static void check_string_and_stack(struct machine *machine)
{
	struct hs_breakpoint data = { HS_WATCH_WRITE, hs_gva_of(MACHINE_DATA + 10), 1, 0 };
	struct hs_breakpoint stack = { HS_WATCH_WRITE, hs_gva_of(MACHINE_STACK - 4), 4, 0 };
	struct hs_debug_request request = { .watches = &data, .watch_count = 1 };
	struct hs_cpu_state cpu;

	machine_set_code(machine, CODE_FOR(machine, "rep stosb"));
	machine->cpu.gpr[HS_RCX] = 50;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA;
	machine_load(machine);
	assert_int_equal(run_armed(machine, &request).kind, HS_EXIT_WATCH);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.gpr[HS_RCX], 39);
	assert_int_equal(cpu.gpr[HS_RDI], MACHINE_DATA + 11);
	assert_int_equal(cpu.rip, MACHINE_CODE);
	assert_int_equal(run(machine).kind, HS_EXIT_HLT);

	request.watches = &stack;
	machine_set_code(machine, CODE_FOR(machine, "call 1f\n1: .byte 0x58\n hlt"));
	machine_load(machine);
	assert_int_equal(run_armed(machine, &request).kind, HS_EXIT_WATCH);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.rip, MACHINE_CODE + 5);
	stack.kind = HS_WATCH_READ;
	assert_int_equal(run_armed(machine, &request).kind, HS_EXIT_WATCH);
	machine_read(machine, &cpu);
	assert_int_equal(cpu.rip, MACHINE_CODE + 6);
}

static void test_watch_in_string_and_stack_stops_behind_the_access(void **state)
{
	(void)state;
	each_config(check_string_and_stack);
}

/* movs reads a watched place, then its store faults: it has not happened. */
static void check_fault_is_no_touch(struct machine *machine)
{
	struct hs_breakpoint watch = { HS_WATCH_ACCESS, hs_gva_of(MACHINE_DATA), 4, 0 };
	struct hs_debug_request request = { .watches = &watch, .watch_count = 1 };
	struct machine_stop stop;

	if (machine->config.format == HS_PAGING_NONE) {
		return;
	}
	machine_set_code(machine, CODE_FOR(machine, "movsd"));
	machine_change_entry(machine, MACHINE_DATA + 0x1000, 1, 0);
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA + 0x1000;
	machine_load(machine);
	arm(machine, &request);
	machine_run(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.vector, 14);
	machine_change_entry(machine, MACHINE_DATA + 0x1000, 0, 1);
	machine_start(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_EXIT);
	assert_int_equal(stop.exit.kind, HS_EXIT_WATCH);
}

static void test_watch_touched_by_faulting_instruction_is_not_hit(void **state)
{
	(void)state;
	each_config(check_fault_is_no_touch);
}

/* outs reads what is watched; the port's exit comes first. Who takes the watchpoint away meanwhile is not told. */
static void check_port_and_watch(struct machine *machine)
{
	struct hs_breakpoint watch = { HS_WATCH_READ, hs_gva_of(MACHINE_DATA), 4, 0 };
	struct hs_debug_request watched = { .watches = &watch, .watch_count = 1 };
	struct hs_debug_request nothing = { .step = false };

	for (unsigned int taken_away = 0; taken_away < 2; taken_away++) {
		machine_set_code(machine, CODE_FOR(machine, "outsd"));
		machine->cpu.rflags = 0x3002; /* IOPL 3 */
		machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
		machine_load(machine);
		assert_int_equal(run_armed(machine, &watched).kind, HS_EXIT_PORT_OUT);
		assert_int_equal(run_armed(machine, taken_away ? &nothing : &watched).kind,
				 taken_away ? HS_EXIT_HLT : HS_EXIT_WATCH);
	}
}

static void test_watch_touched_by_a_port_instruction_comes_behind_its_exit(void **state)
{
	(void)state;
	each_config(check_port_and_watch);
}

/* ---- Counts ---- */

/* Arithmetic, memory, strings and a call; 0x50 and 0x5a are push and pop of a whole register. */
#define PROGRAM                                                                                                        \
	"1: imul eax, eax, 0x19660d\n add eax, 0x3c6ef35f\n mov edi, 0x10000\n mov esi, 0x12000\n"                     \
	" mov ecx, eax\n and ecx, 15\n rep movsb\n mov [edi], eax\n xor [edi + 5], ax\n"                               \
	" call 2f\n .byte 0x50, 0x5a\n cmp al, dl\n setc bl\n ror ebx, 3\n jmp 1b\n"                                   \
	"2: test al, 8\n jz 3f\n bswap eax\n3: ret"

#define COUNT 3000u

static void start_program(struct machine *machine)
{
	machine_set_code(machine, CODE_FOR(machine, PROGRAM));
	for (unsigned int i = 0; i < 0x3000; i++) {
		*machine_at(machine, MACHINE_DATA + i) = (uint8_t)(i * 7);
	}
	machine_load(machine);
}

static void assert_same_cpu(struct machine *machine, const struct hs_cpu_state *expected)
{
	const struct state_rules rules = { .rflags = ~UINT64_C(0) };
	struct hs_cpu_state cpu;
	char text[300];
	const char *difference;

	machine_read(machine, &cpu);
	difference = state_difference(&cpu, expected, &rules, text, sizeof(text));
	if (difference) {
		fail_msg("%s", difference);
	}
}

/* In one go; a step at a time; in parts of every size. */
static void check_counts(struct machine *machine)
{
	struct hs_debug_request request = { .step = true, .instructions = COUNT };
	struct hs_cpu_state expected;
	uint8_t *memory, *now;

	start_program(machine);
	assert_int_equal(run_armed(machine, &request).kind, HS_EXIT_STEPPED);
	machine_read(machine, &expected);
	memory = machine_copy_memory(machine);

	start_program(machine);
	request.instructions = 0; /* means 1 */
	for (unsigned int i = 0; i < COUNT; i++) {
		assert_int_equal(run_armed(machine, &request).kind, HS_EXIT_STEPPED);
	}
	assert_same_cpu(machine, &expected);
	now = machine_copy_memory(machine);
	assert_int_equal(machine_compare_memory(machine, memory, now, 0, 0), MACHINE_BYTES);
	free(now);

	start_program(machine);
	for (unsigned int left = COUNT, part = 1; left > 0; left -= part, part++) {
		part = part < left ? part : left;
		request.instructions = part;
		assert_int_equal(run_armed(machine, &request).kind, HS_EXIT_STEPPED);
	}
	assert_same_cpu(machine, &expected);
	now = machine_copy_memory(machine);
	assert_int_equal(machine_compare_memory(machine, memory, now, 0, 0), MACHINE_BYTES);
	free(now);
	free(memory);
}

static void test_run_of_n_is_n_steps(void **state)
{
	(void)state;
	each_config(check_counts);
}

/* ---- Interrupts ---- */

static void *interrupt_soon(void *ctx)
{
	struct machine *machine = ctx;
	const volatile uint8_t *seen = machine_at(machine, MACHINE_DATA);

	while (!*seen) {
		/* The guest has not begun. */
	}
	machine->config.ops->interrupt(machine->backend);
	return NULL;
}

static void check_interrupt(struct machine *machine)
{
	struct hs_debug_request nothing = { .step = false };
	struct hs_cpu_state before;
	pthread_t thread;

	machine_set_code(machine, CODE_FOR(machine, "mov byte ptr [ebx], 1\n1: inc eax\n jmp 1b"));
	machine->cpu.gpr[HS_RBX] = MACHINE_DATA;
	machine_load(machine);
	arm(machine, &nothing);
	assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, machine), 0);
	assert_int_equal(run(machine).kind, HS_EXIT_INTERRUPTED);
	assert_int_equal(pthread_join(thread, NULL), 0);

	machine_read(machine, &before);
	machine->config.ops->interrupt(machine->backend);
	assert_int_equal(run(machine).kind, HS_EXIT_INTERRUPTED);
	assert_same_cpu(machine, &before);
	nothing.step = true;
	assert_int_equal(run_armed(machine, &nothing).kind, HS_EXIT_STEPPED);
}

static void test_interrupt_stops_a_loop_and_the_next_run_at_once(void **state)
{
	(void)state;
	each_config(check_interrupt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_breaks_thousand_each_hit_once_in_order),
		cmocka_unit_test(test_break_set_in_running_loop_is_hit),
		cmocka_unit_test(test_break_on_rep_is_hit_once_a_visit),
		cmocka_unit_test(test_watch_edges_of_all_kinds_hit_what_overlaps),
		cmocka_unit_test(test_watch_set_in_running_loop_is_hit),
		cmocka_unit_test(test_watch_in_string_and_stack_stops_behind_the_access),
		cmocka_unit_test(test_watch_touched_by_faulting_instruction_is_not_hit),
		cmocka_unit_test(test_watch_touched_by_a_port_instruction_comes_behind_its_exit),
		cmocka_unit_test(test_run_of_n_is_n_steps),
		cmocka_unit_test(test_interrupt_stops_a_loop_and_the_next_run_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
