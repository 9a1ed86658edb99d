/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Segment descriptors: the eight bytes of a GDT entry and the hidden part of a segment register are two forms of one
 * thing (SDM vol. 3A 3.4.3, 3.4.5, figure 3-8).
 */
#ifndef HS_VMM_DESCRIPTOR_H
#define HS_VMM_DESCRIPTOR_H

#include <hindsight/cpu.h>

#include <stdint.h>

#define HS_DESCRIPTOR_BYTES 8u
/** Bytes of the descriptor of a TSS or LDT in long mode: the base's upper half follows (SDM vol. 3A figure 7-4). */
#define HS_DESCRIPTOR_LONG_BYTES 16u

/** Types of system descriptors (SDM vol. 3A table 3-2). */
enum hs_descriptor_type {
	HS_DESCRIPTOR_LDT = 2,
	HS_DESCRIPTOR_TSS = 9,
	HS_DESCRIPTOR_TSS_BUSY = 11,
};

/** Bits of the type of a code or data descriptor (SDM vol. 3A table 3-1). */
enum hs_descriptor_bit {
	HS_DESCRIPTOR_ACCESSED = 1,
	HS_DESCRIPTOR_WRITABLE = 2,    /* data; in code: readable */
	HS_DESCRIPTOR_CONFORMING = 4,  /* code */
	HS_DESCRIPTOR_EXPAND_DOWN = 4, /* data */
	HS_DESCRIPTOR_CODE = 8,
};

/** The descriptor that a segment register was loaded from; the base's upper half is left out. */
uint64_t hs_descriptor_encode(const struct hs_segment *segment);

/** What a segment register holds after the descriptor was loaded with selector; code and data become accessed. */
void hs_descriptor_decode(uint64_t descriptor, uint16_t selector, struct hs_segment *ret);

#endif
