/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/trap_flag: what a step has stored of the trap flag is taken out, and the guest keeps its own. */
#include "vmm/trap_flag.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "vmm/ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY 0x1000u
#define TSS 0x1800u
#define STACK 0x3008u /* as a guest's may be: not aligned */
#define IST 0x4000u
#define HANDLER 0x7000u
#define RIP 0x5000u
#define FLAGS 0x246u
#define TF 0x100u

struct scene {
	struct hs_ram ram;
	struct hs_phys phys;
	struct hs_cpu_state before, after; /* paging is off, so that linear = physical */
	struct hs_insn insn;
};

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	hs_ram_init(&scene.ram);
	assert_int_equal(hs_ram_add(&scene.ram, hs_gpa_of(MEMORY), 0x8000, NULL, NULL), HS_OK);
	scene.phys = hs_ram_phys(&scene.ram);
	hs_cpu_state_init(&scene.before);
	scene.before.cr0 = 1;
	scene.before.rip = RIP;
	scene.before.rflags = FLAGS;
	scene.before.gpr[HS_RSP] = STACK;
	scene.before.seg[HS_CS].selector = 8;
	scene.before.seg[HS_TR].base = TSS;
	scene.insn.length = 2;
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	hs_ram_deinit(&scene->ram);
	return 0;
}

static void set_long(struct scene *scene)
{
	scene->before.msr.efer = 0x500;
	scene->before.seg[HS_CS].l = 1;
}

static void put(struct scene *scene, uint64_t gpa, uint64_t value, unsigned int bytes)
{
	uint8_t raw[8];

	hs_put_le64(raw, value);
	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(gpa), raw, bytes, NULL), HS_OK);
}

static uint64_t get(struct scene *scene, uint64_t gpa, unsigned int bytes)
{
	uint8_t raw[8];

	assert_int_equal(scene->phys.ops->read(scene->phys.ctx, hs_gpa_of(gpa), raw, bytes, NULL), HS_OK);
	return hs_get_le(raw, bytes);
}

/* What the CPU pushes below top: ss, sp, flags, cs, ip. Where the flags are. */
static uint64_t push_frame64(struct scene *scene, uint64_t top, uint64_t ip)
{
	const uint64_t words[] = { ip, 8, FLAGS | TF, scene->before.gpr[HS_RSP], 16 };

	for (unsigned int i = 0; i < 5; i++) {
		put(scene, top - 40 + 8 * i, words[i], 8);
	}
	return top - 24;
}

static bool hide(struct scene *scene, uint64_t rip_after)
{
	scene->after = scene->before;
	scene->after.rip = rip_after;
	return hs_trap_flag_hide(&scene->phys, &scene->insn, &scene->before, &scene->after);
}

static void test_trap_flag_frame_on_the_aligned_stack_is_cleaned(void **state)
{
	struct scene *scene = *state;
	uint64_t flags;

	set_long(scene);
	flags = push_frame64(scene, STACK & ~15u, RIP);
	assert_false(hide(scene, HANDLER));
	assert_int_equal(get(scene, flags, 8), FLAGS);
}

static void test_trap_flag_frame_of_a_trap_on_an_exception_stack_is_cleaned(void **state)
{
	struct scene *scene = *state;
	uint64_t flags;

	set_long(scene);
	put(scene, TSS + 36 + 8 * 6, IST, 8); /* IST7 */
	flags = push_frame64(scene, IST, RIP + 2);
	assert_false(hide(scene, HANDLER));
	assert_int_equal(get(scene, flags, 8), FLAGS);
}

static void test_trap_flag_frame_of_32_bits_is_cleaned(void **state)
{
	struct scene *scene = *state;

	put(scene, STACK - 12, RIP, 4);
	put(scene, STACK - 8, 8, 4);
	put(scene, STACK - 4, FLAGS | TF, 4);
	assert_false(hide(scene, HANDLER));
	assert_int_equal(get(scene, STACK - 4, 4), FLAGS);
}

static void test_trap_flag_frame_of_32_bits_from_ring_3_is_cleaned(void **state)
{
	struct scene *scene = *state;

	scene->before.seg[HS_CS].selector = 0x1b;
	put(scene, TSS + 4, IST, 4);
	put(scene, IST - 20, RIP, 4);
	put(scene, IST - 16, 0x1b, 4);
	put(scene, IST - 12, FLAGS | TF, 4);
	put(scene, IST - 8, STACK, 4);
	assert_false(hide(scene, HANDLER));
	assert_int_equal(get(scene, IST - 12, 4), FLAGS);
}

