/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest page tables, read and built from guest-physical memory alone. One table of formats, one walk over it; nothing
 * here touches a CPU, makes a system call or allocates.
 *
 * Sources: Intel SDM vol. 3A chapter 4 (paging), tables 4-4 to 4-20 (entry formats).
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
	HS_PAGING_NONE,    /**< CR0.PG = 0: gva = gpa */
	HS_PAGING_32BIT,   /**< two levels of 4-byte entries */
	HS_PAGING_PAE,     /**< three levels, four PDPTEs */
	HS_PAGING_4LEVEL,  /**< 48-bit */
	HS_PAGING_5LEVEL,  /**< 57-bit */
	HS_PAGING_FORMAT_COUNT,
};

/** "none", "i686", "pae", "amd64-4", "amd64-5": the names of the command line. Static. */
const char *hs_paging_format_name(enum hs_paging_format format);

/** One address space: where its tables start and the control bits that change how they are read. */
struct hs_root {
	enum hs_paging_format format;
	hs_gpa base; /**< CR3 without its low and reserved bits */
	bool pse;    /**< CR4.PSE: 4 MiB pages exist (32-bit format only) */
	bool nxe;    /**< IA32_EFER.NXE: bit 63 is XD and not reserved */
	bool wp;     /**< CR0.WP; kept for whoever asks what the CPU may do, the walk does not use it */
	uint8_t maxphyaddr; /**< physical address width in bits, 0 for 52: bits above are reserved */
};

/** The root that a CPU is on (SDM vol. 3A 4.1.1). */
void hs_root_of_cpu(const struct hs_cpu_state *cpu, struct hs_root *ret);

enum hs_range_kind {
	HS_RANGE_MAPPED,
	HS_RANGE_HOLE,          /**< an entry that is not present */
	HS_RANGE_UNREADABLE,    /**< a table that is not in physical memory: gpa is its address */
	HS_RANGE_RESERVED,      /**< an entry with reserved bits set: gpa is the entry's address */
	HS_RANGE_NON_CANONICAL, /**< not an address of this format */
};

/** What is at a guest-virtual address, and how far the same goes on. */
struct hs_range {
	enum hs_range_kind kind;
	hs_gva start;
	uint64_t length; /**< bytes; 0 stands for 2^64 (the whole space) */
	hs_gpa gpa;      /**< of start, for HS_RANGE_MAPPED */
	int prot;        /**< bits of enum hs_prot, ANDed over all levels */
	bool user;       /**< U/S set at every level */
	bool cow;        /**< the leaf is tagged copy-on-write: AVL bits 11:9 = 001, W clear */
	uint8_t level;   /**< depth of the entry that decided: 0 is the root table */
	uint64_t page_bytes; /**< size of the leaf */
	uint64_t leaf;   /**< the leaf's own bits without address: G, PWT, PCD, PAT, A, D, AVL */
};

/** The range that contains gva, at least its one page. A hole, an unreadable table and so on are results, not errors. */
void hs_translate(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, struct hs_range *ret);

/** What a walk may cost. Zero means no limit of that kind is wanted and is refused: a walk is always bounded. */
struct hs_budget {
	uint64_t tables; /**< table pages read */
	uint64_t ranges; /**< ranges produced */
};

/** A budget that is ample for any honest guest: 2^20 tables, 2^20 ranges. */
struct hs_budget hs_budget_default(void);

/** A walk in progress. Caller's storage; nothing to free. Fields are private. */
struct hs_iter {
	const struct hs_phys *phys;
	struct hs_root root;
	uint64_t at, last; /* next address, last address wanted */
	bool done;
	struct hs_budget left;
	struct hs_range pending;
	bool has_pending;
	struct {
		uint64_t gpa;
		const uint8_t *entries;
	} table[5];
};

/**
 * Start a walk over [start, start + length) in ascending order; length 0 means to the end of the address space. The
 * non-canonical gap is skipped. phys is borrowed until the walk is over.
 */
void hs_iter_init(struct hs_iter *iter, const struct hs_phys *phys, const struct hs_root *root, hs_gva start,
		  uint64_t length, struct hs_budget budget);
/**
 * The next range that is not a hole; adjacent pages are merged while gpa and attributes continue.
 *
 * HS_OK and *ret, HS_ERR_NOT_FOUND at the end, HS_ERR_BUDGET when the budget is used up (err->where is the address
 * reached; what came before is valid). err is filled for HS_ERR_BUDGET only.
 */
HS_MUST_CHECK enum hs_status hs_iter_next(struct hs_iter *iter, struct hs_range *ret, struct hs_error *err);

/** Read up to length bytes at gva across pages, up to the first byte that is not mapped or not backed; *ret_length is how
 *  many. HS_ERR_UNREADABLE when the first byte is not there. */
HS_MUST_CHECK enum hs_status hs_vmem_read(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva,
					  void *buffer, size_t length, size_t *ret_length, struct hs_error *err);
/** Write length bytes at gva whatever the W bits; checked whole before the first byte is written: all or nothing. */
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
	uint64_t length; /**< bytes, a multiple of 4096 */
	int prot;        /**< HS_PROT_READ is implied; EXEC becomes XD where the format has it and nxe is set */
	bool user;
	bool cow;        /**< W is left clear and the copy-on-write tag set */
	uint64_t leaf;   /**< further leaf bits: G, PWT, PCD, PAT, A, D as in hs_range.leaf */
	bool large;      /**< use larger leaves where alignment allows */
};

/**
 * Add a mapping to the tables of root, making tables as needed. phys must be writable.
 *
 * HS_ERR_RANGE: not aligned, not canonical, or beyond what the format can address. HS_ERR_BUSY (err->where is the gva): an
 * address of it is mapped already; the pages before it have been mapped. Errors of the table source and of phys pass through.
 */
HS_MUST_CHECK enum hs_status hs_build_map(const struct hs_phys *phys, const struct hs_root *root,
					  const struct hs_mapping *mapping, const struct hs_table_source *tables,
					  struct hs_error *err);
/** An upper bound of the table pages, the root's own included, that hs_build_map() needs for these mappings. */
uint64_t hs_build_tables_needed(const struct hs_root *root, const struct hs_mapping *mappings, size_t count);

#ifdef __cplusplus
}
#endif
#endif
