/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several guest address spaces together: what they map and which tables they share, all of it again in other memory,
 * and which of them reach a physical page. Beside it the path of one walk, level by level, for whoever shows it.
 *
 * As in <hindsight/paging.h>, nothing here touches a CPU, makes a system call or allocates: storage is the caller's.
 *
 * Sources: Intel SDM vol. 3A chapter 4 (paging), 4.6 (access rights), tables 4-4 to 4-20 (entry formats); Arm ARM DDI
 * 0487, D8.3 (descriptor formats).
 */
#ifndef HINDSIGHT_SPACES_H
#define HINDSIGHT_SPACES_H

#include <hindsight/paging.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One level of a walk: the entry that it read. */
struct hs_path_level {
	hs_gpa table;   /**< the table that the entry is in */
	hs_gpa place;   /**< the entry itself */
	uint64_t entry; /**< its value, 0 if not readable */
	bool readable;  /**< it is in physical memory; only that of the last level can be elsewhere */
};

/** The way from a root to what it says about an address. */
struct hs_path {
	struct hs_range range; /**< what hs_translate() says */
	uint8_t count;         /**< of levels, from the root on; 0 without paging and for what is not canonical */
	struct hs_path_level levels[HS_PAGING_LEVELS_MAX];
};

/** Translate gva and keep every entry on the way. */
void hs_path_find(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, struct hs_path *ret);

/** One field of an entry by the name that the manual gives it (SDM, Arm ARM), lower fields first. */
struct hs_entry_field {
	const char *name; /**< static. "P", "RW", "US", "PWT", "PCD", "A", "D", "PS", "PAT", "G", "AVL", "PKEY", "XD";
			       of aarch64 "VALID", "TYPE", "AttrIndx" and so on. Behind them, where one of their bits
			       is set: "RSVD", bits that are reserved, and "IGN", bits that the CPU ignores and that
			       have no name */
	uint64_t mask;    /**< its bits in the entry */
	uint64_t value;   /**< what they hold, as a number: shifted down to bit 0; for "RSVD" and "IGN" left in place */
};

/** Most fields of any entry. */
#define HS_ENTRY_FIELDS_MAX 20

/** An entry taken apart. */
struct hs_entry_fields {
	bool present; /**< otherwise the only field is P (VALID), and nothing else in the entry counts */
	bool leaf;    /**< it maps memory; otherwise it names a table */
	hs_gpa gpa;   /**< of that memory or table */
	uint8_t count;
	struct hs_entry_field fields[HS_ENTRY_FIELDS_MAX];
};

/**
 * Take apart an entry of the table at depth (0 is the root's), as root reads it: every bit of a present one that is set
 * is in one field, or is of the address and no reserved one. Fields that this level does not have are left out: a PDPTE
 * of PAE paging has no RW. A depth that the format does not have gives an entry not present and no field.
 */
void hs_entry_describe(const struct hs_root *root, unsigned int depth, uint64_t entry, struct hs_entry_fields *ret);
/** The same of attributes alone, as hs_range.leaf shows them, for a range of root; gpa is 0. */
void hs_leaf_describe(const struct hs_root *root, uint64_t leaf, struct hs_entry_fields *ret);

/** One table page seen by a walk over several roots. The caller's storage; fields are private. */
struct hs_space_place {
	uint64_t table, gva;
	uint32_t owner, group;
	uint8_t depth;
	bool used;
};

enum hs_space_kind {
	HS_SPACE_RANGE, /**< a range that the space maps or that could not be read: what hs_iter_next() gives */
	HS_SPACE_TABLE, /**< a table that this space is the first to reach: it owns it */
	HS_SPACE_ALIAS, /**< a table that was reached before at the same depth, by another root or another slot */
};

