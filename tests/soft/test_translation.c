/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Translations that a guest changes while it runs, as guests do: store to an entry, invlpg, go on. The A and D bits
 * come back, rights that were taken away are gone, and what one kind of access may do is not remembered for another
 * (SDM vol. 3A 4.8, 4.10). Each case is run freely and step by step.
 */
#include "code_scene.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ENTRY_WRITABLE 2u
#define ENTRY_USER 4u
#define ENTRY_PS 0x80u
#define A 0x20u
#define D 0x40u
#define VECTOR_PF 14
#define CR4_PSE 0x10u
#define CR4_SMAP 0x200000u
/* Where large pages are tried: each maps physical memory from 0 on. */
#define LARGE 0xC00000u
#define GIANT 0x40000000u

#define SAME(text) CODE64(text), CODE32(text)

/* The page at MACHINE_DATA in ebx, its entry in edi. */
static void run_code(struct scene *scene, struct code code64, struct code code32)
{
	struct machine *machine = &scene->machine;

	machine_set_code(machine, scene_choose(scene, code64, code32));
	machine->cpu.gpr[HS_RBX] = MACHINE_DATA;
	machine->cpu.gpr[HS_RDI] = machine_entry_at(machine, MACHINE_DATA, -1);
	scene_start(scene);
}

static void map_tables(struct machine *machine)
{
	machine_map(machine, MACHINE_TABLES, MACHINE_TABLES, 0x10000, HS_PROT_WRITE, false);
	machine_change_entry(machine, MACHINE_DATA, A | D, 0);
}

static void assert_fault(const struct scene *scene, uint32_t error_code, uint64_t cr2)
{
	if (scene->stop.kind != MACHINE_FAULT || scene->stop.vector != VECTOR_PF) {
		fail_msg("run %zu: exit %d, vector %u, rip 0x%llx", scene->which, (int)scene->stop.exit.kind,
			 scene->stop.vector, (unsigned long long)scene->stop.cpu.rip);
	}
	assert_int_equal(scene->stop.error_code, error_code);
	assert_int_equal(scene->stop.cpu.cr2, cr2);
}

static void accessed_and_dirty(struct scene *scene)
{
	const struct hs_cpu_state *cpu = &scene->stop.cpu;

	map_tables(&scene->machine);
	run_code(scene, SAME("mov al, [ebx]\n mov ecx, [edi]\n"
			     "mov [ebx], al\n mov edx, [edi]\n"
			     "and dword ptr [edi], 0xFFFFFF9F\n invlpg [ebx]\n"
			     "mov al, [ebx]\n mov ebp, [edi]\n"
			     "mov [ebx], al\n mov esi, [edi]"));
	assert_int_equal(scene->stop.kind, MACHINE_HLT);
	assert_int_equal(cpu->gpr[HS_RCX] & (A | D), A);
	assert_int_equal(cpu->gpr[HS_RDX] & (A | D), A | D);
	assert_int_equal(cpu->gpr[HS_RBP] & (A | D), A);
	assert_int_equal(cpu->gpr[HS_RSI] & (A | D), A | D);
}

static void test_translation_accessed_and_dirty_bits_come_back_after_invlpg(void **state)
{
	(void)state;
	scene_everywhere(accessed_and_dirty, scene_is_kernel_with_paging);
}

static void read_only_after_invlpg(struct scene *scene)
{
	map_tables(&scene->machine);
	run_code(scene, SAME("mov [ebx], al\n and dword ptr [edi], 0xFFFFFFFD\n invlpg [ebx]\n"
			     "mov cl, [ebx]\n mov [ebx], al"));
	assert_fault(scene, 3, MACHINE_DATA);
}

static void test_translation_write_to_a_page_that_has_become_read_only_faults(void **state)
{
	(void)state;
	scene_everywhere(read_only_after_invlpg, scene_is_kernel_with_paging);
}

static void write_protect(struct scene *scene)
{
	map_tables(&scene->machine);
	machine_change_entry(&scene->machine, MACHINE_DATA, ENTRY_WRITABLE, 0);
	run_code(scene,
		 CODE64("mov rax, cr0\n btr eax, 16\n mov cr0, rax\n mov byte ptr [ebx], 0x77\n"
			"bts eax, 16\n mov cr0, rax\n mov byte ptr [ebx], 0x78"),
		 CODE32("mov eax, cr0\n btr eax, 16\n mov cr0, eax\n mov byte ptr [ebx], 0x77\n"
			"bts eax, 16\n mov cr0, eax\n mov byte ptr [ebx], 0x78"));
	assert_fault(scene, 3, MACHINE_DATA);
	assert_int_equal(*machine_at(&scene->machine, MACHINE_DATA), 0x77);
}

