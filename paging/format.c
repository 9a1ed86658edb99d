/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rows. Sources: Intel SDM vol. 3A chapter 4, tables 4-5 and 4-6 (32-bit), 4-8 to 4-11 (PAE), 4-14 to 4-20 (4-level
 * and 5-level paging), sections 4.3 (PSE-36), 4.6 (access rights); Arm ARM (DDI 0487) D8.3, "Translation table
 * descriptor formats", and D8.4, "Memory access control".
 *
 * What the SDM calls "reserved" for a bit beyond the physical-address width follows from the address masks and is not
 * repeated in the reserved masks here; likewise XD without EFER.NXE.
 */
#include "paging/format.h"

#include "paging/entry.h"

#include <stddef.h>

/* Rows of a table, and macros that are parts of a row. */
/* clang-format off */
#define BITS(high, low) HS_ENTRY_BITS(high, low)
#define BIT(bit) HS_ENTRY_BIT(bit)

#define ALWAYS { 0, 0 }
#define NEVER { 0, 1 }

#define P BIT(0)
#define W BIT(1)
#define U BIT(2)
#define A BIT(5)
#define PS BIT(7)
#define XD BIT(63)

/* A table's entry lets everything through and leaves the decision to the leaves. A is set because the CPU would have to
 * write it at the first walk, and the page of a table may be read-only to it. */
#define NEW_TABLE (P | W | U | A)

/* PWT, PCD, A, D, G, AVL; bit 7 is PAT in the smallest leaf, and PS in a larger one, which has PAT in bit 12. */
#define SMALL_ATTRIBUTES BITS(11, 3)
#define LARGE_ATTRIBUTES (BITS(11, 3) & ~PS)
#define LARGE_PAT .leaf_moved = BIT(12), .leaf_moved_shift = 5

/* Bits 58:52 are ignored and bits 62:59 are the protection key or ignored (4-level and 5-level paging only). */
#define LONG_ATTRIBUTES BITS(62, 52)

/* What an entry for a table has a name for, rights apart (PWT, PCD, A, AVL), and how it is made. */
#define FOR_TABLES .table_attributes = BITS(5, 3) | BITS(11, 9), .new_table = NEW_TABLE

/* x86 asks the same of a leaf and of an entry that names a table, and XD forbids a fetch to everybody. */
#define RIGHTS_WITH(xd) { .allow = W | U, .write = W, .user = U, .exec = (xd), .user_exec = (xd) }
#define RIGHTS_32 .table_rights = RIGHTS_WITH(0), .leaf_rights = RIGHTS_WITH(0)
#define RIGHTS_64 .table_rights = RIGHTS_WITH(XD), .leaf_rights = RIGHTS_WITH(XD), .reserved_without_nxe = XD

#define LONG_TABLE_ONLY(called, at) {                                                                                  \
	.name = (called), .shift = (at), .index_bits = 9, .leaf = NEVER, RIGHTS_64, FOR_TABLES,                        \
	.table_address = BITS(51, 12), .reserved_table = PS,                                                           \
}
#define LONG_TABLE_OR_LEAF(called, at) {                                                                               \
	.name = (called), .shift = (at), .index_bits = 9, .leaf = { PS, PS }, RIGHTS_64, FOR_TABLES,                   \
	.table_address = BITS(51, 12), .leaf_address = BITS(51, (at)), LARGE_PAT,                                      \
	.leaf_attributes = LARGE_ATTRIBUTES | LONG_ATTRIBUTES, .reserved_leaf = BITS((at) - 1, 13),                    \
	.new_leaf = P | PS,                                                                                            \
}
#define LONG_LEAF {                                                                                                    \
	.name = "PTE", .shift = 12, .index_bits = 9, .leaf = ALWAYS, RIGHTS_64, .leaf_address = BITS(51, 12),          \
	.leaf_attributes = SMALL_ATTRIBUTES | LONG_ATTRIBUTES, .new_leaf = P,                                          \
}

/* Beside the address CR3 has PWT and PCD (tables 4-3 and 4-7); of 64 bits, a process-context identifier and LAM (tables
 * 4-12 and 4-13). */
