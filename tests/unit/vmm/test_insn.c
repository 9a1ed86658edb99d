/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/insn: lengths, accesses and texts of instructions, against what the SDM says that they touch. */
#include "vmm/insn.h"

#include "arch/regs.h"
#include "vmm/ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CODE 0x1000u

struct scene {
	struct hs_ram ram;
	struct hs_phys phys;
	struct hs_cpu_state cpu; /* paging is off, so that linear = physical; the mode is that of CS alone */
};

static int setup(void **state)
{
	static struct scene scene;
	struct hs_error err;

	hs_ram_init(&scene.ram);
	assert_int_equal(hs_ram_add(&scene.ram, hs_gpa_of(CODE), 0x3000, NULL, &err), HS_OK);
	scene.phys = hs_ram_phys(&scene.ram);
	hs_cpu_state_init(&scene.cpu);
	scene.cpu.cr0 = 1;
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	hs_ram_deinit(&scene->ram);
	return 0;
}

static void set_mode(struct scene *scene, bool is_long)
{
	scene->cpu.msr.efer = is_long ? 0x500 : 0;
	scene->cpu.seg[HS_CS].l = is_long;
	scene->cpu.seg[HS_CS].db = !is_long;
}

static void put(struct scene *scene, const char *bytes, size_t length)
{
	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(CODE), bytes, length, NULL), HS_OK);
}

static struct hs_insn decode(struct scene *scene)
{
	struct hs_insn insn;

	assert_int_equal(hs_insn_decode(&scene->phys, &scene->cpu, hs_gva_of(CODE), &insn, NULL), HS_OK);
	return insn;
}

static void check_access(const struct hs_insn *insn, size_t index, uint64_t address, uint32_t bytes, bool read,
			 bool write)
{
	assert_true(index < insn->access_count);
	assert_int_equal(insn->accesses[index].address, address);
	assert_int_equal(insn->accesses[index].bytes, bytes);
	assert_int_equal(insn->accesses[index].read, read);
	assert_int_equal(insn->accesses[index].write, write);
}

static void test_insn_store_with_base_index_and_displacement(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	set_mode(scene, true);
	scene->cpu.gpr[HS_RBX] = 0x10000;
	scene->cpu.gpr[HS_R9] = 3;
	put(scene, "\x42\x89\x44\x8b\xf0", 5); /* mov %eax, -16(%rbx,%r9,4) */
	insn = decode(scene);
	assert_int_equal(insn.length, 5);
	assert_int_equal(insn.access_count, 1);
	check_access(&insn, 0, 0x10000 + 12 - 16, 4, false, true);
}

static void test_insn_rip_relative_load(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	set_mode(scene, true);
	put(scene, "\x48\x8b\x05\x10\x00\x00\x00", 7); /* mov 16(%rip), %rax */
	insn = decode(scene);
	check_access(&insn, 0, CODE + 7 + 16, 8, true, false);
}

static void test_insn_push_writes_below_the_stack_pointer(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	scene->cpu.gpr[HS_RSP] = 0x8000;
	set_mode(scene, true);
	put(scene, "\x50", 1);
	insn = decode(scene);
	check_access(&insn, 0, 0x8000 - 8, 8, false, true);
	put(scene, "\xe8\x00\x00\x00\x00", 5); /* call */
	insn = decode(scene);
	check_access(&insn, 0, 0x8000 - 8, 8, false, true);
	set_mode(scene, false);
	put(scene, "\x50", 1);
	insn = decode(scene);
	check_access(&insn, 0, 0x8000 - 4, 4, false, true);
}

static void test_insn_pop_and_ret_read_at_the_stack_pointer(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	scene->cpu.gpr[HS_RSP] = 0x8000;
	set_mode(scene, true);
	put(scene, "\x58", 1);
	insn = decode(scene);
	check_access(&insn, 0, 0x8000, 8, true, false);
	put(scene, "\xc3", 1);
	insn = decode(scene);
	check_access(&insn, 0, 0x8000, 8, true, false);
}

static void test_insn_string_copy_reads_and_writes_one_element(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	set_mode(scene, true);
	scene->cpu.gpr[HS_RSI] = 0x5000;
	scene->cpu.gpr[HS_RDI] = 0x6000;
	put(scene, "\xf3\xa4", 2); /* rep movsb */
	insn = decode(scene);
	assert_true(insn.repeats);
	assert_int_equal(insn.access_count, 2);
	check_access(&insn, 0, 0x6000, 1, false, true);
	check_access(&insn, 1, 0x5000, 1, true, false);
}

static void test_insn_segment_base_counts_where_the_mode_has_one(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	scene->cpu.seg[HS_FS].base = 0x70000;
	scene->cpu.seg[HS_DS].base = 0x100;
	scene->cpu.gpr[HS_RBX] = 8;
	set_mode(scene, true);
	put(scene, "\x64\x8a\x03", 3); /* mov %fs:(%rbx), %al */
	insn = decode(scene);
	check_access(&insn, 0, 0x70008, 1, true, false);
	put(scene, "\x8a\x03", 2);
	insn = decode(scene);
	check_access(&insn, 0, 8, 1, true, false);
	set_mode(scene, false);
	insn = decode(scene);
	check_access(&insn, 0, 0x108, 1, true, false);
	scene->cpu.seg[HS_FS].base = scene->cpu.seg[HS_DS].base = 0;
}

