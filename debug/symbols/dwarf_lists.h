/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether libdwarf can be let near an image's lists of ranges and locations: version 20210528 frees a header twice when
 * one of .debug_rnglists or .debug_loclists is broken.
 */
#ifndef HS_SYMBOLS_DWARF_LISTS_H
#define HS_SYMBOLS_DWARF_LISTS_H

#include <stdbool.h>

/** Whether every header of these sections is whole (DWARF 5, 7.28 and 7.29). fd's position may move. */
bool hs_dwarf_lists_are_sound(int fd);

#endif