#define CR3_FLAGS BITS(4, 3)
#define CR3_LONG_FLAGS (BITS(62, 61) | BITS(11, 0))

#define X86_ENTRIES .present = { P, P }, .cow = { BITS(11, 9) | W, BIT(9) }, .names = x86_names
static const struct hs_field_name x86_names[] = {
	{ "P", 0, 0, HS_FIELD_OF_TESTS }, { "RW", 1, 1, HS_FIELD_OF_TESTS }, { "US", 2, 2, HS_FIELD_OF_TESTS },
	{ "PWT", 3, 3, HS_FIELD_OF_ATTRIBUTE }, { "PCD", 4, 4, HS_FIELD_OF_ATTRIBUTE },
	{ "A", 5, 5, HS_FIELD_OF_ATTRIBUTE }, { "D", 6, 6, HS_FIELD_OF_ATTRIBUTE },
	{ "PS", 7, 7, HS_FIELD_OF_LEAF_TEST }, { "PAT", 7, 7, HS_FIELD_OF_ATTRIBUTE },
	{ "G", 8, 8, HS_FIELD_OF_ATTRIBUTE }, { "AVL", 11, 9, HS_FIELD_OF_ATTRIBUTE },
	{ "PAT", 12, 12, HS_FIELD_OF_MOVED }, { "PKEY", 62, 59, HS_FIELD_OF_ATTRIBUTE },
	{ "XD", 63, 63, HS_FIELD_OF_TESTS }, { NULL, 0, 0, 0 },
};

/*
 * aarch64, stage 1 of EL1&0 with the 4 KiB granule. Bit 0 is the valid bit; bit 1 tells a table from a block and is set
 * in a page. Rights are given up by set bits, but for AP[1], and a table has bits of its own for that: APTable,
 * UXNTable and PXNTable. At level 0 a block, and at level 3 all but a page, is a reserved encoding: bits 1:0 are 01.
 */
#define A64_VALID BIT(0)
#define A64_TYPE BIT(1)
#define A64_AP1 BIT(6) /* EL0 has access */
#define A64_AP2 BIT(7) /* read-only */
#define A64_PXN BIT(53)
#define A64_UXN BIT(54)

/* AttrIndx, NS, SH, AF, nG, GP, DBM, contiguous, PXN, UXN, software's four, PBHA, and bits 63 and 49:48, which are
 * ignored or RES0. PXN and UXN are attributes too because the rights of a range tell about one of them only. */
#define A64_ATTRIBUTES (BITS(5, 2) | BITS(11, 8) | BITS(63, 48))

#define A64_TO_TABLE                                                                                                   \
	.table_rights = { .write = BIT(62), .user = BIT(61), .exec = BIT(59), .user_exec = BIT(60) },                  \
	.table_address = BITS(47, 12), .table_attributes = BIT(63), .new_table = A64_VALID | A64_TYPE
#define A64_TO_MEMORY(at)                                                                                              \
	.leaf_rights = {                                                                                               \
		.allow = A64_AP1, .write = A64_AP2, .user = A64_AP1, .exec = A64_PXN, .user_exec = A64_UXN,            \
	},                                                                                                             \
	.leaf_address = BITS(47, (at)), .leaf_attributes = A64_ATTRIBUTES

#define A64_LEVEL_0 {                                                                                                  \
	.name = "L0", .shift = 39, .index_bits = 9, .leaf = { A64_TYPE, 0 }, A64_TO_TABLE,                             \
	.reserved_leaf = A64_VALID, .new_leaf = A64_TYPE, /* which is none */                                          \
}
#define A64_TABLE_OR_BLOCK(called, at) {                                                                               \
	.name = (called), .shift = (at), .index_bits = 9, .leaf = { A64_TYPE, 0 }, A64_TO_TABLE, A64_TO_MEMORY(at),    \
	.new_leaf = A64_VALID,                                                                                         \
}
#define A64_PAGE {                                                                                                     \
	.name = "L3", .shift = 12, .index_bits = 9, .leaf = { A64_TYPE, A64_TYPE }, A64_TO_MEMORY(12),                 \
	.reserved_table = A64_VALID, .new_leaf = A64_VALID | A64_TYPE,                                                 \
}

