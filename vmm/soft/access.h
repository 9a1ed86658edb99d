/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's memory, as instructions reach it.
 *
 * Every function that returns bool returns false when the access faults: then nothing has been read or written, and
 * cpu->fault (#GP, #SS, #PF, #AC) or cpu->exit (no memory there, read-only memory) is set; the handler returns
 * HS_SOFT_FAULT. An access across two pages checks both before it touches either. A store that a check or a load for
 * writing has announced cannot fail.
 *
 * Offsets are within a segment, linear addresses behind its base. `bytes` of the fast ones is 1, 2, 4 or 8 and a
 * constant where speed matters.
 */
#ifndef HS_SOFT_ACCESS_H
#define HS_SOFT_ACCESS_H

#include "vmm/soft/cpu.h"

#include <hindsight/types.h>

#include <string.h>

/* ---- Any length, by segment and offset (access.c): explicit accesses of the present CPL ---- */

bool hs_soft_load_bytes(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length, void *ret);
bool hs_soft_store_bytes(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length,
			 const void *bytes);
/** Whether a store there would succeed; needed before the first of several. */
bool hs_soft_check_store(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length);
/** What a far branch, a locked or an aligned access checks itself: the linear address, after the segment's checks. */
bool hs_soft_linear(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length, int prot,
		    uint64_t *ret);

/** The same for an operand that must be aligned: else #GP(0). */
bool hs_soft_linear_aligned(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length,
			    unsigned int alignment, int prot, uint64_t *ret);

/** Limit and type of a segment outside 64-bit mode (SDM vol. 3A 5.3, 5.5); raises nothing. */
bool hs_soft_segment_allows(const struct hs_segment *segment, uint64_t offset, unsigned int length, int prot);

/* ---- Linear addresses: descriptor tables, TSS (SUPERVISOR, whatever the CPL), stacks of another level ---- */

bool hs_soft_linear_load(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			 void *ret);
bool hs_soft_linear_store(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			  const void *bytes);
/** prot: HS_PROT_READ, HS_PROT_WRITE or both. */
bool hs_soft_linear_check(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			  int prot);

/* ---- The fast ones ---- */

bool hs_soft_load_slowly(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int bytes, bool rw,
			 uint64_t *ret);
bool hs_soft_store_slowly(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int bytes,
			  uint64_t value);

static inline const struct hs_soft_tlb_entry *hs_soft_tlb_of(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	return &cpu->tlb[cpu->space][hs_soft_tlb_place(gva)];
}

/**
 * Whether [gva, gva + bytes) lies in the page that tag names, of the TLB entry where gva has its place. The last byte
 * decides: a page that it would be alone in has its place elsewhere.
 */
static inline bool hs_soft_in_page(uint64_t gva, unsigned int bytes, uint64_t tag)
{
	return hs_soft_tag(gva + bytes - 1) == tag;
}

/* Little-endian host: the product runs on x86-64 only. */
static inline uint64_t hs_soft_get_bytes(const void *from, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, from, bytes);
	return value;
}

static inline uint64_t hs_soft_gva(const struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset)
{
	return (cpu->seg_base[seg] + offset) & cpu->linear_mask;
}

/**
 * The host's address of [gva, gva + bytes), which lies in that segment, when it may be read (HS_PROT_READ) or read and
 * written (HS_PROT_WRITE) there as it is; NULL where there is more to do or to say.
 */
static inline void *hs_soft_direct(const struct hs_soft_cpu *cpu, unsigned int seg, uint64_t gva, unsigned int bytes,
				   int prot)
{
	const struct hs_soft_tlb_entry *entry = hs_soft_tlb_of(cpu, gva);

	if (HS_SOFT_UNLIKELY(!hs_soft_in_page(gva, bytes, prot == HS_PROT_WRITE ? entry->write : entry->read) ||
			     !(cpu->seg_flat[seg] & prot))) {
		return NULL;
	}
	/* The host has nothing at 0: whoever this is inlined into need not look again whether it is NULL. */
	if (gva + entry->addend == 0) {
		__builtin_unreachable();
	}
	return (void *)(gva + entry->addend);
}

/*
 * These know no other way than the TLB. Where it does not help they have done nothing and said nothing: a handler goes
 * on as one that takes all operands does, by a call that is its last act, and so has nothing to keep on the stack.
 */
static inline bool hs_soft_load_quickly(const struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset,
					unsigned int bytes, uint64_t *ret)
{
	const void *from = hs_soft_direct(cpu, seg, hs_soft_gva(cpu, seg, offset), bytes, HS_PROT_READ);

	if (HS_SOFT_UNLIKELY(!from)) {
		return false;
	}
	*ret = hs_soft_get_bytes(from, bytes);
	return true;
}

/** Where to read and write: the host's address, NULL if not by the TLB. */
static inline void *hs_soft_find_quickly(const struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset,
					 unsigned int bytes)
{
	return hs_soft_direct(cpu, seg, hs_soft_gva(cpu, seg, offset), bytes, HS_PROT_WRITE);
}

static inline bool hs_soft_store_quickly(const struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset,
					 unsigned int bytes, uint64_t value)
{
	void *to = hs_soft_find_quickly(cpu, seg, offset, bytes);

	if (HS_SOFT_UNLIKELY(!to)) {
		return false;
	}
	memcpy(to, &value, bytes);
	return true;
}

/** Read 1, 2, 4 or 8 bytes, extended with zeroes. */
static inline bool hs_soft_load(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int bytes,
				uint64_t *ret)
{
	return hs_soft_load_quickly(cpu, seg, offset, bytes, ret) ||
	       hs_soft_load_slowly(cpu, seg, offset, bytes, false, ret);
}

/** The same for an instruction that writes the operand back: faults as a write does, and the store cannot fail. */
static inline bool hs_soft_load_rw(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int bytes,
				   uint64_t *ret)
{
	const void *from = hs_soft_find_quickly(cpu, seg, offset, bytes);

	if (HS_SOFT_LIKELY(from)) {
		*ret = hs_soft_get_bytes(from, bytes);
		return true;
	}
	return hs_soft_load_slowly(cpu, seg, offset, bytes, true, ret);
}

static inline bool hs_soft_store(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int bytes,
				 uint64_t value)
{
	return hs_soft_store_quickly(cpu, seg, offset, bytes, value) ||
	       hs_soft_store_slowly(cpu, seg, offset, bytes, value);
}

#endif
