/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Page tables of every kind, added to those that a guest runs on: leaves with each set of rights, tables that take a
 * right away from what is in them, large pages, entries with reserved bits, a table that is not in memory and memory
 * that is not there, and the tables themselves in a recursive slot.
 */
#ifndef HS_TESTS_TRANSLATE_WEAVE_H
#define HS_TESTS_TRANSLATE_WEAVE_H

#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>

#include <stdbool.h>
#include <stdint.h>

/** Code that is at the start of each page of the weave's own: ud2. */
#define WEAVE_CODE 0x0B0Fu

struct weave {
	const struct hs_phys *phys;
	struct hs_root root;
	uint64_t next, end; /* zeroed memory that is free, for tables and pages */
	bool large_1g;      /* there are pages of 1 GiB */

	uint64_t everything; /* afterwards: a page with all rights, for user mode too */
};

/** Build a root that maps what the root `from` maps, by pages of 4 KiB, and make it the weave's. */
enum hs_status weave_copy(struct weave *weave, const struct hs_root *from, enum hs_paging_format format,
			  struct hs_error *err);
/** Add all of it to weave->root. */
enum hs_status weave_add(struct weave *weave, struct hs_error *err);
/** Take the right to write from the page weave->everything. */
enum hs_status weave_spoil(struct weave *weave, struct hs_error *err);
/** Show [gpa, gpa + 4096) to user mode, to be read and executed; *ret_gva is where. */
enum hs_status weave_show_code(struct weave *weave, hs_gpa gpa, uint64_t *ret_gva, struct hs_error *err);

#endif
