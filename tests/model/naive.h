/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A second page-table walker to hold the first one against: slow, with a function for every paging mode, each written
 * down from the text of Intel SDM vol. 3A chapter 4. It shares no code with paging/ and includes nothing of hindsight.
 */
#ifndef HS_TESTS_MODEL_NAIVE_H
#define HS_TESTS_MODEL_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

/** Physical memory: bytes [base, base + length), and nothing else. */
struct naive_memory {
	const uint8_t *bytes;
	uint64_t base, length;
};

enum naive_mode { NAIVE_32BIT, NAIVE_PAE, NAIVE_4LEVEL, NAIVE_5LEVEL };

/** What software controls about a walk. */
struct naive_controls {
	enum naive_mode mode;
	uint64_t cr3;
	bool cr4_pse;
	bool efer_nxe;
	unsigned int maxphyaddr;
};

enum naive_outcome {
	NAIVE_PAGE,
	NAIVE_NOT_PRESENT,
	NAIVE_RESERVED_BIT,
	NAIVE_NO_MEMORY,
	NAIVE_NOT_CANONICAL,
};

struct naive_result {
	enum naive_outcome outcome;
	uint64_t start, length; /* what the deciding entry covers; for NOT_CANONICAL, the gap */
	uint64_t physical;      /* PAGE: of start; RESERVED_BIT: of the entry; NO_MEMORY: of the table */
	unsigned int depth;     /* of the deciding entry, 0 for the top table */
	bool write, user, fetch;
	bool tagged;         /* bits 11:9 of the leaf are 001 and R/W is 0 */
	uint64_t attributes; /* of the leaf, with PAT shown in bit 7 */
};

struct naive_result naive_walk(const struct naive_memory *memory, const struct naive_controls *controls,
			       uint64_t linear);

#endif
