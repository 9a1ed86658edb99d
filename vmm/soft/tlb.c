/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the TLB forgets, and when: mmu.c fills it. Each costs what there is to forget.
 *
 * A restore puts pages back, tables among them, that are mostly what they were when they were walked. So for tables
 * that the host writes it is not forgotten but looked at again what was found there, once the host is done.
 */
#include "vmm/soft/cpu.h"

#define NO_PAGE 1u

static unsigned int take_bit(uint64_t *word)
{
	unsigned int bit = (unsigned int)__builtin_ctzll(*word);

	*word &= *word - 1;
	return bit;
}

static void drop_data(struct hs_soft_cpu *cpu, enum hs_soft_space space)
{
	for (unsigned int i = 0; i < HS_SOFT_USED_WORDS(HS_SOFT_TLB_ENTRIES); i++) {
		while (cpu->tlb_used[space][i]) {
			struct hs_soft_tlb_entry *entry = &cpu->tlb[space][64 * i + take_bit(&cpu->tlb_used[space][i])];

			entry->read = entry->write = 0;
		}
		cpu->tlb_writes[space][i] = 0;
	}
}

static void drop_code(struct hs_soft_cpu *cpu, enum hs_soft_space space)
{
	for (unsigned int i = 0; i < HS_SOFT_USED_WORDS(HS_SOFT_FETCH_ENTRIES); i++) {
		while (cpu->fetch_used[space][i]) {
			cpu->fetch[space][64 * i + take_bit(&cpu->fetch_used[space][i])].tag = 0;
		}
	}
}

static void drop_all(struct hs_soft_cpu *cpu)
{
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		drop_data(cpu, space);
		drop_code(cpu, space);
	}
	hs_soft_forget_jumps(cpu);
	hs_soft_attend(cpu, HS_SOFT_LOOK_UP);
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
	drop_all(cpu);
	for (unsigned int i = 0; i < HS_SOFT_TABLE_BITS / 64; i++) {
		cpu->leaf_pages[i] = cpu->table_pages[i] = 0;
	}
	cpu->walks++;
	cpu->leaves_written = false;
	cpu->knows_large_pages = false;
	cpu->changed_table_count = 0;
}

void hs_soft_flush_page(struct hs_soft_cpu *cpu, uint64_t gva)
{
	uint64_t tag = hs_soft_tag(gva);

	if (cpu->knows_large_pages) {
		hs_soft_flush(cpu); /* all of a large page goes with any address in it (SDM vol. 3A 4.10.4.1) */
		return;
	}
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		struct hs_soft_tlb_entry *entry = &cpu->tlb[space][hs_soft_tlb_place(gva)];
		struct hs_soft_fetch_entry *fetch = &cpu->fetch[space][gva / HS_PAGE_SIZE % HS_SOFT_FETCH_ENTRIES];

		if (entry->read == tag) {
			entry->read = entry->write = 0;
		}
		if (fetch->tag == tag) {
			fetch->tag = 0;
		}
	}
	cpu->walks++; /* what is known of upper tables goes with any page (the same section) */
	hs_soft_forget_jumps(cpu);
	hs_soft_attend(cpu, HS_SOFT_LOOK_UP);
}

void hs_soft_flush_writes(struct hs_soft_cpu *cpu, uint64_t gpa)
{
	uint64_t page = gpa & ~(uint64_t)(HS_PAGE_SIZE - 1);

	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		for (unsigned int i = 0; i < HS_SOFT_USED_WORDS(HS_SOFT_TLB_ENTRIES); i++) {
			uint64_t left = cpu->tlb_writes[space][i];

			while (left) {
				struct hs_soft_tlb_entry *entry = &cpu->tlb[space][64 * i + take_bit(&left)];

				entry->write = entry->gpa == page ? 0 : entry->write;
			}
		}
	}
}

