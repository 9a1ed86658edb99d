/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may be written to a terminal and how numbers look on it. */
#ifndef HS_CLI_TERM_H
#define HS_CLI_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** True when colours may be used on the descriptor: it is a terminal and NO_COLOR is not set (no-color.org). */
bool hs_term_colour(int fd);

/** A size for people: "312 bytes", "4.0 KiB", "256.0 MiB". */
void hs_term_size(uint64_t bytes, char *ret, size_t size);

#endif
