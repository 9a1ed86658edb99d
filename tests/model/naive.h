/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A second page-table walker to hold the first one against: slow, with a function for every paging mode, each written
 * down from the text of Intel SDM vol. 3A chapter 4 (naive.c). Beside it which mode it is, and what comes of an access,
 * from the same chapter (naive_access.c). It shares no code with paging/ and includes nothing of hindsight.
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

enum naive_mode { NAIVE_NO_PAGING, NAIVE_32BIT, NAIVE_PAE, NAIVE_4LEVEL, NAIVE_5LEVEL };

/** What software controls about a walk and about accesses. */
struct naive_controls {
	enum naive_mode mode;
	uint64_t cr3;
	bool cr0_wp;
	bool cr4_pse, cr4_smep, cr4_smap;
	bool efer_nxe;
	unsigned int maxphyaddr;
	bool pdpte_a; /* not the SDM's: bit 5 of a PDPTE of PAE paging is ignored, as in QEMU */
};

/** The controls of a CPU with these registers; maxphyaddr stays as it is. */
void naive_read_registers(struct naive_controls *controls, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer);

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
	uint64_t page;          /* PAGE: its size */
	unsigned int depth;     /* of the deciding entry, 0 for the top table */
	bool write, user, fetch;
	bool tagged;         /* bits 11:9 of the leaf are 001 and R/W is 0 */
	uint64_t attributes; /* of the leaf, with PAT shown in bit 7 */
};

struct naive_result naive_walk(const struct naive_memory *memory, const struct naive_controls *controls,
			       uint64_t linear);

enum naive_kind { NAIVE_READ, NAIVE_WRITE, NAIVE_FETCH, NAIVE_KINDS };

struct naive_access {
	enum naive_kind kind;
	bool user_mode;
	bool ac; /* EFLAGS.AC is 1 and the access is explicit */
};

enum naive_end {
	NAIVE_DONE,
	NAIVE_PAGE_FAULT,
	NAIVE_GENERAL_PROTECTION,
	NAIVE_NO_ANSWER, /* a paging structure is not in memory */
};

struct naive_verdict {
	enum naive_end end;
	unsigned int error_code; /* of PAGE_FAULT */
};

/** What comes of an access to an address for which the walk said this. */
struct naive_verdict naive_judge(const struct naive_controls *controls, const struct naive_result *result,
				 struct naive_access access);

#endif
