/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libdwarf, whose interface changed with version 0.1: HS_LIBDWARF_ACCESS (set by meson) says that it is the older one.
 * For dwarf_reader.c and dwarf_scopes.c alone.
 */
#ifndef HS_SYMBOLS_DWARF_LIB_H
#define HS_SYMBOLS_DWARF_LIB_H

#include "symbols/dwarf_index.h"

#include <stdint.h>

#ifdef HS_LIBDWARF_ACCESS
#include <libdwarf/dwarf.h>
#include <libdwarf/libdwarf.h>
#define HS_DWARF_BYTES Dwarf_Ptr
#define HS_DWARF_INIT(fd, dwarf, error) dwarf_init_b(fd, DW_DLC_READ, DW_GROUPNUMBER_ANY, NULL, NULL, dwarf, error)
#define HS_DWARF_FINISH(dwarf) dwarf_finish(dwarf, &(Dwarf_Error){ NULL })
#define dwarf_dealloc_fde_cie_list dwarf_fde_cie_list_dealloc
#define dwarf_dealloc_ranges dwarf_ranges_dealloc
#else
#include <dwarf.h>
#include <libdwarf.h>
#define HS_DWARF_BYTES Dwarf_Small *
#define HS_DWARF_INIT(fd, dwarf, error) dwarf_init_b(fd, DW_GROUPNUMBER_ANY, NULL, NULL, dwarf, error)
#define HS_DWARF_FINISH(dwarf) dwarf_finish(dwarf)
#endif

/** Files of one unit whose index is remembered by number; those beyond are looked up each time. */
#define HS_DWARF_UNIT_FILES 1024u

struct hs_dwarf_reader {
	Dwarf_Debug dwarf;
	uint32_t unit_files
		[HS_DWARF_UNIT_FILES]; /* of the unit that is read: index + 1 by its file number; 0: not seen */
	struct hs_dwarf_index *units;  /* where the functions are, of the units that were asked for */
	size_t unit_count;
};

#endif
