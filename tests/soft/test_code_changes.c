/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code that changes while it runs: by itself, through another address, by the host. What has been decoded before must
 * not be seen again, the very next instruction included (SDM vol. 3A 11.6). Each case is run freely and step by step.
 */
#include "code_scene.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* add eax, 7; nop: as a number, and what four nops lack to be it. */
#define ADD_7 0x9007C083u
#define ADD_7_OVER_NOPS (ADD_7 - 0x90909090u)

/* ---- By itself ---- */

static void next_instruction(struct scene *scene)
{
	struct code code = scene_choose(scene, CODE64("mov byte ptr [esi], 5\n add eax, 1"),
					CODE32("mov byte ptr [esi], 5\n add eax, 1"));

	machine_set_code(&scene->machine, code);
	scene->machine.cpu.gpr[HS_RSI] = MACHINE_CODE + code.length - 1;
	scene_start(scene);
	scene_assert_eax(scene, 5);
}

static void test_code_next_instruction_is_the_new_one(void **state)
{
	(void)state;
	scene_everywhere(next_instruction, NULL);
}

/* Five rounds, each with an immediate one higher. */
static void in_a_loop(struct scene *scene)
{
	struct code code = scene_choose(scene, CODE64("3: inc byte ptr [esi]\n add eax, 0\n sub ecx, 1\n jnz 3b"),
					CODE32("3: inc byte ptr [esi]\n add eax, 0\n sub ecx, 1\n jnz 3b"));

	machine_set_code(&scene->machine, code);
	/* Behind the immediate are sub with 3 bytes and jnz with 2. */
	scene->machine.cpu.gpr[HS_RSI] = MACHINE_CODE + code.length - 6;
	scene->machine.cpu.gpr[HS_RCX] = 5;
	scene_start(scene);
	scene_assert_eax(scene, 1 + 2 + 3 + 4 + 5);
}

static void test_code_changed_in_each_round_of_a_loop_is_new_each_time(void **state)
{
	(void)state;
	scene_everywhere(in_a_loop, NULL);
}

/* Every way to store four bytes, over four nops that follow it. */
static void by_every_store(struct scene *scene)
{
	const struct code codes[][2] = {
		{ CODE64("mov [edi], ecx"), CODE32("mov [edi], ecx") },
		{ CODE64("mov dword ptr [edi], 0x9007C083"), CODE32("mov dword ptr [edi], 0x9007C083") },
		{ CODE64("xchg [edi], ecx"), CODE32("xchg [edi], ecx") },
		{ CODE64("add [edi], edx"), CODE32("add [edi], edx") },
		{ CODE64("lock xadd [edi], edx"), CODE32("lock xadd [edi], edx") },
		{ CODE64("mov word ptr [edi], 0xC083\n mov word ptr [edi + 2], 0x9007"),
		  CODE32("mov word ptr [edi], 0xC083\n mov word ptr [edi + 2], 0x9007") },
		{ CODE64("cmpxchg [edi], ecx"), CODE32("cmpxchg [edi], ecx") },
		{ CODE64("movsd"), CODE32("movsd") },
		{ CODE64("movsw\n movsw"), CODE32("movsw\n movsw") },
		{ CODE64("movups xmm0, [esi]\n movups [edi], xmm0"),
		  CODE32("movups xmm0, [esi]\n movups [edi], xmm0") },
		{ CODE64("pop qword ptr [rdi]"), CODE32("pop dword ptr [edi]") },
		{ CODE64("push qword ptr [rsi]\n pop rbx\n mov [rdi], ebx"),
		  CODE32("push dword ptr [esi]\n pop ebx\n mov [edi], ebx") },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct code code = codes[i][scene->is_64 ? 0 : 1];
		struct machine *machine = &scene->machine;
		uint8_t nops[17];

		memset(nops, 0x90, sizeof(nops));
		nops[16] = 0xF4;
		machine_set_code(machine, code);
		machine_put(machine, MACHINE_CODE + code.length, nops, sizeof(nops));
		memset(nops, 0x90, sizeof(nops));
		hs_put_le32(nops, ADD_7);
		machine_put(machine, MACHINE_DATA, nops, 16);
		machine_put(machine, MACHINE_STACK, nops, 8);
		machine->cpu.gpr[HS_RCX] = ADD_7;
		machine->cpu.gpr[HS_RDX] = ADD_7_OVER_NOPS;
		machine->cpu.gpr[HS_RAX] = 0x90909090; /* for cmpxchg */
		machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
		machine->cpu.gpr[HS_RDI] = MACHINE_CODE + code.length;
		scene_start(scene);
		/* Two copies of the addition, where what does not advance leaves the second one to nops. */
		scene_assert_eax(scene, 0x90909097);
	}
}

