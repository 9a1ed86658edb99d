/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as page tables. The input makes a small physical memory of two regions, one that can be pointed at and one that
 * cannot, and a root; then every function of paging/ runs over it, and what must hold whatever the tables say is
 * checked:
 *
 *   - a lookup gives a range that contains the address, and the same range for every address in it;
 *   - a walk gives ascending ranges that do not overlap, that lookups agree with, within both budgets;
 *   - bytes come back as they were written, and a failed write changes nothing;
 *   - what the builder says it has mapped is mapped, and what it does not write stays.
 *
 * Input: 16 bytes of control, then records of 12 bytes, a place (u32) and an entry (u64).
 */
#include "driver.h"

#include <hindsight/paging.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 0x1000u        /* gpa of the region that can be pointed at */
#define FIRST_BYTES 0x6800u  /* its end is in the middle of a page */
#define SECOND 0x8000u       /* and that of the other one */
#define SECOND_BYTES 0x3ffcu /* its end is in the middle of an entry */

struct memory {
	uint8_t *first, *second; /* blocks of their own, so that ASan sees their ends */
	uint64_t visits;         /* table pages or pieces of them that were asked for */
	uint64_t next_table;
};

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                  \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/* The host bytes of [gpa, gpa + length), or NULL. */
static uint8_t *bytes_at(struct memory *memory, uint64_t gpa, uint64_t length)
{
	if (gpa >= FIRST && gpa - FIRST <= FIRST_BYTES && length <= FIRST_BYTES - (gpa - FIRST)) {
		return memory->first + (gpa - FIRST);
	}
	if (gpa >= SECOND && gpa - SECOND <= SECOND_BYTES && length <= SECOND_BYTES - (gpa - SECOND)) {
		return memory->second + (gpa - SECOND);
	}
	return NULL;
}

static enum hs_status missing(struct memory *memory, uint64_t gpa, uint64_t length, struct hs_error *err)
{
	for (uint64_t i = 0; err && i < length; i++) {
		if (!bytes_at(memory, gpa + i, 1)) {
			*err = (struct hs_error){ .status = HS_ERR_UNREADABLE, .where = gpa + i };
			break;
		}
	}
	return HS_ERR_UNREADABLE;
}

static enum hs_status memory_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	const uint8_t *bytes = bytes_at(ctx, gpa.v, length);

	((struct memory *)ctx)->visits++;
	if (!bytes) {
		return missing(ctx, gpa.v, length, err);
	}
	memcpy(buffer, bytes, length);
	return HS_OK;
}

static enum hs_status memory_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	uint8_t *bytes = bytes_at(ctx, gpa.v, length);

	if (!bytes) {
		return missing(ctx, gpa.v, length, err);
	}
	memcpy(bytes, buffer, length);
	return HS_OK;
}

static const uint8_t *memory_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct memory *memory = ctx;

	memory->visits++;
	if (gpa.v < FIRST || gpa.v - FIRST >= FIRST_BYTES) {
		return NULL;
	}
	*ret_length = FIRST_BYTES - (gpa.v - FIRST);
	return memory->first + (gpa.v - FIRST);
}

static enum hs_status memory_take(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct memory *memory = ctx;

	if (!bytes_at(memory, memory->next_table, HS_PAGE_SIZE)) {
		return missing(memory, memory->next_table, HS_PAGE_SIZE, err);
	}
	memset(bytes_at(memory, memory->next_table, HS_PAGE_SIZE), 0, HS_PAGE_SIZE);
	ret->v = memory->next_table;
	memory->next_table += HS_PAGE_SIZE;
	return HS_OK;
}

static uint64_t number(const uint8_t *bytes, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = size; i > 0; i--) {
		value = value << 8 | bytes[i - 1];
	}
	return value;
}

/* Put the records into the memory. Half of the entries are made to point into it: at random few would. */
static void fill(struct memory *memory, const uint8_t *data, size_t size, unsigned int entry_bytes)
{
	for (; size >= 12; data += 12, size -= 12) {
		uint32_t place = (uint32_t)number(data, 4);
		uint64_t entry = number(data + 4, 8);
		uint8_t *at = bytes_at(memory, FIRST + place % 0xc000 / entry_bytes * entry_bytes, entry_bytes);

		if (place >> 31) {
			entry &= UINT64_C(0x800000000000ff7f) & (place >> 30 & 1 ? ~UINT64_C(0) : UINT64_C(0xf67));
			entry |= ((place >> 16) % 12 + 1) << 12 | 1;
		}
		for (unsigned int i = 0; at && i < entry_bytes; i++) {
			at[i] = (uint8_t)(entry >> (8 * i));
		}
	}
}

