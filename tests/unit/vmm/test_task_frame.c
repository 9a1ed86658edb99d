/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/exception_frame: i686 double faults through a task gate, taken back from the TSS of the interrupted task. */
#include "vmm/exception_frame.h"

#include "base/bytes.h"
#include "frame_scene.h"
#include "vmm/boot_tables.h"
#include "vmm/descriptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The state after the provided double-fault gate was taken (SDM vol. 3A 7.3), as far as it matters here. */
static void take_task_gate(struct scene *scene)
{
	const struct hs_layout *layout = &scene->guest.layout;
	const uint64_t words[] = { 8, 0 };
	uint64_t tss = scene->guest.cpu.seg[HS_TR].base;
	uint8_t word[4];

	for (unsigned int i = 0; i < 8; i++) {
		hs_put_le32(word, 0xA0000000 + i);
		booted_write(&scene->guest, tss + 40 + (uint64_t)4 * i, word, 4);
	}
	for (unsigned int i = HS_ES; i <= HS_GS; i++) {
		hs_put_le32(word, i == HS_CS ? HS_BOOT_CODE : HS_BOOT_DATA);
		booted_write(&scene->guest, tss + 72 + (uint64_t)4 * i, word, 4);
	}
	hs_put_le32(word, 0x402000);
	booted_write(&scene->guest, tss + 32, word, 4);
	hs_put_le32(word, FLAGS);
	booted_write(&scene->guest, tss + 36, word, 4);
	hs_boot_tss_segment(layout, HS_BOOT_DF_TSS, HS_BOOT_DF_TSS_AT, &scene->cpu.seg[HS_TR]);
	hs_put_le16(word, HS_BOOT_TSS);
	booted_write(&scene->guest, scene->cpu.seg[HS_TR].base, word, 2);
	scene->cpu.rflags = 2 | FLAGS_NT;
	scene->cpu.cr0 |= 8;
	scene_put_words(scene, scene->sp, words, 2);
}

static void set_tss_word(struct scene *scene, unsigned int offset, uint32_t value)
{
	uint8_t word[4];

	hs_put_le32(word, value);
	booted_write(&scene->guest, scene->guest.cpu.seg[HS_TR].base + offset, word, 4);
}

static void test_frame_i686_double_fault_comes_from_the_previous_task(void **state)
{
	struct scene scene;
	struct hs_exception_frame frame;

	(void)state;
	scene_init(&scene, false);
	take_task_gate(&scene);
	set_tss_word(&scene, 28, 0x12345000);
	set_tss_word(&scene, 72 + 4 * HS_GS, 0);
	frame = scene_rewind_good(&scene);
	assert_int_equal(frame.vector, 8);
	assert_true(frame.has_error_code);
	for (int i = HS_RAX; i <= HS_RDI; i++) {
		assert_int_equal(scene.cpu.gpr[i], 0xA0000000 + (unsigned int)i);
	}
	assert_int_equal(scene.cpu.rip, 0x402000);
	assert_int_equal(scene.cpu.rflags, FLAGS);
	assert_int_equal(scene.cpu.cr3, 0x12345000);
	assert_int_equal(scene.cpu.cr0, scene.guest.cpu.cr0);
	assert_memory_equal(&scene.cpu.seg[HS_TR], &scene.guest.cpu.seg[HS_TR], sizeof(struct hs_segment));
	for (int i = HS_ES; i < HS_GS; i++) {
		assert_memory_equal(&scene.cpu.seg[i], &scene.guest.cpu.seg[i], sizeof(struct hs_segment));
	}
	assert_int_equal(scene.cpu.seg[HS_GS].unusable, 1);
	assert_int_equal(scene.cpu.seg[HS_LDTR].unusable, 1);
	scene_deinit(&scene);
}

static void test_frame_i686_double_fault_without_nt_is_a_frame_on_the_stack(void **state)
{
	const uint64_t words[] = { 8, 0, 0x401000, HS_BOOT_CODE, FLAGS };
	struct scene scene;

	(void)state;
	scene_init(&scene, false);
	take_task_gate(&scene);
	scene.cpu.rflags = 2;
	scene_put_words(&scene, scene.sp, words, 5);
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.rip, 0x401000);
	scene_deinit(&scene);
}