static void test_translation_write_protect_counts_from_the_next_access_on(void **state)
{
	(void)state;
	scene_everywhere(write_protect, scene_is_kernel_with_paging);
}

static void access_prevention(struct scene *scene)
{
	machine_change_entry(&scene->machine, MACHINE_DATA, 0, ENTRY_USER);
	scene->machine.cpu.cr4 |= CR4_SMAP;
	run_code(scene, SAME("stac\n mov [ebx], al\n mov cl, [ebx]\n clac\n mov dl, [ebx]"));
	assert_fault(scene, 1, MACHINE_DATA);
}

static void test_translation_smap_counts_from_the_next_access_on(void **state)
{
	(void)state;
	scene_everywhere(access_prevention, scene_is_kernel_with_paging);
}

/* The frame at OTHER has another word at its beginning. */
static void other_frame(struct scene *scene)
{
	struct machine *machine = &scene->machine;

	map_tables(machine);
	hs_put_le32(machine_at(machine, MACHINE_DATA), 0x11111111);
	hs_put_le32(machine_at(machine, OTHER), 0x22222222);
	machine->cpu.gpr[HS_RCX] = OTHER | 3;
	run_code(scene, SAME("mov eax, [ebx]\n mov [edi], ecx\n invlpg [ebx]\n mov edx, [ebx]\n"
			     "mov dword ptr [ebx + 4], 0x33333333"));
	scene_assert_eax(scene, 0x11111111);
	assert_int_equal(scene->stop.cpu.gpr[HS_RDX], 0x22222222);
	assert_int_equal(hs_get_le32(machine_at(machine, OTHER + 4)), 0x33333333);
	assert_int_equal(hs_get_le32(machine_at(machine, MACHINE_DATA + 4)), 0);
}

static void test_translation_page_that_has_become_another_frame_is_read_and_written_there(void **state)
{
	(void)state;
	scene_everywhere(other_frame, scene_is_kernel_with_paging);
}

/* Read at ring 0, then at ring 3, where iret leads: what the one may do the other may not. */
static void from_ring_0_to_3(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	unsigned int word = scene->is_64 ? 8 : 4;
	const uint64_t frame[] = { BORDER, MACHINE_CS3_64 | 3, 2, MACHINE_STACK, MACHINE_DS3 | 3 };
	struct code user = scene_choose(scene, SAME("mov dl, [ebx]"));

	machine_put(machine, BORDER, user.bytes, user.length);
	machine_change_entry(machine, BORDER, 0, ENTRY_USER);
	for (unsigned int i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
		hs_put_le(machine_at(machine, MACHINE_STACK + (uint64_t)word * i), frame[i], word);
	}
	/* One of ring 0 would be taken away by iret. */
	machine_segment(machine, MACHINE_DS3 | 3, &machine->cpu.seg[HS_DS]);
	run_code(scene, CODE64("mov [ebx], al\n iretq"), CODE32("mov [ebx], al\n iretd"));
	assert_fault(scene, 5, MACHINE_DATA);
	assert_int_equal(scene->stop.cpu.rip, BORDER);
}

static void test_translation_page_of_ring_0_is_none_of_ring_3_although_known(void **state)
{
	(void)state;
	scene_everywhere(from_ring_0_to_3, scene_is_kernel_with_paging);
}

/* ---- Large pages ---- */

/* A leaf with PS at that depth, and a store through it to a byte of MACHINE_DATA. */
static void store_through(struct scene *scene, uint64_t gva, int depth, uint64_t bits)
{
	struct machine *machine = &scene->machine;

	machine_set_entry(machine, gva, depth, 3 | ENTRY_PS | bits);
	machine_set_code(machine, scene_choose(scene, SAME("mov cl, [ebx]\n mov [ebx], al")));
	machine->cpu.gpr[HS_RBX] = gva + MACHINE_DATA + 0x123;
	machine->cpu.gpr[HS_RAX] = 0x5A;
	*machine_at(machine, MACHINE_DATA + 0x123) = 0;
	scene_start(scene);
}

