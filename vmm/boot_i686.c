/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tables and the entry state of an i686 guest. Interrupt gates push on the current stack at ring 0 and on the
 * exception stack (TSS ss0:esp0) when they come from ring 3. A ring 0 stack that cannot be pushed to ends in a double
 * fault, and that one is a task gate: a second TSS brings a stack of its own, and the interrupted state is saved in
 * the first TSS (abi.h says how the host finds it).
 *
 * Sources: SDM vol. 3A 6.11 (gates), 7.2.1 (TSS), 7.2.5 (task gate), 7.3 (what a task switch saves).
 */
#include "vmm/boot_tables.h"

#include "arch/exception.h"
#include "base/bytes.h"
#include "vmm/descriptor.h"

#define GATE_BYTES 8u
/* Present, type 14: 32-bit interrupt gate; type 5: task gate. */
#define GATE_TYPE 0x8Eu
#define TASK_GATE_TYPE 0x85u

/* CR4.PSE, OSFXSR, OSXMMEXCPT. */
#define CR4_AT_ENTRY 0x610

/* Null return address, boot information, seed, page size, log level. */
#define ENTRY_WORDS 5

static void write_gate(uint8_t *at, uint32_t offset, unsigned int dpl)
{
	hs_put_le16(at, (uint16_t)offset);
	hs_put_le16(at + 2, HS_BOOT_CODE);
	at[4] = 0;
	at[5] = (uint8_t)(GATE_TYPE | dpl << 5);
	hs_put_le16(at + 6, (uint16_t)(offset >> 16));
}

static void write_task_gate(uint8_t *at, uint16_t selector)
{
	hs_put_le16(at, 0);
	hs_put_le16(at + 2, selector);
	at[4] = 0;
	at[5] = TASK_GATE_TYPE;
	hs_put_le16(at + 6, 0);
}

static void write_idt(const struct hs_layout *layout, struct hs_boot_tables *tables)
{
	for (unsigned int vector = 0; vector < HS_IDT_GATES; vector++) {
		uint8_t *at = tables->idt + (size_t)vector * GATE_BYTES;

		if (vector == HS_VECTOR_DF) {
			write_task_gate(at, HS_BOOT_DF_TSS);
		} else {
			write_gate(at, (uint32_t)hs_boot_stub(layout, vector), hs_boot_gate_dpl(vector));
		}
	}
}

/* The TSS that is current: the CPU reads the ring 0 stack and, coming back from a task, CR3, which it never writes. */
static void write_tss(const struct hs_layout *layout, const struct hs_cpu_state *cpu, uint8_t *tss)
{
	hs_put_le32(tss + HS_TSS32_ESP0, (uint32_t)hs_boot_exception_stack(layout));
	hs_put_le16(tss + HS_TSS32_SS0, HS_BOOT_DATA);
	hs_put_le32(tss + HS_TSS32_CR3, (uint32_t)cpu->cr3);
	hs_put_le16(tss + HS_TSS_IO_BITMAP, HS_TSS_BYTES);
}

/* The double fault's: a whole CPU state that starts at the stub. The CPU pushes the error code on its stack. */
static void write_df_tss(const struct hs_layout *layout, const struct hs_cpu_state *cpu, uint8_t *tss)
{
	const struct hs_area *page = hs_layout_area(layout, HS_AREA_DESCRIPTORS);

	hs_put_le32(tss + HS_TSS32_CR3, (uint32_t)cpu->cr3);
	hs_put_le32(tss + HS_TSS32_EIP, (uint32_t)hs_boot_stub(layout, HS_VECTOR_DF));
	hs_put_le32(tss + HS_TSS32_EFLAGS, (uint32_t)cpu->rflags);
	hs_put_le32(tss + HS_TSS32_GPR + 4 * HS_RSP, (uint32_t)(page->gva.v + page->length));
	for (int i = HS_ES; i <= HS_GS; i++) {
		hs_put_le16(tss + HS_TSS32_SEG + 4 * i, cpu->seg[i].selector);
	}
	hs_put_le16(tss + HS_TSS_IO_BITMAP, HS_TSS_BYTES);
}

static void write_tasks(const struct hs_layout *layout, const struct hs_cpu_state *cpu, struct hs_boot_tables *tables)
{
	struct hs_segment idle;

	write_tss(layout, cpu, tables->descriptors + HS_BOOT_TSS_AT);
	write_df_tss(layout, cpu, tables->descriptors + HS_BOOT_DF_TSS_AT);
	hs_put_le64(tables->descriptors + HS_BOOT_TSS, hs_descriptor_encode(&cpu->seg[HS_TR]));
	hs_boot_tss_segment(layout, HS_BOOT_DF_TSS, HS_BOOT_DF_TSS_AT, &idle);
	idle.type = HS_DESCRIPTOR_TSS;
	hs_put_le64(tables->descriptors + HS_BOOT_DF_TSS, hs_descriptor_encode(&idle));
}

/* As at a cdecl function's entry (i386 psABI 2.2.2): the words begin 4 below a multiple of 16, the arguments on it. */
static void push_arguments(const struct hs_layout *layout, const struct hs_boot_entry *entry,
			   struct hs_boot_tables *tables, struct hs_cpu_state *cpu)
{
	const struct hs_area *stack = hs_layout_area(layout, HS_AREA_STACK);
	const uint32_t words[ENTRY_WORDS] = {
		0,
		(uint32_t)hs_layout_area(layout, HS_AREA_BOOT)->gva.v,
		(uint32_t)entry->seed,
		HS_PAGE_SIZE,
		entry->log_level,
	};

	for (unsigned int i = 0; i < ENTRY_WORDS; i++) {
		hs_put_le32(tables->stack + 4 * i, words[i]);
	}
	tables->stack_bytes = 4 * ENTRY_WORDS;
	cpu->gpr[HS_RSP] = stack->gva.v + stack->length - tables->stack_bytes;
}

void hs_boot_i686_compose(const struct hs_layout *layout, const struct hs_boot_entry *entry,
			  struct hs_boot_tables *tables, struct hs_cpu_state *cpu)
{
	hs_boot_compose_common(layout, tables, cpu);
	hs_boot_tss_segment(layout, HS_BOOT_TSS, HS_BOOT_TSS_AT, &cpu->seg[HS_TR]);
	write_idt(layout, tables);
	cpu->idt.limit = HS_IDT_GATES * GATE_BYTES - 1;
	write_tasks(layout, cpu, tables);
	cpu->cr4 = CR4_AT_ENTRY;
	cpu->rip = entry->ip;
	push_arguments(layout, entry, tables, cpu);
}
