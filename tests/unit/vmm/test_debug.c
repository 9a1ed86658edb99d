/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/debug: which way each breakpoint is had from which abilities, and that planting leaves no trace. */
#include "debug_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_debug_planted_byte_is_there_only_while_armed(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	debug_scene_put_byte(scene, MEMORY + 16, 0x55);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY + 16, 1), HS_OK);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY + 16), 0x55);
	debug_scene_arm(scene);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY + 16), 0xCC);
	assert_true(scene->request.planted);
	hs_debug_disarm(&scene->debug, &scene->phys);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY + 16), 0x55);
	assert_true(debug_scene_was_planted(scene, MEMORY + 16));
	assert_false(debug_scene_was_planted(scene, MEMORY + 17));
}

static void test_debug_step_is_armed_but_for_its_own_address_and_watchpoints(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	debug_scene_put_byte(scene, MEMORY, 0x55);
	debug_scene_put_byte(scene, MEMORY + 16, 0x66);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY, 1), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY + 16, 1), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, MEMORY + 32, 4), HS_OK);
	scene->cpu.rip = MEMORY;
	assert_int_equal(hs_debug_arm(&scene->debug, &scene->phys, &scene->cpu, true, &scene->request, NULL), HS_OK);
	scene->cpu.rip = 0;
	assert_true(scene->request.step);
	assert_int_equal(scene->request.watch_count, 0);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY), 0x55);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY + 16), 0xCC);
	hs_debug_disarm(&scene->debug, &scene->phys);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY + 16), 0x66);
}

static void test_debug_what_the_guest_wrote_over_a_planted_byte_stays(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	debug_scene_put_byte(scene, MEMORY, 0x55);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY, 1), HS_OK);
	debug_scene_arm(scene);
	debug_scene_put_byte(scene, MEMORY, 0x90);
	hs_debug_disarm(&scene->debug, &scene->phys);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY), 0x90);
}

static void test_debug_two_kinds_at_one_address_plant_once_and_restore(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_nested;
	debug_scene_put_byte(scene, MEMORY, 0x55);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY, 1), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_HARDWARE, MEMORY, 1), HS_OK);
	debug_scene_arm(scene);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY), 0xF4);
	hs_debug_disarm(&scene->debug, &scene->phys);
	assert_int_equal(debug_scene_byte_at(scene, MEMORY), 0x55);
	assert_int_equal(debug_scene_removal(scene, HS_BREAK_SOFTWARE, MEMORY, 1), HS_OK);
	assert_non_null(debug_scene_at(scene, MEMORY));
	assert_int_equal(debug_scene_removal(scene, HS_BREAK_HARDWARE, MEMORY, 1), HS_OK);
	assert_null(debug_scene_at(scene, MEMORY));
}

static void test_debug_hardware_breakpoint_at_address_zero_is_kept(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_HARDWARE, 0, 1), HS_OK);
	debug_scene_arm(scene);
	assert_int_equal(scene->request.break_count, 1);
	assert_int_equal(scene->request.breaks[0].gva.v, 0);
}

static void test_debug_each_kind_of_kvm_gets_its_way(void **state)
{
	static const struct {
		const struct hs_backend_abilities *abilities;
		size_t breaks, watches, planted;
		bool steps;
	} cases[] = {
		{ &debug_scene_hardware, 1, 1, 1, false },
		{ &debug_scene_pvm, 1, 0, 1, true },
		{ &debug_scene_nested, 0, 0, 2, true },
		{ &debug_scene_own, 2, 1, 0, false },
	};
	struct scene *scene = *state;

	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY, 1), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_HARDWARE, MEMORY + 1, 1), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, MEMORY + 8, 8), HS_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		scene->debug.abilities = *cases[i].abilities;
		assert_int_equal(hs_debug_needs_steps(&scene->debug), cases[i].steps);
		if (cases[i].steps) {
			/* A list that needs steps is never armed with its watchpoints. */
			assert_int_equal(debug_scene_removal(scene, HS_WATCH_WRITE, MEMORY + 8, 8), HS_OK);
			assert_false(hs_debug_needs_steps(&scene->debug));
		}
		debug_scene_arm(scene);
		assert_int_equal(scene->request.break_count, cases[i].breaks);
		assert_int_equal(scene->debug.planted_count, cases[i].planted);
		hs_debug_disarm(&scene->debug, &scene->phys);
		if (cases[i].steps) {
			assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, MEMORY + 8, 8), HS_OK);
		} else {
			assert_int_equal(scene->request.watch_count, cases[i].watches);
		}
	}
}

