/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From linear to physical addresses: paging/'s walk is the truth, the TLB remembers what it said (tlb.c drops that).
 *
 * Permissions and error codes are paging/'s too; accessed and dirty bits are set as SDM vol. 3A 4.8 says, when an
 * access is about to succeed. Bits of tables in read-only memory stay as they are.
 *
 * Beside the TLB's entry it is remembered which entry of which table the walk ended at. A page that has lost its tags
 * is found by a look at that one, as a CPU does with its paging-structure caches (SDM vol. 3A 4.10.3): pages that are
 * put back by a restore, over and over, and tables with them, lose theirs each time.
 *
 * The TLB holds no page that is watched, and lets no write straight to one that holds decoded code: both go the slow
 * way, where somebody looks.
 */
#include "vmm/soft/cpu.h"

#include "arch/exception.h"
#include "paging/format.h"
#include "paging/walk.h"

#include <hindsight/paging.h>

#define PAGE_OFFSET ((uint64_t)(HS_PAGE_SIZE - 1))

/* Once a page is in the TLB for writing nobody looks any more: hs_soft_note_again(). */
static void note(struct hs_soft_cpu *cpu, uint64_t gpa)
{
	if (cpu->note) {
		cpu->note(cpu->note_ctx, hs_gpa_of(gpa));
	}
}

/* `low` is the entry's first byte, at gpa. */
static void set_entry_bits(struct hs_soft_cpu *cpu, uint8_t *low, uint64_t gpa, uint8_t bits)
{
	*low |= bits;
	if (cpu->noted_table != (gpa & ~PAGE_OFFSET)) {
		cpu->noted_table = gpa & ~PAGE_OFFSET;
		note(cpu, gpa);
	}
}

static uint8_t bits_of(int prot)
{
	return (uint8_t)(HS_LEAF_ACCESSED | (prot & HS_PROT_WRITE ? HS_LEAF_DIRTY : 0));
}

static void pass(uint64_t *filter, uint64_t gpa)
{
	uint64_t page = gpa / HS_PAGE_SIZE % HS_SOFT_TABLE_BITS;

	filter[page / 64] |= UINT64_C(1) << page % 64;
}

/* Set A in every entry that led here and, for a write, D in the last, which is *ret. */
static void mark(struct hs_soft_cpu *cpu, const struct hs_walk *walk, uint64_t gva, int prot, struct hs_soft_leaf *ret)
{
	for (unsigned int depth = 0; depth < walk->open; depth++) {
		bool last = depth + 1u == walk->open;
		uint64_t place = hs_walk_place(walk, depth, gva);
		uint8_t bits = last ? bits_of(prot) : HS_LEAF_ACCESSED;
		struct hs_ram_region *region = hs_ram_find(&cpu->ram, place); /* the walk has read it there */
		uint8_t *low = region->host + (place - region->gpa.v);

		pass(last ? cpu->leaf_pages : cpu->table_pages, place);
		/* A PDPTE of PAE paging has neither W nor A. */
		if (!region->read_only && walk->format->level[depth].table_rights.write && (*low & bits) != bits) {
			set_entry_bits(cpu, low, place, bits);
			hs_soft_code_written(cpu, place, 1);
		}
		if (last) {
			ret->host = low;
			ret->gpa = place;
			ret->read_only = region->read_only;
			ret->table_code = hs_soft_code_at(region, place);
		}
	}
	ret->value = walk->entry & ~HS_SOFT_LEAF_USE;
	ret->wide = walk->format->entry_bytes == 8;
	ret->walks = cpu->walks;
	ret->tag = hs_soft_tag(gva);
}

/* Whether the page of gva may be accessed as it was found to be at leaf: then A, and D for a write, are set there. */
static inline bool use_leaf(struct hs_soft_cpu *cpu, const struct hs_soft_leaf *leaf, uint64_t gva, int prot)
{
	uint8_t bits = bits_of(prot);

	if (leaf->tag != hs_soft_tag(gva) || leaf->walks != cpu->walks || (prot & ~leaf->prot) ||
	    (hs_soft_leaf_now(leaf) & ~HS_SOFT_LEAF_USE) != leaf->value) {
		return false;
	}
	if (!leaf->read_only && (*leaf->host & bits) != bits) {
		set_entry_bits(cpu, leaf->host, leaf->gpa, bits);
		if (*leaf->table_code) {
			hs_soft_code_written(cpu, leaf->gpa, 1);
		}
	}
	return true;
}