static bool equal(const struct hs_range *a, const struct hs_range *b)
{
	return a->kind == b->kind && a->start.v == b->start.v && a->length == b->length && a->gpa.v == b->gpa.v &&
	       a->prot == b->prot && a->user == b->user && a->cow == b->cow && a->level == b->level &&
	       a->page_bytes == b->page_bytes && a->leaf == b->leaf;
}

static void check_lookup(const struct hs_phys *phys, const struct hs_root *root, uint64_t gva)
{
	struct hs_range range;
	struct hs_range again;

	hs_translate(phys, root, hs_gva_of(gva), &range);
	CHECK(range.length > 0 && gva - range.start.v < range.length);
	hs_translate(phys, root, range.start, &again);
	CHECK(equal(&range, &again));
	hs_translate(phys, root, hs_gva_of(range.start.v + (range.length - 1)), &again);
	CHECK(equal(&range, &again));
}

/* One address of a walk's range, looked up by itself. */
static void check_agrees(const struct hs_phys *phys, const struct hs_root *root, const struct hs_range *range,
			 uint64_t gva)
{
	struct hs_range one;

	hs_translate(phys, root, hs_gva_of(gva), &one);
	CHECK(one.kind == range->kind && one.prot == range->prot && one.user == range->user);
	CHECK(one.cow == range->cow && one.leaf == range->leaf && one.level == range->level);
	if (range->kind == HS_RANGE_MAPPED) {
		CHECK(one.gpa.v + (gva - one.start.v) == range->gpa.v + (gva - range->start.v));
	} else {
		CHECK(one.gpa.v == range->gpa.v);
	}
}

static void check_walk(const struct hs_phys *phys, const struct hs_root *root, uint64_t start, uint64_t length,
		       struct hs_budget budget)
{
	struct memory *memory = phys->ctx;
	struct hs_iter iter;
	struct hs_range range;
	uint64_t last = length == 0 || start + (length - 1) < start ? UINT64_MAX : start + (length - 1);
	uint64_t count = 0;
	uint64_t next = start;
	uint64_t visits = 0;
	enum hs_status st;

	hs_iter_init(&iter, phys, root, hs_gva_of(start), length, budget);
	for (;;) {
		uint64_t end;

		memory->visits = 0;
		st = hs_iter_next(&iter, &range, NULL);
		visits += memory->visits;
		if (st) {
			break;
		}
		end = range.start.v + (range.length - 1);
		CHECK(++count <= budget.ranges);
		CHECK(range.length > 0 && range.start.v >= next && end >= range.start.v && end <= last);
		CHECK(range.kind == HS_RANGE_MAPPED || range.kind == HS_RANGE_UNREADABLE ||
		      range.kind == HS_RANGE_RESERVED);
		check_agrees(phys, root, &range, range.start.v);
		check_agrees(phys, root, &range, end);
		next = end + 1;
		CHECK(next != 0 || hs_iter_next(&iter, &range, NULL) != HS_OK);
	}
	CHECK(st == HS_ERR_NOT_FOUND || st == HS_ERR_BUDGET);
	CHECK(hs_iter_next(&iter, &range, NULL) == st);
	/* Of a table, each entry is asked for once at most: by pointer, in a piece and alone. */
	CHECK(visits <= budget.tables * 1024 * 3);
}

static void check_bytes(const struct hs_phys *phys, const struct hs_root *root, uint64_t gva, size_t length)
{
	struct memory *memory = phys->ctx;
	uint8_t *before = malloc(length + 1);
	uint8_t *all = malloc(FIRST_BYTES + SECOND_BYTES);
	size_t got = 0;
	bool here;

	CHECK(before && all);
	memcpy(all, memory->first, FIRST_BYTES);
	memcpy(all + FIRST_BYTES, memory->second, SECOND_BYTES);
	here = hs_vmem_read(phys, root, hs_gva_of(gva), before, length, &got, NULL) == HS_OK;
	CHECK(!here || got <= length);
	/* Writing what is there succeeds exactly where all of it could be read, and changes nothing. */
	CHECK((hs_vmem_write(phys, root, hs_gva_of(gva), before, length, NULL) == HS_OK) == (here && got == length));
	CHECK(memcmp(all, memory->first, FIRST_BYTES) == 0);
	CHECK(memcmp(all + FIRST_BYTES, memory->second, SECOND_BYTES) == 0);
	free(all);
	free(before);
}

