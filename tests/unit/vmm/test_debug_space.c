/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/debug: breakpoints belong to address spaces, and what the CPU runs into does not. */
#include "base/bytes.h"
#include "debug_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/*
 * Spaces: 4 MiB pages alone (CR4.PSE), so that a directory at gpa N is all that a space has. Each maps the memory, at
 * its address, and CODE: the first space and the second the same frame, the third another.
 */
#define CODE 0x400000u
#define DIRECTORY_1 0x2000u
#define DIRECTORY_2 0x3000u
#define DIRECTORY_3 0x4000u
#define UNNAMED 0x5000u
#define LARGE_PAGE 0x83u /* P, RW, PS (SDM vol. 3A table 4-4) */

static void put_directory(struct scene *scene, uint64_t directory, uint64_t code_gpa)
{
	uint8_t entries[8];

	hs_put_le32(entries, LARGE_PAGE);
	hs_put_le32(entries + 4, (uint32_t)code_gpa | LARGE_PAGE);
	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(directory), entries, sizeof(entries), NULL),
			 HS_OK);
}

static void go_to(struct scene *scene, uint64_t directory)
{
	scene->cpu.cr3 = directory;
}

static struct hs_root root_of(struct scene *scene, uint64_t directory)
{
	struct hs_cpu_state cpu = scene->cpu;
	struct hs_root root;

	cpu.cr3 = directory;
	hs_root_of_cpu(&cpu, &root);
	return root;
}

static int setup_spaces(void **state)
{
	struct hs_root roots[3];
	struct scene *scene;

	debug_scene_setup(state);
	scene = *state;
	assert_int_equal(hs_ram_add(&scene->ram, hs_gpa_of(0x3000), 0x4000, NULL, NULL), HS_OK);
	assert_int_equal(hs_ram_add(&scene->ram, hs_gpa_of(CODE), 0x1000, NULL, NULL), HS_OK);
	assert_int_equal(hs_ram_add(&scene->ram, hs_gpa_of(2 * CODE), 0x1000, NULL, NULL), HS_OK);
	put_directory(scene, DIRECTORY_1, CODE);
	put_directory(scene, DIRECTORY_2, CODE);
	put_directory(scene, DIRECTORY_3, 2 * CODE);
	put_directory(scene, UNNAMED, 2 * CODE);
	scene->cpu.cr0 |= 1u << 31;
	scene->cpu.cr4 |= 1u << 4;
	roots[0] = root_of(scene, DIRECTORY_1);
	roots[1] = root_of(scene, DIRECTORY_2);
	roots[2] = root_of(scene, DIRECTORY_3);
	assert_int_equal(hs_debug_spaces_set(&scene->debug.spaces, roots, 3, NULL), HS_OK);
	go_to(scene, DIRECTORY_1);
	debug_scene_put_byte(scene, CODE + 16, 0x55);
	debug_scene_put_byte(scene, 2 * CODE + 16, 0x66);
	return 0;
}

static int teardown_spaces(void **state)
{
	hs_debug_spaces_deinit(&((struct scene *)*state)->debug.spaces);
	return debug_scene_teardown(state);
}

static enum hs_status insert_in(struct scene *scene, enum hs_break_kind kind, uint64_t gva, uint32_t space)
{
	const struct hs_breakpoint breakpoint = { kind, hs_gva_of(gva), 4, space };

	return hs_debug_insert(&scene->debug, &breakpoint, &scene->phys, &scene->cpu, NULL);
}

static enum hs_status removal_in(struct scene *scene, enum hs_break_kind kind, uint64_t gva, uint32_t space)
{
	const struct hs_breakpoint breakpoint = { kind, hs_gva_of(gva), 4, space };

	return hs_debug_remove(&scene->debug, &breakpoint, NULL);
}

static void test_debug_frame_of_two_spaces_is_planted_once(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 16, 1), HS_OK);
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 16, 2), HS_OK);
	debug_scene_arm(scene);
	assert_int_equal(scene->debug.planted_count, 1);
	assert_int_equal(debug_scene_byte_at(scene, CODE + 16), 0xCC);
	assert_int_equal(debug_scene_byte_at(scene, 2 * CODE + 16), 0x66);
	hs_debug_disarm(&scene->debug, &scene->phys);
	assert_int_equal(debug_scene_byte_at(scene, CODE + 16), 0x55);
}

static void test_debug_breakpoint_is_planted_in_its_space_wherever_the_cpu_is(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 16, 3), HS_OK);
	debug_scene_arm(scene);
	assert_int_equal(debug_scene_byte_at(scene, CODE + 16), 0x55);
	assert_int_equal(debug_scene_byte_at(scene, 2 * CODE + 16), 0xCC);
	assert_false(debug_scene_was_planted(scene, CODE + 16));
	go_to(scene, DIRECTORY_3);
	assert_true(debug_scene_was_planted(scene, CODE + 16));
	hs_debug_disarm(&scene->debug, &scene->phys);
	assert_int_equal(debug_scene_byte_at(scene, 2 * CODE + 16), 0x66);
}

static void test_debug_hit_counts_in_the_space_that_asked_alone(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 16, 2), HS_OK);
	debug_scene_arm(scene);
	hs_debug_disarm(&scene->debug, &scene->phys);
	/* The byte is in the frame of both. */
	assert_true(debug_scene_was_planted(scene, CODE + 16));
	assert_null(debug_scene_at(scene, CODE + 16));
	go_to(scene, DIRECTORY_2);
	assert_true(debug_scene_was_planted(scene, CODE + 16));
	assert_non_null(debug_scene_at(scene, CODE + 16));
}

