/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/exception_frame: what a CPU pushes comes off again, and what no CPU pushes changes nothing. */
#include "vmm/exception_frame.h"

#include "frame_scene.h"
#include "vmm/boot_tables.h"
#include "vmm/descriptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* What stays as it is when a frame is taken off: all but rip, rflags, rsp and two segments. */
static void assert_rest_unchanged(const struct hs_cpu_state *after, const struct hs_cpu_state *before)
{
	struct hs_cpu_state same = *after;

	same.rip = before->rip;
	same.rflags = before->rflags;
	same.gpr[HS_RSP] = before->gpr[HS_RSP];
	same.seg[HS_CS] = before->seg[HS_CS];
	same.seg[HS_SS] = before->seg[HS_SS];
	assert_memory_equal(&same, before, sizeof(same));
}

static void test_frame_amd64_same_ring(void **state)
{
	const uint64_t words[] = { 14, 0x11, 0xFFFFFFFF80001234, HS_BOOT_CODE, FLAGS, 0x7FFF12345678, HS_BOOT_DATA };
	struct scene scene;
	struct hs_cpu_state before;
	struct hs_exception_frame frame;

	(void)state;
	scene_init(&scene, true);
	scene_put_words(&scene, scene.sp, words, 7);
	before = scene.cpu;
	frame = scene_rewind_good(&scene);
	assert_int_equal(frame.vector, 14);
	assert_true(frame.has_error_code);
	assert_int_equal(frame.error_code, 0x11);
	assert_int_equal(scene.cpu.rip, 0xFFFFFFFF80001234);
	assert_int_equal(scene.cpu.rflags, FLAGS);
	assert_int_equal(scene.cpu.gpr[HS_RSP], 0x7FFF12345678);
	assert_memory_equal(&scene.cpu.seg[HS_CS], &before.seg[HS_CS], sizeof(struct hs_segment));
	assert_memory_equal(&scene.cpu.seg[HS_SS], &before.seg[HS_SS], sizeof(struct hs_segment));
	assert_rest_unchanged(&scene.cpu, &before);
	scene_deinit(&scene);
}

static void test_frame_vector_without_error_code_has_none(void **state)
{
	const uint64_t words[] = { 6, 0x5A, 0x401000, HS_BOOT_CODE, FLAGS, 0x1000, HS_BOOT_DATA };
	struct scene scene;
	struct hs_exception_frame frame;

	(void)state;
	scene_init(&scene, true);
	scene_put_words(&scene, scene.sp, words, 7);
	frame = scene_rewind_good(&scene);
	assert_int_equal(frame.vector, 6);
	assert_false(frame.has_error_code);
	assert_int_equal(frame.error_code, 0);
	scene_deinit(&scene);
}

static void test_frame_amd64_from_ring_3(void **state)
{
	const uint64_t words[] = { 13, 0, 0x401000, HS_BOOT_USER_CODE64 | 3, FLAGS, 0x8000, HS_BOOT_USER_DATA | 3 };
	const uint64_t compatibility[] = {
		13, 0, 0x401000, HS_BOOT_USER_CODE32 | 3, FLAGS, 0x8000, HS_BOOT_USER_DATA | 3
	};
	struct scene scene;
	struct hs_cpu_state at_out;

	(void)state;
	scene_init(&scene, true);
	/* What the CPU does to SS when a 64-bit gate is entered from ring 3 (SDM vol. 3A 6.14.4). */
	scene.cpu.seg[HS_SS] = (struct hs_segment){ .selector = 0, .unusable = 1 };
	at_out = scene.cpu;
	scene_put_words(&scene, scene.sp, words, 7);
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.seg[HS_CS].selector, HS_BOOT_USER_CODE64 | 3);
	assert_int_equal(scene.cpu.seg[HS_CS].dpl, 3);
	assert_int_equal(scene.cpu.seg[HS_CS].l, 1);
	assert_int_equal(scene.cpu.seg[HS_SS].selector, HS_BOOT_USER_DATA | 3);
	assert_int_equal(scene.cpu.seg[HS_SS].dpl, 3);
	assert_int_equal(scene.cpu.seg[HS_SS].unusable, 0);
	assert_int_equal(scene.cpu.seg[HS_SS].limit, UINT32_MAX);
	scene.cpu = at_out;
	scene_put_words(&scene, scene.sp, compatibility, 7);
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.seg[HS_CS].l, 0);
	assert_int_equal(scene.cpu.seg[HS_CS].db, 1);
	scene_deinit(&scene);
}