static void test_insn_32bit_address_wraps_at_4_gib(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	set_mode(scene, false);
	scene->cpu.gpr[HS_RBX] = 0xfffffffc;
	put(scene, "\x8b\x43\x08", 3); /* mov 8(%ebx), %eax */
	insn = decode(scene);
	check_access(&insn, 0, 4, 4, true, false);
}

static void test_insn_lea_and_nop_touch_nothing(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	set_mode(scene, true);
	put(scene, "\x48\x8d\x03", 3);
	insn = decode(scene);
	assert_int_equal(insn.access_count, 0);
	put(scene, "\x0f\x1f\x00", 3);
	insn = decode(scene);
	assert_int_equal(insn.access_count, 0);
}

static void test_insn_out_names_its_port(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;

	set_mode(scene, true);
	scene->cpu.gpr[HS_RDX] = 0xabcd1234;
	put(scene, "\xef", 1);
	insn = decode(scene);
	assert_true(insn.is_out);
	assert_int_equal(insn.port, 0x1234);
	put(scene, "\xe7\x6f", 2);
	insn = decode(scene);
	assert_true(insn.is_out);
	assert_int_equal(insn.port, 0x6f);
	put(scene, "\x9c", 1);
	insn = decode(scene);
	assert_false(insn.is_out);
	assert_true(insn.is_pushf);
}

static void test_insn_text_is_intel_syntax_and_total(void **state)
{
	struct scene *scene = *state;
	char text[64];

	set_mode(scene, true);
	put(scene, "\xc7\x00\x01\x00\x00\x00", 6);
	hs_insn_text(&scene->phys, &scene->cpu, hs_gva_of(CODE), text, sizeof(text));
	assert_string_equal(text, "mov dword ptr [rax], 0x01");
	put(scene, "\x06", 1); /* push es: not in 64-bit mode */
	hs_insn_text(&scene->phys, &scene->cpu, hs_gva_of(CODE), text, sizeof(text));
	assert_string_equal(text, "(bad)");
	hs_insn_text(&scene->phys, &scene->cpu, hs_gva_of(0x100000), text, sizeof(text));
	assert_string_equal(text, "(unreadable)");
}

static bool is_out_to_69(void *ctx, const struct hs_insn *insn)
{
	(void)ctx;
	return insn->is_out && insn->port == 0x69;
}

static void test_insn_before_finds_the_instruction_that_fits(void **state)
{
	struct scene *scene = *state;
	struct hs_cpu_state before;

	set_mode(scene, true);
	scene->cpu.gpr[HS_RDX] = 0x42;
	/* out %eax, $0x69 ends in a byte that could be read as something else, with an out to DX before it. */
	put(scene, "\xef\x90\xe7\x69\xff\xff", 6);
	assert_true(hs_insn_before(&scene->phys, &scene->cpu, hs_gva_of(CODE + 4), is_out_to_69, NULL, &before));
	assert_int_equal(before.rip, CODE + 2);
	assert_false(hs_insn_before(&scene->phys, &scene->cpu, hs_gva_of(CODE + 1), is_out_to_69, NULL, &before));
}

static bool writes_8000(void *ctx, const struct hs_insn *insn)
{
	(void)ctx;
	return insn->access_count > 0 && insn->accesses[0].write && insn->accesses[0].address == 0x8000;
}

/* Put code there and look for what has written 0x8000 right before its end. */
static uint64_t find_writer(struct scene *scene, const char *code, size_t length, struct hs_cpu_state *before)
{
	put(scene, code, length);
	assert_true(hs_insn_before(&scene->phys, &scene->cpu, hs_gva_of(CODE + length), writes_8000, NULL, before));
	return before->rip - CODE;
}

static void test_insn_before_sees_prefixes_and_long_opcodes(void **state)
{
	struct scene *scene = *state;
	struct hs_cpu_state before;

	set_mode(scene, true);
	scene->cpu.gpr[HS_RBX] = 0x7ff0;
	/* mov %rax, 16(%rbx): without its first byte it is mov %eax, 16(%rbx). */
	assert_int_equal(find_writer(scene, "\x90\x90\x48\x89\x43\x10", 6, &before), 2);
	/* movups %xmm0, 16(%rbx): without its first byte it is adc %eax, 16(%rbx). */
	assert_int_equal(find_writer(scene, "\x31\xc0\x0f\x11\x43\x10", 6, &before), 2);
	/* xor %ecx, %ecx; inc %ecx; mov %eax, 16(%rbx): what could be a prefix of it is the end of another one. */
	assert_int_equal(find_writer(scene, "\x31\xc9\xff\xc1\x89\x43\x10", 7, &before), 4);
}

