/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors in the GDT and the LDT, and the checks before a segment register takes one (SDM vol. 3A 3.4, 5.5-5.8). */
#include "vmm/soft/segment.h"

#include "base/bytes.h"

#include <string.h>

#define BYTE_OF_TYPE 5u

bool hs_soft_system_load(struct hs_soft_cpu *cpu, uint64_t gva, unsigned int bytes, void *ret)
{
	const struct hs_soft_tlb_entry *entry = &cpu->tlb[HS_SOFT_SUPERVISOR][hs_soft_tlb_place(gva)];

	if (HS_SOFT_LIKELY(hs_soft_in_page(gva, bytes, entry->read))) {
		memcpy(ret, (const void *)(gva + entry->addend), bytes);
		return true;
	}
	return hs_soft_linear_load(cpu, HS_SOFT_SUPERVISOR, gva, bytes, ret);
}

static uint64_t offset_of(uint16_t selector)
{
	return selector & ~(HS_SELECTOR_RPL | HS_SELECTOR_TI);
}

bool hs_soft_in_table(const struct hs_soft_cpu *cpu, uint16_t selector, unsigned int bytes)
{
	const struct hs_segment *ldt = &cpu->seg[HS_LDTR];
	uint64_t last = offset_of(selector) + bytes - 1;

	return selector & HS_SELECTOR_TI ? !ldt->unusable && last <= ldt->limit : last <= cpu->gdt.limit;
}

bool hs_soft_read_descriptor(struct hs_soft_cpu *cpu, uint16_t selector, uint8_t vector, struct hs_soft_descriptor *ret)
{
	uint64_t table = selector & HS_SELECTOR_TI ? cpu->seg[HS_LDTR].base : cpu->gdt.base;
	uint8_t bytes[HS_DESCRIPTOR_BYTES];

	if (!hs_soft_in_table(cpu, selector, sizeof(bytes))) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	*ret = (struct hs_soft_descriptor){ .gva = hs_soft_system_gva(cpu, table, offset_of(selector)) };
	if (!hs_soft_system_load(cpu, ret->gva, sizeof(bytes), bytes)) {
		return false;
	}
	ret->raw = hs_get_le64(bytes);
	hs_descriptor_decode(ret->raw, selector, &ret->segment);
	return true;
}

bool hs_soft_read_upper(struct hs_soft_cpu *cpu, uint8_t vector, struct hs_soft_descriptor *descriptor)
{
	uint16_t selector = descriptor->segment.selector;
	uint8_t bytes[HS_DESCRIPTOR_BYTES];

	if (!cpu->long_mode) {
		return true;
	}
	if (!hs_soft_in_table(cpu, selector, HS_DESCRIPTOR_LONG_BYTES)) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	if (!hs_soft_system_load(cpu, hs_soft_system_gva(cpu, descriptor->gva, HS_DESCRIPTOR_BYTES), sizeof(bytes),
				 bytes)) {
		return false;
	}
	descriptor->upper = hs_get_le64(bytes);
	/* What would be the type of a descriptor that begins there must be 0 (SDM vol. 3A 5.8.3.1, 7.2.3). */
	if (descriptor->upper >> 40 & 0x1f) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	descriptor->segment.base |= descriptor->upper << 32;
	return true;
}

static bool needs_accessed(const struct hs_soft_descriptor *descriptor)
{
	return descriptor->segment.s && descriptor->gva && !(descriptor->raw >> 40 & HS_DESCRIPTOR_ACCESSED);
}

bool hs_soft_check_type(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor)
{
	return hs_soft_linear_check(cpu, HS_SOFT_SUPERVISOR, descriptor->gva + BYTE_OF_TYPE, 1, HS_PROT_WRITE);
}

void hs_soft_set_type(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor, uint8_t type)
{
	uint8_t byte = (uint8_t)((descriptor->raw >> 40 & 0xf0) | type);

	(void)!hs_soft_linear_store(cpu, HS_SOFT_SUPERVISOR, descriptor->gva + BYTE_OF_TYPE, 1, &byte);
}

bool hs_soft_check_accessed(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor)
{
	return !needs_accessed(descriptor) || hs_soft_check_type(cpu, descriptor);
}

