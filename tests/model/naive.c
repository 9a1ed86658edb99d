/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The numbers of tables, figures and sections are those of Intel SDM vol. 3A, chapter 4. */
#include "naive.h"

/* One entry that is present, taken apart. */
struct bits {
	uint64_t raw;
	bool rw, us, ps, xd;
};

static bool read_number(const struct naive_memory *memory, uint64_t address, unsigned int size, uint64_t *ret)
{
	uint64_t number = 0;

	for (unsigned int i = 0; i < size; i++) {
		uint64_t offset = address + i - memory->base;

		if (address + i < memory->base || offset >= memory->length) {
			return false;
		}
		number += (uint64_t)memory->bytes[offset] << (8 * i);
	}
	*ret = number;
	return true;
}

static uint64_t bits_of(uint64_t number, unsigned int high, unsigned int low)
{
	return (number >> low) % ((uint64_t)2 << (high - low));
}

/* True when one of the bits from..to is set; nothing when from lies above to. */
static bool any_set(uint64_t number, unsigned int from, unsigned int to)
{
	return from <= to && bits_of(number, to, from) != 0;
}

static struct naive_result result_of(enum naive_outcome outcome, uint64_t linear, uint64_t covers, unsigned int depth,
				     uint64_t physical)
{
	return (struct naive_result){
		.outcome = outcome,
		.start = linear / covers * covers,
		.length = covers,
		.depth = depth,
		.physical = physical,
	};
}

/*
 * Read one entry. True when the walk goes on with it, false when *ret says how it ended. What is reserved is not judged
 * here: it differs from entry to entry.
 */
static bool read_entry(const struct naive_memory *memory, uint64_t table, uint64_t address, unsigned int size,
		       uint64_t linear, uint64_t covers, unsigned int depth, struct bits *bits,
		       struct naive_result *ret)
{
	if (!read_number(memory, address, size, &bits->raw)) {
		*ret = result_of(NAIVE_NO_MEMORY, linear, covers, depth, table);
		return false;
	}
	if (bits_of(bits->raw, 0, 0) == 0) {
		*ret = result_of(NAIVE_NOT_PRESENT, linear, covers, depth, 0);
		return false;
	}
	bits->rw = bits_of(bits->raw, 1, 1);
	bits->us = bits_of(bits->raw, 2, 2);
	bits->ps = bits_of(bits->raw, 7, 7);
	bits->xd = bits_of(bits->raw, 63, 63);
	return true;
}

/* The page that a leaf maps, with the rights of the leaf alone. pat_bit is where this leaf has its PAT bit. */
static struct naive_result page_of(struct bits leaf, uint64_t linear, uint64_t covers, unsigned int depth,
				   uint64_t physical, unsigned int pat_bit)
{
	struct naive_result result = result_of(NAIVE_PAGE, linear, covers, depth, physical);

	result.page = covers;
	result.write = leaf.rw;
	result.user = leaf.us;
	result.fetch = !leaf.xd;
	result.tagged = bits_of(leaf.raw, 11, 9) == 1 && !leaf.rw;
	/* PWT 3, PCD 4, A 5, D 6, G 8, 11:9 ignored. */
	result.attributes = bits_of(leaf.raw, 6, 3) << 3 | bits_of(leaf.raw, 11, 8) << 8 |
			    bits_of(leaf.raw, pat_bit, pat_bit) << 7;
	return result;
}

static void restrict_by(struct naive_result *result, struct bits entry)
{
	result->write = result->write && entry.rw;
	result->user = result->user && entry.us;
	result->fetch = result->fetch && !entry.xd;
}

/* 4.3, "32-Bit Paging"; tables 4-4 (4 MiB page), 4-5 (PDE), 4-6 (PTE). Rights: 4.6; there is no XD. */
static struct naive_result walk_32bit(const struct naive_memory *memory, const struct naive_controls *controls,
				      uint64_t linear)
{
	const uint64_t mib4 = 4096 * 1024;
	struct naive_result result;
	struct bits pde;
	struct bits pte;
	uint64_t table = bits_of(controls->cr3, 31, 12) << 12;
	uint64_t address = table + bits_of(linear, 31, 22) * 4;

	if (linear >> 32) {
		return (struct naive_result){ .outcome = NAIVE_NOT_CANONICAL,
					      .start = (uint64_t)1 << 32,
					      .length = (uint64_t)0xffffffff << 32 };
	}
	if (!read_entry(memory, table, address, 4, linear, mib4, 0, &pde, &result)) {
		return result;
	}
	if (controls->cr4_pse && pde.ps) {
		unsigned int m = controls->maxphyaddr < 40 ? controls->maxphyaddr : 40;

		/* "bits 21:(M-19)" are reserved, 20:13 are address bits 39:32 as far as M goes. */
		if (any_set(pde.raw, m - 19, 21)) {
			return result_of(NAIVE_RESERVED_BIT, linear, mib4, 0, address);
		}
		return page_of(pde, linear, mib4, 0, bits_of(pde.raw, 31, 22) << 22 | bits_of(pde.raw, 20, 13) << 32,
			       12);
	}
	table = bits_of(pde.raw, 31, 12) << 12;
	address = table + bits_of(linear, 21, 12) * 4;
	if (!read_entry(memory, table, address, 4, linear, 4096, 1, &pte, &result)) {
		return result;
	}
	result = page_of(pte, linear, 4096, 1, bits_of(pte.raw, 31, 12) << 12, 7);
	restrict_by(&result, pde);
	return result;
}