/* TTBR0 translates the addresses that begin with 16 zeros and TTBR1 those that begin with 16 ones: two roots. Beside
 * the address they have the ASID and CnP. The tag is bit 58 of software's 58:55: Linux has uses for the other three. */
#define A64_HALF                                                                                                       \
	.levels = 4, .entry_bytes = 8, .stretch_bits = 48,                                                             \
	.root_address = BITS(47, 12), .root_flags = BITS(63, 48) | BIT(0),                                             \
	.present = { A64_VALID, A64_VALID }, .cow = { BITS(58, 55) | A64_AP2, BIT(58) | A64_AP2 },                     \
	.names = a64_names, .level = {                                                                                 \
		A64_LEVEL_0, A64_TABLE_OR_BLOCK("L1", 30), A64_TABLE_OR_BLOCK("L2", 21), A64_PAGE,                     \
	}

static const struct hs_field_name a64_names[] = {
	{ "VALID", 0, 0, HS_FIELD_OF_TESTS }, { "TYPE", 1, 1, HS_FIELD_OF_LEAF_TEST },
	{ "AttrIndx", 4, 2, HS_FIELD_OF_ATTRIBUTE }, { "NS", 5, 5, HS_FIELD_OF_ATTRIBUTE },
	{ "AP", 7, 6, HS_FIELD_OF_TESTS }, { "SH", 9, 8, HS_FIELD_OF_ATTRIBUTE },
	{ "AF", 10, 10, HS_FIELD_OF_ATTRIBUTE }, { "nG", 11, 11, HS_FIELD_OF_ATTRIBUTE },
	{ "GP", 50, 50, HS_FIELD_OF_ATTRIBUTE }, { "DBM", 51, 51, HS_FIELD_OF_ATTRIBUTE },
	{ "Contiguous", 52, 52, HS_FIELD_OF_ATTRIBUTE }, { "PXN", 53, 53, HS_FIELD_OF_TESTS },
	{ "UXN", 54, 54, HS_FIELD_OF_TESTS }, { "SW", 58, 55, HS_FIELD_OF_ATTRIBUTE },
	{ "PXNTable", 59, 59, HS_FIELD_OF_TESTS }, { "UXNTable", 60, 60, HS_FIELD_OF_TESTS },
	{ "APTable", 62, 61, HS_FIELD_OF_TESTS }, { "PBHA", 62, 59, HS_FIELD_OF_ATTRIBUTE },
	{ "NSTable", 63, 63, HS_FIELD_OF_TABLE_ATTRIBUTE }, { NULL, 0, 0, 0 },
};

