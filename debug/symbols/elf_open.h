/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file as libelf reads it. */
#ifndef HS_SYMBOLS_ELF_OPEN_H
#define HS_SYMBOLS_ELF_OPEN_H

#include <hindsight/error.h>

#include <libelf.h>

/**
 * Read a file as ELF. It is not mapped: one that shrinks meanwhile must not raise SIGBUS.
 *
 * @param fd    borrowed until elf_end()
 * @param name  for messages
 * @param ret   owned by the caller, for elf_end()
 * @return HS_OK; HS_ERR_FORMAT: not an ELF file; HS_ERR_UNSUPPORTED: libelf does not know this version of ELF
 */
HS_MUST_CHECK enum hs_status hs_elf_open(int fd, const char *name, Elf **ret, struct hs_error *err);

#endif
