/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest page tables, read and built from guest-physical memory alone. One table of formats, one walk over it; nothing
 * here touches a CPU, makes a system call or allocates.
 *
 * Sources: Intel SDM vol. 3A chapter 4 (paging), tables 4-4 to 4-20 (entry formats); Arm ARM DDI 0487, D8 (VMSAv8-64).
 */
#ifndef HINDSIGHT_PAGING_H
#define HINDSIGHT_PAGING_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum hs_paging_format {
	HS_PAGING_NONE,          /**< CR0.PG = 0: gva = gpa */
	HS_PAGING_32BIT,         /**< two levels of 4-byte entries */
	HS_PAGING_PAE,           /**< three levels, four PDPTEs */
	HS_PAGING_4LEVEL,        /**< 48-bit */
	HS_PAGING_5LEVEL,        /**< 57-bit */
	HS_PAGING_AARCH64_TTBR0, /**< 4 KiB granule, 48 bits, the addresses whose first 16 bits are zeros */
	HS_PAGING_AARCH64_TTBR1, /**< the same, those whose first 16 bits are ones */
	HS_PAGING_FORMAT_COUNT,
};

/** Most levels of any format. */
#define HS_PAGING_LEVELS_MAX 5

/** Static: "none", "i686", "pae", "amd64-4", "amd64-5", "aarch64-ttbr0", "aarch64-ttbr1", as on the command line. */
const char *hs_paging_format_name(enum hs_paging_format format);

/** One address space: where its tables start and the control bits that change how they are read. */
struct hs_root {
	enum hs_paging_format format;
	hs_gpa base; /**< CR3, TTBR0 or TTBR1, of which only the address counts */
	bool pse;    /**< CR4.PSE: 4 MiB pages exist (32-bit format only) */
	bool nxe;    /**< IA32_EFER.NXE: bit 63 is XD and not reserved (x86) */
	/** Bit 5 of a PDPTE of PAE is ignored and not reserved. No CPU is so, but QEMU's translator sets A there (7.2),
	 * so that the memory of a machine of QEMU's is read with it. */
	bool pdpte_a;
	/* What the CPU may do with what is mapped (hs_access_rights()); the walk does not use these. */
	bool wp;            /**< CR0.WP: read-only pages are read-only to the supervisor too */
	bool smep, smap;    /**< CR4: the supervisor does not fetch from user pages, nor read or write them */
	uint8_t maxphyaddr; /**< physical address width in bits, 32..52 (else 52): bits above are reserved */
};

/** The registers that say which address space a CPU is on. */
struct hs_paging_registers {
	uint64_t cr0, cr3, cr4;
	uint64_t efer; /**< IA32_EFER; LMA is not looked at: it follows from CR0.PG and LME */
};

/**
 * The root that a CPU with such registers is on (SDM vol. 3A 4.1.1). Every combination of bits is answered, those too
 * that no CPU lets software set. maxphyaddr becomes 0, because no register holds it: who knows the width of the CPU
 * sets it afterwards.
 */
void hs_root_of_registers(const struct hs_paging_registers *registers, struct hs_root *ret);
/** The same from all of a CPU. */
void hs_root_of_cpu(const struct hs_cpu_state *cpu, struct hs_root *ret);

enum hs_range_kind {
	HS_RANGE_MAPPED,
	HS_RANGE_HOLE,          /**< an entry that is not present */
	HS_RANGE_UNREADABLE,    /**< an entry that is not in physical memory: gpa is its table's address */
	HS_RANGE_RESERVED,      /**< an entry with reserved bits or of a reserved kind: gpa is the entry's address */
	HS_RANGE_NON_CANONICAL, /**< not an address of this format */
};

/**
 * Attributes of a leaf as hs_range.leaf and hs_mapping.leaf show them: where a leaf of 4 KiB has them (SDM vol. 3A
 * table 4-20). The PAT bit of a large leaf, bit 12 of its entry, is shown as HS_LEAF_PAT too. P, W, U, PS and XD are
 * never part.
 */
#define HS_LEAF_PWT (UINT64_C(1) << 3)
#define HS_LEAF_PCD (UINT64_C(1) << 4)
#define HS_LEAF_ACCESSED (UINT64_C(1) << 5)
#define HS_LEAF_DIRTY (UINT64_C(1) << 6)
#define HS_LEAF_PAT (UINT64_C(1) << 7)
#define HS_LEAF_GLOBAL (UINT64_C(1) << 8)
#define HS_LEAF_AVL (UINT64_C(7) << 9)       /**< for software; 001 with W clear is the copy-on-write tag */
#define HS_LEAF_HIGH (UINT64_C(0x7ff) << 52) /**< protection key and ignored bits; 4-level and 5-level only */