static const struct hs_format formats[HS_PAGING_FORMAT_COUNT] = {
	[HS_PAGING_NONE] = { .name = "none", .stretch_bits = 32, .has_low = true },
	[HS_PAGING_32BIT] = {
		.name = "i686", .levels = 2, .entry_bytes = 4, .stretch_bits = 32, .has_low = true,
		.root_address = BITS(31, 12), .root_flags = CR3_FLAGS, X86_ENTRIES,
		.level = {
			{	/* PSE-36: bits 20:13 of a leaf are its address bits 39:32; bit 21 is reserved. */
				.name = "PDE", .shift = 22, .index_bits = 10, .leaf = { PS, PS },
				.leaf_needs_pse = true, RIGHTS_32, FOR_TABLES,
				.table_address = BITS(31, 12), .leaf_address = BITS(31, 22),
				.leaf_high = BITS(20, 13), .leaf_high_shift = 32 - 13, LARGE_PAT,
				.leaf_attributes = LARGE_ATTRIBUTES, .reserved_leaf = BIT(21), .new_leaf = P | PS,
			},
			{	/* It has no reserved bits. */
				.name = "PTE", .shift = 12, .index_bits = 10, .leaf = ALWAYS, RIGHTS_32,
				.leaf_address = BITS(31, 12), .leaf_attributes = SMALL_ATTRIBUTES, .new_leaf = P,
			},
		},
	},
	[HS_PAGING_PAE] = {
		.name = "pae", .levels = 3, .entry_bytes = 8, .stretch_bits = 32, .has_low = true,
		.root_address = BITS(31, 5), .root_flags = CR3_FLAGS, X86_ENTRIES,
		.level = {
			{	/* No W, no U, no XD, no A; bit 63 is reserved whatever EFER.NXE. */
				.name = "PDPTE", .shift = 30, .index_bits = 2, .leaf = NEVER,
				.table_address = BITS(51, 12), .table_attributes = BITS(4, 3) | BITS(11, 9),
				.reserved_table = BITS(2, 1) | BITS(8, 5) | BITS(63, 52), .ignored_as_a = A,
				.new_table = P,
			},
			{	/* Unlike 4-level paging, bits 62:52 are reserved. CR4.PSE does not matter. */
				.name = "PDE", .shift = 21, .index_bits = 9, .leaf = { PS, PS }, RIGHTS_64, FOR_TABLES,
				.table_address = BITS(51, 12), .leaf_address = BITS(51, 21), LARGE_PAT,
				.leaf_attributes = LARGE_ATTRIBUTES, .reserved_table = BITS(62, 52),
				.reserved_leaf = BITS(20, 13) | BITS(62, 52), .new_leaf = P | PS,
			},
			{
				.name = "PTE", .shift = 12, .index_bits = 9, .leaf = ALWAYS, RIGHTS_64,
				.leaf_address = BITS(51, 12), .leaf_attributes = SMALL_ATTRIBUTES,
				.reserved_leaf = BITS(62, 52), .new_leaf = P,
			},
		},
	},
	[HS_PAGING_4LEVEL] = {
		.name = "amd64-4", .levels = 4, .entry_bytes = 8, .stretch_bits = 47, .has_low = true,
		.has_high = true, .root_address = BITS(51, 12), .root_flags = CR3_LONG_FLAGS, X86_ENTRIES,
		.level = {
			LONG_TABLE_ONLY("PML4E", 39), LONG_TABLE_OR_LEAF("PDPTE", 30), LONG_TABLE_OR_LEAF("PDE", 21),
			LONG_LEAF,
		},
	},
	[HS_PAGING_5LEVEL] = {
		.name = "amd64-5", .levels = 5, .entry_bytes = 8, .stretch_bits = 56, .has_low = true,
		.has_high = true, .root_address = BITS(51, 12), .root_flags = CR3_LONG_FLAGS, X86_ENTRIES,
		.level = {
			LONG_TABLE_ONLY("PML5E", 48), LONG_TABLE_ONLY("PML4E", 39), LONG_TABLE_OR_LEAF("PDPTE", 30),
			LONG_TABLE_OR_LEAF("PDE", 21), LONG_LEAF,
		},
	},
	[HS_PAGING_AARCH64_TTBR0] = { .name = "aarch64-ttbr0", .has_low = true, A64_HALF },
	[HS_PAGING_AARCH64_TTBR1] = { .name = "aarch64-ttbr1", .has_high = true, A64_HALF },
};
/* clang-format on */

const struct hs_format *hs_format_of(enum hs_paging_format format)
{
	if ((unsigned int)format >= HS_PAGING_FORMAT_COUNT) {
		return &formats[HS_PAGING_NONE];
	}
	return &formats[format];
}

const char *hs_paging_format_name(enum hs_paging_format format)
{
	return hs_format_of(format)->name;
}

bool hs_format_stretch(const struct hs_format *format, uint64_t gva, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t bytes = UINT64_C(1) << format->stretch_bits;
	uint64_t gap_first = format->has_low ? bytes : 0;
	uint64_t gap_last = format->has_high ? ~bytes : UINT64_MAX;

	if (gva < gap_first) {
		*ret_first = 0;
		*ret_last = gap_first - 1;
		return true;
	}
	if (gva > gap_last) {
		*ret_first = gap_last + 1;
		*ret_last = UINT64_MAX;
		return true;
	}
	*ret_first = gap_first;
	*ret_last = gap_last;
	return false;
}