static void test_frame_amd64_null_stack_segment_is_one_for_the_kernel_only(void **state)
{
	const uint64_t kernel[] = { 13, 0, 0x401000, HS_BOOT_CODE, FLAGS, 0x8000, 0 };
	const uint64_t user[] = { 13, 0, 0x401000, HS_BOOT_USER_CODE64 | 3, FLAGS, 0x8000, 3 };
	struct scene scene;

	(void)state;
	scene_init(&scene, true);
	scene_put_words(&scene, scene.sp, user, 7);
	scene_assert_refused(&scene, HS_ERR_FORMAT, "selector 0x3 is not a stack segment");
	scene_put_words(&scene, scene.sp, kernel, 7);
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.seg[HS_SS].unusable, 1);
	assert_int_equal(scene.cpu.seg[HS_SS].dpl, 0);
	scene_deinit(&scene);
}

static void test_frame_with_the_current_selectors_needs_no_gdt(void **state)
{
	const uint64_t words[] = { 6, 0, 0x401000, HS_BOOT_CODE, FLAGS, 0x8000, HS_BOOT_DATA };
	struct scene scene;

	(void)state;
	scene_init(&scene, true);
	scene_put_words(&scene, scene.sp, words, 7);
	/* The guest has loaded a GDT that is not there. */
	scene.cpu.gdt.base = 0xDEAD0000;
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.seg[HS_CS].l, 1);
	scene_deinit(&scene);
}

static void test_frame_i686_same_ring_ends_behind_the_flags(void **state)
{
	const uint64_t words[] = { 13, 0x88, 0x401000, 0xABCD0000 | HS_BOOT_CODE, FLAGS };
	struct scene scene;
	struct hs_cpu_state before;
	struct hs_exception_frame frame;

	(void)state;
	scene_init(&scene, false);
	scene_put_words(&scene, scene.sp, words, 5);
	before = scene.cpu;
	frame = scene_rewind_good(&scene);
	assert_int_equal(frame.vector, 13);
	assert_int_equal(frame.error_code, 0x88);
	assert_int_equal(scene.cpu.rip, 0x401000);
	assert_int_equal(scene.cpu.rflags, FLAGS);
	assert_int_equal(scene.cpu.gpr[HS_RSP], scene.sp + 20);
	assert_memory_equal(&scene.cpu.seg[HS_CS], &before.seg[HS_CS], sizeof(struct hs_segment));
	assert_rest_unchanged(&scene.cpu, &before);
	scene_deinit(&scene);
}

static void test_frame_i686_from_ring_3_has_the_stack_too(void **state)
{
	const uint64_t words[] = { 3, 0, 0x401001, HS_BOOT_USER_CODE32 | 3, FLAGS, 0xBFFFFFF0, HS_BOOT_USER_DATA | 3 };
	struct scene scene;

	(void)state;
	scene_init(&scene, false);
	scene_put_words(&scene, scene.sp, words, 7);
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.rip, 0x401001);
	assert_int_equal(scene.cpu.gpr[HS_RSP], 0xBFFFFFF0);
	assert_int_equal(scene.cpu.seg[HS_CS].selector, HS_BOOT_USER_CODE32 | 3);
	assert_int_equal(scene.cpu.seg[HS_SS].selector, HS_BOOT_USER_DATA | 3);
	scene_deinit(&scene);
}

static void test_frame_i686_at_the_end_of_memory_needs_no_more_than_it_has(void **state)
{
	const uint64_t words[] = { 6, 0, 0x401000, HS_BOOT_CODE, FLAGS };
	struct scene scene;
	const struct hs_area *top;

	(void)state;
	scene_init(&scene, false);
	top = hs_layout_area(&scene.guest.layout, HS_AREA_TOP);
	scene.cpu.gpr[HS_RSP] = top->gva.v + top->length - 20;
	scene_put_words(&scene, scene.cpu.gpr[HS_RSP], words, 5);
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.gpr[HS_RSP], 0xFFFFF000);
	scene_deinit(&scene);
}

