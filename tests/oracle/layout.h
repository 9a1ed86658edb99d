/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The address space that both CPUs have: the same few pages at the same addresses, with holes and pages of fewer rights
 * beside them, so that accesses fault in every way and also in the middle.
 *
 *	LOW     one page, read and write: what 16-bit addresses reach
 *	CODE    two pages, read and execute; then one that is read and write, and not executable
 *	DATA    two pages, read and write; then one that is read-only
 *	STACK   two pages, read and write
 *	FAR     one page, read and write, whose address needs all 47 bits; 64-bit mode alone
 *
 * All else is unmapped. The pages have numbers in this order: a place in a "world" is a page's number times 4096 plus
 * the offset in it.
 */
#ifndef ORACLE_LAYOUT_H
#define ORACLE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_PAGE UINT64_C(4096)
#define ORACLE_LOW UINT64_C(0x8000)
#define ORACLE_CODE UINT64_C(0x10000000)
#define ORACLE_DATA UINT64_C(0x20000000)
#define ORACLE_STACK UINT64_C(0x30000000)
#define ORACLE_FAR UINT64_C(0x5a3456789000)

/* Where GS starts, unless a case has it otherwise: below the data, in both modes. */
#define ORACLE_GS_BASE UINT64_C(0x1fff0000)

/* The selectors that Linux gives a process, and one of its LDT. */
enum {
	ORACLE_CS32 = 0x23,
	ORACLE_DS = 0x2b,
	ORACLE_CS64 = 0x33,
	ORACLE_GS = 0x07,
};

/* The LDT, in the terms of modify_ldt(2): descriptors of DPL 3, accessed, 32-bit. The first one is ORACLE_GS. */
struct oracle_descriptor {
	uint32_t base, limit;
	uint8_t contents; /* 0 data, 1 data that expands down, 2 code, 3 conforming code */
	bool fixed;       /* data that is read-only, code that is execute-only */
	bool in_pages, not_present;
};

#define ORACLE_DESCRIPTORS 9
extern const struct oracle_descriptor oracle_descriptors[ORACLE_DESCRIPTORS];

struct oracle_area {
	uint64_t at;
	unsigned int first; /* number of its first page */
	unsigned int pages;
	int prot; /* bits of enum hs_prot */
};

#define ORACLE_AREAS 7
#define ORACLE_PAGES 10
#define ORACLE_WORLD (ORACLE_PAGES * ORACLE_PAGE)

extern const struct oracle_area oracle_areas[ORACLE_AREAS];

/* Whether this host lets a process have an area at its address: not one below vm.mmap_min_addr. */
bool oracle_area_is_there(const struct oracle_area *area);

/* The place in a world of an address, and false where nothing is mapped. */
bool oracle_place(uint64_t at, size_t *ret);

#endif