static int leaf_depth(const struct scene *scene)
{
	static const int depths[HS_PAGING_FORMAT_COUNT] = {
		[HS_PAGING_32BIT] = 1, [HS_PAGING_PAE] = 2, [HS_PAGING_4LEVEL] = 3, [HS_PAGING_5LEVEL] = 4
	};

	return depths[scene->machine.root.format];
}

static void large_pages(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	int depth = leaf_depth(scene) - 1;
	uint64_t reserved = machine->root.format == HS_PAGING_32BIT ? 1u << 21 : 1u << 13;

	machine_map(machine, LARGE, OTHER, HS_PAGE_SIZE, HS_PROT_WRITE, false);
	store_through(scene, LARGE, depth, 0);
	assert_int_equal(scene->stop.kind, MACHINE_HLT);
	assert_int_equal(*machine_at(machine, MACHINE_DATA + 0x123), 0x5A);
	assert_int_equal(machine_entry(machine, LARGE, depth), 3 | ENTRY_PS | A | D);
	store_through(scene, LARGE, depth, reserved);
	assert_fault(scene, 9, LARGE + MACHINE_DATA + 0x123);
	assert_int_equal(machine_entry(machine, LARGE, depth) & D, 0);
}

static void test_translation_large_page_is_one_and_its_reserved_bits_fault(void **state)
{
	(void)state;
	scene_everywhere(large_pages, scene_is_kernel_with_paging);
}

static bool has_giant_pages(const struct machine_config *config)
{
	return config->mode == MACHINE_64 && config->cpl == 0;
}

static void giant_pages(struct scene *scene)
{
	struct machine *machine = &scene->machine;
	int depth = leaf_depth(scene) - 2;

	machine_map(machine, GIANT, OTHER, HS_PAGE_SIZE, HS_PROT_WRITE, false);
	store_through(scene, GIANT, depth, 0);
	assert_int_equal(scene->stop.kind, MACHINE_HLT);
	assert_int_equal(*machine_at(machine, MACHINE_DATA + 0x123), 0x5A);
	assert_int_equal(machine_entry(machine, GIANT, depth), 3 | ENTRY_PS | A | D);
	store_through(scene, GIANT, depth, 1u << 29);
	assert_fault(scene, 9, GIANT + MACHINE_DATA + 0x123);
}

static void test_translation_page_of_a_gigabyte_is_one_and_its_reserved_bits_fault(void **state)
{
	(void)state;
	scene_everywhere(giant_pages, has_giant_pages);
}

static bool is_32bit(const struct machine_config *config)
{
	return config->format == HS_PAGING_32BIT && config->cpl == 0;
}

/* Without CR4.PSE the bit means nothing, and the entry names a table. */
static void without_pse(struct scene *scene)
{
	struct machine *machine = &scene->machine;

	machine->cpu.cr4 &= ~(uint64_t)CR4_PSE;
	machine_map(machine, LARGE, MACHINE_DATA, HS_PAGE_SIZE, HS_PROT_WRITE, false);
	machine_set_entry(machine, LARGE, 0, machine_entry(machine, LARGE, 0) | ENTRY_PS);
	*machine_at(machine, MACHINE_DATA) = 0x77;
	machine_set_code(machine, CODE32("movzx eax, byte ptr [ebx]"));
	machine->cpu.gpr[HS_RBX] = LARGE;
	scene_start(scene);
	scene_assert_eax(scene, 0x77);
}

static void test_translation_without_pse_there_are_no_large_pages(void **state)
{
	(void)state;
	scene_everywhere(without_pse, is_32bit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translation_accessed_and_dirty_bits_come_back_after_invlpg),
		cmocka_unit_test(test_translation_write_to_a_page_that_has_become_read_only_faults),
		cmocka_unit_test(test_translation_write_protect_counts_from_the_next_access_on),
		cmocka_unit_test(test_translation_smap_counts_from_the_next_access_on),
		cmocka_unit_test(test_translation_page_that_has_become_another_frame_is_read_and_written_there),
		cmocka_unit_test(test_translation_page_of_ring_0_is_none_of_ring_3_although_known),
		cmocka_unit_test(test_translation_large_page_is_one_and_its_reserved_bits_fault),
		cmocka_unit_test(test_translation_page_of_a_gigabyte_is_one_and_its_reserved_bits_fault),
		cmocka_unit_test(test_translation_without_pse_there_are_no_large_pages),
	};

	return cmocka_run_group_tests_name("translation", tests, NULL, NULL);
}