/**
 * The same of aarch64 (DDI 0487, D8.3.1): bits 63:48, 11:8 and 5:2 of the entry where they are. A page that is not
 * HS_LEAF_A64_ACCESSED faults when it is used, unless the CPU sets that bit by itself. PXN and UXN are shown whatever
 * the rights: prot tells about one of them (UXN where user is set), the other is an attribute and nothing else.
 */
#define HS_LEAF_A64_MEMORY (UINT64_C(7) << 2)    /**< AttrIndx: which field of MAIR says the kind of memory */
#define HS_LEAF_A64_SHARED (UINT64_C(3) << 8)    /**< SH: 0 not, 2 outer, 3 inner shareable */
#define HS_LEAF_A64_ACCESSED (UINT64_C(1) << 10) /**< AF */
#define HS_LEAF_A64_NOT_GLOBAL (UINT64_C(1) << 11)
#define HS_LEAF_A64_PXN (UINT64_C(1) << 53)
#define HS_LEAF_A64_UXN (UINT64_C(1) << 54)
#define HS_LEAF_A64_SOFTWARE (UINT64_C(15) << 55) /**< 1000 with AP[2] set is the copy-on-write tag */

/** What is at a guest-virtual address, and how far the same goes on. Fields that a kind does not have are zero. */
struct hs_range {
	enum hs_range_kind kind;
	hs_gva start;
	uint64_t length; /**< bytes, never 0 */
	hs_gpa gpa;      /**< of start, for HS_RANGE_MAPPED; of what is wrong, for UNREADABLE and RESERVED */
	/** Bits of enum hs_prot, ANDed over all levels. Where user mode and the kernel fetch by bits of their own
	 *  (aarch64), EXEC is user mode's if `user` is set and the kernel's if not. */
	int prot;
	bool user;           /**< every level lets user mode through */
	bool cow;            /**< the leaf is tagged copy-on-write: HS_LEAF_AVL, HS_LEAF_A64_SOFTWARE */
	uint8_t level;       /**< depth of the entry that decided: 0 is the root table */
	uint64_t page_bytes; /**< size of the leaf */
	uint64_t leaf;       /**< the leaf's own attributes: HS_LEAF_* */
};

/**
 * The range that contains gva: what the one entry covers that decides about it. A hole, an unreadable table and so on
 * are results, not errors. Without paging it is the whole 4 GiB, as one range of 4 KiB pages.
 */
void hs_translate(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, struct hs_range *ret);

/** Who makes an access (SDM vol. 3A 4.6). The CPU's own, to descriptor tables and TSS, are the supervisor's. */
enum hs_access_by {
	HS_ACCESS_BY_SUPERVISOR,    /**< CPL 0 to 2 with RFLAGS.AC clear, or the CPU itself at any CPL */
	HS_ACCESS_BY_SUPERVISOR_AC, /**< CPL 0 to 2 with RFLAGS.AC set: CR4.SMAP forbids nothing */
	HS_ACCESS_BY_USER,          /**< CPL 3 */
};

/**
 * What the CPU lets somebody do with a range that root maps, as bits of enum hs_prot: range->prot says what the entries
 * allow, this what follows from it under CR0.WP, CR4.SMEP and CR4.SMAP (SDM vol. 3A 4.6.1). 0 for what is not mapped.
 * Without paging it is everything, to everybody; of aarch64 nothing is known here, and it is 0.
 *
 * Not judged: protection keys (the key is in range->leaf), shadow stacks, and what lies outside of paging: segments,
 * LASS, memory types.
 */
int hs_access_rights(const struct hs_root *root, const struct hs_range *range, enum hs_access_by by);

/** What comes of an access. */
enum hs_access_outcome {
	HS_ACCESS_ALLOWED,
	HS_ACCESS_PAGE_FAULT,
	HS_ACCESS_NON_CANONICAL, /**< #GP(0), or #SS(0) through SS */
	HS_ACCESS_UNKNOWN,       /**< a table is not in physical memory, or root is of aarch64 */
};

/**
 * Whether the CPU lets somebody make an access to a range that root was asked for, and how it refuses.
 *
 * @param prot            HS_PROT_READ, HS_PROT_WRITE, both for an instruction that reads and writes, or HS_PROT_EXEC
 * @param ret_error_code  for HS_ACCESS_PAGE_FAULT the bits of enum hs_pf_bit (SDM vol. 3A 4.7), otherwise untouched
 */
