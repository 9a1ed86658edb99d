/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hs_unwind() over memory made here: what tests/core/test_backtrace.py, which has real crashes, cannot have: traps from
 * ring 3, loops, stacks that end, images without symbols. $GUEST is guest/programs/backtrace.c.
 */
#include "arch/regs.h"
#include "base/bytes.h"
#include "symbols/unwind.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CODE 0x10000u
#define STACK 0x20000u
#define FRAMES 16u

/** Two pages: code (calls, all over) and a stack. */
struct scene {
	uint8_t code[256], stack[256];
	size_t stack_bytes; /* that can be read */
	bool is_64;
	struct hs_cpu_state cpu;
	struct hs_symbols *symbols;
	struct hs_unwind_frame frames[FRAMES];
	struct hs_unwind_result result;
};

static bool read_memory(void *context, hs_gva gva, void *ret, size_t length)
{
	const struct scene *scene = context;

	if (gva.v >= STACK && gva.v + length <= STACK + scene->stack_bytes) {
		memcpy(ret, scene->stack + (gva.v - STACK), length);
		return true;
	}
	if (gva.v >= CODE && gva.v + length <= CODE + sizeof(scene->code)) {
		memcpy(ret, scene->code + (gva.v - CODE), length);
		return true;
	}
	return false;
}

/** Functions of the guest by their name: addresses are not known here. */
static uint64_t address_of(struct scene *scene, const char *name)
{
	struct hs_symbol symbol;

	for (uint64_t at = 0x400000; at < 0x410000; at++) {
		if (hs_symbols_lookup(scene->symbols, hs_gva_of(at), &symbol) == HS_OK &&
		    strcmp(symbol.function, name) == 0) {
			return at;
		}
	}
	fail_msg("the guest has no %s", name);
	return 0;
}

static void scene_init(struct scene *scene, bool is_64)
{
	memset(scene, 0, sizeof(*scene));
	hs_cpu_state_init(&scene->cpu);
	scene->is_64 = is_64;
	scene->stack_bytes = sizeof(scene->stack);
	/* call rel32, 5 bytes each: every fifth address is behind one. */
	for (size_t i = 0; i + 5 <= sizeof(scene->code); i += 5) {
		scene->code[i] = 0xE8;
	}
	scene->cpu.rip = CODE;
	scene->cpu.gpr[HS_RSP] = STACK;
}

static void put(struct scene *scene, unsigned int slot, uint64_t value)
{
	unsigned int word = scene->is_64 ? 8 : 4;

	hs_put_le(scene->stack + (size_t)slot * word, value, word);
}

static uint64_t slot_at(const struct scene *scene, unsigned int slot)
{
	return STACK + (uint64_t)slot * (scene->is_64 ? 8 : 4);
}

static void unwind(struct scene *scene, size_t capacity)
{
	const struct hs_unwind_input input = {
		.arch = scene->is_64 ? HS_ARCH_AMD64 : HS_ARCH_I686,
		.cpu = &scene->cpu,
		.symbols = scene->symbols,
		.memory = { .read = read_memory, .context = scene },
	};

	hs_unwind(&input, scene->frames, capacity, &scene->result);
}

/** A frame pointer that leads to the next, at slot. */
static void link_frame(struct scene *scene, unsigned int slot, unsigned int next, uint64_t return_address)
{
	put(scene, slot, slot_at(scene, next));
	put(scene, slot + 1, return_address);
}

static void test_frame_pointers_lead_on_where_there_are_no_symbols(void **state)
{
	struct scene scene;

	(void)state;
	for (int is_64 = 0; is_64 < 2; is_64++) {
		scene_init(&scene, is_64);
		scene.cpu.gpr[HS_RBP] = slot_at(&scene, 2);
		link_frame(&scene, 2, 6, CODE + 10);
		link_frame(&scene, 6, 9, CODE + 20);
		link_frame(&scene, 9, 0, 0);
		unwind(&scene, FRAMES);
		assert_int_equal(scene.result.count, 3);
		assert_int_equal(scene.result.end, HS_UNWIND_END_OUTERMOST);
		assert_int_equal(scene.frames[0].method, HS_UNWIND_CPU);
		assert_int_equal(scene.frames[1].pc, CODE + 10);
		assert_int_equal(scene.frames[1].method, HS_UNWIND_FRAME_POINTER);
		assert_int_equal(scene.frames[0].cfa, slot_at(&scene, 4));
		assert_int_equal(scene.frames[2].pc, CODE + 20);
		assert_int_equal(scene.frames[1].cfa, slot_at(&scene, 8));
		assert_string_equal(scene.frames[2].symbol.function, "");
		assert_int_equal(scene.frames[1].registers.value[is_64 ? 6 : 5], slot_at(&scene, 6));
		assert_int_equal(scene.frames[1].registers.known >> (is_64 ? 0 : 1) & 1, 0); /* rax, ecx */
	}
}