static void test_frame_of_an_impossible_kind_is_refused(void **state)
{
	static const struct {
		bool is_64;
		uint64_t words[7];
		const char *problem;
	} cases[] = {
		{ true, { 256, 0, 0x401000, 8, FLAGS, 0, 0x10 }, "the vector is none" },
		{ true, { UINT64_MAX, 0, 0x401000, 8, FLAGS, 0, 0x10 }, "the vector is none" },
		{ false, { 0x80000000, 0, 0x401000, 8, FLAGS, 0, 0x10 }, "the vector is none" },
		{ true, { 6, 0, 0x401000, 8, FLAGS & ~2u, 0, 0x10 }, "the flags are none" },
		{ true, { 6, 0, 0x401000, 8, FLAGS | 1ull << 32, 0, 0x10 }, "the flags are none" },
		{ true, { 6, 0, 0x401000, 8, FLAGS | 0x8000, 0, 0x10 }, "the flags are none" },
		{ false, { 6, 0, 0x401000, 8, FLAGS | 0x20000, 0, 0x10 }, "virtual-8086" },
		{ true, { 6, 0, 0x401000, 0, FLAGS, 0, 0x10 }, "selector 0x0 is not a code segment" },
		{ true, { 6, 0, 0x401000, 0x10, FLAGS, 0, 0x10 }, "selector 0x10 is not a code segment" },
		{ true, { 6, 0, 0x401000, HS_BOOT_TSS, FLAGS, 0, 0x10 }, "selector 0x30 is not a code segment" },
		{ true, { 6, 0, 0x401000, 0x2B & ~3u, FLAGS, 0, 0x10 }, "not code of that privilege level" },
		{ true, { 6, 0, 0x401000, 8 | 3, FLAGS, 0, 0x13 }, "not code of that privilege level" },
		{ true, { 6, 0, 0x401000, 0xFFF8, FLAGS, 0, 0x10 }, "selector 0xfff8 is not in its descriptor table" },
		{ true, { 6, 0, 0x401000, 0xC, FLAGS, 0, 0x10 }, "selector 0xc is not in its descriptor table" },
		{ true, { 6, 0, 0x401000, 8, FLAGS, 0, 8 }, "selector 0x8 is not a stack segment" },
		{ true, { 6, 0, 0x401000, 8, FLAGS, 0, 0x23 }, "not a stack of the code's privilege level" },
		{ true, { 6, 0, 0x401000, 0x2B, FLAGS, 0, 0x10 }, "not a stack of the code's privilege level" },
		{ true, { 6, 0, 0x401000, 0x2B, FLAGS, 0, 0x13 }, "selector 0x13 is not a stack segment" },
		{ false, { 6, 0, 0x401000, 0x2B, FLAGS, 0, 0x23 }, "selector 0x2b is not present" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene scene;

		scene_init(&scene, cases[i].is_64);
		scene_put_words(&scene, scene.sp, cases[i].words, 7);
		scene_assert_refused(&scene, HS_ERR_FORMAT, cases[i].problem);
		scene_deinit(&scene);
	}
}

static void test_frame_of_more_privileged_code_is_refused(void **state)
{
	const uint64_t words[] = { 6, 0, 0x401000, HS_BOOT_CODE, FLAGS, 0, HS_BOOT_DATA };
	struct scene scene;

	(void)state;
	scene_init(&scene, true);
	scene_put_words(&scene, scene.sp, words, 7);
	scene.cpu.seg[HS_CS].selector = HS_BOOT_USER_CODE64 | 3;
	scene_assert_refused(&scene, HS_ERR_FORMAT, "had more privilege");
	scene_deinit(&scene);
}

static void test_frame_on_an_unreadable_stack_is_refused(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		const uint64_t words[] = { 14, 0, 0x401000, HS_BOOT_CODE, FLAGS, 0x1000, HS_BOOT_DATA };
		struct scene scene;
		const struct hs_area *guard;

		scene_init(&scene, is_64);
		guard = hs_layout_area(&scene.guest.layout, HS_AREA_GUARD);
		scene.cpu.gpr[HS_RSP] = guard->gva.v;
		scene_assert_refused(&scene, HS_ERR_UNREADABLE, "");
		scene.cpu.gpr[HS_RSP] = is_64 ? 0x8000000000000000 : UINT32_MAX;
		scene_assert_refused(&scene, HS_ERR_UNREADABLE, "");
		/* Cut off after each word: the frame's first part is at the end of the heap, under the guard. */
		for (unsigned int there = 0; there < (is_64 ? 7u : 5u); there++) {
			scene.cpu.gpr[HS_RSP] = guard->gva.v - (uint64_t)there * scene.word_bytes;
			scene_put_words(&scene, scene.cpu.gpr[HS_RSP], words, there);
			scene_assert_refused(&scene, HS_ERR_UNREADABLE, "");
		}
		scene_deinit(&scene);
	}
}

static void test_frame_in_16_bit_code_is_refused(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, false);
	scene.cpu.seg[HS_CS].db = 0;
	scene_assert_refused(&scene, HS_ERR_FORMAT, "16-bit code");
	scene_deinit(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_amd64_same_ring),
		cmocka_unit_test(test_frame_vector_without_error_code_has_none),
		cmocka_unit_test(test_frame_amd64_from_ring_3),
		cmocka_unit_test(test_frame_amd64_null_stack_segment_is_one_for_the_kernel_only),
		cmocka_unit_test(test_frame_with_the_current_selectors_needs_no_gdt),
		cmocka_unit_test(test_frame_i686_same_ring_ends_behind_the_flags),
		cmocka_unit_test(test_frame_i686_from_ring_3_has_the_stack_too),
		cmocka_unit_test(test_frame_i686_at_the_end_of_memory_needs_no_more_than_it_has),
		cmocka_unit_test(test_frame_of_an_impossible_kind_is_refused),
		cmocka_unit_test(test_frame_of_more_privileged_code_is_refused),
		cmocka_unit_test(test_frame_on_an_unreadable_stack_is_refused),
		cmocka_unit_test(test_frame_in_16_bit_code_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