enum hs_access_outcome hs_access_check(const struct hs_root *root, const struct hs_range *range, enum hs_access_by by,
				       int prot, uint32_t *ret_error_code);

/** What a walk may cost. Both are needed: with a zero, a walk that wants one of that kind is out of budget at once. */
struct hs_budget {
	uint64_t tables; /**< table pages visited; the same page reached by another path counts again */
	uint64_t ranges; /**< ranges produced */
};

/** A budget that is ample for any honest guest: 2^20 tables, 2^20 ranges. */
struct hs_budget hs_budget_default(void);

struct hs_format;

/**
 * A place in the tables of one root. Private to paging/: it is here for the size of what holds it. It may point into
 * itself and must not be copied.
 */
struct hs_walk {
	const struct hs_phys *phys;
	const struct hs_format *format;
	uint64_t physical;    /* the bits that a physical address can have */
	uint64_t tables_left; /* of the budget */
	uint64_t at;          /* the address that was looked up last */
	uint64_t entry;       /* the entry that decided about it */
	uint16_t read_ahead;  /* bytes of a table to read at once where it cannot be pointed at */
	uint8_t open;         /* how many of levels[] lead to it, from the root on */
	struct {
		uint64_t table; /* gpa */
		/* The format's, with the root's control bits applied: */
		uint64_t leaf_mask, reserved_table, reserved_leaf;
		const uint8_t *entries; /* of the table's entries, these are at hand: */
		uint16_t first, count;
		uint8_t rights; /* that the levels above leave */
		uint8_t copy[512];
	} levels[HS_PAGING_LEVELS_MAX];
};

/** Most pages in one struct hs_pages. */
#define HS_PAGES_MAX 512

/**
 * The mapped pages of a table, copied, with holes between them left out. Private to paging/, as struct hs_walk is; the
 * attributes of a large page are moved to where the smallest has them.
 */
struct hs_leaves {
	uint32_t count;
	uint32_t next;  /* those before it were given out */
	bool alike;     /* all have the attributes of the first */
	bool user_path; /* the tables above let user mode through */
	int prot;       /* what they leave */
	uint8_t level, shift;
	uint64_t reach; /* the address that the first entry of the table is for */
	uint64_t address, attributes;
	uint64_t allow, write, exec, user; /* a right is there where its bit in the entry is as it is in `allow` */
	uint64_t cow_mask, cow_value;
	uint16_t index[HS_PAGES_MAX]; /* place in the table, ascending */
	uint64_t entry[HS_PAGES_MAX];
};

/**
 * Pages of one table that differ in nothing but where they are and which memory they map, ascending, with holes left
 * out; or one range that is no page. It is a copy: a guest that runs on does not change it.
 */
struct hs_pages {
	/** The first page, as hs_translate() gives it: kind, rights, attributes, level and size are those of all. Or,
	 *  with count 0, an unreadable or a reserved range, as hs_iter_next() gives it. */
	struct hs_range first;
	uint32_t count;
	/* Private: */
	uint8_t shift;
	uint64_t reach, address;
	const uint16_t *index;
	const uint64_t *entry;
};

/** Where page i, less than pages->count, is mapped: all of it, whatever part the walk was asked for. */
static inline hs_gva hs_pages_gva(const struct hs_pages *pages, uint32_t i)
{
	return hs_gva_of(pages->reach + ((uint64_t)pages->index[i] << pages->shift));
}

/** The memory that it maps. */
static inline hs_gpa hs_pages_gpa(const struct hs_pages *pages, uint32_t i)
{
	return hs_gpa_of(pages->entry[i] & pages->address);
}

/** A walk over a part of an address space in progress. Caller's storage; nothing to free. Fields are private. */
struct hs_iter {
	struct hs_walk walk;
	uint64_t first, at, last; /* first address wanted, next address to look at, last address wanted */
	bool done;                /* nothing is left to look at */
	bool exhausted;           /* the table budget ended the walk at `at` */
	bool has_other;           /* `other` is not given out yet */
	uint64_t ranges_left;
	struct hs_range other; /* what is no page */
	struct hs_leaves leaves;
};

/**
 * Start a walk over [start, start + length) in ascending order; length 0 and a length beyond the end of the address
 * space mean to its end. The non-canonical gap is skipped. phys is borrowed until the walk is over.
 */
void hs_iter_init(struct hs_iter *iter, const struct hs_phys *phys, const struct hs_root *root, hs_gva start,
		  uint64_t length, struct hs_budget budget);