/* 4.4, "PAE Paging"; tables 4-8 (PDPTE), 4-9 (2 MiB page), 4-10 (PDE), 4-11 (PTE). */
static struct naive_result walk_pae(const struct naive_memory *memory, const struct naive_controls *controls,
				    uint64_t linear)
{
	const uint64_t gib = 1024 * 1024 * 1024;
	const uint64_t mib2 = 2048 * 1024;
	unsigned int m = controls->maxphyaddr;
	struct naive_result result;
	struct bits pdpte;
	struct bits pde;
	struct bits pte;
	uint64_t table = bits_of(controls->cr3, 31, 5) << 5;
	uint64_t address = table + bits_of(linear, 31, 30) * 8;

	if (linear >> 32) {
		return (struct naive_result){ .outcome = NAIVE_NOT_CANONICAL,
					      .start = (uint64_t)1 << 32,
					      .length = (uint64_t)0xffffffff << 32 };
	}
	if (!read_entry(memory, table, address, 8, linear, gib, 0, &pdpte, &result)) {
		return result;
	}
	if (any_set(pdpte.raw, 1, 2) || any_set(pdpte.raw, controls->pdpte_a ? 6 : 5, 8) || any_set(pdpte.raw, m, 63)) {
		return result_of(NAIVE_RESERVED_BIT, linear, gib, 0, address);
	}
	table = bits_of(pdpte.raw, 51, 12) << 12;
	address = table + bits_of(linear, 29, 21) * 8;
	if (!read_entry(memory, table, address, 8, linear, mib2, 1, &pde, &result)) {
		return result;
	}
	if (any_set(pde.raw, m, 62) || (pde.xd && !controls->efer_nxe) || (pde.ps && any_set(pde.raw, 13, 20))) {
		return result_of(NAIVE_RESERVED_BIT, linear, mib2, 1, address);
	}
	if (pde.ps) {
		return page_of(pde, linear, mib2, 1, bits_of(pde.raw, 51, 21) << 21, 12);
	}
	table = bits_of(pde.raw, 51, 12) << 12;
	address = table + bits_of(linear, 20, 12) * 8;
	if (!read_entry(memory, table, address, 8, linear, 4096, 2, &pte, &result)) {
		return result;
	}
	if (any_set(pte.raw, m, 62) || (pte.xd && !controls->efer_nxe)) {
		return result_of(NAIVE_RESERVED_BIT, linear, 4096, 2, address);
	}
	result = page_of(pte, linear, 4096, 2, bits_of(pte.raw, 51, 12) << 12, 7);
	restrict_by(&result, pde);
	return result;
}

/* Bits 51:M, and bit 63 without NXE: reserved in every entry of 4-level and 5-level paging. */
static bool long_reserved(const struct naive_controls *controls, struct bits entry)
{
	return any_set(entry.raw, controls->maxphyaddr, 51) || (entry.xd && !controls->efer_nxe);
}

/* Bits 62:52 of a leaf: ignored, and the protection key. */
static struct naive_result long_page_of(struct bits leaf, uint64_t linear, uint64_t covers, unsigned int depth,
					uint64_t physical, unsigned int pat_bit)
{
	struct naive_result result = page_of(leaf, linear, covers, depth, physical, pat_bit);

	result.attributes |= bits_of(leaf.raw, 62, 52) << 52;
	return result;
}

