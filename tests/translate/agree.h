/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What paging/ reads in a guest's tables against what its CPU says, for the whole address space that the CPU is on:
 * each page of each range that hs_iter_next() gives, the pages on either side of it, and random addresses. The CPU
 * speaks through hs_backend_ops.translate: KVM_TRANSLATE, or the software CPU's TLB.
 */
#ifndef HS_TESTS_TRANSLATE_AGREE_H
#define HS_TESTS_TRANSLATE_AGREE_H

#include "side.h"

#include <stdbool.h>
#include <stdint.h>

struct agree {
	uint64_t asked, mapped; /* addresses so far, and how many of them are mapped */
	uint8_t physical_bits;  /* the width of the CPU's physical addresses, 0 where nobody knows */
	bool qemu;              /* the CPU is of QEMU's translator */
	uint64_t spoil;         /* this one of the mapped is read in tables with a wrong entry; 0: none */
	uint64_t random;        /* state of the random numbers */
	char difference[400];   /* of a comparison that found one */
};

/** Compare. The guest is as it was, but for A bits. False: agree->difference. */
bool agree_everywhere(struct agree *agree, struct side *side);

/** The root that the side's CPU is on. */
enum hs_status agree_root(const struct agree *agree, struct side *side, struct hs_root *ret, struct hs_error *err);

#endif
