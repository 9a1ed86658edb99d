/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A second walker for aarch64, slow, written down from the text of Arm's DDI 0487, D8 (VMSAv8-64): stage 1 of EL1&0,
 * 4 KiB granule, 48 bits of addresses. It shares no code with paging/ and includes nothing of hindsight.
 */
#ifndef HS_TESTS_MODEL_NAIVE_AARCH64_H
#define HS_TESTS_MODEL_NAIVE_AARCH64_H

#include <stdbool.h>
#include <stdint.h>

/** Physical memory: bytes [base, base + length), and nothing else. */
struct arm_memory {
	const uint8_t *bytes;
	uint64_t base, length;
};

struct arm_controls {
	bool ttbr1; /* which half of the addresses it is that is translated */
	uint64_t ttbr;
	unsigned int output_bits; /* TCR.IPS, as a number of bits */
};

enum arm_outcome {
	ARM_MEMORY,
	ARM_INVALID,            /* bit 0 is 0 */
	ARM_RESERVED_ENCODING,  /* bits 1:0 are 01 where there is no block */
	ARM_ADDRESS_SIZE_FAULT, /* an address in a descriptor has more than output_bits */
	ARM_NO_MEMORY,
	ARM_OTHER_HALF,
};

struct arm_result {
	enum arm_outcome outcome;
	uint64_t start, length; /* what the deciding descriptor covers; for OTHER_HALF all that is not of this half */
	uint64_t physical;      /* MEMORY: of start; NO_MEMORY: of the table; else of the descriptor */
	unsigned int level;
	bool el1_write, el1_execute;
	bool el0_read, el0_write, el0_execute;
	bool tagged;         /* bits 58:55 are 1000 and AP[2] is 1 */
	uint64_t attributes; /* bits 63:48, 11:8 and 5:2 of the last descriptor */
};

struct arm_result arm_walk(const struct arm_memory *memory, const struct arm_controls *controls, uint64_t address);

#endif
