/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DWARF expressions (DWARF 5, 2.5) as call-frame information has them: arithmetic, branches, registers and memory.
 * Operations that make no sense there are refused. A loop ends after a bounded number of operations.
 */
#ifndef HS_SYMBOLS_EXPRESSION_H
#define HS_SYMBOLS_EXPRESSION_H

#include "symbols/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What an expression may look at. */
struct hs_expression_context {
	const struct hs_unwind_registers *registers;
	const struct hs_unwind_memory *memory;
	unsigned int address_bytes; /* 4 or 8: all values are of this size */
};

/**
 * Evaluate an expression: what is on top of its stack at the end.
 *
 * @param initial  NULL, or what is on the stack at the start
 * @return         false, with *ret unchanged, when it is broken, refused, too long, or wants what is not known
 */
bool hs_expression_evaluate(const struct hs_expression_context *context, const uint8_t *bytes, size_t length,
			    const uint64_t *initial, uint64_t *ret);

#endif
