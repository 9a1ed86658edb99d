/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The identity of a snapshot: SHA-256 over its content in one form, whatever it came from. Numbers are little-endian
 * and of 8 bytes; each list says where it ends. In: facts, registers, and memory as a file of parts.
 */
#include "snapshot/hash.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/fd_io.h"

#include <hindsight/abi.h>

#include <nettle/sha2.h>

#include <stdlib.h>
#include <string.h>

/* Goes in first; another form gets another one. */
#define FORM "hindsight snapshot 1\n"

/* Bytes of the FXSAVE image that are software's, which the CPU leaves alone (SDM vol. 1 10.5.1). */
#define XSAVE_SOFTWARE 464u
#define XSAVE_SOFTWARE_END 512u

/* Components of XSTATE_BV (SDM vol. 1 13.1): x87 and SSE, and AVX, which has the upper halves of 16 registers. */
#define XSTATE_LEGACY 3u
#define XSTATE_AVX 4u
#define AVX_BYTES (16u * 16u)

_Static_assert(HS_SNAPSHOT_HASH_BYTES == SHA256_DIGEST_SIZE, "the hash is a SHA-256");

static void put_number(struct sha256_ctx *sha, uint64_t value)
{
	uint8_t bytes[8];

	hs_put_le64(bytes, value);
	sha256_update(sha, sizeof(bytes), bytes);
}

static void put_numbers(struct sha256_ctx *sha, const uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		put_number(sha, values[i]);
	}
}

static void put_text(struct sha256_ctx *sha, const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	put_number(sha, length);
	sha256_update(sha, length, (const uint8_t *)text);
}

/* What decides how the guest goes on. What it is called and where it came from does not. */
static void put_guest(struct sha256_ctx *sha, const struct hs_snapshot_info *info)
{
	const struct hs_snapshot_guest *guest = &info->guest;
	const uint64_t numbers[] = {
		guest->arch,
		guest->features,
		guest->dispatch,
		guest->input_bytes,
		guest->output_bytes,
		guest->boot_idt,
		guest->roots,
		guest->roots_variable,
		guest->roots_stride,
		guest->roots_count,
		guest->guard,
		guest->guard_bytes,
		guest->devices.uart_lcr,
		guest->devices.uart_scratch,
		info->crashed,
	};

	put_numbers(sha, numbers, sizeof(numbers) / sizeof(numbers[0]));
	put_text(sha, guest->roots_symbol, sizeof(guest->roots_symbol));
	put_text(sha, guest->devices.abort_text, sizeof(guest->devices.abort_text));
}

static void put_roots(struct sha256_ctx *sha, const struct hs_snapshot_info *info)
{
	put_number(sha, info->root_count);
	put_number(sha, info->current);
	for (uint32_t i = 0; i < info->root_count; i++) {
		const struct hs_root *root = &info->roots[i];
		const uint64_t numbers[] = {
			root->format, root->base.v, root->pse,  root->nxe,
			root->wp,     root->smep,   root->smap, root->maxphyaddr,
		};

		put_numbers(sha, numbers, sizeof(numbers) / sizeof(numbers[0]));
	}
}

static void put_segment(struct sha256_ctx *sha, const struct hs_segment *segment)
{
	const uint64_t numbers[] = {
		segment->base, segment->limit, segment->selector, segment->type, segment->dpl, segment->present,
		segment->db,   segment->s,     segment->l,        segment->g,    segment->avl, segment->unusable,
	};

	put_numbers(sha, numbers, sizeof(numbers) / sizeof(numbers[0]));
}

/* A CPU may say of a component that it is as after a reset, or have these values in it: that is the same. x87 and SSE
 * are loaded whatever the bits say (vmm/kvm/state.c). Where components behind AVX are differs between CPUs: they count
 * as they are. */
static void put_xsave(struct sha256_ctx *sha, const uint8_t *xsave)
{
	uint64_t bits = hs_get_le64(xsave + HS_XSAVE_XSTATE_BV);
	uint8_t copy[HS_XSAVE_SIZE];

	memcpy(copy, xsave, sizeof(copy));
	if (!(bits & XSTATE_AVX)) {
		memset(copy + HS_XSAVE_YMMH0, 0, AVX_BYTES);
	}
	hs_put_le64(copy + HS_XSAVE_XSTATE_BV, bits | XSTATE_LEGACY | XSTATE_AVX);
	sha256_update(sha, XSAVE_SOFTWARE, copy);
	sha256_update(sha, sizeof(copy) - XSAVE_SOFTWARE_END, copy + XSAVE_SOFTWARE_END);
}