static void test_frame_pointers_do_not_go_down(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, true);
	scene.cpu.gpr[HS_RBP] = slot_at(&scene, 2);
	link_frame(&scene, 2, 2, CODE + 10);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.end, HS_UNWIND_END_NO_CALLER);
	assert_int_equal(scene.result.count, 2);
	link_frame(&scene, 2, 6, CODE + 10);
	link_frame(&scene, 6, 2, CODE + 20);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.end, HS_UNWIND_END_NO_CALLER);
	assert_int_equal(scene.result.count, 3);
}

static void test_return_addresses_are_behind_a_call_and_in_code(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, true);
	scene.cpu.rip = 0;
	put(&scene, 0, CODE + 10);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.frames[1].method, HS_UNWIND_RETURN_ADDRESS);
	assert_int_equal(scene.frames[1].pc, CODE + 10);
	assert_int_equal(scene.frames[1].registers.value[7], slot_at(&scene, 1));
	put(&scene, 0, CODE + 11);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.count, 1);
	assert_int_equal(scene.result.end, HS_UNWIND_END_NO_CODE);
	assert_int_equal(scene.result.where, 0);
	put(&scene, 0, STACK + 0x1000);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.count, 1);
	/* call [rbx + disp8] and call [rip + disp32] */
	memcpy(scene.code + 100, "\x90\x90\x90\x90\x90\x90\xFF\x53\x08", 9);
	put(&scene, 0, CODE + 109);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.count, 2);
	memcpy(scene.code + 100, "\x90\x90\x90\xFF\x15\x01\x02\x03\x04", 9);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.count, 2);
}

static void test_capacity_is_the_limit(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, true);
	scene.cpu.gpr[HS_RBP] = slot_at(&scene, 2);
	link_frame(&scene, 2, 6, CODE + 10);
	link_frame(&scene, 6, 9, 0);
	unwind(&scene, 1);
	assert_int_equal(scene.result.count, 1);
	assert_int_equal(scene.result.end, HS_UNWIND_END_LIMIT);
	unwind(&scene, 2);
	assert_int_equal(scene.result.count, 2);
	assert_int_equal(scene.result.end, HS_UNWIND_END_OUTERMOST);
}

static void open_guest(struct scene *scene)
{
	int fd = open(getenv("GUEST"), O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(hs_symbols_open(fd, "guest", &scene->symbols, NULL), HS_OK);
	close(fd);
}

static bool is_guest_64(void)
{
	return strstr(getenv("GUEST"), "amd64") != NULL;
}

/** The frame of a trap: vector, error code, ip, cs, flags, and sp, ss as far as they are there. */
static void put_trap(struct scene *scene, unsigned int slot, uint64_t ip, uint64_t cs, uint64_t sp)
{
	const uint64_t words[] = { 14, 0, ip, cs, 2, sp, 0x10 };

	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		put(scene, slot + i, words[i]);
	}
}