/** One finding of hs_spaces_next(). Fields that a kind does not have are zero. */
struct hs_space_item {
	enum hs_space_kind kind;
	uint32_t space;  /**< index of the root */
	uint8_t depth;   /**< of the table: 0 is the root's own. For RANGE, of the entries */
	hs_gva gva;      /**< where the range, or the reach of the table, begins in this space */
	uint64_t length; /**< bytes; 0 for the table of a root, which reaches all of the address space */
	/** The rights and U/S of our own entry alone for RANGE, so that it can be built again as it is; for TABLE and
	 *  ALIAS those that our path leaves to what is in the table, the entry that names it included. */
	int prot;
	bool user;
	struct hs_range range; /**< RANGE: all of it, its rights ANDed over all levels */
	hs_gpa table;          /**< TABLE, ALIAS: where the table is */
	uint64_t entry;        /**< TABLE, ALIAS: the entry of ours that names the table; 0 at depth 0 */
	uint32_t owner;        /**< ALIAS: index of the root that owns the table, at most `space` */
	hs_gva owner_gva;      /**< ALIAS: where its reach begins in the owner's space */
};

/** A walk over several roots in progress. The caller's storage; nothing to free; must not be copied. */
struct hs_spaces {
	uint32_t space; /**< index of the root of the last item, or of the error; the other fields are private */
	const struct hs_phys *phys;
	const struct hs_root *roots;
	uint32_t count, current, group;
	struct hs_space_place *places;
	size_t places_count;
	struct hs_walk walk;
	uint64_t at;      /* next address of this root */
	uint64_t covered; /* bytes from there on that leaves or other is of; 0 if none is at hand */
	uint64_t tables_left, ranges_left;
	bool enter;     /* the table that comes next was given out: open it */
	bool started;   /* walk is of roots[current] */
	bool has_other; /* `other` is not given out yet */
	struct hs_range other;
	struct hs_leaves leaves;
};

/**
 * Start a walk over all of several address spaces, in the order of roots, each ascending. A table is walked where it is
 * first reached and never again at the same depth: whatever slot or root reaches it later gets an ALIAS, which always
 * points backwards. Tables are the same only where they are read the same: with one format, CR4.PSE, EFER.NXE and
 * physical width; CR0.WP does not matter.
 *
 * @param phys    borrowed until the walk is over, as are roots and places
 * @param places  storage for the tables seen, and so a budget of its own: it holds one table each, with its depth. Give
 *                twice as many as there are tables: of more than 256, one may be found full while a few are still
 *                free. It is overwritten, and need not be kept afterwards.
 * @param budget  tables: how many TABLE items at most; ranges: how many RANGE and ALIAS items
 */
void hs_spaces_init(struct hs_spaces *spaces, const struct hs_phys *phys, const struct hs_root *roots, uint32_t count,
		    struct hs_space_place *places, size_t places_count, struct hs_budget budget);
/**
 * The next item. A TABLE comes before all that is in the table; ranges are merged as those of hs_iter_next() are, but
 * never over the border of a table nor over leaves whose own rights differ. A self-map or a cycle of tables costs each
 * table once a level.
 *
 * HS_OK and *ret; HS_ERR_NOT_FOUND at the end; HS_ERR_BUDGET when the budget or the storage for tables is used up:
 * err->where is the address reached in spaces->space, what came before is valid, and every further call gives the same.
 */
HS_MUST_CHECK enum hs_status hs_spaces_next(struct hs_spaces *spaces, struct hs_space_item *ret, struct hs_error *err);

/**
 * Make the table at depth (1 or more) for gva, in a slot that is free in a table that is there.
 *
 * @param entry   the bits of the entry that is to name it, such as hs_space_item.entry; an address in it is ignored
 * @param tables  where the page comes from, zeroed; one is taken, and lost if the entry cannot be written then
 *
 * Nothing was changed: HS_ERR_INVALID, a depth that the format does not have, an entry that would name no table, or
 * read-only phys; HS_ERR_RANGE, gva is not canonical or an entry cannot name the page given; HS_ERR_STATE, there is no
 * table above; HS_ERR_BUSY, the slot is in use; HS_ERR_FORMAT and HS_ERR_UNREADABLE, an entry above has reserved bits
 * set or is not in memory. Errors of the table source and of phys pass through.
 */