/* All but the TSC: a clock, that goes on while the guest stands still. */
static void put_cpu(struct sha256_ctx *sha, const struct hs_cpu_state *cpu)
{
	const struct hs_msrs *msr = &cpu->msr;
	const uint64_t numbers[] = {
		cpu->rip,          cpu->rflags,
		cpu->cr0,          cpu->cr2,
		cpu->cr3,          cpu->cr4,
		cpu->cr8,          cpu->xcr0,
		cpu->gdt.base,     cpu->gdt.limit,
		cpu->idt.base,     cpu->idt.limit,
		msr->efer,         msr->star,
		msr->lstar,        msr->cstar,
		msr->fmask,        msr->sysenter_cs,
		msr->sysenter_esp, msr->sysenter_eip,
		msr->pat,          msr->kernel_gs_base,
		msr->tsc_aux,      msr->apic_base,
	};

	put_numbers(sha, cpu->gpr, HS_GPR_COUNT);
	put_numbers(sha, numbers, sizeof(numbers) / sizeof(numbers[0]));
	for (size_t i = 0; i < HS_SEG_COUNT; i++) {
		put_segment(sha, &cpu->seg[i]);
	}
	put_numbers(sha, cpu->dr, sizeof(cpu->dr) / sizeof(cpu->dr[0]));
	put_xsave(sha, cpu->xsave);
}

static int by_gpa(const void *a, const void *b)
{
	uint64_t left = ((const struct hs_memory_part *)a)->gpa.v;
	uint64_t right = ((const struct hs_memory_part *)b)->gpa.v;

	return (left > right) - (left < right);
}

/* The parts that are there, ascending; how many. */
static size_t sort_parts(const struct hs_memory_image *memory, struct hs_memory_part *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < memory->part_count; i++) {
		if (memory->parts[i].length > 0) {
			ret[count++] = memory->parts[i];
		}
	}
	qsort(ret, count, sizeof(*ret), by_gpa);
	return count;
}

static void put_region(struct sha256_ctx *sha, const struct hs_memory_part *region)
{
	const uint64_t numbers[] = { region->gpa.v, region->length, region->shared };

	put_numbers(sha, numbers, sizeof(numbers) / sizeof(numbers[0]));
}

/* Which addresses are memory. Where one part ends and the next goes on as it does is of no account, nor are parts of
 * scratch, all of which is memory anyway. */
static void put_regions(struct sha256_ctx *sha, const struct hs_memory_image *memory,
			const struct hs_memory_part *parts, size_t count)
{
	static const struct hs_memory_part end;
	struct hs_memory_part region = end;

	put_number(sha, memory->scratch_gpa.v);
	put_number(sha, memory->scratch_length);
	for (size_t i = 0; i < count; i++) {
		const struct hs_memory_part *part = &parts[i];

		if (part->gpa.v - memory->scratch_gpa.v < memory->scratch_length) {
			continue;
		}
		if (region.length > 0 && part->gpa.v == region.gpa.v + region.length && part->shared == region.shared) {
			region.length += part->length;
			continue;
		}
		if (region.length > 0) {
			put_region(sha, &region);
		}
		region = *part;
	}
	if (region.length > 0) {
		put_region(sha, &region);
	}
	put_region(sha, &end);
}

/* A page, unless it is all zero. The word at the top of scratch that counts snapshots says which one this is on its
 * way, and not what is in it: it is zero here. */
static void put_page(struct sha256_ctx *sha, const struct hs_memory_image *memory, uint64_t gpa, const uint8_t *page)
{
	uint64_t word = memory->scratch_gpa.v + memory->scratch_length - HS_SCRATCH_GENERATION_OFFSET;
	uint8_t copy[HS_PAGE_SIZE];

	if (memory->scratch_length > 0 && word - gpa < HS_PAGE_SIZE) {
		memcpy(copy, page, sizeof(copy));
		hs_put_le64(copy + (word - gpa), 0);
		page = copy;
	}
	if (!hs_bytes_are_zero(page, HS_PAGE_SIZE)) {
		put_number(sha, gpa);
		sha256_update(sha, HS_PAGE_SIZE, page);
	}
}

static void put_pages(struct sha256_ctx *sha, const struct hs_memory_image *memory, const struct hs_memory_part *part)
{
	uint64_t end = part->offset + part->length;
	uint64_t at = part->offset;

	/* Holes are not looked at: in a file that is memory each would become a page. */
	while ((at = hs_fd_next_data(memory->fd, at, end)) < end) {
		uint64_t stop = hs_fd_data_end(memory->fd, at, end);

		for (; at < stop; at += HS_PAGE_SIZE) {
			put_page(sha, memory, part->gpa.v + (at - part->offset), memory->bytes + at);
		}
	}
}

void hs_snapshot_digest(const struct hs_snapshot_info *info, const struct hs_cpu_state *cpu,
			uint8_t ret[HS_SNAPSHOT_HASH_BYTES])
{
	struct hs_memory_part parts[HS_MEMORY_PARTS_MAX];
	size_t count = sort_parts(&info->memory, parts);
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, sizeof(FORM) - 1, (const uint8_t *)FORM);
	put_guest(&sha, info);
	put_roots(&sha, info);
	put_cpu(&sha, cpu);
	put_regions(&sha, &info->memory, parts, count);
	for (size_t i = 0; i < count; i++) {
		put_pages(&sha, &info->memory, &parts[i]);
	}
	sha256_digest(&sha, HS_SNAPSHOT_HASH_BYTES, ret);
}
