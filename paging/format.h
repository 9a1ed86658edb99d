/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of paging formats: one row a format, one row a level within it. Everything that differs between formats is
 * a mask or a number in these rows, so that the walk and the builder are one loop each and know no format by name.
 *
 * The rows do not know the control bits of a root (EFER.NXE, CR4.PSE, MAXPHYADDR); struct hs_walk applies those.
 */
#ifndef HS_PAGING_FORMAT_H
#define HS_PAGING_FORMAT_H

#include <hindsight/paging.h>

#include <stdbool.h>
#include <stdint.h>

/** A condition on an entry: true when (entry & mask) == value. {0, 0} always holds, {0, 1} never does. */
struct hs_entry_test {
	uint64_t mask, value;
};

/** What an entry lets through: a bit for each right, which may be the same as another's; 0 stands for always. */
struct hs_entry_rights {
	uint64_t allow;     /* of the bits below, those that let through when they are set; the others forbid then */
	uint64_t write;     /* writes */
	uint64_t user;      /* user mode at all */
	uint64_t exec;      /* fetches by the kernel */
	uint64_t user_exec; /* fetches by user mode */
};

/** By what a field of an entry is there. */
enum hs_field_source {
	HS_FIELD_OF_TESTS,           /* one of the row's conditions looks at it: present, rights */
	HS_FIELD_OF_LEAF_TEST,       /* the test for a leaf does */
	HS_FIELD_OF_ATTRIBUTE,       /* it is an attribute, where the smallest leaf has it */
	HS_FIELD_OF_TABLE_ATTRIBUTE, /* it is one of an entry that names a table, and of no leaf */
	HS_FIELD_OF_MOVED,           /* it is one that this leaf has elsewhere */
	HS_FIELD_SOURCE_COUNT,
};

/** What the bits high to low of an entry are called where the source has all of them. */
struct hs_field_name {
	const char *name; /* NULL ends a list, which is in the order of the bits */
	uint8_t high, low, source;
};

/** How one level of a format reads its entries. Masks are of bits in the entry. */
struct hs_format_level {
	const char *name;                    /* of its entries */
	uint8_t shift;                       /* log2 of the bytes of address space that one entry covers */
	uint8_t index_bits;                  /* log2 of the entries of a table */
	bool leaf_needs_pse;                 /* the leaf test holds only with CR4.PSE */
	struct hs_entry_test leaf;           /* the entry maps memory; otherwise it names a table */
	struct hs_entry_rights table_rights; /* what an entry that names a table lets through to all that is in it */
	struct hs_entry_rights leaf_rights;
	uint64_t table_address;        /* address of the next table */
	uint64_t leaf_address;         /* address of the memory mapped */
	uint64_t leaf_high;            /* bits of a leaf that hold high address bits (PSE-36) ... */
	uint8_t leaf_high_shift;       /* ... and how far left of their place those belong */
	uint8_t leaf_moved_shift;      /* how far right of their place the bits of leaf_moved are shown */
	uint64_t leaf_moved;           /* attributes that this leaf keeps elsewhere than the smallest one (PAT) */
	uint64_t leaf_attributes;      /* attributes that are shown where they are */
	uint64_t table_attributes;     /* what has a name in an entry that names a table, rights apart */
	uint64_t reserved_table;       /* must be clear in an entry that names a table */
	uint64_t reserved_leaf;        /* must be clear in a leaf */
	uint64_t ignored_as_a;         /* of reserved_table, what hs_root.pdpte_a makes nothing of */
	uint64_t reserved_without_nxe; /* must be clear in both while EFER.NXE is */
	uint64_t new_table;            /* what the builder sets in an entry for a table, the address apart */
	uint64_t new_leaf;             /* what it sets in a leaf, the address and attributes apart */
};

/** One paging format. levels = 0 stands for no paging at all. */
struct hs_format {
	const char *name;
	uint8_t levels;
	uint8_t entry_bytes;
	uint8_t stretch_bits;         /* log2 of the bytes of each stretch of addresses that it has: */
	bool has_low;                 /* one that begins at 0 */
	bool has_high;                /* one that ends with the last address of 64 bits */
	uint64_t root_address;        /* bits of CR3 or TTBR that are the root table's address */
	uint64_t root_flags;          /* bits beside them that are for something else */
	struct hs_entry_test present; /* the entry is used at all */
	struct hs_entry_test cow;     /* a leaf is tagged copy-on-write */
	const struct hs_field_name *names;
	struct hs_format_level level[HS_PAGING_LEVELS_MAX];
};

/** The row of a format; a value that is none of the enum's gets the row of HS_PAGING_NONE. Static, never NULL. */
const struct hs_format *hs_format_of(enum hs_paging_format format);

/**
 * The stretch of equal addresses around gva: true with one that the format has, false with the gap that is no address
 * of the format. Both ends are inclusive.
 */
bool hs_format_stretch(const struct hs_format *format, uint64_t gva, uint64_t *ret_first, uint64_t *ret_last);

#endif