/* Whether the first `length` bytes of a mapping are what was asked for. */
static void check_mapped(const struct hs_phys *phys, const struct hs_root *root, const struct hs_mapping *mapping,
			 uint64_t length)
{
	for (uint64_t done = 0; done < length;) {
		struct hs_range range;

		hs_translate(phys, root, hs_gva_of(mapping->gva.v + done), &range);
		CHECK(range.kind == HS_RANGE_MAPPED && range.start.v == mapping->gva.v + done);
		CHECK(range.gpa.v == mapping->gpa.v + done && range.user == mapping->user);
		CHECK(mapping->large || range.page_bytes == HS_PAGE_SIZE);
		CHECK(mapping->cow ? range.cow : !(mapping->prot & HS_PROT_WRITE) == !(range.prot & HS_PROT_WRITE));
		done += range.length;
		CHECK(done <= mapping->length);
	}
}

static void check_build(const struct hs_phys *phys, const struct hs_root *root, const uint8_t *data, uint64_t gva)
{
	struct memory *memory = phys->ctx;
	struct hs_table_source source = { .take = memory_take, .ctx = memory };
	struct hs_mapping mapping = {
		.gva = { gva & ~UINT64_C(0xfff) },
		.gpa = { UINT64_C(0x100000) + (number(data, 2) << 12) },
		.length = (uint64_t)(data[2] + 1u) << (12 + data[3] % 3 * 5),
		.prot = data[4] & 7,
		.user = data[4] & 8,
		.cow = data[4] & 16,
		.large = data[4] & 32,
		.leaf = (uint64_t)(data[5] & 0x1f) << 3,
	};
	struct hs_root fresh = *root;
	struct hs_error err;
	enum hs_status st;

	if (data[4] & 64) {
		/* Where large leaves fit. */
		mapping.gva.v &= ~UINT64_C(0x3fffff);
		mapping.gpa.v &= ~UINT64_C(0x3fffff);
	}
	/* Among tables that are in one another, or in the pages given out, what is mapped may be gone again: that the
	 * builder ends and stays within what it foretold is all there is to see. */
	memory->next_table = SECOND;
	st = hs_build_map(phys, root, &mapping, &source, NULL);
	(void)st;
	CHECK((memory->next_table - SECOND) / HS_PAGE_SIZE <= hs_build_tables_needed(root, &mapping, 1));

	memset(memory->first, 0, FIRST_BYTES);
	memset(memory->second, 0, SECOND_BYTES);
	fresh.base.v = FIRST;
	memory->next_table = FIRST + HS_PAGE_SIZE;
	st = hs_build_map(phys, &fresh, &mapping, &source, &err);
	if (st == HS_OK) {
		check_mapped(phys, &fresh, &mapping, mapping.length);
		CHECK(hs_build_map(phys, &fresh, &mapping, &source, &err) == HS_ERR_BUSY);
		CHECK(err.where == mapping.gva.v);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t widths[] = { 0, 32, 36, 40, 46, 52, 1, 255 };
	struct memory memory = { .first = calloc(1, FIRST_BYTES), .second = calloc(1, SECOND_BYTES) };
	struct hs_phys_ops ops = { .read = memory_read, .write = memory_write, .pointer = memory_pointer };
	struct hs_phys phys = { .ops = &ops, .ctx = &memory };

	CHECK(memory.first && memory.second);
	if (size >= 16) {
		struct hs_root root = {
			/* One beyond the last is let in: it reads as no paging. */
			.format = (enum hs_paging_format)(data[0] % (HS_PAGING_FORMAT_COUNT + 1)),
			.base = { (data[1] & 7u) == 7 ? number(data + 8, 8) : ((data[1] % 12u) + 1) << 12 },
			.pse = data[2] & 1,
			.nxe = data[2] & 2,
			.wp = data[2] & 4,
			.maxphyaddr = widths[data[2] >> 5],
		};
		/* An address with any number of leading ones or zeros. */
		uint64_t gva = number(data + 8, 8) >> data[3] % 64;
		uint64_t length = number(data + 4, 4) << data[1] % 40;

		struct hs_budget budget = { .tables = data[6] % 64 * 8, .ranges = data[7] % 32 * 16 };

		gva = data[3] & 0x80 ? ~gva : gva;
		fill(&memory, data + 16, size - 16, root.format == HS_PAGING_32BIT ? 4 : 8);
		check_lookup(&phys, &root, gva);
		check_lookup(&phys, &root, gva & 0xffffffff);
		check_walk(&phys, &root, 0, 0, budget);
		check_walk(&phys, &root, gva, length, budget);
		check_bytes(&phys, &root, gva, length % 20000);
		check_bytes(&phys, &root, gva & 0x3fffffff, length % 20000);
		check_build(&phys, &root, data + 8, gva);
	}
	free(memory.first);
	free(memory.second);
	return 0;
}