void hs_soft_set_accessed(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor)
{
	if (needs_accessed(descriptor)) {
		/* hs_descriptor_decode() has set the bit in the register's form. */
		hs_soft_set_type(cpu, descriptor, descriptor->segment.type);
	}
}

static void make_null(uint16_t selector, unsigned int cpl, struct hs_soft_descriptor *ret)
{
	*ret = (struct hs_soft_descriptor){
		.segment = { .selector = selector, .dpl = (uint8_t)cpl, .unusable = 1 },
	};
}

bool hs_soft_find_data(struct hs_soft_cpu *cpu, uint16_t selector, unsigned int cpl, uint8_t vector,
		       struct hs_soft_descriptor *ret)
{
	unsigned int rpl = selector & HS_SELECTOR_RPL;
	const struct hs_segment *segment = &ret->segment;

	if (hs_soft_is_null(selector)) {
		make_null(selector, 0, ret);
		return true;
	}
	if (!hs_soft_read_descriptor(cpu, selector, vector, ret)) {
		return false;
	}
	/* Data, or code that may be read: the same bit as data that may be written. */
	if (!segment->s || (segment->type & (HS_DESCRIPTOR_CODE | HS_DESCRIPTOR_WRITABLE)) == HS_DESCRIPTOR_CODE) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	if (!(hs_soft_is_code(segment) && hs_soft_is_conforming(segment)) &&
	    (rpl > segment->dpl || cpl > segment->dpl)) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	return segment->present || hs_soft_refuse(cpu, HS_VECTOR_NP, selector);
}

bool hs_soft_find_stack(struct hs_soft_cpu *cpu, uint16_t selector, unsigned int cpl, uint8_t vector, bool null_allowed,
			struct hs_soft_descriptor *ret)
{
	bool right_rpl = (selector & HS_SELECTOR_RPL) == cpl;
	const struct hs_segment *segment = &ret->segment;

	if (hs_soft_is_null(selector)) {
		make_null(selector, cpl, ret);
		return (null_allowed && right_rpl) || hs_soft_refuse(cpu, vector, 0);
	}
	if (!hs_soft_read_descriptor(cpu, selector, vector, ret)) {
		return false;
	}
	if (!right_rpl || !segment->s || hs_soft_is_code(segment) || !(segment->type & HS_DESCRIPTOR_WRITABLE) ||
	    segment->dpl != cpl) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	return segment->present || hs_soft_refuse(cpu, HS_VECTOR_SS, selector);
}

bool hs_soft_read_code(struct hs_soft_cpu *cpu, uint16_t selector, uint8_t vector, struct hs_soft_descriptor *ret)
{
	if (hs_soft_is_null(selector)) {
		return hs_soft_refuse(cpu, vector, 0);
	}
	return hs_soft_read_descriptor(cpu, selector, vector, ret) &&
	       (hs_soft_is_code(&ret->segment) || hs_soft_refuse(cpu, vector, selector));
}

bool hs_soft_accept_code(struct hs_soft_cpu *cpu, bool privileged, unsigned int cpl, uint8_t vector,
			 struct hs_soft_descriptor *descriptor)
{
	struct hs_segment *segment = &descriptor->segment;
	bool undefined = cpu->long_mode && segment->l && segment->db;

	if (!privileged || undefined) {
		return hs_soft_refuse(cpu, vector, segment->selector);
	}
	if (!segment->present) {
		return hs_soft_refuse(cpu, HS_VECTOR_NP, segment->selector);
	}
	segment->selector = (uint16_t)((segment->selector & ~HS_SELECTOR_RPL) | cpl);
	return true;
}

bool hs_soft_load_segment(struct hs_soft_cpu *cpu, unsigned int seg, uint16_t selector)
{
	bool null_allowed = cpu->mode == HS_SOFT_MODE_64 && cpu->cpl < 3;
	struct hs_soft_descriptor found;
	bool may = seg == HS_SS ? hs_soft_find_stack(cpu, selector, cpu->cpl, HS_VECTOR_GP, null_allowed, &found)
				: hs_soft_find_data(cpu, selector, cpu->cpl, HS_VECTOR_GP, &found);

	if (!may || !hs_soft_check_accessed(cpu, &found)) {
		return false;
	}
	hs_soft_set_accessed(cpu, &found);
	cpu->seg[seg] = found.segment;
	hs_soft_refresh(cpu);
	return true;
}
