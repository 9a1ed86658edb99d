/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both architectures' descriptor tables have in common; the stubs are the same bytes in both modes. */
#include "vmm/boot_tables.h"

#include "arch/exception.h"
#include "base/bytes.h"
#include "vmm/descriptor.h"

#include <hindsight/abi.h>

#include <string.h>

#define STUB_BYTES (HS_PAGE_SIZE / HS_IDT_GATES)

/* 64 bytes below the end of the scratch region: the bookkeeping words take 0x30, and this is 16-aligned. */
#define EXCEPTION_STACK_OFFSET 0x40

/* CR0.PG, AM, WP, NE, ET, MP, PE (SDM vol. 3A 2.5). */
#define CR0_AT_ENTRY 0x80050033
/* IA32_PAT at reset (SDM vol. 3A table 12-12). */
#define PAT_RESET 0x0007040600070406
/* DR6 and DR7 at reset: bits that are always 1 (SDM vol. 3A table 10-1). */
#define DR6_RESET 0xFFFF0FF0
#define DR7_RESET 0x400

/* Flat segments, accessed already, so that the CPU has nothing to write when they are loaded. */
static const struct hs_segment code32 = {
	.limit = UINT32_MAX,
	.type = HS_DESCRIPTOR_CODE | HS_DESCRIPTOR_WRITABLE | HS_DESCRIPTOR_ACCESSED,
	.present = 1,
	.db = 1,
	.s = 1,
	.g = 1,
};

static const struct hs_segment data = {
	.limit = UINT32_MAX,
	.type = HS_DESCRIPTOR_WRITABLE | HS_DESCRIPTOR_ACCESSED,
	.present = 1,
	.db = 1,
	.s = 1,
	.g = 1,
};

/*
 * One stub, of at most 11 bytes: complete the frame of abi.h, tell the host, and tell it again should it let the
 * guest run on. No register is changed. push imm32, because push imm8 would make vectors from 128 on negative.
 */
static void write_stub(uint8_t *at, unsigned int vector)
{
	if (!hs_exception_of((uint8_t)vector)->has_error_code) {
		*at++ = 0x6A; /* push $0 */
		*at++ = 0;
	}
	*at++ = 0x68; /* push $vector */
	hs_put_le32(at, vector);
	at += 4;
	*at++ = 0xE7; /* out %eax, $HS_PORT_EXCEPTION */
	*at++ = HS_PORT_EXCEPTION;
	*at++ = 0xEB; /* jmp to the out: 4 back from behind the jump */
	*at++ = (uint8_t)-4;
}

static void set_descriptor(struct hs_boot_tables *tables, uint16_t selector, struct hs_segment segment, uint8_t dpl)
{
	segment.dpl = dpl;
	hs_put_le64(tables->descriptors + selector, hs_descriptor_encode(&segment));
}

static struct hs_segment code64(void)
{
	struct hs_segment segment = code32;

	segment.l = 1;
	segment.db = 0;
	return segment;
}

static void load_segments(enum hs_arch arch, struct hs_cpu_state *cpu)
{
	for (int i = HS_ES; i <= HS_GS; i++) {
		cpu->seg[i] = data;
		cpu->seg[i].selector = HS_BOOT_DATA;
	}
	cpu->seg[HS_CS] = arch == HS_ARCH_AMD64 ? code64() : code32;
	cpu->seg[HS_CS].selector = HS_BOOT_CODE;
	cpu->seg[HS_LDTR] = (struct hs_segment){ .type = HS_DESCRIPTOR_LDT, .unusable = 1 };
}

void hs_boot_compose_common(const struct hs_layout *layout, struct hs_boot_tables *tables, struct hs_cpu_state *cpu)
{
	for (unsigned int vector = 0; vector < HS_IDT_GATES; vector++) {
		write_stub(tables->stubs + (size_t)vector * STUB_BYTES, vector);
	}
	set_descriptor(tables, HS_BOOT_CODE, layout->arch == HS_ARCH_AMD64 ? code64() : code32, 0);
	set_descriptor(tables, HS_BOOT_DATA, data, 0);
	set_descriptor(tables, HS_BOOT_USER_CODE32, code32, 3);
	set_descriptor(tables, HS_BOOT_USER_DATA, data, 3);
	load_segments(layout->arch, cpu);
	cpu->gdt.base = hs_layout_area(layout, HS_AREA_DESCRIPTORS)->gva.v;
	cpu->gdt.limit = HS_BOOT_GDT_BYTES - 1;
	cpu->idt.base = hs_layout_area(layout, HS_AREA_IDT)->gva.v;
	cpu->cr0 = CR0_AT_ENTRY;
	cpu->cr3 = hs_layout_area(layout, HS_AREA_TABLES)->gpa.v;
	cpu->msr.pat = PAT_RESET;
	cpu->dr[6] = DR6_RESET;
	cpu->dr[7] = DR7_RESET;
}

void hs_boot_tss_segment(const struct hs_layout *layout, uint16_t selector, uint64_t offset, struct hs_segment *ret)
{
	*ret = (struct hs_segment){
		.base = hs_layout_area(layout, HS_AREA_DESCRIPTORS)->gva.v + offset,
		.limit = HS_TSS_BYTES - 1,
		.selector = selector,
		.type = HS_DESCRIPTOR_TSS_BUSY,
		.present = 1,
	};
}

uint64_t hs_boot_stub(const struct hs_layout *layout, unsigned int vector)
{
	return hs_layout_area(layout, HS_AREA_STUBS)->gva.v + (uint64_t)vector * STUB_BYTES;
}

unsigned int hs_boot_gate_dpl(unsigned int vector)
{
	return vector == HS_VECTOR_BP || vector == HS_VECTOR_OF ? 3 : 0;
}

uint64_t hs_boot_exception_stack(const struct hs_layout *layout)
{
	return layout->scratch_gva.v + layout->scratch_bytes - EXCEPTION_STACK_OFFSET;
}
