/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether libdwarf can be let near an image's DWARF. Version 20210528 believes what some headers say: it frees memory
 * twice when one of .debug_rnglists or .debug_loclists is broken, and takes for a name what is none when one of
 * .debug_line is. So these are checked before.
 */
#ifndef HS_SYMBOLS_DWARF_CHECK_H
#define HS_SYMBOLS_DWARF_CHECK_H

#include <stdbool.h>

/** Whether every header of these sections is whole (DWARF 5, 6.2.4, 7.28 and 7.29). fd's position may move. */
bool hs_dwarf_is_sound(int fd);

#endif
