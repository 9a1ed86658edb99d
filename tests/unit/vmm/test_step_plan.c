/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/step_plan: where a step ends is said only when it is certain, and the handlers are where the gates say. */
#include "vmm/step_plan.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "vmm/descriptor.h"
#include "vmm/ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CODE 0x1000u
#define STACK 0x2100u
#define TABLE 0x3000u /* of 32-bit paging, where it is on */
#define DATA 0x4000u
#define IDT 0x5000u
#define END 0x6000u
#define LARGE_PAGE 0x83u /* present, writable, 4 MiB */

#define CR0_PG_WP 0x80010000u
#define CR4_PSE (1u << 4)
#define CR4_PKE (1u << 22)
#define RFLAGS_VM (1u << 17)

struct scene {
	struct hs_ram ram;
	struct hs_phys phys;
	struct hs_cpu_state cpu; /* without paging, so that linear = physical; 64-bit mode is that of CS alone */
	hs_gva ends[HS_STEP_ENDS_MAX];
};

static void set_mode(struct scene *scene, bool is_long)
{
	const struct hs_segment flat = { .limit = UINT32_MAX, .type = HS_DESCRIPTOR_WRITABLE, .present = 1, .db = 1 };

	for (int i = 0; i < HS_TR; i++) {
		scene->cpu.seg[i] = flat;
	}
	scene->cpu.msr.efer = is_long ? 0x500 : 0;
	scene->cpu.seg[HS_CS].type = HS_DESCRIPTOR_CODE;
	scene->cpu.seg[HS_CS].l = is_long;
	scene->cpu.seg[HS_CS].db = !is_long;
}

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	hs_ram_init(&scene.ram);
	assert_int_equal(hs_ram_add(&scene.ram, hs_gpa_of(CODE), END - CODE, NULL, NULL), HS_OK);
	scene.phys = hs_ram_phys(&scene.ram);
	hs_cpu_state_init(&scene.cpu);
	scene.cpu.cr0 = 1;
	scene.cpu.rip = CODE;
	scene.cpu.gpr[HS_RSP] = STACK;
	scene.cpu.gpr[HS_RBX] = DATA;
	set_mode(&scene, true);
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	hs_ram_deinit(&scene->ram);
	return 0;
}

static void put(struct scene *scene, uint64_t gpa, const void *bytes, size_t length)
{
	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(gpa), bytes, length, NULL), HS_OK);
}

static void put_word(struct scene *scene, uint64_t gpa, uint64_t value, size_t bytes)
{
	uint8_t word[8];

	hs_put_le64(word, value);
	put(scene, gpa, word, bytes);
}

static struct hs_insn decode(struct scene *scene, const char *bytes, size_t length)
{
	struct hs_insn insn;

	put(scene, CODE, bytes, length);
	assert_int_equal(hs_insn_decode(&scene->phys, &scene->cpu, hs_gva_of(CODE), &insn, NULL), HS_OK);
	return insn;
}

static size_t ends_of(struct scene *scene, const char *bytes, size_t length)
{
	struct hs_insn insn = decode(scene, bytes, length);

	return hs_step_ends(&scene->phys, &scene->cpu, &insn, scene->ends);
}
#define ENDS(scene, bytes) ends_of(scene, bytes, sizeof(bytes) - 1)

static void test_step_plan_plain_instructions_end_behind_themselves(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(ENDS(scene, "\x90"), 1);
	assert_int_equal(scene->ends[0].v, CODE + 1);
	assert_int_equal(ENDS(scene, "\x48\x89\x03"), 1); /* mov %rax, (%rbx) */
	assert_int_equal(scene->ends[0].v, CODE + 3);
	assert_int_equal(ENDS(scene, "\x50"), 1);
	assert_int_equal(ENDS(scene, "\xf3\x90"), 1); /* pause */
	assert_int_equal(scene->ends[0].v, CODE + 2);
	assert_int_equal(ENDS(scene, "\xfb"), 1); /* sti */
	set_mode(scene, false);
	assert_int_equal(ENDS(scene, "\x89\x03"), 1);
	assert_int_equal(scene->ends[0].v, CODE + 2);
}

static void test_step_plan_branches_end_at_their_targets(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(ENDS(scene, "\xeb\x10"), 1); /* jmp */
	assert_int_equal(scene->ends[0].v, CODE + 0x12);
	assert_int_equal(ENDS(scene, "\x74\x10"), 2); /* je */
	assert_int_equal(scene->ends[0].v, CODE + 2);
	assert_int_equal(scene->ends[1].v, CODE + 0x12);
	assert_int_equal(ENDS(scene, "\xe8\x10\0\0\0"), 1); /* call */
	assert_int_equal(scene->ends[0].v, CODE + 0x15);
	assert_int_equal(ENDS(scene, "\xff\xe3"), 1); /* jmp *%rbx */
	assert_int_equal(scene->ends[0].v, DATA);
	put_word(scene, STACK, 0x1234567890, 8);
	assert_int_equal(ENDS(scene, "\xc3"), 1); /* ret */
	assert_int_equal(scene->ends[0].v, 0x1234567890);
	set_mode(scene, false);
	assert_int_equal(ENDS(scene, "\xc3"), 1);
	assert_int_equal(scene->ends[0].v, 0x34567890);
}

