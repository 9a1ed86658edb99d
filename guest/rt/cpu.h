/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers that the assembly and the C of the runtime share: selectors of the SDK's own GDT, the interrupt stacks, the
 * TSS. Only #defines outside the __ASSEMBLER__ guard.
 */
#ifndef HS_GUEST_RT_CPU_H
#define HS_GUEST_RT_CPU_H

#define HS_SELECTOR_CODE 0x08
#define HS_SELECTOR_DATA 0x10
#define HS_SELECTOR_TSS 0x18
#define HS_SELECTOR_DF_TSS 0x28 /* i686 only; amd64's TSS descriptor is 16 bytes */

#define HS_VECTOR_DOUBLE_FAULT 8
#define HS_VECTOR_PAGE_FAULT 14
#define HS_GATE_COUNT 32
#define HS_STUB_BYTES 16 /* each entry stub is padded to this, so that its address is a product */

/* Interrupt stacks (SDM vol. 3A 6.14.5): a slot for each level of nesting, so that a fault within a handler does not
 * write over the frame of the first one. */
#define HS_STACK_SLOT 4096
#define HS_FAULT_STACK_BYTES (4 * HS_STACK_SLOT) /* HS_TRAP_DEPTH slots */

/* Bytes of a TSS without an I/O bitmap (SDM vol. 3A 7.2.1 figure 7-2; 7.7 figure 7-11). */
#define HS_TSS_BYTES 104

#ifndef __ASSEMBLER__
#include <stdint.h>

/* The 64-bit TSS. The fields stand on 4-byte boundaries. */
struct hs_tss64 {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7]; /* ist[0] is IST1 */
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_bitmap;
} __attribute__((packed, aligned(4)));
_Static_assert(sizeof(struct hs_tss64) == HS_TSS_BYTES, "SDM vol. 3A figure 7-11");
#endif
#endif