static bool leave_for_memory(struct hs_soft_cpu *cpu, enum hs_exit_kind kind, uint64_t gpa, int prot)
{
	hs_soft_leave(cpu, kind);
	cpu->exit.gpa = gpa;
	cpu->exit.is_write = prot & HS_PROT_WRITE;
	cpu->exit.insn_rip = cpu->r[HS_SOFT_RIP];
	cpu->exit.insn_rip_known = true;
	return false;
}

/* *ret_leaf: without a tag where there is no paging. */
static bool walk_tables(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, int prot, uint64_t *ret_gpa,
			struct hs_soft_leaf *ret_leaf)
{
	static const enum hs_access_by accessor[HS_SOFT_SPACES] = {
		[HS_SOFT_SUPERVISOR] = HS_ACCESS_BY_SUPERVISOR,
		[HS_SOFT_SUPERVISOR_AC] = HS_ACCESS_BY_SUPERVISOR_AC,
		[HS_SOFT_USER] = HS_ACCESS_BY_USER,
	};
	struct hs_phys phys = hs_ram_phys(&cpu->ram);
	struct hs_range range;
	struct hs_walk walk;
	uint32_t error_code = 0;

	*ret_leaf = (struct hs_soft_leaf){ .tag = 0 };
	if (!cpu->paging) {
		*ret_gpa = gva & 0xffffffff;
		return true;
	}
	hs_walk_init(&walk, &phys, &cpu->root, HS_PAGING_LEVELS_MAX, false);
	if (!hs_walk_find(&walk, gva, &range)) {
		range = (struct hs_range){ .kind = HS_RANGE_HOLE }; /* not reached: no format has more levels */
	}
	switch (hs_access_check(&cpu->root, &range, accessor[space], prot, &error_code)) {
	case HS_ACCESS_ALLOWED:
		break;
	case HS_ACCESS_PAGE_FAULT:
		(void)hs_soft_raise_pf(cpu, gva, error_code);
		return false;
	case HS_ACCESS_NON_CANONICAL:
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	case HS_ACCESS_UNKNOWN:
		return leave_for_memory(cpu, HS_EXIT_UNMAPPED, range.gpa.v, HS_PROT_READ);
	}
	mark(cpu, &walk, gva, prot, ret_leaf);
	ret_leaf->prot = (uint8_t)hs_access_rights(&cpu->root, &range, accessor[space]);
	cpu->knows_large_pages |= range.page_bytes > HS_PAGE_SIZE;
	*ret_gpa = range.gpa.v + (gva - range.start.v);
	return true;
}

/* The entry, whose address is there already, gets its tags. */
static void fill(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, int prot,
		 const struct hs_soft_page *found)
{
	unsigned int place = hs_soft_tlb_place(gva);
	struct hs_soft_tlb_entry *entry = &cpu->tlb[space][place];
	uint64_t tag = hs_soft_tag(gva);

	/* What may be written may be read. */
	entry->read = tag;
	hs_soft_use(cpu->tlb_used[space], place);
	if ((prot & HS_PROT_WRITE) && !found->code) {
		entry->write = tag;
		hs_soft_use(cpu->tlb_writes[space], place);
		cpu->has_writes = true;
	}
}

/* The same by the tables, or, without paging, without. */
static bool find_page(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, int prot,
		      struct hs_soft_page *ret)
{
	struct hs_ram_region *region;
	struct hs_soft_leaf leaf;
	uint64_t gpa = 0;

	if (!walk_tables(cpu, space, gva, prot, &gpa, &leaf)) {
		return false;
	}
	region = hs_ram_find(&cpu->ram, gpa);
	if (!region) {
		return leave_for_memory(cpu, HS_EXIT_UNMAPPED, gpa, prot);
	}
	if (region->read_only && (prot & HS_PROT_WRITE)) {
		return leave_for_memory(cpu, HS_EXIT_READ_ONLY, gpa, prot);
	}
	*ret = (struct hs_soft_page){
		.host = region->host + (gpa - region->gpa.v),
		.gpa = gpa,
		.watched = hs_soft_page_is_watched(cpu, gva),
		.code = *hs_soft_code_at(region, gpa),
	};
	if (!ret->watched) {
		cpu->tlb[space][hs_soft_tlb_place(gva)] = (struct hs_soft_tlb_entry){
			.gpa = gpa & ~PAGE_OFFSET,
			.addend = (uintptr_t)ret->host - (uintptr_t)gva,
		};
		leaf.prot &= (uint8_t) ~(region->read_only ? HS_PROT_WRITE : 0);
		leaf.code = hs_soft_code_at(region, gpa);
		cpu->leaves[space][hs_soft_tlb_place(gva)] = leaf;
	}
	return true;
}