static void test_debug_fifth_hardware_breakpoint_is_refused(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_hardware;
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(debug_scene_insert(scene, HS_BREAK_HARDWARE, MEMORY + i, 1), HS_OK);
	}
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_ACCESS, MEMORY + 8, 4), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_HARDWARE, MEMORY + 4, 1), HS_ERR_EXHAUSTED);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_HARDWARE, MEMORY + 1, 1),
			 HS_OK); /* the same again counts once */
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY + 4, 1), HS_OK);
	assert_int_equal(debug_scene_removal(scene, HS_WATCH_ACCESS, MEMORY + 8, 4), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_HARDWARE, MEMORY + 4, 1), HS_OK);
}

static void test_debug_watch_that_no_register_can_hold_needs_steps(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_hardware;
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, MEMORY + 8, 8), HS_OK);
	assert_false(hs_debug_needs_steps(&scene->debug));
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_READ, MEMORY + 8, 8), HS_OK);
	assert_true(hs_debug_needs_steps(&scene->debug));
	assert_int_equal(debug_scene_removal(scene, HS_WATCH_READ, MEMORY + 8, 8), HS_OK);
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, MEMORY + 2, 4), HS_OK);
	assert_true(hs_debug_needs_steps(&scene->debug));
}

static void test_debug_bad_requests_change_nothing(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_hardware;
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, 0x100000, 1), HS_ERR_UNREADABLE);
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, MEMORY, 0), HS_ERR_RANGE);
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, UINT64_MAX, 2), HS_ERR_RANGE);
	assert_int_equal(debug_scene_removal(scene, HS_BREAK_SOFTWARE, MEMORY, 1), HS_ERR_NOT_FOUND);
	assert_int_equal(scene->debug.count, 0);
	for (uint64_t i = 0; i < HS_DEBUG_MAX; i++) {
		assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY + i, 1), HS_OK);
	}
	assert_int_equal(debug_scene_insert(scene, HS_BREAK_SOFTWARE, MEMORY + HS_DEBUG_MAX, 1), HS_ERR_EXHAUSTED);
}

static void test_debug_touched_tells_reads_from_writes_and_counts_iterations(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn = { .length = 2, .repeats = true, .access_count = 2 };

	insn.accesses[0] = (struct hs_insn_access){ 0x6000, 4, false, true };
	insn.accesses[1] = (struct hs_insn_access){ 0x5000, 4, true, false };
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, 0x6008, 1), HS_OK);
	assert_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 2, false)); /* 0x6000..0x6007 */
	assert_non_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 3, false));
	assert_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 3, true)); /* downwards from 0x6000 */
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, 0x5ff8, 1), HS_OK);
	assert_non_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 3, true));
	scene->debug.count = 0;
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_WRITE, 0x5000, 4), HS_OK);
	assert_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 1, false)); /* that one is a read */
	assert_int_equal(debug_scene_insert(scene, HS_WATCH_READ, 0x5000, 4), HS_OK);
	assert_int_equal(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 1, false)->kind, HS_WATCH_READ);
	assert_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 0, false)); /* rcx was 0: nothing happened */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_debug_planted_byte_is_there_only_while_armed, debug_scene_setup,
						debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_step_is_armed_but_for_its_own_address_and_watchpoints,
						debug_scene_setup, debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_what_the_guest_wrote_over_a_planted_byte_stays,
						debug_scene_setup, debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_two_kinds_at_one_address_plant_once_and_restore,
						debug_scene_setup, debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_hardware_breakpoint_at_address_zero_is_kept,
						debug_scene_setup, debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_each_kind_of_kvm_gets_its_way, debug_scene_setup,
						debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_fifth_hardware_breakpoint_is_refused, debug_scene_setup,
						debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_watch_that_no_register_can_hold_needs_steps,
						debug_scene_setup, debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_bad_requests_change_nothing, debug_scene_setup,
						debug_scene_teardown),
		cmocka_unit_test_setup_teardown(test_debug_touched_tells_reads_from_writes_and_counts_iterations,
						debug_scene_setup, debug_scene_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
