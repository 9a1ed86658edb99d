/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `hindsight core info` says of a core: for people, and as one JSON object (docs/cores.md). */
#ifndef HS_CLI_CORE_INFO_H
#define HS_CLI_CORE_INFO_H

#include <hindsight/coredump.h>

#include <stdbool.h>
#include <stdio.h>

/**
 * Write the text.
 *
 * @param hash    of the snapshot that it is, as text; empty when nobody has asked for it
 * @param colour  whether out is a terminal that wants colours
 * @param all     list every segment, not only the first ones
 */
void hs_core_info_text(const struct hs_core *core, const char *path, const char *hash, bool colour, bool all,
		       FILE *out);

/** Write the object; hash as above. False when there was no memory for a part of it. */
bool hs_core_info_json(const struct hs_core *core, const char *path, const char *hash, FILE *out);

/** "SEGV_MAPERR" for SIGSEGV and 1; NULL for a code without a name. Static. */
const char *hs_core_code_name(int signal, int code);

#endif
