/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The DWARF of an image, read into plain data. dwarf_lib.h is the one file that includes libdwarf.
 *
 * Lines and call-frame information are read whole. Functions and what was inlined into them are looked up in the file
 * when they are asked for: of a large program that is far more, and a backtrace needs little of it. Where the functions
 * are, of the units that were asked for, is kept.
 */
#ifndef HS_SYMBOLS_DWARF_READER_H
#define HS_SYMBOLS_DWARF_READER_H

#include "symbols/cfi.h"
#include "symbols/dwarf_lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_dwarf_reader;

/** A function that code at an address belongs to, the outer one first, then what was inlined into it. */
struct hs_dwarf_scope {
	const char *name;   /* NULL: not known. Borrowed from the reader */
	char *call_file;    /* where the inlined one was called from; NULL: not known. Owned by the caller */
	uint32_t call_line; /* 0: not known */
};

/**
 * Open the DWARF of an image. fd stays the caller's and must stay open; its position moves. NULL: there is none, or it
 * is broken.
 */
struct hs_dwarf_reader *hs_dwarf_reader_open(int fd);
/** NULL is fine. */
void hs_dwarf_reader_close(struct hs_dwarf_reader *reader);

/**
 * Read all lines, or all call-frame information (.eh_frame, then .debug_frame). What cannot be read is left out. False
 * when there is no memory.
 */
bool hs_dwarf_reader_lines(struct hs_dwarf_reader *reader, struct hs_dwarf_lines *lines);
bool hs_dwarf_reader_frames(struct hs_dwarf_reader *reader, struct hs_cfi_table *table);

/** Most functions of one address: one, and what is inlined into each other. */
#define HS_DWARF_SCOPES_MAX 64u

/** The functions at address, which is in code of unit: how many; 0 when there is none. */
size_t hs_dwarf_reader_scopes(struct hs_dwarf_reader *reader, const struct hs_dwarf_unit *unit, uint64_t address,
			      struct hs_dwarf_scope ret[HS_DWARF_SCOPES_MAX]);

#endif
