/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The build-id among the notes of a file, for the files here that have it open with libelf. */
#ifndef HS_SYMBOLS_ELF_NOTE_H
#define HS_SYMBOLS_ELF_NOTE_H

#include "symbols/build_id.h"

#include <libelf.h>

/** Look for the build-id in the notes of a section or segment; its length, 0 when it is not there or a longer one.
 * @param data  as notes (ELF_T_NHDR); NULL has none */
size_t hs_elf_note_build_id(Elf_Data *data, uint8_t ret[HS_BUILD_ID_MAX]);

#endif
