/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From linear to physical addresses: paging/'s walk is the truth, the TLB remembers what it said.
 *
 * Permissions and error codes are paging/'s too; accessed and dirty bits are set as SDM vol. 3A 4.8 says, when an
 * access is about to succeed. Bits of tables in read-only memory stay as they are.
 *
 * The TLB holds no page that is watched, and lets no write straight to one that holds decoded code: both go the slow
 * way, where somebody looks.
 */
#include "vmm/soft/cpu.h"

#include "arch/exception.h"
#include "paging/format.h"
#include "paging/walk.h"

#include <hindsight/paging.h>

#include <string.h>

#define PAGE_OFFSET ((uint64_t)(HS_PAGE_SIZE - 1))

/* The filter's bit of a page, as it was; set it if asked. */
static bool table_bit(struct hs_soft_cpu *cpu, uint64_t page, bool set)
{
	uint64_t *word = &cpu->table_pages[page % HS_SOFT_TABLE_BITS / 64];
	uint64_t bit = UINT64_C(1) << page % 64;
	bool was = *word & bit;

	*word |= set ? bit : 0;
	return was;
}

/* Once a page is in the TLB for writing nobody looks any more: collect() flushes. */
static void note(struct hs_soft_cpu *cpu, uint64_t gpa)
{
	if (cpu->note) {
		cpu->note(cpu->note_ctx, hs_gpa_of(gpa));
	}
}

static void set_entry_bits(struct hs_soft_cpu *cpu, uint64_t gpa, uint8_t bits)
{
	struct hs_ram_region *region = hs_ram_find(&cpu->ram, gpa);
	uint8_t *low = region && !region->read_only ? region->host + (gpa - region->gpa.v) : NULL;

	if (low && (*low & bits) != bits) {
		*low |= bits;
		note(cpu, gpa);
		hs_soft_code_written(cpu, gpa, 1);
	}
}

/* Set A in every entry that led here and, for a write, D in the last. */
static void mark(struct hs_soft_cpu *cpu, const struct hs_walk *walk, uint64_t gva, bool write)
{
	for (unsigned int depth = 0; depth < walk->open; depth++) {
		const struct hs_format_level *row = &walk->format->level[depth];
		bool last = depth + 1u == walk->open;
		uint64_t place = hs_walk_place(walk, depth, gva);

		table_bit(cpu, place / HS_PAGE_SIZE, true);

		/* A PDPTE of PAE paging has neither W nor A. */
		if (row->table_rights.write) {
			set_entry_bits(cpu, place, (uint8_t)(HS_LEAF_ACCESSED | (last && write ? HS_LEAF_DIRTY : 0)));
		}
	}
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

static bool walk_tables(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, int prot, uint64_t *ret_gpa)
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
	mark(cpu, &walk, gva, prot & HS_PROT_WRITE);
	cpu->knows_large_pages |= range.page_bytes > HS_PAGE_SIZE;
	*ret_gpa = range.gpa.v + (gva - range.start.v);
	return true;
}

static void fill(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t page, int prot,
		 const struct hs_soft_page *found)
{
	struct hs_soft_tlb_entry *entry = &cpu->tlb[space][page / HS_PAGE_SIZE % HS_SOFT_TLB_ENTRIES];

	if (found->watched) {
		return;
	}
	if (entry->read != page && entry->write != page) {
		entry->read = entry->write = HS_SOFT_NO_PAGE;
	}
	entry->gpa = found->gpa & ~PAGE_OFFSET;
	entry->addend = (uintptr_t)found->host - (uintptr_t)(page | (found->gpa & PAGE_OFFSET));
	/* What may be written may be read. */
	entry->read = page;
	if ((prot & HS_PROT_WRITE) && !found->code) {
		entry->write = page;
	}
}

bool hs_soft_translate(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, int prot,
		       struct hs_soft_page *ret)
{
	struct hs_ram_region *region;
	uint64_t gpa = 0;
	struct hs_soft_page page;

	if (!walk_tables(cpu, space, gva, prot, &gpa)) {
		return false;
	}
	region = hs_ram_find(&cpu->ram, gpa);
	if (!region) {
		return leave_for_memory(cpu, HS_EXIT_UNMAPPED, gpa, prot);
	}
	if (region->read_only && (prot & HS_PROT_WRITE)) {
		return leave_for_memory(cpu, HS_EXIT_READ_ONLY, gpa, prot);
	}
	page = (struct hs_soft_page){
		.host = region->host + (gpa - region->gpa.v),
		.gpa = gpa,
		.watched = hs_soft_page_is_watched(cpu, gva),
		.code = hs_soft_has_code(cpu, gpa),
	};
	if (prot & HS_PROT_WRITE) {
		note(cpu, gpa);
	}
	cpu->tlb_empty = false;
	fill(cpu, space, gva & ~PAGE_OFFSET, prot, &page);
	*ret = page;
	return true;
}