static void test_code_stored_over_by_every_kind_of_store_is_new(void **state)
{
	(void)state;
	scene_everywhere(by_every_store, NULL);
}

/* What is no instruction may become one by its second byte, also at the end of a page: mov byte ptr [esi], 0xFF; then
 * lock nop, to become lock inc dword ptr [edi]; mov eax, [edi]; hlt. */
static void undefined_before(struct scene *scene)
{
	static const uint8_t code[] = { 0xC6, 0x06, 0xFF, 0xF0, 0x90, 0x07, 0x8B, 0x07, 0xF4 };
	struct machine *machine = &scene->machine;
	uint8_t number[4];

	hs_put_le32(number, 41);
	machine_set_code(machine, scene_choose(scene, CODE64("nop"), CODE32("nop")));
	machine_put(machine, BORDER - sizeof(code), code, sizeof(code));
	machine_put(machine, MACHINE_DATA, number, sizeof(number));
	machine->cpu.rip = BORDER - sizeof(code);
	machine->cpu.gpr[HS_RSI] = BORDER - sizeof(code) + 4;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA;
	scene_start(scene);
	scene_assert_eax(scene, 42);
}

static void test_code_that_was_no_instruction_is_one_now(void **state)
{
	(void)state;
	scene_everywhere(undefined_before, NULL);
}

/* push right over what comes next. */
static void by_push(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	unsigned int word = scene->is_64 ? 8 : 4;
	struct code code =
		scene_choose(scene, CODE64("push rcx\n .fill 8, 1, 0x90"), CODE32("push ecx\n .fill 4, 1, 0x90"));

	machine_set_code(machine, code);
	machine->cpu.gpr[HS_RCX] = scene->is_64 ? UINT64_C(0x9090909000000000) | ADD_7 : ADD_7;
	machine->cpu.gpr[HS_RSP] = MACHINE_CODE + 1 + word;
	scene_start(scene);
	scene_assert_eax(scene, 7);
}

static void test_code_pushed_over_is_new(void **state)
{
	(void)state;
	scene_everywhere(by_push, NULL);
}

/*
 * rep movsb over itself, with nops. It may be interrupted between two rounds (SDM vol. 2B, REP), and what is fetched
 * then is what is there: nop, and a movsb without rep. Or it goes on to its end, as CPUs mostly do.
 */
static void by_rep_movs(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	const uint64_t at = MACHINE_CODE + 0x40;
	uint8_t bytes[32];

	for (unsigned int count = 1; count < 15; count++) {
		uint64_t left;
		uint64_t moved;

		memset(bytes, 0x90, sizeof(bytes));
		machine_put(machine, MACHINE_DATA, bytes, sizeof(bytes));
		memcpy(bytes, "\xF3\xA4", 2);
		bytes[20] = 0xF4;
		machine_put(machine, at, bytes, sizeof(bytes));
		machine->cpu.rip = at;
		machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
		machine->cpu.gpr[HS_RDI] = at - 6;
		machine->cpu.gpr[HS_RCX] = count;
		scene_start(scene);
		assert_int_equal(scene->stop.kind, MACHINE_HLT);
		assert_int_equal(scene->stop.cpu.rip, at + 20);
		left = scene->stop.cpu.gpr[HS_RCX];
		moved = scene->stop.cpu.gpr[HS_RDI] - (at - 6);
		/* Seven rounds reach the prefix, and the movsb that is left makes eight. */
		if (left != 0) {
			assert_true(count >= 8);
			assert_int_equal(left, count - 7);
			assert_int_equal(moved, 8);
		} else {
			assert_int_equal(moved, count);
		}
	}
}

static void test_code_rep_movs_over_itself_goes_on_with_what_is_there(void **state)
{
	(void)state;
	scene_everywhere(by_rep_movs, NULL);
}

/* ---- What has been called before ---- */

/* Call rbx, store cl at rsi, call rdx: eax is the sum. */
static void call_store_call(struct scene *scene, uint64_t first, uint64_t second, uint64_t where, uint8_t value)
{
	struct machine *machine = &scene->machine;

	machine_set_code(machine, scene_choose(scene, CODE64("call rbx\n mov [rsi], cl\n call rdx"),
					       CODE32("call ebx\n mov [esi], cl\n call edx")));
	machine->cpu.gpr[HS_RAX] = 0;
	machine->cpu.gpr[HS_RBX] = first;
	machine->cpu.gpr[HS_RDX] = second;
	machine->cpu.gpr[HS_RSI] = where;
	machine->cpu.gpr[HS_RCX] = value;
	scene_start(scene);
}

static void called_before(struct scene *scene)
{
	machine_put(&scene->machine, CALLED, ADD_RET, 4);
	call_store_call(scene, CALLED, CALLED, CALLED + 2, 7);
	scene_assert_eax(scene, 1 + 7);
}