static void test_frame_i686_double_fault_loads_the_ldt_before_what_is_in_it(void **state)
{
	/*
	 * In the slot of the GDT that amd64 has its user code in: an LDT, which is the GDT itself under another name.
	 */
	struct hs_segment ldt = { .type = HS_DESCRIPTOR_LDT, .present = 1, .limit = HS_BOOT_GDT_BYTES - 1 };
	struct scene scene;
	uint8_t bytes[8];

	(void)state;
	scene_init(&scene, false);
	take_task_gate(&scene);
	ldt.base = scene.cpu.gdt.base;
	hs_put_le64(bytes, hs_descriptor_encode(&ldt));
	booted_write(&scene.guest, scene.cpu.gdt.base + HS_BOOT_USER_CODE64, bytes, sizeof(bytes));
	set_tss_word(&scene, 96, HS_BOOT_USER_CODE64);
	set_tss_word(&scene, 72 + 4 * HS_DS, HS_BOOT_USER_DATA | 4);
	scene_rewind_good(&scene);
	assert_int_equal(scene.cpu.seg[HS_LDTR].selector, HS_BOOT_USER_CODE64);
	assert_int_equal(scene.cpu.seg[HS_LDTR].base, scene.cpu.gdt.base);
	assert_int_equal(scene.cpu.seg[HS_DS].selector, HS_BOOT_USER_DATA | 4);
	assert_int_equal(scene.cpu.seg[HS_DS].dpl, 3);
	scene_deinit(&scene);
}

static void set_back_link(struct scene *scene, uint32_t value)
{
	uint8_t word[2];

	hs_put_le16(word, (uint16_t)value);
	booted_write(&scene->guest, scene->cpu.seg[HS_TR].base, word, 2);
}

static void spoil_tr_unusable(struct scene *scene)
{
	scene->cpu.seg[HS_TR].unusable = 1;
}

static void spoil_tr_type(struct scene *scene)
{
	scene->cpu.seg[HS_TR].type = 3;
}

static void spoil_tr_place(struct scene *scene)
{
	scene->cpu.seg[HS_TR].base = 0xDEAD0000;
}

static void spoil_link_null(struct scene *scene)
{
	set_back_link(scene, 0);
}

static void spoil_link_code(struct scene *scene)
{
	set_back_link(scene, HS_BOOT_CODE);
}

static void spoil_link_local(struct scene *scene)
{
	set_back_link(scene, HS_BOOT_TSS | 4);
}

static void spoil_link_beyond(struct scene *scene)
{
	set_back_link(scene, 0xFFF8);
}

static void spoil_link_not_busy(struct scene *scene)
{
	set_back_link(scene, HS_BOOT_DF_TSS);
}

static void spoil_flags(struct scene *scene)
{
	set_tss_word(scene, 36, 0);
}

static void spoil_code(struct scene *scene)
{
	set_tss_word(scene, 72 + 4 * HS_CS, HS_BOOT_DATA);
}

static void spoil_stack(struct scene *scene)
{
	set_tss_word(scene, 72 + 4 * HS_SS, HS_BOOT_CODE);
}

static void spoil_data(struct scene *scene)
{
	set_tss_word(scene, 72 + 4 * HS_FS, HS_BOOT_TSS);
}

static void spoil_ldt(struct scene *scene)
{
	set_tss_word(scene, 96, HS_BOOT_DATA);
}

static void spoil_local_data(struct scene *scene)
{
	set_tss_word(scene, 72 + 4 * HS_DS, 4);
}

static void test_frame_i686_double_fault_with_a_broken_task_is_refused(void **state)
{
	static const struct {
		void (*spoil)(struct scene *scene);
		enum hs_status status;
		const char *problem;
	} cases[] = {
		{ spoil_tr_unusable, HS_ERR_FORMAT, "without a 32-bit TSS" },
		{ spoil_tr_type, HS_ERR_FORMAT, "without a 32-bit TSS" },
		{ spoil_tr_place, HS_ERR_UNREADABLE, "" },
		{ spoil_link_null, HS_ERR_FORMAT, "without a 32-bit TSS" },
		{ spoil_link_code, HS_ERR_FORMAT, "not a busy TSS" },
		{ spoil_link_local, HS_ERR_FORMAT, "not in the GDT" },
		{ spoil_link_beyond, HS_ERR_FORMAT, "not in its descriptor table" },
		{ spoil_link_not_busy, HS_ERR_FORMAT, "not a busy TSS" },
		{ spoil_flags, HS_ERR_FORMAT, "flags" },
		{ spoil_code, HS_ERR_FORMAT, "not a code segment" },
		{ spoil_stack, HS_ERR_FORMAT, "not a stack segment" },
		{ spoil_data, HS_ERR_FORMAT, "not a data segment" },
		{ spoil_ldt, HS_ERR_FORMAT, "not an LDT" },
		{ spoil_local_data, HS_ERR_FORMAT, "not in its descriptor table" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene scene;

		scene_init(&scene, false);
		take_task_gate(&scene);
		cases[i].spoil(&scene);
		scene_assert_refused(&scene, cases[i].status, cases[i].problem);
		scene_deinit(&scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_i686_double_fault_comes_from_the_previous_task),
		cmocka_unit_test(test_frame_i686_double_fault_without_nt_is_a_frame_on_the_stack),
		cmocka_unit_test(test_frame_i686_double_fault_loads_the_ldt_before_what_is_in_it),
		cmocka_unit_test(test_frame_i686_double_fault_with_a_broken_task_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