void hs_soft_note_again(struct hs_soft_cpu *cpu)
{
	cpu->noted_table = NO_PAGE;
	cpu->changed_table_count = 0;
	if (!cpu->has_writes) {
		return;
	}
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		for (unsigned int i = 0; i < HS_SOFT_USED_WORDS(HS_SOFT_TLB_ENTRIES); i++) {
			while (cpu->tlb_writes[space][i]) {
				cpu->tlb[space][64 * i + take_bit(&cpu->tlb_writes[space][i])].write = 0;
			}
		}
	}
	cpu->has_writes = false;
}

/*
 * What is remembered from before a restore cannot be told from what is not, until tables change: where a guest clears
 * an accessed bit and does not say so by invlpg, as it need not, the bit comes back or does not. So that no run sees by
 * that what the one before has used, nothing is remembered any more when the first change comes, in the first run
 * either.
 */
bool hs_soft_change_table(struct hs_soft_cpu *cpu, uint64_t gpa)
{
	uint64_t page = gpa / HS_PAGE_SIZE;

	for (unsigned int i = 0; i < cpu->changed_table_count; i++) {
		if (cpu->changed_tables[i] == page) {
			return false;
		}
	}
	if (hs_soft_was_passed(cpu->table_pages, gpa)) {
		hs_soft_flush(cpu);
	} else {
		drop_all(cpu);
	}
	if (cpu->changed_table_count == HS_SOFT_CHANGED_TABLES) {
		cpu->changed_table_count = 0;
	}
	cpu->changed_tables[cpu->changed_table_count++] = page;
	return true;
}

void hs_soft_tables_written(struct hs_soft_cpu *cpu, uint64_t gpa, uint64_t length)
{
	uint64_t first = gpa / HS_PAGE_SIZE;
	uint64_t pages = length > 0 ? (gpa + (length - 1)) / HS_PAGE_SIZE - first + 1 : 0;
	bool upper = pages >= HS_SOFT_TABLE_BITS;

	for (uint64_t i = 0; i < pages && !upper; i++) {
		upper = hs_soft_was_passed(cpu->table_pages, (first + i) * HS_PAGE_SIZE);
		cpu->leaves_written |= hs_soft_was_passed(cpu->leaf_pages, (first + i) * HS_PAGE_SIZE);
	}
	if (upper) {
		hs_soft_flush(cpu);
	}
}

/* Where it is the same, and A says that it was used. */
static bool is_still(const struct hs_soft_cpu *cpu, const struct hs_soft_leaf *leaf)
{
	uint64_t now;

	if (leaf->tag == 0 || leaf->walks != cpu->walks) {
		return false;
	}
	now = hs_soft_leaf_now(leaf);
	return (now & ~HS_SOFT_LEAF_USE) == leaf->value && (leaf->read_only || (now & HS_LEAF_ACCESSED));
}

static void check_code(struct hs_soft_cpu *cpu, enum hs_soft_space space)
{
	for (unsigned int i = 0; i < HS_SOFT_USED_WORDS(HS_SOFT_FETCH_ENTRIES); i++) {
		uint64_t left = cpu->fetch_used[space][i];

		while (left) {
			unsigned int place = 64 * i + take_bit(&left);
			struct hs_soft_fetch_entry *entry = &cpu->fetch[space][place];

			if (entry->tag && !is_still(cpu, &cpu->fetch_leaves[space][place])) {
				entry->tag = 0;
				cpu->fetch_lost = true;
			}
		}
	}
}

void hs_soft_check_leaves(struct hs_soft_cpu *cpu)
{
	if (!cpu->leaves_written) {
		return;
	}
	cpu->leaves_written = false;
	/* Data that is accessed again is looked at then, which costs little; jumps are worth more. */
	for (unsigned int space = 0; space < HS_SOFT_SPACES; space++) {
		drop_data(cpu, space);
		check_code(cpu, space);
	}
	if (cpu->fetch_lost) {
		hs_soft_forget_jumps(cpu);
	}
}
