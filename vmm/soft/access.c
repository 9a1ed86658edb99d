/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The slow way to memory: segment checks, alignment checks, accesses across pages, watched pages, pages that hold code.
 * Everything is checked before anything is read or written.
 */
#include "vmm/soft/access.h"

#include "arch/exception.h"
#include "vmm/descriptor.h"

/* A stretch of linear memory, translated: at most two pages. */
struct span {
	struct hs_soft_page page[2];
	unsigned int first; /* bytes in the first one */
};

static bool translate_both(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			   int prot, struct span *ret)
{
	unsigned int left = HS_PAGE_SIZE - (unsigned int)(gva % HS_PAGE_SIZE);
	/* Compatibility mode: code's own addresses wrap at 4 GiB, those of descriptor tables may lie above. */
	uint64_t mask = gva > cpu->linear_mask ? UINT64_MAX : cpu->linear_mask;

	ret->first = length < left ? length : left;
	if (!hs_soft_translate(cpu, space, gva, prot, &ret->page[0])) {
		return false;
	}
	return ret->first == length || hs_soft_translate(cpu, space, (gva + ret->first) & mask, prot, &ret->page[1]);
}

/* An exit says how long the access was that found no memory. */
static bool translate_span(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			   int prot, struct span *ret)
{
	if (translate_both(cpu, space, gva, length, prot, ret)) {
		return true;
	}
	if (cpu->why == HS_SOFT_WHY_EXIT) {
		cpu->exit.size = (uint8_t)(length < 8 ? length : 8);
	}
	return false;
}

static void touch(struct hs_soft_cpu *cpu, const struct span *span, uint64_t gva, unsigned int length, int prot)
{
	if (span->page[0].watched || (span->first < length && span->page[1].watched)) {
		hs_soft_touched(cpu, gva, length, prot);
	}
}

static void write_part(struct hs_soft_cpu *cpu, const struct hs_soft_page *page, const uint8_t *bytes,
		       unsigned int length)
{
	memcpy(page->host, bytes, length);
	if (page->code) {
		hs_soft_code_written(cpu, page->gpa, length);
	}
}

bool hs_soft_linear_load(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			 void *ret)
{
	struct span span;

	if (!translate_span(cpu, space, gva, length, HS_PROT_READ, &span)) {
		return false;
	}
	touch(cpu, &span, gva, length, HS_PROT_READ);
	memcpy(ret, span.page[0].host, span.first);
	if (span.first < length) {
		memcpy((uint8_t *)ret + span.first, span.page[1].host, length - span.first);
	}
	return true;
}

bool hs_soft_linear_store(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			  const void *bytes)
{
	struct span span;

	if (!translate_span(cpu, space, gva, length, HS_PROT_WRITE, &span)) {
		if (cpu->why == HS_SOFT_WHY_EXIT) {
			memcpy(&cpu->exit.written, bytes, cpu->exit.size);
		}
		return false;
	}
	touch(cpu, &span, gva, length, HS_PROT_WRITE);
	write_part(cpu, &span.page[0], bytes, span.first);
	if (span.first < length) {
		write_part(cpu, &span.page[1], (const uint8_t *)bytes + span.first, length - span.first);
	}
	return true;
}

bool hs_soft_linear_check(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int length,
			  int prot)
{
	struct span span;

	return translate_span(cpu, space, gva, length, prot, &span);
}

static bool segment_fault(struct hs_soft_cpu *cpu, unsigned int seg)
{
	hs_soft_raise(cpu, seg == HS_SS ? HS_VECTOR_SS : HS_VECTOR_GP, 0);
	return false;
}

bool hs_soft_segment_allows(const struct hs_segment *segment, uint64_t offset, unsigned int length, int prot)
{
	bool code = segment->type & HS_DESCRIPTOR_CODE;
	uint64_t last = offset + length - 1;

	if (segment->unusable || !segment->present) {
		return false;
	}
	if ((prot & HS_PROT_WRITE) && (code || !(segment->type & HS_DESCRIPTOR_WRITABLE))) {
		return false;
	}
	if ((prot & HS_PROT_READ) && code && !(segment->type & HS_DESCRIPTOR_WRITABLE)) {
		return false;
	}
	if (!code && (segment->type & HS_DESCRIPTOR_EXPAND_DOWN)) {
		return offset > segment->limit && last <= (segment->db ? 0xffffffffu : 0xffffu);
	}
	return last <= segment->limit;
}