static void test_insn_before_takes_back_what_a_push_or_a_string_instruction_moved(void **state)
{
	struct scene *scene = *state;
	struct hs_cpu_state before;

	set_mode(scene, true);
	scene->cpu.gpr[HS_RSP] = 0x8000;
	assert_int_equal(find_writer(scene, "\x90\x50", 2, &before), 1); /* push %rax */
	assert_int_equal(before.gpr[HS_RSP], 0x8008);
	scene->cpu.gpr[HS_RDI] = 0x8004;
	scene->cpu.gpr[HS_RSI] = 0x7004;
	scene->cpu.gpr[HS_RCX] = 0;
	assert_int_equal(find_writer(scene, "\x90\xf3\xa5", 3, &before), 1); /* rep movsl */
	assert_int_equal(before.gpr[HS_RDI], 0x8000);
	assert_int_equal(before.gpr[HS_RSI], 0x7000);
	assert_int_equal(before.gpr[HS_RCX], 1);
	scene->cpu.rflags |= 0x400; /* DF */
	scene->cpu.gpr[HS_RDI] = 0x7ff8;
	assert_int_equal(find_writer(scene, "\x90\x48\xab", 3, &before), 1); /* stosq */
	assert_int_equal(before.gpr[HS_RDI], 0x8000);
	assert_int_equal(before.gpr[HS_RSI], 0x7004);
	assert_int_equal(before.gpr[HS_RCX], 0);
	scene->cpu.rflags &= ~0x400ull;
}

static void test_insn_at_the_end_of_memory_decodes_what_is_there(void **state)
{
	struct scene *scene = *state;
	struct hs_insn insn;
	struct hs_error err;

	set_mode(scene, true);
	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(0x3fff), "\x90", 1, NULL), HS_OK);
	assert_int_equal(hs_insn_decode(&scene->phys, &scene->cpu, hs_gva_of(0x3fff), &insn, &err), HS_OK);
	assert_int_equal(insn.length, 1);
	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(0x3fff), "\xe9", 1, NULL), HS_OK);
	assert_int_equal(hs_insn_decode(&scene->phys, &scene->cpu, hs_gva_of(0x3fff), &insn, &err), HS_ERR_FORMAT);
}

static void test_insn_vector_set_is_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *set;
	} cases[] = {
		{ "\x66\x0f\xef\xc0", 4, "SSE2" },            /* pxor xmm0, xmm0 */
		{ "\x0f\x58\xc1", 3, "SSE" },                 /* addps xmm0, xmm1 */
		{ "\xd9\xe8", 2, "x87" },                     /* fld1 */
		{ "\x0f\xef\xc0", 3, "MMX" },                 /* pxor mm0, mm0 */
		{ "\xc5\xf9\xef\xc0", 4, "AVX" },             /* vpxor xmm0, xmm0, xmm0 */
		{ "\xc5\xfd\xef\xc0", 4, "AVX2" },            /* vpxor ymm0, ymm0, ymm0 */
		{ "\x62\xf1\x7d\x48\xef\xc0", 6, "AVX-512" }, /* vpxord zmm0, zmm0, zmm0 */
		{ "\x0f\x0b", 2, NULL },                      /* ud2 */
		{ "\x31\xc0", 2, NULL },                      /* xor eax, eax */
		{ "\x0f\xff", 2, NULL },                      /* ud0 */
	};
	struct scene *scene = *state;
	unsigned int number;

	for (int is_long = 0; is_long < 2; is_long++) {
		set_mode(scene, is_long);
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			const char *set;

			put(scene, cases[i].bytes, cases[i].length);
			set = hs_insn_vector_set(&scene->phys, &scene->cpu, hs_gva_of(CODE), &number);
			assert_int_equal(!set, !cases[i].set);
			if (set) {
				assert_string_equal(set, cases[i].set);
			}
		}
	}
	assert_null(hs_insn_vector_set(&scene->phys, &scene->cpu, hs_gva_of(0x100000), &number));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insn_store_with_base_index_and_displacement),
		cmocka_unit_test(test_insn_rip_relative_load),
		cmocka_unit_test(test_insn_push_writes_below_the_stack_pointer),
		cmocka_unit_test(test_insn_pop_and_ret_read_at_the_stack_pointer),
		cmocka_unit_test(test_insn_string_copy_reads_and_writes_one_element),
		cmocka_unit_test(test_insn_segment_base_counts_where_the_mode_has_one),
		cmocka_unit_test(test_insn_32bit_address_wraps_at_4_gib),
		cmocka_unit_test(test_insn_lea_and_nop_touch_nothing),
		cmocka_unit_test(test_insn_out_names_its_port),
		cmocka_unit_test(test_insn_text_is_intel_syntax_and_total),
		cmocka_unit_test(test_insn_before_finds_the_instruction_that_fits),
		cmocka_unit_test(test_insn_before_sees_prefixes_and_long_opcodes),
		cmocka_unit_test(test_insn_before_takes_back_what_a_push_or_a_string_instruction_moved),
		cmocka_unit_test(test_insn_at_the_end_of_memory_decodes_what_is_there),
		cmocka_unit_test(test_insn_vector_set_is_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
