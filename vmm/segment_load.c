/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/segment_load.h"

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/descriptor.h"

#include <stdbool.h>

/* A selector (SDM vol. 3A figure 3-6): index, table indicator, requested privilege level. */
#define SELECTOR_RPL 3u
#define SELECTOR_TI 4u

static bool is_null(uint16_t selector)
{
	return (selector & ~SELECTOR_RPL) == 0;
}

static enum hs_status refuse(uint16_t selector, const char *what, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_FORMAT, 0, selector, "selector 0x%x is not %s", selector, what);
}

enum hs_status hs_segment_read(const struct hs_segment_source *source, uint64_t gva, void *ret, size_t length,
			       struct hs_error *err)
{
	size_t done = 0;
	enum hs_status st = hs_vmem_read(source->phys, source->root, hs_gva_of(gva), ret, length, &done, err);

	if (st) {
		return st;
	}
	if (done < length) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva + done, "0x%llx is not readable",
				    (unsigned long long)(gva + done));
	}
	return HS_OK;
}

static enum hs_status read_descriptor(const struct hs_segment_source *source, uint16_t selector, uint64_t *ret,
				      struct hs_error *err)
{
	bool local = selector & SELECTOR_TI;
	uint64_t limit = local ? source->ldtr->limit : source->gdt->limit;
	uint64_t offset = selector & ~(SELECTOR_RPL | SELECTOR_TI);
	uint8_t bytes[HS_DESCRIPTOR_BYTES];
	enum hs_status st;

	if ((local && source->ldtr->unusable) || offset + HS_DESCRIPTOR_BYTES - 1 > limit) {
		return refuse(selector, "in its descriptor table", err);
	}
	st = hs_segment_read(source, (local ? source->ldtr->base : source->gdt->base) + offset, bytes, sizeof(bytes),
			     err);
	if (!st) {
		*ret = hs_get_le64(bytes);
	}
	return st;
}

static enum hs_status load(const struct hs_segment_source *source, uint16_t selector, struct hs_segment *ret,
			   struct hs_error *err)
{
	uint64_t descriptor = 0;
	enum hs_status st = read_descriptor(source, selector, &descriptor, err);

	if (st) {
		return st;
	}
	hs_descriptor_decode(descriptor, selector, ret);
	return ret->present ? HS_OK : refuse(selector, "present", err);
}

enum hs_status hs_segment_load_code(const struct hs_segment_source *source, uint16_t selector, struct hs_segment *ret,
				    struct hs_error *err)
{
	struct hs_segment segment;
	uint8_t rpl = selector & SELECTOR_RPL;
	enum hs_status st;

	if (is_null(selector)) {
		return refuse(selector, "a code segment", err);
	}
	st = load(source, selector, &segment, err);
	if (st) {
		return st;
	}
	if (!segment.s || !(segment.type & HS_DESCRIPTOR_CODE) || (segment.l && segment.db)) {
		return refuse(selector, "a code segment", err);
	}
	if (segment.type & HS_DESCRIPTOR_CONFORMING ? segment.dpl > rpl : segment.dpl != rpl) {
		return refuse(selector, "code of that privilege level", err);
	}
	*ret = segment;
	return HS_OK;
}

enum hs_status hs_segment_load_stack(const struct hs_segment_source *source, uint16_t selector,
				     const struct hs_segment *cs, struct hs_segment *ret, struct hs_error *err)
{
	uint8_t cpl = cs->selector & SELECTOR_RPL;
	struct hs_segment segment;
	enum hs_status st;

	if ((selector & SELECTOR_RPL) != cpl) {
		return refuse(selector, "a stack of the code's privilege level", err);
	}
	if (is_null(selector)) {
		if (!cs->l || cpl == 3) {
			return refuse(selector, "a stack segment", err);
		}
		/* SS.DPL is the CPL, whatever else SS is (SDM vol. 3C 24.4.1, 26.3.1.2). */
		*ret = (struct hs_segment){ .selector = selector, .dpl = cpl, .unusable = 1 };
		return HS_OK;
	}
	st = load(source, selector, &segment, err);
	if (st) {
		return st;
	}
	if (!segment.s || (segment.type & HS_DESCRIPTOR_CODE) || !(segment.type & HS_DESCRIPTOR_WRITABLE) ||
	    segment.dpl != cpl) {
		return refuse(selector, "a stack segment", err);
	}
	*ret = segment;
	return HS_OK;
}

enum hs_status hs_segment_load_data(const struct hs_segment_source *source, uint16_t selector, struct hs_segment *ret,
				    struct hs_error *err)
{
	struct hs_segment segment;
	enum hs_status st;

	if (is_null(selector)) {
		*ret = (struct hs_segment){ .selector = selector, .unusable = 1 };
		return HS_OK;
	}
	st = load(source, selector, &segment, err);
	if (st) {
		return st;
	}
	/* Data, or code that may be read: the same bit as data that may be written. */
	if (!segment.s || (segment.type & (HS_DESCRIPTOR_CODE | HS_DESCRIPTOR_WRITABLE)) == HS_DESCRIPTOR_CODE) {
		return refuse(selector, "a data segment", err);
	}
	*ret = segment;
	return HS_OK;
}

enum hs_status hs_segment_load_system(const struct hs_segment_source *source, uint16_t selector, uint8_t type,
				      struct hs_segment *ret, struct hs_error *err)
{
	struct hs_segment segment;
	enum hs_status st;

	if (is_null(selector)) {
		*ret = (struct hs_segment){ .selector = selector, .type = type, .unusable = 1 };
		return HS_OK;
	}
	if (selector & SELECTOR_TI) {
		return refuse(selector, "in the GDT", err);
	}
	st = load(source, selector, &segment, err);
	if (st) {
		return st;
	}
	if (segment.s || segment.type != type) {
		return refuse(selector, type == HS_DESCRIPTOR_LDT ? "an LDT" : "a busy TSS", err);
	}
	*ret = segment;
	return HS_OK;
}