/**
 * The next range that is not a hole, cut to what was asked for. Adjacent pages are merged while gpa and attributes
 * continue (the size of the leaf is an attribute), adjacent unreadable entries while they are of one table.
 *
 * HS_OK and *ret; HS_ERR_NOT_FOUND at the end; HS_ERR_BUDGET when the budget is used up: err->where is the address
 * reached, what came before is valid, and every further call gives the same. err is filled for HS_ERR_BUDGET only.
 */
HS_MUST_CHECK enum hs_status hs_iter_next(struct hs_iter *iter, struct hs_range *ret, struct hs_error *err);
/**
 * The next pages, for whoever wants each by itself: the fast way, because scattered pages cost no more than others, as
 * long as their attributes are the same. They are whole, those too that the start or the end of what was asked for is
 * within. Each counts as one of the budget's ranges. Without paging they are pages of 4 KiB. May be mixed with
 * hs_iter_next(): either goes on where the other stopped.
 *
 * @param ret  caller's; what it points to is owned by iter until the next call
 *
 * As hs_iter_next().
 */
HS_MUST_CHECK enum hs_status hs_iter_pages(struct hs_iter *iter, struct hs_pages *ret, struct hs_error *err);

/**
 * Read up to length bytes at gva across pages, up to the first byte that is not mapped or not backed.
 *
 * HS_OK: *ret_length is how many were read, 0 only for length 0. HS_ERR_UNREADABLE (err->where is gva): the first byte
 * is not there; *ret_length is untouched.
 */
HS_MUST_CHECK enum hs_status hs_vmem_read(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva,
					  void *buffer, size_t length, size_t *ret_length, struct hs_error *err);
/**
 * Write length bytes at gva whatever the W bits: all or nothing. A write across pages first writes back what is there,
 * page by page, which is how it learns that each accepts a write.
 *
 * HS_ERR_UNREADABLE (err->where is the gva): a byte of it is not mapped or not backed. HS_ERR_UNSUPPORTED: phys is
 * read-only. Errors of phys->ops->write pass through.
 */
HS_MUST_CHECK enum hs_status hs_vmem_write(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva,
					   const void *buffer, size_t length, struct hs_error *err);

/** Where the builder gets table pages: one zeroed page a call, HS_ERR_EXHAUSTED when there are none left. */
struct hs_table_source {
	enum hs_status (*take)(void *ctx, hs_gpa *ret, struct hs_error *err);
	void *ctx;
};

/** A mapping to build: [gva, gva + length) to [gpa, gpa + length), all page-aligned. */
struct hs_mapping {
	hs_gva gva;
	hs_gpa gpa;
	uint64_t length; /**< bytes, a multiple of 4096; 0 maps nothing */
	int prot; /**< HS_PROT_READ is implied; EXEC becomes XD where the format has it and nxe is set (UXN, PXN) */
	bool user;
	bool cow;      /**< the leaf is read-only and has the copy-on-write tag, whatever software's bits of `leaf` */
	uint64_t leaf; /**< further attributes: HS_LEAF_* of the format, as in hs_range.leaf */
	bool large;    /**< use larger leaves where alignment allows */
	uint64_t largest; /**< with large: none of more bytes than this; 0: any that the format has */
	bool exact; /**< write the rights of the leaves as they are asked for, although a table above allows less */
};

/**
 * Add a mapping to the tables of root, making tables as needed. phys must be writable. New tables let everything
 * through: their leaves decide.
 *
 * Nothing was changed: HS_ERR_INVALID for HS_PAGING_NONE, a leaf attribute that the format does not have, or read-only
 * phys; HS_ERR_RANGE for what is not aligned, not canonical, or beyond what the format can address.
 * The pages before err->where, a gva, have been mapped, and tables may have been added: HS_ERR_BUSY, it is mapped
 * already; HS_ERR_STATE, a table that was there forbids what the mapping allows and it is not `exact`; HS_ERR_FORMAT,
 * an entry on the way to it has reserved bits set; HS_ERR_RANGE, no leaf that fits there can hold the address (PSE-36
 * above 4 GiB), or the table source gave an unusable page. Errors of the table source and of phys pass through with a
 * `where` of their own.
 */
HS_MUST_CHECK enum hs_status hs_build_map(const struct hs_phys *phys, const struct hs_root *root,
					  const struct hs_mapping *mapping, const struct hs_table_source *tables,
					  struct hs_error *err);
/**
 * The table pages, the root's own included, that hs_build_map() needs for these mappings in empty tables: exact where
 * they do not overlap, never too few. Mappings that hs_build_map() would refuse count for nothing or too much, never
 * crash.
 */
uint64_t hs_build_tables_needed(const struct hs_root *root, const struct hs_mapping *mappings, size_t count);

#ifdef __cplusplus
}
#endif
#endif
