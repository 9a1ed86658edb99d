/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the name of a variable of an image to its address: one look into its symbol table. */
#ifndef HS_SYMBOLS_VARIABLE_H
#define HS_SYMBOLS_VARIABLE_H

#include <hindsight/error.h>
#include <hindsight/types.h>

/**
 * Find a variable. Of several with one name the global one counts.
 *
 * HS_ERR_NOT_FOUND: there is none of this name. HS_ERR_INVALID: there are several, and none is global. HS_ERR_FORMAT:
 * not an ELF file. HS_ERR_IO, HS_ERR_UNSUPPORTED.
 *
 * @param fd    open for reading; its position is not used and not changed
 * @param name  of the file, for messages
 */
HS_MUST_CHECK enum hs_status hs_variable_find(int fd, const char *name, const char *symbol, hs_gva *ret,
					      struct hs_error *err);

#endif