static void test_trap_flag_what_is_no_frame_of_this_step_stays(void **state)
{
	struct scene *scene = *state;
	uint64_t flags;

	set_long(scene);
	flags = push_frame64(scene, STACK & ~15u, RIP + 1);
	assert_false(hide(scene, HANDLER));
	assert_int_equal(get(scene, flags, 8), FLAGS | TF);
	/* No exception: the next instruction was reached. */
	flags = push_frame64(scene, STACK & ~15u, RIP);
	assert_false(hide(scene, RIP + 2));
	assert_int_equal(get(scene, flags, 8), FLAGS | TF);
	/* The guest steps itself. */
	scene->before.rflags |= TF;
	assert_false(hide(scene, HANDLER));
	assert_int_equal(get(scene, flags, 8), FLAGS | TF);
}

static void test_trap_flag_pushed_flags_are_cleaned(void **state)
{
	struct scene *scene = *state;

	scene->insn.is_pushf = true;
	put(scene, STACK, FLAGS | TF, 4);
	assert_false(hide(scene, RIP + 2));
	assert_int_equal(get(scene, STACK, 4), FLAGS);
}

static void test_trap_flag_syscall_keeps_it_in_r11(void **state)
{
	struct scene *scene = *state;

	set_long(scene);
	scene->insn.is_syscall = true;
	scene->before.gpr[HS_R11] = FLAGS | TF;
	assert_true(hide(scene, HANDLER));
	assert_int_equal(scene->after.gpr[HS_R11], FLAGS);
}

static void test_trap_flag_that_popf_loads_is_the_guests(void **state)
{
	struct scene *scene = *state;

	scene->insn.is_popf = true;
	put(scene, STACK, FLAGS, 4);
	assert_false(hide(scene, RIP + 2));
	put(scene, STACK, FLAGS | TF, 4);
	/* An exception came instead. */
	assert_false(hide(scene, HANDLER));
	assert_true(hide(scene, RIP + 2));
	assert_int_equal(scene->after.rflags, FLAGS | TF);
	assert_int_equal(get(scene, STACK, 4), FLAGS | TF);
}

static void test_trap_flag_that_sysret_loads_is_the_guests(void **state)
{
	struct scene *scene = *state;

	set_long(scene);
	scene->insn.is_sysret = true;
	scene->before.gpr[HS_R11] = FLAGS | TF;
	/* Still in ring 0: an exception came instead. */
	assert_false(hide(scene, HANDLER));
	scene->before.seg[HS_CS].selector = 0x2b;
	assert_true(hide(scene, HANDLER));
	assert_int_equal(scene->after.rflags, FLAGS | TF);
	scene->before.gpr[HS_R11] = FLAGS;
	assert_false(hide(scene, HANDLER));
}

static void test_trap_flag_wild_stacks_and_segments_do_no_harm(void **state)
{
	struct scene *scene = *state;
	static const uint64_t wild[] = { 0, 8, MEMORY + 4, 0x8ffc, 0x9000, UINT64_MAX, 1ull << 63 };

	set_long(scene);
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		scene->before.gpr[HS_RSP] = wild[i];
		scene->before.seg[HS_TR].base = wild[i];
		scene->insn.is_pushf = true;
		assert_false(hide(scene, HANDLER));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_trap_flag_frame_on_the_aligned_stack_is_cleaned),
		TEST(test_trap_flag_frame_of_a_trap_on_an_exception_stack_is_cleaned),
		TEST(test_trap_flag_frame_of_32_bits_is_cleaned),
		TEST(test_trap_flag_frame_of_32_bits_from_ring_3_is_cleaned),
		TEST(test_trap_flag_what_is_no_frame_of_this_step_stays),
		TEST(test_trap_flag_pushed_flags_are_cleaned),
		TEST(test_trap_flag_syscall_keeps_it_in_r11),
		TEST(test_trap_flag_that_popf_loads_is_the_guests),
		TEST(test_trap_flag_that_sysret_loads_is_the_guests),
		TEST(test_trap_flag_wild_stacks_and_segments_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