bool hs_soft_translate_fetch(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t *ret_gpa)
{
	enum hs_soft_space space = cpu->cpl == 3 ? HS_SOFT_USER : HS_SOFT_SUPERVISOR;
	uint64_t page = gva & ~PAGE_OFFSET;
	struct hs_soft_fetch_entry *entry = &cpu->fetch[space][gva / HS_PAGE_SIZE % HS_SOFT_FETCH_ENTRIES];
	uint64_t gpa = 0;

	if (entry->page == page) {
		*ret_gpa = entry->gpa | (gva & PAGE_OFFSET);
		return true;
	}
	if (!walk_tables(cpu, space, gva, HS_PROT_EXEC, &gpa)) {
		return false;
	}
	if (!hs_ram_find(&cpu->ram, gpa)) {
		return leave_for_memory(cpu, HS_EXIT_UNMAPPED, gpa, HS_PROT_READ);
	}
	cpu->tlb_empty = false;
	*entry = (struct hs_soft_fetch_entry){ page, gpa & ~PAGE_OFFSET };
	*ret_gpa = gpa;
	return true;
}

bool hs_soft_find(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t *ret_gpa)
{
	struct hs_phys phys = hs_ram_phys(&cpu->ram);
	uint64_t page = gva & ~PAGE_OFFSET;
	struct hs_range range;

	if (!cpu->paging) {
		*ret_gpa = gva & 0xffffffff;
		return true;
	}
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		const struct hs_soft_tlb_entry *entry = &cpu->tlb[space][gva / HS_PAGE_SIZE % HS_SOFT_TLB_ENTRIES];
		const struct hs_soft_fetch_entry *fetch =
			&cpu->fetch[space][gva / HS_PAGE_SIZE % HS_SOFT_FETCH_ENTRIES];

		if (entry->read == page || entry->write == page || fetch->page == page) {
			*ret_gpa = (fetch->page == page ? fetch->gpa : entry->gpa) | (gva & PAGE_OFFSET);
			return true;
		}
	}
	hs_translate(&phys, &cpu->root, hs_gva_of(gva), &range);
	if (range.kind == HS_RANGE_MAPPED) {
		*ret_gpa = range.gpa.v + (gva - range.start.v);
	}
	return range.kind == HS_RANGE_MAPPED;
}

static void empty_tlb(struct hs_soft_cpu *cpu)
{
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		for (unsigned int i = 0; i < HS_SOFT_TLB_ENTRIES; i++) {
			cpu->tlb[space][i].read = cpu->tlb[space][i].write = HS_SOFT_NO_PAGE;
		}
		for (unsigned int i = 0; i < HS_SOFT_FETCH_ENTRIES; i++) {
			cpu->fetch[space][i].page = HS_SOFT_NO_PAGE;
		}
	}
	memset(cpu->table_pages, 0, sizeof(cpu->table_pages));
	cpu->tlb_empty = true;
}

static void refresh_root(struct hs_soft_cpu *cpu)
{
	const struct hs_paging_registers registers = {
		.cr0 = cpu->cr0,
		.cr3 = cpu->cr3,
		.cr4 = cpu->cr4,
		.efer = cpu->msr.efer,
	};

	hs_root_of_registers(&registers, &cpu->root);
	cpu->root.maxphyaddr = HS_SOFT_PHYSICAL_BITS;
}

void hs_soft_flush(struct hs_soft_cpu *cpu)
{
	refresh_root(cpu);
	if (!cpu->tlb_empty) {
		empty_tlb(cpu);
	}
	cpu->knows_large_pages = false;
	hs_soft_forget_jumps(cpu);
	hs_soft_attend(cpu, HS_SOFT_LOOK_UP);
}

void hs_soft_tables_written(struct hs_soft_cpu *cpu, uint64_t gpa, uint64_t length)
{
	uint64_t first = gpa / HS_PAGE_SIZE;
	uint64_t pages = length > 0 ? (gpa + (length - 1)) / HS_PAGE_SIZE - first + 1 : 0;
	bool hit = pages >= HS_SOFT_TABLE_BITS;

	for (uint64_t i = 0; i < pages && !hit; i++) {
		hit = table_bit(cpu, first + i, false);
	}
	if (hit) {
		hs_soft_flush(cpu);
	}
}

void hs_soft_flush_page(struct hs_soft_cpu *cpu, uint64_t gva)
{
	uint64_t page = gva & ~PAGE_OFFSET;

	if (cpu->knows_large_pages) {
		hs_soft_flush(cpu); /* all of a large page goes with any address in it (SDM vol. 3A 4.10.4.1) */
		return;
	}
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		struct hs_soft_tlb_entry *entry = &cpu->tlb[space][page / HS_PAGE_SIZE % HS_SOFT_TLB_ENTRIES];
		struct hs_soft_fetch_entry *fetch = &cpu->fetch[space][page / HS_PAGE_SIZE % HS_SOFT_FETCH_ENTRIES];

		if (entry->read == page || entry->write == page) {
			entry->read = entry->write = HS_SOFT_NO_PAGE;
		}
		if (fetch->page == page) {
			fetch->page = HS_SOFT_NO_PAGE;
		}
	}
	hs_soft_forget_jumps(cpu);
	hs_soft_attend(cpu, HS_SOFT_LOOK_UP);
}

void hs_soft_flush_writes(struct hs_soft_cpu *cpu, uint64_t gpa)
{
	uint64_t page = gpa & ~PAGE_OFFSET;

	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		for (unsigned int i = 0; i < HS_SOFT_TLB_ENTRIES; i++) {
			if (cpu->tlb[space][i].gpa == page) {
				cpu->tlb[space][i].write = HS_SOFT_NO_PAGE;
			}
		}
	}
}