static void test_debug_step_leaves_out_the_byte_where_the_cpu_stands_in_any_space(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 16, 2), HS_OK);
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 16, 3), HS_OK);
	scene->cpu.rip = CODE + 16;
	assert_int_equal(hs_debug_arm(&scene->debug, &scene->phys, &scene->cpu, true, &scene->request, NULL), HS_OK);
	assert_int_equal(debug_scene_byte_at(scene, CODE + 16), 0x55);
	assert_int_equal(debug_scene_byte_at(scene, 2 * CODE + 16), 0xCC);
	hs_debug_disarm(&scene->debug, &scene->phys);
}

static void test_debug_unnamed_root_is_of_the_first_space(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 16, 1), HS_OK);
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 17, 2), HS_OK);
	go_to(scene, UNNAMED);
	assert_non_null(debug_scene_at(scene, CODE + 16));
	assert_null(debug_scene_at(scene, CODE + 17));
	/* It may go to the root with the number meanwhile. */
	debug_scene_arm(scene);
	assert_int_equal(debug_scene_byte_at(scene, CODE + 16), 0xCC);
	assert_int_equal(debug_scene_byte_at(scene, 2 * CODE + 16), 0xCC);
	hs_debug_disarm(&scene->debug, &scene->phys);
}

static void test_debug_register_is_shared_by_spaces(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_hardware;
	for (uint32_t space = 1; space <= 3; space++) {
		assert_int_equal(insert_in(scene, HS_BREAK_HARDWARE, CODE, space), HS_OK);
		assert_int_equal(insert_in(scene, HS_WATCH_WRITE, CODE + 64, space), HS_OK);
	}
	assert_int_equal(insert_in(scene, HS_BREAK_HARDWARE, CODE + 1, 1), HS_OK);
	assert_int_equal(insert_in(scene, HS_BREAK_HARDWARE, CODE + 2, 2), HS_OK);
	assert_int_equal(insert_in(scene, HS_BREAK_HARDWARE, CODE + 3, 3), HS_ERR_EXHAUSTED);
	assert_int_equal(insert_in(scene, HS_BREAK_HARDWARE, CODE + 2, 3), HS_OK);
	debug_scene_arm(scene);
	assert_int_equal(scene->request.break_count, 3);
	assert_int_equal(scene->request.watch_count, 1);
	assert_int_equal(removal_in(scene, HS_WATCH_WRITE, CODE + 64, 1), HS_OK);
	assert_null(hs_debug_watch_of(&scene->debug, &scene->request.watches[0], &scene->cpu));
	go_to(scene, DIRECTORY_3);
	assert_int_equal(hs_debug_watch_of(&scene->debug, &scene->request.watches[0], &scene->cpu)->space, 3);
}

static void test_debug_stepped_watch_counts_in_its_space_alone(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn = { .length = 2, .access_count = 1 };

	insn.accesses[0] = (struct hs_insn_access){ CODE + 64, 4, false, true };
	assert_int_equal(insert_in(scene, HS_WATCH_WRITE, CODE + 64, 2), HS_OK);
	assert_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 1, false));
	go_to(scene, DIRECTORY_2);
	assert_non_null(hs_debug_touched(&scene->debug, &insn, &scene->cpu, 1, false));
}

static void test_debug_removal_is_of_one_space_or_of_all(void **state)
{
	struct scene *scene = *state;

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE, 1), HS_OK);
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE, 2), HS_OK);
	assert_int_equal(removal_in(scene, HS_BREAK_SOFTWARE, CODE, 3), HS_ERR_NOT_FOUND);
	assert_int_equal(removal_in(scene, HS_BREAK_SOFTWARE, CODE, 1), HS_OK);
	assert_null(debug_scene_at(scene, CODE));
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE, 1), HS_OK);
	assert_int_equal(removal_in(scene, HS_BREAK_SOFTWARE, CODE, 0), HS_OK);
	assert_int_equal(scene->debug.count, 0);
	/* One of every space goes by whatever space asks. */
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE, 0), HS_OK);
	assert_int_equal(removal_in(scene, HS_BREAK_SOFTWARE, CODE, 2), HS_OK);
	assert_int_equal(scene->debug.count, 0);
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE, 1), HS_OK);
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE + 1, 2), HS_OK);
	hs_debug_clear_space(&scene->debug, 1);
	assert_int_equal(scene->debug.count, 1);
	assert_int_equal(scene->debug.list[0].space, 2);
}

static void test_debug_space_that_is_gone_plants_nothing(void **state)
{
	struct scene *scene = *state;
	struct hs_root first = root_of(scene, DIRECTORY_1);

	scene->debug.abilities = debug_scene_pvm;
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE, 4), HS_ERR_UNREADABLE);
	assert_int_equal(insert_in(scene, HS_BREAK_SOFTWARE, CODE, 2), HS_OK);
	assert_int_equal(hs_debug_spaces_set(&scene->debug.spaces, &first, 1, NULL), HS_OK);
	debug_scene_arm(scene);
	assert_int_equal(scene->debug.planted_count, 0);
	assert_false(scene->request.planted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_debug_frame_of_two_spaces_is_planted_once, setup_spaces,
						teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_breakpoint_is_planted_in_its_space_wherever_the_cpu_is,
						setup_spaces, teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_hit_counts_in_the_space_that_asked_alone, setup_spaces,
						teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_step_leaves_out_the_byte_where_the_cpu_stands_in_any_space,
						setup_spaces, teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_unnamed_root_is_of_the_first_space, setup_spaces,
						teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_register_is_shared_by_spaces, setup_spaces, teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_stepped_watch_counts_in_its_space_alone, setup_spaces,
						teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_removal_is_of_one_space_or_of_all, setup_spaces,
						teardown_spaces),
		cmocka_unit_test_setup_teardown(test_debug_space_that_is_gone_plants_nothing, setup_spaces,
						teardown_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
