/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/boot_*: the entry state and the GDT, TSS, IDT and stubs, read back from memory as a CPU would read them. */
#include "vmm/boot_tables.h"

#include "boot_fixture.h"
#include "vmm/descriptor.h"
#include "vmm/segment_load.h"

#include <hindsight/abi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct hs_vm_config config = { .seed = 0x1122334455667788, .log_level = 5 };

static void test_descriptor_known_values_encode_and_decode(void **state)
{
	/* The flat descriptors that every x86 kernel has (SDM vol. 3A 3.4.5), and one with all fields different. */
	static const struct {
		uint64_t raw;
		struct hs_segment segment;
	} cases[] = {
		{ 0x00AF9B000000FFFF,
		  { .limit = UINT32_MAX, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 } },
		{ 0x00CF93000000FFFF,
		  { .limit = UINT32_MAX, .selector = 8, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 } },
		{ 0x00CFF3000000FFFF,
		  { .limit = UINT32_MAX, .selector = 8, .type = 3, .present = 1, .dpl = 3, .s = 1, .db = 1, .g = 1 } },
		{ 0x12108B3456780067,
		  { .base = 0x12345678, .limit = 0x67, .selector = 8, .type = 11, .present = 1, .avl = 1 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hs_segment segment;

		assert_int_equal(hs_descriptor_encode(&cases[i].segment), cases[i].raw);
		hs_descriptor_decode(cases[i].raw, 8, &segment);
		assert_memory_equal(&segment, &cases[i].segment, sizeof(segment));
	}
}

static void test_boot_amd64_entry_state(void **state)
{
	struct booted booted;
	const struct hs_cpu_state *cpu = &booted.cpu;
	const struct hs_area *stack;

	(void)state;
	booted_init_small(&booted, true, &config);
	stack = hs_layout_area(&booted.layout, HS_AREA_STACK);
	assert_int_equal(cpu->rip, ELF_MAKER_TEXT_GVA + 0x200);
	assert_int_equal(cpu->rflags, 2);
	assert_int_equal(cpu->gpr[HS_RDI], hs_layout_area(&booted.layout, HS_AREA_BOOT)->gva.v);
	assert_int_equal(cpu->gpr[HS_RSI], config.seed);
	assert_int_equal(cpu->gpr[HS_RDX], 4096);
	assert_int_equal(cpu->gpr[HS_RCX], 5);
	assert_int_equal(cpu->gpr[HS_RSP], stack->gva.v + stack->length - 8);
	assert_int_equal(cpu->gpr[HS_RSP] % 16, 8);
	assert_int_equal(cpu->gpr[HS_RAX], 0);
	assert_int_equal(cpu->gpr[HS_RBP], 0);
	assert_int_equal(cpu->gpr[HS_R15], 0);
	assert_int_equal(booted_word(&booted, cpu->gpr[HS_RSP], 8), 0);
	assert_int_equal(cpu->cr0, 0x80050033);
	assert_int_equal(cpu->cr4, 0x620);
	assert_int_equal(cpu->msr.efer, 0xD00);
	assert_int_equal(cpu->msr.pat, 0x0007040600070406);
	assert_int_equal(cpu->xsave[HS_XSAVE_FCW] | cpu->xsave[HS_XSAVE_FCW + 1] << 8, 0x37F);
	assert_int_equal(cpu->xsave[HS_XSAVE_MXCSR] | cpu->xsave[HS_XSAVE_MXCSR + 1] << 8, 0x1F80);
	assert_int_equal(cpu->seg[HS_CS].l, 1);
	booted_deinit(&booted);
}

static void test_boot_i686_entry_state(void **state)
{
	struct booted booted;
	const struct hs_cpu_state *cpu = &booted.cpu;
	uint64_t sp;

	(void)state;
	booted_init_small(&booted, false, &config);
	sp = cpu->gpr[HS_RSP];
	assert_int_equal(cpu->rip, ELF_MAKER_TEXT_GVA + 0x200);
	assert_int_equal(cpu->rflags, 2);
	assert_int_equal((sp + 4) % 16, 0);
	assert_int_equal(booted_word(&booted, sp, 4), 0);
	assert_int_equal(booted_word(&booted, sp + 4, 4), hs_layout_area(&booted.layout, HS_AREA_BOOT)->gva.v);
	assert_int_equal(booted_word(&booted, sp + 8, 4), (uint32_t)config.seed);
	assert_int_equal(booted_word(&booted, sp + 12, 4), 4096);
	assert_int_equal(booted_word(&booted, sp + 16, 4), 5);
	assert_int_equal(cpu->cr0, 0x80050033);
	assert_int_equal(cpu->cr4, 0x610);
	assert_int_equal(cpu->msr.efer, 0);
	assert_int_equal(cpu->seg[HS_CS].l, 0);
	assert_int_equal(cpu->seg[HS_CS].db, 1);
	booted_deinit(&booted);
}

static void test_boot_segment_registers_are_what_the_gdt_says(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 <= 1; is_64++) {
		struct booted booted;
		struct hs_segment segment;
		struct hs_segment_source source;

		booted_init_small(&booted, is_64, &config);
		source = (struct hs_segment_source){ &booted.phys, &booted.root, &booted.cpu.gdt,
						     &booted.cpu.seg[HS_LDTR] };
		assert_int_equal(hs_segment_load_code(&source, HS_BOOT_CODE, &segment, NULL), HS_OK);
		assert_memory_equal(&segment, &booted.cpu.seg[HS_CS], sizeof(segment));
		assert_int_equal(hs_segment_load_stack(&source, HS_BOOT_DATA, &segment, &segment, NULL), HS_OK);
		assert_memory_equal(&segment, &booted.cpu.seg[HS_SS], sizeof(segment));
		for (int i = HS_ES; i <= HS_GS; i++) {
			if (i != HS_CS) {
				assert_memory_equal(&booted.cpu.seg[i], &booted.cpu.seg[HS_SS], sizeof(segment));
			}
		}
		assert_int_equal(hs_segment_load_system(&source, HS_BOOT_TSS, HS_DESCRIPTOR_TSS_BUSY, &segment, NULL),
				 HS_OK);
		segment.base |= is_64 ? booted_word(&booted, booted.cpu.gdt.base + HS_BOOT_TSS + 8, 4) << 32 : 0;
		assert_memory_equal(&segment, &booted.cpu.seg[HS_TR], sizeof(segment));
		assert_int_equal(booted.cpu.seg[HS_LDTR].unusable, 1);
		/* Ring 3's, for guests that want to go there. */
		assert_int_equal(hs_segment_load_code(&source, HS_BOOT_USER_CODE32 | 3, &segment, NULL), HS_OK);
		assert_int_equal(hs_segment_load_stack(&source, HS_BOOT_USER_DATA | 3, &segment, &segment, NULL),
				 HS_OK);
		assert_int_equal(hs_segment_load_code(&source, HS_BOOT_USER_CODE64 | 3, &segment, NULL),
				 is_64 ? HS_OK : HS_ERR_FORMAT);
		booted_deinit(&booted);
	}
}

/* The bytes of a stub, read by hand: [push $0] push $vector; out %eax, $111; jmp to the out. */
static void assert_is_stub(const struct booted *booted, uint64_t gva, unsigned int vector)
{
	/* SDM vol. 3A table 6-1; AMD's 29 and 30. */
	static const uint8_t with_error_code[] = { 8, 10, 11, 12, 13, 14, 17, 21, 29, 30 };
	uint8_t code[16];
	const uint8_t *at = code;

	booted_read(booted, gva, code, sizeof(code));
	if (!memchr(with_error_code, (int)vector, sizeof(with_error_code))) {
		assert_memory_equal(at, "\x6A\x00", 2);
		at += 2;
	}
	assert_int_equal(at[0], 0x68);
	assert_int_equal(at[1] | at[2] << 8 | at[3] << 16 | at[4] << 24, vector);
	assert_memory_equal(at + 5, "\xE7\x6F\xEB\xFC", 4);
}

static void assert_area_holds(const struct booted *booted, enum hs_area_kind kind, uint64_t gva)
{
	const struct hs_area *area = hs_layout_area(&booted->layout, kind);

	assert_in_range(gva, area->gva.v, area->gva.v + area->length - 1);
}

static void test_boot_amd64_gates_lead_to_their_stubs_on_the_exception_stack(void **state)
{
	struct booted booted;

	(void)state;
	booted_init_small(&booted, true, &config);
	assert_int_equal(booted.cpu.idt.limit, 256 * 16 - 1);
	for (unsigned int vector = 0; vector < 256; vector++) {
		uint64_t gate = booted.cpu.idt.base + (uint64_t)vector * 16;
		uint64_t offset = booted_word(&booted, gate, 2) | booted_word(&booted, gate + 6, 2) << 16 |
				  booted_word(&booted, gate + 8, 4) << 32;

		assert_int_equal(booted_word(&booted, gate + 2, 2), HS_BOOT_CODE);
		assert_int_equal(booted_word(&booted, gate + 4, 1), 1);
		assert_int_equal(booted_word(&booted, gate + 5, 1), vector == 3 || vector == 4 ? 0xEE : 0x8E);
		assert_int_equal(booted_word(&booted, gate + 12, 4), 0);
		assert_area_holds(&booted, HS_AREA_STUBS, offset);
		assert_is_stub(&booted, offset, vector);
	}
	/* rsp0 and ist1. */
	assert_int_equal(booted_word(&booted, booted.cpu.seg[HS_TR].base + 4, 8), 0xFFFFFFFFFFFFEFC0);
	assert_int_equal(booted_word(&booted, booted.cpu.seg[HS_TR].base + 36, 8), 0xFFFFFFFFFFFFEFC0);
	assert_int_equal(booted_word(&booted, booted.cpu.seg[HS_TR].base + 102, 2), 104);
	booted_deinit(&booted);
}

static void test_boot_i686_gates_lead_to_their_stubs_and_the_double_fault_to_a_task(void **state)
{
	struct booted booted;
	uint64_t tss;

	(void)state;
	booted_init_small(&booted, false, &config);
	assert_int_equal(booted.cpu.idt.limit, 256 * 8 - 1);
	for (unsigned int vector = 0; vector < 256; vector++) {
		uint64_t gate = booted.cpu.idt.base + (uint64_t)vector * 8;
		uint64_t offset = booted_word(&booted, gate, 2) | booted_word(&booted, gate + 6, 2) << 16;

		if (vector == 8) {
			assert_int_equal(booted_word(&booted, gate + 2, 2), HS_BOOT_DF_TSS);
			assert_int_equal(booted_word(&booted, gate + 5, 1), 0x85);
			continue;
		}
		assert_int_equal(booted_word(&booted, gate + 2, 2), HS_BOOT_CODE);
		assert_int_equal(booted_word(&booted, gate + 4, 1), 0);
		assert_int_equal(booted_word(&booted, gate + 5, 1), vector == 3 || vector == 4 ? 0xEE : 0x8E);
		assert_area_holds(&booted, HS_AREA_STUBS, offset);
		assert_is_stub(&booted, offset, vector);
	}
	tss = booted.cpu.seg[HS_TR].base;
	assert_int_equal(booted_word(&booted, tss + 4, 4), 0xFFFFEFC0); /* esp0 */
	assert_int_equal(booted_word(&booted, tss + 8, 4), HS_BOOT_DATA);
	assert_int_equal(booted_word(&booted, tss + 28, 4), booted.cpu.cr3);
	booted_deinit(&booted);
}

static void test_boot_i686_double_fault_task_is_complete(void **state)
{
	struct booted booted;
	struct hs_segment_source source;
	struct hs_segment tr;

	(void)state;
	booted_init_small(&booted, false, &config);
	source = (struct hs_segment_source){ &booted.phys, &booted.root, &booted.cpu.gdt, &booted.cpu.seg[HS_LDTR] };
	/* Available, not busy: a task gate to a busy TSS is a fault. */
	assert_int_equal(hs_segment_load_system(&source, HS_BOOT_DF_TSS, HS_DESCRIPTOR_TSS, &tr, NULL), HS_OK);
	assert_int_equal(tr.limit, 103);
	assert_int_equal(booted_word(&booted, tr.base + 28, 4), booted.cpu.cr3);
	assert_is_stub(&booted, booted_word(&booted, tr.base + 32, 4), 8);
	assert_int_equal(booted_word(&booted, tr.base + 36, 4), 2);
	/* esp: the words below it are the guest's to write, and not part of a TSS. */
	assert_area_holds(&booted, HS_AREA_DESCRIPTORS, booted_word(&booted, tr.base + 56, 4) - 16);
	assert_true(booted_word(&booted, tr.base + 56, 4) - 512 > tr.base + 104);
	for (unsigned int at = 72; at <= 92; at += 4) {
		assert_int_equal(booted_word(&booted, tr.base + at, 4), at == 76 ? HS_BOOT_CODE : HS_BOOT_DATA);
	}
	assert_int_equal(booted_word(&booted, tr.base + 96, 4), 0);
	booted_deinit(&booted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptor_known_values_encode_and_decode),
		cmocka_unit_test(test_boot_amd64_entry_state),
		cmocka_unit_test(test_boot_i686_entry_state),
		cmocka_unit_test(test_boot_segment_registers_are_what_the_gdt_says),
		cmocka_unit_test(test_boot_amd64_gates_lead_to_their_stubs_on_the_exception_stack),
		cmocka_unit_test(test_boot_i686_gates_lead_to_their_stubs_and_the_double_fault_to_a_task),
		cmocka_unit_test(test_boot_i686_double_fault_task_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
