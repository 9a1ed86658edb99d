/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Decoded code, by physical page. Operations lie in rows, each a straight run of instructions that ends in
 * HS_SOFT_AGAIN; a row never leaves its page. An instruction across two pages is decoded apart.
 *
 * A write to bytes that were decoded drops what is known of the page (not its memory: the operation that writes is part
 * of it and is still running); writes next to code cost a look at a bit map. Two addresses of one frame, and two modes
 * one after the other, share the page.
 */
#include "vmm/soft/cpu.h"

#include "arch/exception.h"
#include "base/arith.h"

#include <hindsight/types.h>

#include <string.h>
#include <sys/mman.h>

/* A row is cut there, so that a jump into code does not decode a whole page of what may be data. */
#define ROW_MAX 32
/* One more than offsets would do for ends of rows and instructions that overlap; when full, the page starts anew. */
#define OPS_MAX 4096
/* Each is about 250 KiB of address space, of which what is used is memory. */
#define PAGES_MAX 1024

struct hs_soft_code_page {
	struct hs_soft_code_page *next; /* of cpu->code_list */
	struct hs_soft_code_page **place;
	uint64_t gpa;
	uint8_t mode;
	uint32_t count;
	uint16_t at[HS_PAGE_SIZE];           /* index of the operation at this offset, plus 1 */
	uint64_t covered[HS_PAGE_SIZE / 64]; /* a bit for each byte that was decoded */
	struct hs_soft_op ops[OPS_MAX];
};

static enum hs_soft_flow execute_again(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)cpu;
	(void)op;
	return HS_SOFT_AGAIN;
}

void hs_soft_forget_jumps(struct hs_soft_cpu *cpu)
{
	for (unsigned int i = 0; i < HS_SOFT_USED_WORDS(HS_SOFT_JUMPS); i++) {
		uint64_t left = cpu->jumps_used[i];

		for (; left; left &= left - 1) {
			cpu->jumps[64 * i + (unsigned int)__builtin_ctzll(left)] = (struct hs_soft_jump){ 0, NULL };
		}
		cpu->jumps_used[i] = 0;
	}
	cpu->fetch_lost = false;
}

static void drop(struct hs_soft_cpu *cpu, struct hs_soft_code_page *page)
{
	page->count = 0;
	memset(page->at, 0, sizeof(page->at));
	memset(page->covered, 0, sizeof(page->covered));
	hs_soft_forget_jumps(cpu);
	hs_soft_attend(cpu, HS_SOFT_LOOK_UP);
}

void hs_soft_free_code(struct hs_soft_cpu *cpu)
{
	while (cpu->code_list) {
		struct hs_soft_code_page *page = cpu->code_list;

		cpu->code_list = page->next;
		*page->place = NULL;
		munmap(page, sizeof(*page));
	}
	cpu->code_pages = 0;
}

static bool is_covered(const struct hs_soft_code_page *page, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++) {
		if (page->covered[i / 64] == 0) {
			i |= 63;
		} else if (page->covered[i / 64] >> (i % 64) & 1) {
			return true;
		}
	}
	return false;
}

/* The bytes are a part of one region. */
static void written(struct hs_soft_cpu *cpu, struct hs_ram_region *region, uint64_t gpa, uint64_t length)
{
	struct hs_soft_code_page *const *place = hs_soft_code_at(region, gpa);

	for (; length > 0; place++) {
		uint64_t offset = gpa % HS_PAGE_SIZE;
		uint64_t part = hs_min_u64(length, HS_PAGE_SIZE - offset);

		if (*place && is_covered(*place, offset, offset + part - 1)) {
			drop(cpu, *place);
		}
		gpa += part;
		length -= part;
	}
}

/* Of many bytes it is seen what code there is, not where there is any. */
static void written_widely(struct hs_soft_cpu *cpu, uint64_t gpa, uint64_t length)
{
	for (struct hs_soft_code_page *page = cpu->code_list; page; page = page->next) {
		if (hs_ranges_overlap(page->gpa, HS_PAGE_SIZE, gpa, length)) {
			drop(cpu, page);
		}
	}
}

void hs_soft_code_written(struct hs_soft_cpu *cpu, uint64_t gpa, uint64_t length)
{
	struct hs_ram_region *region = hs_ram_find(&cpu->ram, gpa);

	if (length / HS_PAGE_SIZE > cpu->code_pages) {
		written_widely(cpu, gpa, length);
	} else if (region) {
		written(cpu, region, gpa, hs_min_u64(length, region->gpa.v + region->length - gpa));
	}
}

static struct hs_soft_code_page *new_page(struct hs_soft_cpu *cpu, uint64_t gpa, struct hs_soft_code_page **place)
{
	/* Zero, and of what is never used nothing comes to be. */
	struct hs_soft_code_page *page =
		mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		return NULL;
	}
	page->gpa = gpa & ~(uint64_t)(HS_PAGE_SIZE - 1);
	page->place = place;
	page->next = cpu->code_list;
	cpu->code_list = page;
	cpu->code_pages++;
	*place = page;
	hs_soft_flush_writes(cpu, gpa);
	return page;
}

/* The code page at gpa in this mode, empty if it is new; NULL when the host has no memory. */
static struct hs_soft_code_page *code_page(struct hs_soft_cpu *cpu, struct hs_ram_region *region, uint64_t gpa)
{
	struct hs_soft_code_page **place = hs_soft_code_at(region, gpa);
	struct hs_soft_code_page *page = *place;