bool hs_soft_translate(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, int prot,
		       struct hs_soft_page *ret)
{
	const struct hs_soft_tlb_entry *entry = &cpu->tlb[space][hs_soft_tlb_place(gva)];
	const struct hs_soft_leaf *leaf = &cpu->leaves[space][hs_soft_tlb_place(gva)];
	struct hs_soft_page page;

	if (use_leaf(cpu, leaf, gva, prot)) {
		page = (struct hs_soft_page){
			.host = (uint8_t *)(gva + entry->addend),
			.gpa = entry->gpa | (gva & PAGE_OFFSET),
			.code = *leaf->code,
		};
	} else if (!find_page(cpu, space, gva, prot, &page)) {
		return false;
	}
	if (prot & HS_PROT_WRITE) {
		note(cpu, page.gpa);
		if (hs_soft_has_tables(cpu, page.gpa) && hs_soft_change_table(cpu, page.gpa)) {
			return hs_soft_translate(cpu, space, gva, prot, ret);
		}
	}
	if (!page.watched) {
		fill(cpu, space, gva, prot, &page);
	}
	*ret = page;
	return true;
}

bool hs_soft_regain(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva)
{
	unsigned int place = hs_soft_tlb_place(gva);
	const struct hs_soft_leaf *leaf = &cpu->leaves[space][place];
	struct hs_soft_tlb_entry *entry = &cpu->tlb[space][place];

	if (hs_soft_has_tables(cpu, entry->gpa) || !use_leaf(cpu, leaf, gva, HS_PROT_WRITE) || *leaf->code) {
		return false;
	}
	note(cpu, entry->gpa);
	entry->read = entry->write = hs_soft_tag(gva);
	hs_soft_use(cpu->tlb_used[space], place);
	hs_soft_use(cpu->tlb_writes[space], place);
	cpu->has_writes = true;
	return true;
}

bool hs_soft_translate_fetch(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t *ret_gpa)
{
	enum hs_soft_space space = cpu->cpl == 3 ? HS_SOFT_USER : HS_SOFT_SUPERVISOR;
	unsigned int place = gva / HS_PAGE_SIZE % HS_SOFT_FETCH_ENTRIES;
	struct hs_soft_fetch_entry *entry = &cpu->fetch[space][place];
	struct hs_soft_leaf *leaf = &cpu->fetch_leaves[space][place];
	uint64_t tag = hs_soft_tag(gva);
	uint64_t gpa = 0;

	if (entry->tag == tag || use_leaf(cpu, leaf, gva, HS_PROT_EXEC)) {
		entry->tag = tag;
		hs_soft_use(cpu->fetch_used[space], place);
		*ret_gpa = entry->gpa | (gva & PAGE_OFFSET);
		return true;
	}
	/* The jumps that lead there go on without it: hs_soft_check_leaves(). */
	cpu->fetch_lost |= entry->tag != 0;
	entry->tag = 0;
	if (!walk_tables(cpu, space, gva, HS_PROT_EXEC, &gpa, leaf)) {
		return false;
	}
	if (!hs_ram_find(&cpu->ram, gpa)) {
		leaf->tag = 0;
		return leave_for_memory(cpu, HS_EXIT_UNMAPPED, gpa, HS_PROT_READ);
	}
	*entry = (struct hs_soft_fetch_entry){ tag, gpa & ~PAGE_OFFSET };
	hs_soft_use(cpu->fetch_used[space], place);
	*ret_gpa = gpa;
	return true;
}

bool hs_soft_find(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t *ret_gpa)
{
	struct hs_phys phys = hs_ram_phys(&cpu->ram);
	uint64_t tag = hs_soft_tag(gva);
	struct hs_range range;

	if (!cpu->paging) {
		*ret_gpa = gva & 0xffffffff;
		return true;
	}
	hs_soft_check_leaves(cpu);
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		const struct hs_soft_tlb_entry *entry = &cpu->tlb[space][hs_soft_tlb_place(gva)];
		const struct hs_soft_fetch_entry *fetch =
			&cpu->fetch[space][gva / HS_PAGE_SIZE % HS_SOFT_FETCH_ENTRIES];

		if (entry->read == tag || fetch->tag == tag) {
			*ret_gpa = (fetch->tag == tag ? fetch->gpa : entry->gpa) | (gva & PAGE_OFFSET);
			return true;
		}
	}
	hs_translate(&phys, &cpu->root, hs_gva_of(gva), &range);
	if (range.kind == HS_RANGE_MAPPED) {
		*ret_gpa = range.gpa.v + (gva - range.start.v);
	}
	return range.kind == HS_RANGE_MAPPED;
}