static void test_trap_frames_lead_to_the_interrupted_code_of_either_ring(void **state)
{
	(void)state;
	for (unsigned int ring3 = 0; ring3 < 2; ring3++) {
		struct scene scene;

		scene_init(&scene, is_guest_64());
		open_guest(&scene);
		uint64_t crash = address_of(&scene, "crash");

		scene.cpu.rip = address_of(&scene, "hs_trap_report");
		scene.cpu.gpr[HS_RSP] = slot_at(&scene, 4);
		scene.cpu.gpr[HS_RDX] = 0x1234;
		put_trap(&scene, 4, crash, ring3 ? 0x1B : 0x08, 0x5550);
		unwind(&scene, FRAMES);
		const struct hs_unwind_frame *next = &scene.frames[1];

		assert_true(scene.result.count >= 2);
		assert_true(scene.frames[0].is_signal_frame);
		assert_string_equal(scene.frames[0].symbol.function, "hs_trap_report");
		assert_int_equal(next->method, HS_UNWIND_CFI);
		assert_int_equal(next->pc, crash);
		assert_string_equal(next->symbol.function, "crash");
		/* On i686 a trap of the same ring pushes no sp: it is what stood above the frame. */
		uint64_t sp = scene.is_64 || ring3 ? 0x5550 : slot_at(&scene, 9);

		assert_int_equal(next->registers.value[scene.is_64 ? 7 : 4], sp);
		/* Registers that functions do not keep are known behind a trap: rdx or edx. */
		assert_int_equal(next->registers.value[scene.is_64 ? 1 : 2], 0x1234);
		assert_true(next->registers.known >> (scene.is_64 ? 1 : 2) & 1);
		hs_symbols_close(scene.symbols);
	}
}

static void test_frames_that_repeat_are_a_loop(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, is_guest_64());
	open_guest(&scene);
	scene.cpu.rip = address_of(&scene, "hs_trap_report");
	scene.cpu.gpr[HS_RSP] = slot_at(&scene, 4);
	/* From a frame to itself, and from one to the other and back. */
	for (unsigned int next = 4; next <= 12; next += 8) {
		put_trap(&scene, 4, scene.cpu.rip, 0x1B, slot_at(&scene, next));
		put_trap(&scene, 12, scene.cpu.rip, 0x1B, slot_at(&scene, 4));
		unwind(&scene, FRAMES);
		assert_int_equal(scene.result.end, HS_UNWIND_END_LOOP);
		assert_true(scene.result.count < FRAMES);
	}
	hs_symbols_close(scene.symbols);
}

static void test_a_stack_that_ends_is_named(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, is_guest_64());
	open_guest(&scene);
	scene.cpu.rip = address_of(&scene, "crash");
	scene.cpu.gpr[HS_RSP] = slot_at(&scene, 3);
	scene.stack_bytes = slot_at(&scene, 3) - STACK;
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.count, 1);
	assert_int_equal(scene.result.end, HS_UNWIND_END_UNREADABLE);
	assert_int_equal(scene.result.where, slot_at(&scene, 3));
	/* A return address of 0 is the end, too, and a good one. */
	scene.stack_bytes = sizeof(scene.stack);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.end, HS_UNWIND_END_OUTERMOST);
	/* One that is not in code is shown. */
	put(&scene, 3, 0x666);
	unwind(&scene, FRAMES);
	assert_int_equal(scene.result.count, 2);
	assert_int_equal(scene.frames[1].pc, 0x666);
	assert_int_equal(scene.result.end, HS_UNWIND_END_NO_CODE);
	assert_int_equal(scene.result.where, 0x666);
	hs_symbols_close(scene.symbols);
}

static void test_texts_are_there_for_every_value(void **state)
{
	(void)state;
	for (int i = HS_UNWIND_CPU; i <= HS_UNWIND_RETURN_ADDRESS; i++) {
		assert_true(strlen(hs_unwind_method_text((enum hs_unwind_method)i)) > 0);
	}
	for (int i = HS_UNWIND_END_OUTERMOST; i <= HS_UNWIND_END_BROKEN_INFO; i++) {
		assert_true(strlen(hs_unwind_end_text((enum hs_unwind_end)i)) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_pointers_lead_on_where_there_are_no_symbols),
		cmocka_unit_test(test_frame_pointers_do_not_go_down),
		cmocka_unit_test(test_return_addresses_are_behind_a_call_and_in_code),
		cmocka_unit_test(test_capacity_is_the_limit),
		cmocka_unit_test(test_trap_frames_lead_to_the_interrupted_code_of_either_ring),
		cmocka_unit_test(test_frames_that_repeat_are_a_loop),
		cmocka_unit_test(test_a_stack_that_ends_is_named),
		cmocka_unit_test(test_texts_are_there_for_every_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