static void test_code_called_before_and_changed_is_new(void **state)
{
	(void)state;
	scene_everywhere(called_before, NULL);
}

static void across_pages(struct scene *scene)
{
	static const struct {
		uint64_t where;
		uint8_t value;
		uint32_t added;
	} changes[] = {
		{ BORDER_AT, 0x2D, 0 - 0x11223344u }, /* sub instead of add */
		{ BORDER_AT + 1, 0x55, 0x11223355 },
		{ BORDER, 0x55, 0x11225544 },
		{ BORDER + 2, 0x55, 0x55223344 },
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		machine_put(&scene->machine, BORDER_AT, BORDER_CODE, 6);
		call_store_call(scene, BORDER_AT, BORDER_AT, changes[i].where, changes[i].value);
		scene_assert_eax(scene, 0x11223344 + changes[i].added);
	}
}

static void test_code_across_pages_changed_in_either_is_new(void **state)
{
	(void)state;
	scene_everywhere(across_pages, NULL);
}

/* A store that begins in the page before. */
static void by_store_across_pages(struct scene *scene)
{
	struct machine *machine = &scene->machine;

	machine_put(machine, BORDER, ADD_RET, 4);
	machine_set_code(machine, scene_choose(scene, CODE64("call rbx\n mov [rsi], ecx\n call rbx"),
					       CODE32("call ebx\n mov [esi], ecx\n call ebx")));
	machine->cpu.gpr[HS_RBX] = BORDER;
	machine->cpu.gpr[HS_RSI] = BORDER - 1;
	machine->cpu.gpr[HS_RCX] = 0x07C083FF; /* its last three bytes: add eax, 7 */
	scene_start(scene);
	scene_assert_eax(scene, 1 + 7);
}

static void test_code_changed_by_a_store_across_pages_is_new(void **state)
{
	(void)state;
	scene_everywhere(by_store_across_pages, NULL);
}

/* ---- By the host ---- */

static void by_host(struct scene *scene)
{
	static const uint8_t new_value = 9;
	struct machine *machine = &scene->machine;

	machine_put(machine, CALLED, ADD_RET, 4);
	machine_put(machine, BORDER_AT, BORDER_CODE, 6);
	machine_set_code(machine, scene_choose(scene, CODE64("call rbx\n call rdx"), CODE32("call ebx\n call edx")));
	machine->cpu.gpr[HS_RBX] = CALLED;
	machine->cpu.gpr[HS_RDX] = BORDER_AT;
	scene_start(scene);
	scene_assert_eax(scene, 1 + 0x11223344);
	machine_put(machine, CALLED + 2, &new_value, 1);
	scene_start(scene);
	scene_assert_eax(scene, 9 + 0x11223344);
	machine_put(machine, BORDER + 2, &new_value, 1);
	scene_start(scene);
	scene_assert_eax(scene, 9 + 0x09223344);
}

static void test_code_changed_by_the_host_is_new(void **state)
{
	(void)state;
	scene_everywhere(by_host, NULL);
}

/* ---- Two addresses of one frame ---- */

static void through_alias(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	uint64_t here = CALLED;
	uint64_t there = ALIAS + CALLED % HS_PAGE_SIZE;

	machine_map(machine, ALIAS, CALLED & ~0xFFFu, HS_PAGE_SIZE, HS_PROT_WRITE | HS_PROT_EXEC,
		    machine->config.cpl == 3);
	for (int i = 0; i < 8; i++) {
		machine_put(machine, CALLED, ADD_RET, 4);
		call_store_call(scene, i & 1 ? here : there, i & 2 ? here : there, (i & 4 ? here : there) + 2, 7);
		scene_assert_eax(scene, 1 + 7);
	}
}

static void test_code_of_two_addresses_changed_through_either_is_new_at_both(void **state)
{
	(void)state;
	scene_everywhere(through_alias, scene_has_paging);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_next_instruction_is_the_new_one),
		cmocka_unit_test(test_code_changed_in_each_round_of_a_loop_is_new_each_time),
		cmocka_unit_test(test_code_stored_over_by_every_kind_of_store_is_new),
		cmocka_unit_test(test_code_that_was_no_instruction_is_one_now),
		cmocka_unit_test(test_code_pushed_over_is_new),
		cmocka_unit_test(test_code_rep_movs_over_itself_goes_on_with_what_is_there),
		cmocka_unit_test(test_code_called_before_and_changed_is_new),
		cmocka_unit_test(test_code_across_pages_changed_in_either_is_new),
		cmocka_unit_test(test_code_changed_by_a_store_across_pages_is_new),
		cmocka_unit_test(test_code_changed_by_the_host_is_new),
		cmocka_unit_test(test_code_of_two_addresses_changed_through_either_is_new_at_both),
	};

	return cmocka_run_group_tests_name("code_changes", tests, NULL, NULL);
}
