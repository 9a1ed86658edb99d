/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which build an ELF file is of, without reading its symbols. */
#ifndef HS_SYMBOLS_BUILD_ID_H
#define HS_SYMBOLS_BUILD_ID_H

#include <hindsight/error.h>

#include <stddef.h>
#include <stdint.h>

/** Longest build-id that is told: SHA-1 has 20 bytes. */
#define HS_BUILD_ID_MAX 32u

/**
 * Read the GNU build-id of an ELF file, from its PT_NOTE segments.
 *
 * HS_ERR_FORMAT: not an ELF file. HS_ERR_UNSUPPORTED: libelf is too old for it.
 *
 * @param fd          open for reading; its position may move
 * @param name        for messages
 * @param ret_length  0 when it has none, or a longer one
 */
HS_MUST_CHECK enum hs_status hs_build_id_read(int fd, const char *name, uint8_t ret[HS_BUILD_ID_MAX],
					      size_t *ret_length, struct hs_error *err);

#endif
