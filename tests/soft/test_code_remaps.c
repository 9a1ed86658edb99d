/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Code whose page becomes another frame, or none: by a new entry and invlpg, CR3 or CR4, and by other tables. Each case
 * is run freely and step by step.
 */
#include "code_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The tables as the guest reaches them, and a second frame for the page at BORDER whose code adds 0x10. */
static void prepare_frames(struct machine *machine)
{
	machine_map(machine, MACHINE_TABLES, MACHINE_TABLES, 0x10000, HS_PROT_WRITE, false);
	machine_put(machine, BORDER, ADD_RET, 4);
	machine_put(machine, OTHER, "\x83\xC0\x10\xC3", 4);
	machine_put(machine, BORDER_AT, "\x05\x44\x33\x22\x11\xC3", 2);
}

/* Call rbx, store a new entry for its page, make it known in one way, call rbx. */
static void change_entry(struct scene *scene, struct code code, uint64_t called, uint64_t entry)
{
	struct machine *machine = &scene->machine;

	machine_set_code(machine, code);
	machine->cpu.gpr[HS_RAX] = 0;
	machine->cpu.gpr[HS_RBX] = called;
	machine->cpu.gpr[HS_RBP] = BORDER;
	machine->cpu.gpr[HS_RCX] = entry;
	machine->cpu.gpr[HS_RDI] = machine_entry_at(machine, BORDER, -1);
	scene_start(scene);
}

static void remapped(struct scene *scene)
{
	const struct code codes[][2] = {
		{ CODE64("call rbx\n mov [rdi], ecx\n invlpg [rbp]\n call rbx"),
		  CODE32("call ebx\n mov [edi], ecx\n invlpg [ebp]\n call ebx") },
		{ CODE64("call rbx\n mov [rdi], ecx\n mov rdx, cr3\n mov cr3, rdx\n call rbx"),
		  CODE32("call ebx\n mov [edi], ecx\n mov edx, cr3\n mov cr3, edx\n call ebx") },
		{ CODE64("call rbx\n mov [rdi], ecx\n mov rdx, cr4\n xor dl, 0x80\n mov cr4, rdx\n call rbx"),
		  CODE32("call ebx\n mov [edi], ecx\n mov edx, cr4\n xor dl, 0x80\n mov cr4, edx\n call ebx") },
	};
	struct machine *machine = &scene->machine;
	uint64_t entry;

	prepare_frames(machine);
	entry = machine_entry(machine, BORDER, -1);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct code code = codes[i][scene->is_64 ? 0 : 1];

		machine_set_entry(machine, BORDER, -1, entry);
		change_entry(scene, code, BORDER, OTHER | 3);
		scene_assert_eax(scene, 1 + 0x10);
		/* No longer there. */
		machine_set_entry(machine, BORDER, -1, entry);
		change_entry(scene, code, BORDER, 0);
		assert_int_equal(scene->stop.kind, MACHINE_FAULT);
		assert_int_equal(scene->stop.vector, 14);
		assert_int_equal(scene->stop.cpu.rip, BORDER);
		assert_int_equal(scene->stop.cpu.cr2, BORDER);
	}
}

static void test_code_whose_page_becomes_another_frame_is_new(void **state)
{
	(void)state;
	scene_everywhere(remapped, scene_is_kernel_with_paging);
}

/* Only the second page of an instruction becomes another frame. */
static void remapped_across(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	uint64_t entry;

	prepare_frames(machine);
	machine_put(machine, BORDER_AT, BORDER_CODE, 6);
	machine_put(machine, OTHER, "\x33\x22\x66\xC3", 4);
	entry = machine_entry(machine, BORDER, -1);
	machine_set_entry(machine, BORDER, -1, entry);
	change_entry(scene,
		     scene_choose(scene, CODE64("call rbx\n mov [rdi], ecx\n invlpg [rbp]\n call rbx"),
				  CODE32("call ebx\n mov [edi], ecx\n invlpg [ebp]\n call ebx")),
		     BORDER_AT, OTHER | 3);
	scene_assert_eax(scene, 0x11223344 + 0x66223344);
}

static void test_code_across_pages_whose_second_becomes_another_frame_is_new(void **state)
{
	(void)state;
	scene_everywhere(remapped_across, scene_is_kernel_with_paging);
}

/* mov cr3 to tables that have another frame right here: the next instruction is that frame's. */
static void other_tables(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	struct hs_root first = machine->root;
	struct code code = scene_choose(scene, CODE64("mov cr3, rcx\n add eax, 1\n hlt"),
					CODE32("mov cr3, ecx\n add eax, 1\n hlt"));
	const int all = HS_PROT_WRITE | HS_PROT_EXEC;

	machine_put(machine, BORDER, code.bytes, code.length);
	machine_put(machine, OTHER, code.bytes, code.length);
	*machine_at(machine, OTHER + code.length - 2) = 0x20;
	machine->root.base = hs_gpa_of(machine->next_table);
	machine->next_table += HS_PAGE_SIZE;
	machine_map(machine, MACHINE_GDT, MACHINE_GDT, BORDER - MACHINE_GDT, all, false);
	machine_map(machine, BORDER, OTHER, HS_PAGE_SIZE, all, false);
	machine->cpu.gpr[HS_RCX] = machine->root.base.v;
	machine->cpu.rip = BORDER;
	scene_start(scene);
	scene_assert_eax(scene, 0x20);
	machine->cpu.gpr[HS_RCX] = first.base.v;
	machine->cpu.cr3 = machine->root.base.v;
	scene_start(scene);
	scene_assert_eax(scene, 1);
	machine->root = first;
}

static void test_code_behind_mov_cr3_is_that_of_the_new_tables(void **state)
{
	(void)state;
	scene_everywhere(other_tables, scene_is_kernel_with_paging);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_whose_page_becomes_another_frame_is_new),
		cmocka_unit_test(test_code_across_pages_whose_second_becomes_another_frame_is_new),
		cmocka_unit_test(test_code_behind_mov_cr3_is_that_of_the_new_tables),
	};

	return cmocka_run_group_tests_name("code_remaps", tests, NULL, NULL);
}