/* 4.5 from the PML4 on; tables 4-15 (PML4E), 4-16 (1 GiB page), 4-17 (PDPTE), 4-18 (2 MiB page), 4-19, 4-20. */
static struct naive_result walk_from_pml4(const struct naive_memory *memory, const struct naive_controls *controls,
					  uint64_t linear, uint64_t pml4, unsigned int depth)
{
	const uint64_t gib = 1024 * 1024 * 1024;
	const uint64_t mib2 = 2048 * 1024;
	struct naive_result result;
	struct bits pml4e;
	struct bits pdpte;
	struct bits pde;
	struct bits pte;
	uint64_t table = pml4;
	uint64_t address = table + bits_of(linear, 47, 39) * 8;

	if (!read_entry(memory, table, address, 8, linear, 512 * gib, depth, &pml4e, &result)) {
		return result;
	}
	if (long_reserved(controls, pml4e) || pml4e.ps) {
		return result_of(NAIVE_RESERVED_BIT, linear, 512 * gib, depth, address);
	}
	table = bits_of(pml4e.raw, 51, 12) << 12;
	address = table + bits_of(linear, 38, 30) * 8;
	if (!read_entry(memory, table, address, 8, linear, gib, depth + 1, &pdpte, &result)) {
		return result;
	}
	if (long_reserved(controls, pdpte) || (pdpte.ps && any_set(pdpte.raw, 13, 29))) {
		return result_of(NAIVE_RESERVED_BIT, linear, gib, depth + 1, address);
	}
	if (pdpte.ps) {
		result = long_page_of(pdpte, linear, gib, depth + 1, bits_of(pdpte.raw, 51, 30) << 30, 12);
		restrict_by(&result, pml4e);
		return result;
	}
	table = bits_of(pdpte.raw, 51, 12) << 12;
	address = table + bits_of(linear, 29, 21) * 8;
	if (!read_entry(memory, table, address, 8, linear, mib2, depth + 2, &pde, &result)) {
		return result;
	}
	if (long_reserved(controls, pde) || (pde.ps && any_set(pde.raw, 13, 20))) {
		return result_of(NAIVE_RESERVED_BIT, linear, mib2, depth + 2, address);
	}
	if (pde.ps) {
		result = long_page_of(pde, linear, mib2, depth + 2, bits_of(pde.raw, 51, 21) << 21, 12);
		restrict_by(&result, pml4e);
		restrict_by(&result, pdpte);
		return result;
	}
	table = bits_of(pde.raw, 51, 12) << 12;
	address = table + bits_of(linear, 20, 12) * 8;
	if (!read_entry(memory, table, address, 8, linear, 4096, depth + 3, &pte, &result)) {
		return result;
	}
	if (long_reserved(controls, pte)) {
		return result_of(NAIVE_RESERVED_BIT, linear, 4096, depth + 3, address);
	}
	result = long_page_of(pte, linear, 4096, depth + 3, bits_of(pte.raw, 51, 12) << 12, 7);
	restrict_by(&result, pml4e);
	restrict_by(&result, pdpte);
	restrict_by(&result, pde);
	return result;
}

/* Vol. 1, 3.3.7.1, "Canonical Addressing": bits 63:48 equal bit 47. */
static struct naive_result walk_4level(const struct naive_memory *memory, const struct naive_controls *controls,
				       uint64_t linear)
{
	uint64_t upper = bits_of(linear, 63, 47);

	if (upper != 0 && upper != 0x1ffff) {
		return (struct naive_result){ .outcome = NAIVE_NOT_CANONICAL,
					      .start = 0x0000800000000000,
					      .length = 0xffff000000000000 };
	}
	return walk_from_pml4(memory, controls, linear, bits_of(controls->cr3, 51, 12) << 12, 0);
}

/* 4.5.4 with a PML5; table 4-14 (PML5E). Bits 63:57 equal bit 56. */
static struct naive_result walk_5level(const struct naive_memory *memory, const struct naive_controls *controls,
				       uint64_t linear)
{
	const uint64_t covers = (uint64_t)1 << 48;
	uint64_t upper = bits_of(linear, 63, 56);
	struct naive_result result;
	struct bits pml5e;
	uint64_t table = bits_of(controls->cr3, 51, 12) << 12;
	uint64_t address = table + bits_of(linear, 56, 48) * 8;

	if (upper != 0 && upper != 0xff) {
		return (struct naive_result){ .outcome = NAIVE_NOT_CANONICAL,
					      .start = 0x0100000000000000,
					      .length = 0xfe00000000000000 };
	}
	if (!read_entry(memory, table, address, 8, linear, covers, 0, &pml5e, &result)) {
		return result;
	}
	if (long_reserved(controls, pml5e) || pml5e.ps) {
		return result_of(NAIVE_RESERVED_BIT, linear, covers, 0, address);
	}
	result = walk_from_pml4(memory, controls, linear, bits_of(pml5e.raw, 51, 12) << 12, 1);
	restrict_by(&result, pml5e);
	return result;
}

/* Without paging, linear addresses are physical ones, of 32 bits (vol. 3A 3.3): one range, and nobody is kept out. */
static struct naive_result walk_nothing(uint64_t linear)
{
	const uint64_t all = (uint64_t)1 << 32;

	if (linear >= all) {
		return (struct naive_result){ .outcome = NAIVE_NOT_CANONICAL, .start = all, .length = -all };
	}
	return (struct naive_result){
		.outcome = NAIVE_PAGE, .length = all, .page = 4096, .write = true, .user = true, .fetch = true
	};
}

struct naive_result naive_walk(const struct naive_memory *memory, const struct naive_controls *controls,
			       uint64_t linear)
{
	switch (controls->mode) {
	case NAIVE_NO_PAGING:
		return walk_nothing(linear);
	case NAIVE_32BIT:
		return walk_32bit(memory, controls, linear);
	case NAIVE_PAE:
		return walk_pae(memory, controls, linear);
	case NAIVE_4LEVEL:
		return walk_4level(memory, controls, linear);
	default:
		return walk_5level(memory, controls, linear);
	}
}