/* What #AC asks of an operand, by its length (SDM vol. 3A table 6-7; of vectors it is left open there, and AMD's
 * processors want all of them aligned). */
static unsigned int alignment_of(unsigned int length)
{
	switch (length) {
	case 14: /* x87 environment and state, 16 bits */
	case 94:
		return 2;
	case 28: /* and 32 bits */
	case 108:
		return 4;
	default:
		if (length > 32 || (length & (length - 1))) {
			return 1;
		}
		return length > 16 ? 16 : length;
	}
}

static bool aligned_as_asked(const struct hs_soft_cpu *cpu, uint64_t gva, unsigned int length)
{
	bool checked = cpu->cpl == 3 && (cpu->cr0 & HS_CR0_AM) && (cpu->rflags & HS_FLAG_AC);

	return !checked || !(gva & (alignment_of(length) - 1));
}

static bool in_segment(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length, int prot,
		       uint64_t *ret)
{
	uint64_t gva = hs_soft_gva(cpu, seg, offset);

	*ret = gva;
	if (cpu->mode == HS_SOFT_MODE_64) {
		if (!hs_soft_canonical(cpu, gva) || !hs_soft_canonical(cpu, gva + length - 1)) {
			return segment_fault(cpu, seg);
		}
	} else if (!hs_soft_segment_allows(&cpu->seg[seg], offset, length, prot)) {
		return segment_fault(cpu, seg);
	}
	return true;
}

bool hs_soft_linear(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length, int prot,
		    uint64_t *ret)
{
	if (!in_segment(cpu, seg, offset, length, prot, ret)) {
		return false;
	}
	if (!aligned_as_asked(cpu, *ret, length)) {
		hs_soft_raise(cpu, HS_VECTOR_AC, 0);
		return false;
	}
	return true;
}

bool hs_soft_linear_aligned(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length,
			    unsigned int alignment, int prot, uint64_t *ret)
{
	if (!in_segment(cpu, seg, offset, length, prot, ret)) {
		return false;
	}
	if (*ret & (alignment - 1)) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	return true;
}

bool hs_soft_load_bytes(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length, void *ret)
{
	uint64_t gva;

	return hs_soft_linear(cpu, seg, offset, length, HS_PROT_READ, &gva) &&
	       hs_soft_linear_load(cpu, cpu->space, gva, length, ret);
}

bool hs_soft_store_bytes(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length,
			 const void *bytes)
{
	uint64_t gva;

	return hs_soft_linear(cpu, seg, offset, length, HS_PROT_WRITE, &gva) &&
	       hs_soft_linear_store(cpu, cpu->space, gva, length, bytes);
}

bool hs_soft_check_store(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length)
{
	uint64_t gva;

	return hs_soft_linear(cpu, seg, offset, length, HS_PROT_WRITE, &gva) &&
	       hs_soft_linear_check(cpu, cpu->space, gva, length, HS_PROT_WRITE);
}

bool hs_soft_load_slowly(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int bytes, bool rw,
			 uint64_t *ret)
{
	int prot = rw ? HS_PROT_READ | HS_PROT_WRITE : HS_PROT_READ;
	uint64_t value = 0;
	uint64_t gva;

	if (!hs_soft_linear(cpu, seg, offset, bytes, prot, &gva) ||
	    (rw && !hs_soft_linear_check(cpu, cpu->space, gva, bytes, prot)) ||
	    !hs_soft_linear_load(cpu, cpu->space, gva, bytes, &value)) {
		return false;
	}
	*ret = value;
	return true;
}

bool hs_soft_store_slowly(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int bytes,
			  uint64_t value)
{
	uint64_t gva = hs_soft_gva(cpu, seg, offset);

	/* Most of what a call writes to first after a restore. */
	if ((cpu->seg_flat[seg] & HS_PROT_WRITE) && gva % HS_PAGE_SIZE <= HS_PAGE_SIZE - bytes &&
	    hs_soft_regain(cpu, cpu->space, gva)) {
		memcpy((void *)(gva + hs_soft_tlb_of(cpu, gva)->addend), &value, bytes);
		return true;
	}
	return hs_soft_store_bytes(cpu, seg, offset, bytes, &value);
}
