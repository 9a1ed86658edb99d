/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Call-frame information as plain data (DWARF 5, 6.4; .eh_frame: LSB Core 5.0, 10.6): which function has which
 * instructions, and what these say of one address. It knows neither files nor memory.
 *
 * Bytes come from an image that nobody vouches for: all is bounded, and what is broken is no information.
 */
#ifndef HS_SYMBOLS_CFI_H
#define HS_SYMBOLS_CFI_H

#include "base/buf.h"
#include "symbols/unwind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where the caller's value of a register is (DWARF 5, 6.4.1). */
enum hs_cfi_how {
	HS_CFI_UNSPECIFIED,    /* nothing is said: as the ABI has it */
	HS_CFI_UNDEFINED,      /* nowhere; of the return address: there is no caller */
	HS_CFI_SAME,           /* in the register */
	HS_CFI_OFFSET,         /* in memory at CFA + offset */
	HS_CFI_VAL_OFFSET,     /* it is CFA + offset */
	HS_CFI_REGISTER,       /* it is register reg + offset */
	HS_CFI_EXPRESSION,     /* in memory at what the expression gives */
	HS_CFI_VAL_EXPRESSION, /* it is what the expression gives */
};

struct hs_cfi_rule {
	enum hs_cfi_how how;
	uint32_t reg;
	int64_t offset;
	const uint8_t *expression; /* borrowed from the table */
	size_t expression_length;
};

/** What holds at one address. cfa.how is HS_CFI_REGISTER or HS_CFI_VAL_EXPRESSION. */
struct hs_cfi_row {
	struct hs_cfi_rule cfa;
	struct hs_cfi_rule registers[HS_UNWIND_REGISTERS];
	uint32_t return_column;
	bool is_signal_frame;
};

/** What several functions have in common. */
struct hs_cfi_cie {
	uint64_t code_alignment;
	int64_t data_alignment;
	uint32_t return_column;
	bool is_signal_frame;
	size_t instructions, length; /* in the bytes of the table */
};

/** One function, or a part of one: [start, end). */
struct hs_cfi_fde {
	uint64_t start, end;
	size_t instructions, length;
	uint32_t cie;
	uint32_t order; /* in which they were read: of two for one address the first counts */
};

/** Owns all. */
struct hs_cfi_table {
	struct hs_cfi_cie *cies;
	struct hs_cfi_fde *fdes; /* ascending by start, then by order, once sorted */
	size_t cie_count, cie_capacity, fde_count, fde_capacity;
	struct hs_buf bytes;
};

void hs_cfi_init(struct hs_cfi_table *table);
void hs_cfi_deinit(struct hs_cfi_table *table);

/**
 * Add a CIE, and then FDEs that refer to it by *ret. Offsets of instructions are filled in: the bytes are copied. False
 * when there is no memory.
 */
bool hs_cfi_add_cie(struct hs_cfi_table *table, struct hs_cfi_cie cie, const uint8_t *instructions, uint32_t *ret);
bool hs_cfi_add_fde(struct hs_cfi_table *table, struct hs_cfi_fde fde, const uint8_t *instructions);
/** To be called once all are in. */
void hs_cfi_sort(struct hs_cfi_table *table);

/** The FDE that covers address, or NULL. */
const struct hs_cfi_fde *hs_cfi_at(const struct hs_cfi_table *table, uint64_t address);

/** What the FDE says of address, which lies in it. False when its instructions are broken; *ret is undefined then. */
bool hs_cfi_row_at(const struct hs_cfi_table *table, const struct hs_cfi_fde *fde, uint64_t address,
		   struct hs_cfi_row *ret);

#endif