static void test_step_plan_what_may_fault_otherwise_is_not_certain(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(ENDS(scene, "\x48\xf7\xf1"), 0);     /* div %rcx */
	assert_int_equal(ENDS(scene, "\x0f\x0b"), 0);         /* ud2 */
	assert_int_equal(ENDS(scene, "\xcc"), 0);             /* int3 */
	assert_int_equal(ENDS(scene, "\x0f\x22\xc0"), 0);     /* mov %rax, %cr0 */
	assert_int_equal(ENDS(scene, "\x8e\xd0"), 0);         /* mov %eax, %ss */
	assert_int_equal(ENDS(scene, "\xf3\xa4"), 0);         /* rep movsb */
	assert_int_equal(ENDS(scene, "\x66\x0f\xef\xc0"), 0); /* pxor */
	assert_int_equal(ENDS(scene, "\x48\xcb"), 0);         /* far ret */
	assert_int_equal(ENDS(scene, "\x9d"), 0);             /* popf */
	assert_int_equal(ENDS(scene, "\x8f\x03"), 0);         /* pop (%rbx) */
}

static void test_step_plan_touching_its_own_end_is_not_certain(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(ENDS(scene, "\x8b\x05\x00\0\0\0"), 0); /* mov 0(%rip), %eax */
	assert_int_equal(ENDS(scene, "\x8b\x05\x01\0\0\0"), 1);
	assert_int_equal(ENDS(scene, "\x8b\x05\xfd\xff\xff\xff"), 0);
	assert_int_equal(ENDS(scene, "\x8b\x05\xfc\xff\xff\xff"), 1);
	assert_int_equal(ENDS(scene, "\xeb\xfe"), 0); /* to itself */
}

/* 4 MiB pages: the first one is where everything is, the second may only be read, the third is not there. */
static void test_step_plan_accesses_that_paging_refuses_are_not_certain(void **state)
{
	struct scene *scene = *state;

	set_mode(scene, false);
	put_word(scene, TABLE, LARGE_PAGE, 4);
	put_word(scene, TABLE + 4, 0x81, 4);
	put_word(scene, TABLE + 8, 0, 4);
	scene->cpu.cr0 |= CR0_PG_WP;
	scene->cpu.cr4 |= CR4_PSE;
	scene->cpu.cr3 = TABLE;
	assert_int_equal(ENDS(scene, "\x89\x03"), 1); /* mov %eax, (%ebx) */
	scene->cpu.gpr[HS_RBX] = 0x400000;
	assert_int_equal(ENDS(scene, "\x89\x03"), 0);
	assert_int_equal(ENDS(scene, "\x8b\x03"), 1); /* mov (%ebx), %eax */
	scene->cpu.gpr[HS_RBX] = 0x400000 - 3;
	assert_int_equal(ENDS(scene, "\x89\x03"), 0);
	scene->cpu.gpr[HS_RBX] = 0x800000 - 4;
	assert_int_equal(ENDS(scene, "\x8b\x03"), 1);
	scene->cpu.gpr[HS_RBX] = 0x800000 - 3;
	assert_int_equal(ENDS(scene, "\x8b\x03"), 0);
}

static void test_step_plan_modes_with_other_faults_are_not_certain(void **state)
{
	struct scene *scene = *state;
	const struct hs_cpu_state plain = scene->cpu;

	scene->cpu.cr4 |= CR4_PKE;
	assert_int_equal(ENDS(scene, "\x90"), 0);
	scene->cpu = plain;
	scene->cpu.seg[HS_CS].selector = 3;
	assert_int_equal(ENDS(scene, "\x90"), 0);
	scene->cpu = plain;
	set_mode(scene, false);
	assert_int_equal(ENDS(scene, "\x64\x8b\x03"), 0); /* mov %fs:(%ebx), %eax */
	scene->cpu.seg[HS_DS].limit = 0xFFFFF;
	assert_int_equal(ENDS(scene, "\x90"), 0);
	set_mode(scene, false);
	scene->cpu.seg[HS_CS].base = 1;
	put(scene, CODE + 1, "\x90", 1);
	assert_int_equal(ENDS(scene, "\x90"), 0);
	set_mode(scene, false);
	scene->cpu.rflags |= RFLAGS_VM;
	assert_int_equal(ENDS(scene, "\x90"), 0);
	scene->cpu.rflags = 2;
	scene->cpu.cr0 = 0;
	assert_int_equal(ENDS(scene, "\x90"), 0);
}

