/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the unwinder asks of the symbols of an image, besides names. */
#ifndef HS_SYMBOLS_CODE_H
#define HS_SYMBOLS_CODE_H

#include "symbols/cfi.h"
#include "symbols/symbols.h"

#include <stdbool.h>
#include <stdint.h>

/** Whether address lies in code of the image. */
bool hs_symbols_is_code(const struct hs_symbols *symbols, uint64_t address);

/** Where the function at address starts, or false. */
bool hs_symbols_function_start(const struct hs_symbols *symbols, uint64_t address, uint64_t *ret);

enum hs_symbols_row {
	HS_SYMBOLS_ROW_NONE,
	HS_SYMBOLS_ROW_FOUND,
	HS_SYMBOLS_ROW_BROKEN,
};

/** The call-frame information of address; *ret, borrowed from the symbols, is for HS_SYMBOLS_ROW_FOUND only. */
enum hs_symbols_row hs_symbols_row_at(const struct hs_symbols *symbols, uint64_t address, struct hs_cfi_row *ret);

#endif
