/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables and the entry state of an amd64 guest. Every gate switches to the exception stack by IST1: whatever the
 * guest's stack pointer is, the frame arrives. The stubs never return, so that one stack for all of them is enough.
 *
 * Sources: SDM vol. 3A 6.14 (exceptions in 64-bit mode), 7.7 (64-bit TSS), figure 7-4 (its descriptor).
 */
#include "vmm/boot_tables.h"

#include "base/bytes.h"
#include "vmm/descriptor.h"

#define GATE_BYTES 16u
/* Present, type 14: 64-bit interrupt gate. */
#define GATE_TYPE 0x8Eu
#define GATE_IST 1

/* Offsets in the TSS. */
#define TSS_RSP0 4
#define TSS_IST1 36

/* CR4.PAE, OSFXSR, OSXMMEXCPT; IA32_EFER.LME, LMA, NXE. */
#define CR4_AT_ENTRY 0x620
#define EFER_AT_ENTRY 0xD00

static void write_gate(uint8_t *at, uint64_t offset, unsigned int dpl)
{
	hs_put_le16(at, (uint16_t)offset);
	hs_put_le16(at + 2, HS_BOOT_CODE);
	at[4] = GATE_IST;
	at[5] = (uint8_t)(GATE_TYPE | dpl << 5);
	hs_put_le16(at + 6, (uint16_t)(offset >> 16));
	hs_put_le32(at + 8, (uint32_t)(offset >> 32));
	hs_put_le32(at + 12, 0);
}

static void write_tss(const struct hs_layout *layout, struct hs_boot_tables *tables)
{
	uint8_t *tss = tables->descriptors + HS_BOOT_TSS_AT;

	hs_put_le64(tss + TSS_RSP0, hs_boot_exception_stack(layout));
	hs_put_le64(tss + TSS_IST1, hs_boot_exception_stack(layout));
	hs_put_le16(tss + HS_TSS_IO_BITMAP, HS_TSS_BYTES);
}

static void add_descriptors(const struct hs_segment *tss, const struct hs_segment *kernel_code,
			    struct hs_boot_tables *tables)
{
	struct hs_segment user_code = *kernel_code;

	user_code.dpl = 3;
	hs_put_le64(tables->descriptors + HS_BOOT_USER_CODE64, hs_descriptor_encode(&user_code));
	hs_put_le64(tables->descriptors + HS_BOOT_TSS, hs_descriptor_encode(tss));
	hs_put_le64(tables->descriptors + HS_BOOT_TSS + HS_DESCRIPTOR_BYTES, tss->base >> 32);
}

void hs_boot_amd64_compose(const struct hs_layout *layout, const struct hs_boot_entry *entry,
			   struct hs_boot_tables *tables, struct hs_cpu_state *cpu)
{
	const struct hs_area *stack = hs_layout_area(layout, HS_AREA_STACK);

	hs_boot_compose_common(layout, tables, cpu);
	for (unsigned int vector = 0; vector < HS_IDT_GATES; vector++) {
		write_gate(tables->idt + (size_t)vector * GATE_BYTES, hs_boot_stub(layout, vector),
			   hs_boot_gate_dpl(vector));
	}
	cpu->idt.limit = HS_IDT_GATES * GATE_BYTES - 1;
	write_tss(layout, tables);
	hs_boot_tss_segment(layout, HS_BOOT_TSS, HS_BOOT_TSS_AT, &cpu->seg[HS_TR]);
	add_descriptors(&cpu->seg[HS_TR], &cpu->seg[HS_CS], tables);
	cpu->cr4 = CR4_AT_ENTRY;
	cpu->msr.efer = EFER_AT_ENTRY;
	cpu->rip = entry->ip;
	cpu->gpr[HS_RDI] = hs_layout_area(layout, HS_AREA_BOOT)->gva.v;
	cpu->gpr[HS_RSI] = entry->seed;
	cpu->gpr[HS_RDX] = HS_PAGE_SIZE;
	cpu->gpr[HS_RCX] = entry->log_level;
	/* As at a function's entry (psABI 3.2.2): a return address, null, lies at the top. */
	cpu->gpr[HS_RSP] = stack->gva.v + stack->length - 8;
	tables->stack_bytes = 8;
}
