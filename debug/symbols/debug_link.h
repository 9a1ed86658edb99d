/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which separate debug file an ELF file names (gdb manual, Separate Debug Files). */
#ifndef HS_SYMBOLS_DEBUG_LINK_H
#define HS_SYMBOLS_DEBUG_LINK_H

#include <hindsight/error.h>

#include <stdint.h>

/** Longest name of a file that is told, with its NUL. */
#define HS_DEBUG_LINK_MAX 256u

/**
 * Read the section .gnu_debuglink of an ELF file. The name is one of a file in some directory: it has no '/', and is
 * neither "." nor "..".
 *
 * HS_ERR_NOT_FOUND: it names none, or not such a one. HS_ERR_FORMAT: not an ELF file. HS_ERR_UNSUPPORTED: libelf is too
 * old for it.
 *
 * @param fd       open for reading; its position may move
 * @param name     for messages
 * @param ret_crc  what hs_debug_link_crc() of that file's bytes is
 */
HS_MUST_CHECK enum hs_status hs_debug_link_read(int fd, const char *name, char ret_name[HS_DEBUG_LINK_MAX],
						uint32_t *ret_crc, struct hs_error *err);

/** The checksum of a whole file that debug links use: CRC-32 of ISO 3309. HS_ERR_IO. */
HS_MUST_CHECK enum hs_status hs_debug_link_crc(int fd, const char *name, uint32_t *ret, struct hs_error *err);

#endif
