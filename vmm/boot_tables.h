/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The descriptor tables that a guest gets, and the CPU state that goes with them, as bytes: composed by boot_amd64.c
 * and boot_i686.c, written to memory by boot.c. Pure.
 *
 * The page of HS_AREA_DESCRIPTORS, both arches:
 *   0x000  GDT: null, ring 0 code and data, ring 3 32-bit code, data, 64-bit code, TSS (two slots), double-fault TSS
 *   0x080  TSS
 *   0x100  double-fault TSS (i686)
 *   0x1000 top of the double-fault task's stack (i686)
 */
#ifndef HS_VMM_BOOT_TABLES_H
#define HS_VMM_BOOT_TABLES_H

#include "vmm/layout.h"
#include "vmm/tss32.h"

#include <hindsight/cpu.h>

#include <stddef.h>
#include <stdint.h>

enum hs_boot_selector {
	HS_BOOT_CODE = 0x08,
	HS_BOOT_DATA = 0x10,
	/* In the order that sysret wants (SDM vol. 2B, SYSRET): IA32_STAR[63:48] would be 0x18. */
	HS_BOOT_USER_CODE32 = 0x18,
	HS_BOOT_USER_DATA = 0x20,
	HS_BOOT_USER_CODE64 = 0x28, /* amd64 only */
	HS_BOOT_TSS = 0x30,
	HS_BOOT_DF_TSS = 0x40, /* i686 only */
	HS_BOOT_GDT_BYTES = 0x48,
};

enum hs_boot_offset {
	HS_BOOT_TSS_AT = 0x080,
	HS_BOOT_DF_TSS_AT = 0x100,
};

/** In either TSS: offset of the I/O bitmap's base; one at or behind the limit means there is none. */
#define HS_TSS_IO_BITMAP 102u

#define HS_IDT_GATES 256u

/** What the entry registers hold besides what the layout knows. */
struct hs_boot_entry {
	uint64_t ip;
	uint64_t seed;
	uint32_t log_level;
};

/** Everything that is to be written. */
struct hs_boot_tables {
	uint8_t descriptors[HS_PAGE_SIZE];
	uint8_t idt[HS_PAGE_SIZE];
	uint8_t stubs[HS_PAGE_SIZE];
	uint8_t stack[32]; /* the topmost stack_bytes of the stack */
	size_t stack_bytes;
};

/** Fill *tables (all zero before) and *cpu (hs_cpu_state_init() before). */
void hs_boot_amd64_compose(const struct hs_layout *layout, const struct hs_boot_entry *entry,
			   struct hs_boot_tables *tables, struct hs_cpu_state *cpu);
void hs_boot_i686_compose(const struct hs_layout *layout, const struct hs_boot_entry *entry,
			  struct hs_boot_tables *tables, struct hs_cpu_state *cpu);

/** What the two have in common: stubs, the GDT but for its TSSs, segment registers, GDTR, CR0, CR3, PAT, debug
 * registers. */
void hs_boot_compose_common(const struct hs_layout *layout, struct hs_boot_tables *tables, struct hs_cpu_state *cpu);

/** The busy TSS at HS_AREA_DESCRIPTORS + offset as TR holds it. */
void hs_boot_tss_segment(const struct hs_layout *layout, uint16_t selector, uint64_t offset, struct hs_segment *ret);

/** gva of the code that gate vector leads to. */
uint64_t hs_boot_stub(const struct hs_layout *layout, unsigned int vector);

/** DPL of a gate: ring 3 may raise #BP and #OF by instruction, and nothing else (SDM vol. 3A 6.12.1.2). */
unsigned int hs_boot_gate_dpl(unsigned int vector);

/** gva of the top of the exception stack. */
uint64_t hs_boot_exception_stack(const struct hs_layout *layout);

#endif