HS_MUST_CHECK enum hs_status hs_build_table(const struct hs_phys *phys, const struct hs_root *root, unsigned int depth,
					    hs_gva gva, uint64_t entry, const struct hs_table_source *tables,
					    struct hs_error *err);
/**
 * Point the slot of an ALIAS at the table that its owner has now, with the flags of our own entry.
 *
 * @param root   the root that is being built for hs_space_item.space
 * @param owner  that of hs_space_item.owner, of the same format, as it was built before
 *
 * Nothing was changed: HS_ERR_NOT_FOUND, the owner has no table there; else as for hs_build_table(). An alias of depth
 * 0 is HS_ERR_INVALID: no entry names the table of a root, and the root to build is the owner's itself.
 */
HS_MUST_CHECK enum hs_status hs_build_link(const struct hs_phys *phys, const struct hs_root *root,
					   const struct hs_space_item *alias, const struct hs_root *owner,
					   struct hs_error *err);
/**
 * Move the table at depth for gva to another place: its bytes are copied and the one entry above it on this path is
 * changed, with its flags kept; at depth 0, root->base is. What else names the table (the ALIAS items of
 * hs_spaces_next() say) still names the old place, until hs_build_repoint().
 *
 * HS_ERR_NOT_FOUND: there is no such table. Others as for hs_build_table(). Nothing but the bytes at `to` was changed.
 */
HS_MUST_CHECK enum hs_status hs_build_move_table(const struct hs_phys *phys, struct hs_root *root, unsigned int depth,
						 hs_gva gva, hs_gpa to, struct hs_error *err);
/** The same without the copy: only the entry above is changed, to name the table at `to`. */
HS_MUST_CHECK enum hs_status hs_build_repoint(const struct hs_phys *phys, const struct hs_root *root,
					      unsigned int depth, hs_gva gva, hs_gpa to, struct hs_error *err);

/** One place at which memory is mapped. */
struct hs_reverse_item {
	uint32_t space;        /**< index of the root */
	struct hs_range range; /**< cut to the memory that was asked for: range.start is the gva, of range.gpa */
};

/** A search for whatever maps some memory. The caller's storage; nothing to free; must not be copied. */
struct hs_reverse {
	uint32_t space; /**< index of the root that the search has reached; the other fields are private */
	const struct hs_phys *phys;
	const struct hs_root *roots;
	uint32_t count;
	uint64_t first, last; /* of the memory */
	uint64_t ranges_left;
	struct hs_iter iter;
	struct hs_reverse_item pending; /* found and not yet given out */
	bool has_pending;
};

/**
 * Start a search for all addresses at which roots map any of [gpa, gpa + length), in the order of roots, each
 * ascending; length 0 means to the end of memory. Every path counts: memory under a shared table is found once for
 * each way to it. phys and roots are borrowed until the search is over.
 *
 * @param budget  tables: how many are visited in all, each path again; ranges: how many items there are at most
 */
void hs_reverse_init(struct hs_reverse *reverse, const struct hs_phys *phys, const struct hs_root *roots,
		     uint32_t count, hs_gpa gpa, uint64_t length, struct hs_budget budget);
/**
 * The next place. HS_OK and *ret; HS_ERR_NOT_FOUND at the end; HS_ERR_BUDGET when the budget is used up: err->where is
 * the address reached in reverse->space, what came before is valid, and every further call gives the same.
 */
HS_MUST_CHECK enum hs_status hs_reverse_next(struct hs_reverse *reverse, struct hs_reverse_item *ret,
					     struct hs_error *err);

#ifdef __cplusplus
}
#endif
#endif