	if (!page) {
		if (cpu->code_pages == PAGES_MAX) {
			hs_soft_free_code(cpu);
			hs_soft_forget_jumps(cpu);
		}
		page = new_page(cpu, gpa, place);
	} else if (page->mode != cpu->mode || page->count > OPS_MAX - ROW_MAX - 1) {
		drop(cpu, page);
	}
	if (page) {
		page->mode = cpu->mode;
	}
	return page;
}

static void cover(struct hs_soft_code_page *page, unsigned int first, unsigned int length)
{
	for (unsigned int i = first; i < first + length; i++) {
		page->covered[i / 64] |= UINT64_C(1) << (i % 64);
	}
}

/* Decode a row from offset on. False when not even the first instruction is wholly in the page. */
static bool decode_row(struct hs_soft_code_page *page, const uint8_t *bytes, unsigned int offset)
{
	unsigned int first = page->count;

	for (unsigned int n = 0; n < ROW_MAX && offset < HS_PAGE_SIZE && !page->at[offset]; n++) {
		struct hs_soft_op *op = &page->ops[page->count];
		unsigned int there = (unsigned int)hs_min_u64(HS_PAGE_SIZE - offset, HS_SOFT_INSN_MAX);

		if (!hs_soft_decode(page->mode, bytes + offset, there, op)) {
			break;
		}
		page->count++;
		page->at[offset] = (uint16_t)page->count;
		/* Undefined ones too: more than their length may have decided that. */
		cover(page, offset, op->prefixes & HS_SOFT_ENDS ? there : op->length);
		offset += op->length;
		if (op->prefixes & HS_SOFT_ENDS) {
			break;
		}
	}
	if (page->count == first) {
		return false;
	}
	page->ops[page->count] = (struct hs_soft_op){ .execute = execute_again };
	page->count++;
	return true;
}

/* The instruction at gva that goes on in the next page, or whose bytes do not tell before that. */
static const struct hs_soft_op *straddling(struct hs_soft_cpu *cpu, uint64_t gva, const uint8_t *first)
{
	struct hs_soft_straddler *kept = &cpu->straddlers[gva / HS_PAGE_SIZE % HS_SOFT_STRADDLERS];
	unsigned int there = HS_PAGE_SIZE - (unsigned int)(gva % HS_PAGE_SIZE);
	uint8_t bytes[HS_SOFT_INSN_MAX] = { 0 };
	struct hs_ram_region *region;
	uint64_t gpa;

	memcpy(bytes, first, there);
	if (!hs_soft_translate_fetch(cpu, (gva + there) & cpu->linear_mask, &gpa)) {
		return NULL;
	}
	region = hs_ram_find(&cpu->ram, gpa);
	memcpy(bytes + there, region->host + (gpa - region->gpa.v), sizeof(bytes) - there);
	if (!kept->op[0].execute || kept->mode != cpu->mode || memcmp(kept->bytes, bytes, sizeof(bytes)) != 0) {
		memcpy(kept->bytes, bytes, sizeof(bytes));
		kept->mode = cpu->mode;
		(void)hs_soft_decode(cpu->mode, bytes, sizeof(bytes), &kept->op[0]);
		kept->op[1] = (struct hs_soft_op){ .execute = execute_again };
	}
	return &kept->op[0];
}

bool hs_soft_is_straddler(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uintptr_t first = (uintptr_t)cpu->straddlers;

	return (uintptr_t)op - first < sizeof(cpu->straddlers);
}

/* Within the limit of CS, or canonical (SDM vol. 3A 5.3, "Limit Checking"). */
static bool fetch_allowed(struct hs_soft_cpu *cpu, uint64_t length)
{
	uint64_t rip = cpu->r[HS_SOFT_RIP];
	bool allowed = cpu->mode == HS_SOFT_MODE_64 ? hs_soft_canonical(cpu, rip)
						    : rip + length - 1 <= cpu->seg[HS_CS].limit;

	if (!allowed) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return allowed;
}

static const struct hs_soft_op *find(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t gpa)
{
	struct hs_ram_region *region = hs_ram_find(&cpu->ram, gpa);
	const uint8_t *bytes = region->host + (gpa - region->gpa.v);
	struct hs_soft_code_page *page = code_page(cpu, region, gpa);
	unsigned int offset = (unsigned int)(gpa % HS_PAGE_SIZE);

	if (!page) {
		hs_soft_leave(cpu, HS_EXIT_INTERNAL);
		cpu->exit.failure = "no memory for decoded instructions";
		return NULL;
	}
	if (!page->at[offset] && !decode_row(page, bytes - offset, offset)) {
		return straddling(cpu, gva, bytes);
	}
	return &page->ops[page->at[offset] - 1];
}

const struct hs_soft_op *hs_soft_look_up(struct hs_soft_cpu *cpu)
{
	uint64_t gva = (cpu->seg_base[HS_CS] + cpu->r[HS_SOFT_RIP]) & cpu->linear_mask;
	const struct hs_soft_op *op;
	uint64_t gpa;

	if (!fetch_allowed(cpu, 1) || !hs_soft_translate_fetch(cpu, gva, &gpa)) {
		return NULL;
	}
	op = find(cpu, gva, gpa);
	return op && fetch_allowed(cpu, op->length) ? op : NULL;
}