static void test_step_plan_iret_goes_where_the_stack_says(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn = decode(scene, "\x48\xcf", 2);
	hs_gva at = { 0 };

	put_word(scene, STACK, 0x1234567890, 8);
	assert_true(hs_step_return(&scene->phys, &scene->cpu, &insn, &at));
	assert_int_equal(at.v, 0x1234567890);
	set_mode(scene, false);
	insn = decode(scene, "\xcf", 1);
	assert_true(hs_step_return(&scene->phys, &scene->cpu, &insn, &at));
	assert_int_equal(at.v, 0x34567890);
	insn = decode(scene, "\xc3", 1);
	assert_false(hs_step_return(&scene->phys, &scene->cpu, &insn, &at));
	scene->cpu.gpr[HS_RSP] = END - 2;
	insn = decode(scene, "\xcf", 1);
	assert_false(hs_step_return(&scene->phys, &scene->cpu, &insn, &at));
}

static void test_step_plan_handler_is_where_the_gate_points_to(void **state)
{
	struct scene *scene = *state;
	hs_gva at = { 0 };

	set_mode(scene, false);
	scene->cpu.idt = (struct hs_dtable){ .base = IDT, .limit = 0xfff };
	assert_false(hs_step_handler(&scene->phys, &scene->cpu, 1, &at));
	/* The next gate's words are none of a 32-bit gate. */
	put_word(scene, IDT + 8, 0x12348E0000085678, 8);
	put_word(scene, IDT + 16, UINT64_MAX, 8);
	assert_true(hs_step_handler(&scene->phys, &scene->cpu, 1, &at));
	assert_int_equal(at.v, 0x12345678);
	/* A task gate. */
	put_word(scene, IDT + 8, 0x12348500000C5678, 8);
	assert_false(hs_step_handler(&scene->phys, &scene->cpu, 1, &at));
	set_mode(scene, true);
	put_word(scene, IDT + 16, 0x1234EF0000085678, 8);
	put_word(scene, IDT + 24, 0xffff8000, 8);
	assert_true(hs_step_handler(&scene->phys, &scene->cpu, 1, &at));
	assert_int_equal(at.v, 0xffff800012345678);
	scene->cpu.idt.base = END - 24;
	assert_false(hs_step_handler(&scene->phys, &scene->cpu, 1, &at));
}

static void test_step_plan_handlers_are_of_all_exceptions_but_debug_and_nmi(void **state)
{
	struct scene *scene = *state;
	hs_gva places[HS_STEP_HANDLERS_MAX];
	struct hs_insn insn = { .length = 0 };

	set_mode(scene, false);
	scene->cpu.idt = (struct hs_dtable){ .base = IDT, .limit = 0xfff };
	for (unsigned int i = 0; i < HS_STEP_HANDLERS_MAX; i++) {
		put_word(scene, IDT + 8 * i, i == 9 ? 0 : 0x00008E0000080000 | (0x100 + i), 8);
	}
	assert_int_equal(hs_step_handlers(&scene->phys, &scene->cpu, &insn, places), HS_STEP_HANDLERS_MAX - 3);
	assert_int_equal(places[0].v, 0x100);
	assert_int_equal(places[1].v, 0x103);
	assert_int_equal(places[HS_STEP_HANDLERS_MAX - 4].v, 0x11F);
	/* Not what the instruction touches, and would see. */
	insn = (struct hs_insn){ .length = 2, .access_count = 1, .accesses = { { .address = 0x101, .bytes = 4 } } };
	assert_int_equal(hs_step_handlers(&scene->phys, &scene->cpu, &insn, places), HS_STEP_HANDLERS_MAX - 5);
	assert_int_equal(places[1].v, 0x105);
	insn.length = 0;
	insn.access_count = 0;
	/* Of a table that ends with memory, those that are there. */
	scene->cpu.idt.base = END - 4 * 8 - 3;
	put_word(scene, END - 4 * 8 - 3, 0x00008E0000080222, 8);
	put_word(scene, END - 8 - 3, 0x00008E0000080333, 8);
	assert_int_equal(hs_step_handlers(&scene->phys, &scene->cpu, &insn, places), 2);
	assert_int_equal(places[1].v, 0x333);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_step_plan_plain_instructions_end_behind_themselves),
		TEST(test_step_plan_branches_end_at_their_targets),
		TEST(test_step_plan_what_may_fault_otherwise_is_not_certain),
		TEST(test_step_plan_touching_its_own_end_is_not_certain),
		TEST(test_step_plan_accesses_that_paging_refuses_are_not_certain),
		TEST(test_step_plan_modes_with_other_faults_are_not_certain),
		TEST(test_step_plan_iret_goes_where_the_stack_says),
		TEST(test_step_plan_handler_is_where_the_gate_points_to),
		TEST(test_step_plan_handlers_are_of_all_exceptions_but_debug_and_nmi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
