/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machine around the instruction: page tables, GDT, LDT, TSS, an IDT of interrupt gates, and the state of a process
 * of Linux in it (SDM vol. 3A 3.4.5, 6.11, 6.14.1, 7.2.1, 7.7).
 */
#include "guest_private.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "base/error.h"
#include "vmm/descriptor.h"

#include <string.h>

#define INTERRUPT_GATE 0x8eu
#define DPL3 0x60u
#define OPCODE_HLT 0xf4
#define TSS_BYTES 104u

static bool is_long(const struct oracle_guest *guest)
{
	return guest->mode != ORACLE_MODE_32;
}

static enum hs_status phys_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct oracle_guest *guest = ctx;

	if (gpa.v > GUEST_BYTES || length > GUEST_BYTES - gpa.v) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gpa.v, "no memory there");
	}
	memcpy(buffer, guest->ram + gpa.v, length);
	return HS_OK;
}

static enum hs_status phys_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	struct oracle_guest *guest = ctx;

	if (gpa.v > GUEST_BYTES || length > GUEST_BYTES - gpa.v) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gpa.v, "no memory there");
	}
	memcpy(guest->ram + gpa.v, buffer, length);
	return HS_OK;
}

static const uint8_t *phys_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct oracle_guest *guest = ctx;

	if (gpa.v >= GUEST_BYTES) {
		return NULL;
	}
	*ret_length = GUEST_BYTES - gpa.v;
	return guest->ram + gpa.v;
}

static enum hs_status take_table(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct oracle_guest *guest = ctx;

	if (guest->next_table >= GUEST_BYTES) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "no table pages left");
	}
	*ret = hs_gpa_of(guest->next_table);
	guest->next_table += HS_PAGE_SIZE;
	return HS_OK;
}

static enum hs_status map_one(struct oracle_guest *guest, const struct hs_root *root, struct hs_mapping mapping,
			      struct hs_error *err)
{
	static const struct hs_phys_ops ops = { .read = phys_read, .write = phys_write, .pointer = phys_pointer };
	const struct hs_phys phys = { .ops = &ops, .ctx = guest };
	const struct hs_table_source source = { .take = take_table, .ctx = guest };

	mapping.leaf = HS_LEAF_ACCESSED | (mapping.prot & HS_PROT_WRITE ? HS_LEAF_DIRTY : 0);
	return hs_build_map(&phys, root, &mapping, &source, err);
}

static enum hs_status map_all(struct oracle_guest *guest, const struct hs_root *root, struct hs_error *err)
{
	const struct hs_mapping system = {
		.gva = hs_gva_of(guest->system + GUEST_GDT),
		.gpa = hs_gpa_of(GUEST_GDT),
		.length = GUEST_SYSTEM_END - GUEST_GDT,
		.prot = HS_PROT_READ | HS_PROT_WRITE | HS_PROT_EXEC,
	};
	enum hs_status st = map_one(guest, root, system, err);

	for (size_t i = 0; i < ORACLE_AREAS && !st; i++) {
		const struct oracle_area *area = &oracle_areas[i];
		const struct hs_mapping mapping = {
			.gva = hs_gva_of(area->at),
			.gpa = hs_gpa_of(area->first * ORACLE_PAGE),
			.length = area->pages * ORACLE_PAGE,
			.prot = area->prot,
			.user = true,
		};

		if (oracle_area_is_there(area) && (is_long(guest) || area->at < UINT32_MAX)) {
			st = map_one(guest, root, mapping, err);
		}
	}
	return st;
}

static struct hs_segment flat(uint16_t selector, bool code, bool code64)
{
	return (struct hs_segment){
		.limit = UINT32_MAX,
		.selector = selector,
		.type = code ? 11 : 3, /* accessed already */
		.present = 1,
		.dpl = selector & 3,
		.s = 1,
		.g = 1,
		.db = !code64,
		.l = code64,
	};
}

static void put_descriptor(struct oracle_guest *guest, const struct hs_segment *segment)
{
	uint64_t table = segment->selector & 4 ? GUEST_LDT : GUEST_GDT;

	hs_put_le64(guest->ram + table + (segment->selector & ~7u), hs_descriptor_encode(segment));
	if (!segment->s) {
		/* The upper half of a base; in 32-bit mode nothing uses that slot. */
		hs_put_le64(guest->ram + table + (segment->selector & ~7u) + 8, segment->base >> 32);
	}
}

static void make_ldt(struct oracle_guest *guest)
{
	for (unsigned int i = 0; i < ORACLE_DESCRIPTORS; i++) {
		const struct oracle_descriptor *from = &oracle_descriptors[i];
		struct hs_segment segment = flat((uint16_t)(i << 3 | 7), from->contents >= 2, false);

		segment.base = from->base;
		segment.limit = from->in_pages ? from->limit << 12 | 0xfff : from->limit;
		segment.type = (uint8_t)(from->contents << 2 | (from->fixed ? 0 : 2) | 1);
		segment.g = from->in_pages;
		segment.present = !from->not_present;
		put_descriptor(guest, &segment);
	}
}

void oracle_guest_segment(const struct oracle_guest *guest, uint16_t selector, struct hs_segment *ret)
{
	uint64_t table = selector & 4 ? GUEST_LDT : GUEST_GDT;

	hs_descriptor_decode(hs_get_le64(guest->ram + table + (selector & ~7u)), selector, ret);
	if ((selector & ~3u) == 0) {
		*ret = (struct hs_segment){ .selector = selector, .unusable = 1 };
	}
}

static void make_system_segments(struct oracle_guest *guest)
{
	struct hs_cpu_state *cpu = &guest->cpu;

	cpu->seg[HS_TR] = (struct hs_segment){
		.base = guest->system + GUEST_TSS,
		.limit = TSS_BYTES - 1,
		.selector = GUEST_TR,
		.type = HS_DESCRIPTOR_TSS_BUSY,
		.present = 1,
	};
	cpu->seg[HS_LDTR] = (struct hs_segment){
		.base = guest->system + GUEST_LDT,
		.limit = 8 * ORACLE_DESCRIPTORS - 1,
		.selector = GUEST_LDTR,
		.type = HS_DESCRIPTOR_LDT,
		.present = 1,
	};
	put_descriptor(guest, &cpu->seg[HS_TR]);
	put_descriptor(guest, &cpu->seg[HS_LDTR]);
	cpu->gdt = (struct hs_dtable){ .base = guest->system + GUEST_GDT, .limit = 0x7f };
}

/* As Linux has them. Outside long mode the 64-bit segment is one of 16 bits, its L bit being none. */
static void make_segments(struct oracle_guest *guest)
{
	const struct hs_segment segments[] = {
		flat(GUEST_CS0_32, true, false), flat(GUEST_CS0, true, is_long(guest)), flat(GUEST_DS0, false, false),
		flat(ORACLE_CS32, true, false),  flat(ORACLE_DS, false, false),         flat(ORACLE_CS64, true, true),
	};

	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		put_descriptor(guest, &segments[i]);
	}
	make_ldt(guest);
	make_system_segments(guest);
	guest->cpu.seg[HS_CS] = guest->mode == ORACLE_MODE_64 ? segments[5] : segments[3];
	guest->cpu.seg[HS_SS] = segments[4];
}

/* Linux lets a process raise 3 and 4 (and 0x80, which is not tested). */
static void make_idt(struct oracle_guest *guest)
{
	unsigned int bytes = is_long(guest) ? 16 : 8;

	for (unsigned int vector = 0; vector < 256; vector++) {
		uint8_t *gate = guest->ram + GUEST_IDT + bytes * vector;
		uint64_t stub = guest->system + GUEST_STUBS + vector;

		hs_put_le16(gate, (uint16_t)stub);
		hs_put_le16(gate + 2, GUEST_CS0);
		gate[5] = (uint8_t)(INTERRUPT_GATE | (vector == 3 || vector == 4 ? DPL3 : 0));
		hs_put_le16(gate + 6, (uint16_t)(stub >> 16));
		if (is_long(guest)) {
			hs_put_le64(gate + 8, stub >> 32);
		}
	}
	memset(guest->ram + GUEST_STUBS, OPCODE_HLT, HS_PAGE_SIZE);
	guest->cpu.idt = (struct hs_dtable){ .base = guest->system + GUEST_IDT, .limit = (uint16_t)(256 * bytes - 1) };
}

static void make_tss(struct oracle_guest *guest)
{
	uint8_t *tss = guest->ram + GUEST_TSS;
	uint64_t stack = guest->system + GUEST_STACK + HS_PAGE_SIZE;

	if (is_long(guest)) {
		hs_put_le64(tss + 4, stack);
	} else {
		hs_put_le32(tss + 4, (uint32_t)stack);
		hs_put_le16(tss + 8, GUEST_DS0);
	}
	hs_put_le16(tss + 102, TSS_BYTES); /* no map of ports: all are refused */
}

enum hs_status oracle_guest_prepare(struct oracle_guest *guest, struct hs_error *err)
{
	const struct hs_root root = {
		.format = is_long(guest) ? HS_PAGING_4LEVEL : HS_PAGING_PAE,
		.base = hs_gpa_of(GUEST_TABLES),
		.nxe = true,
		.wp = true,
	};
	struct hs_cpu_state *cpu = &guest->cpu;

	guest->system = is_long(guest) ? UINT64_C(0xffff900000000000) : UINT64_C(0xc8000000);
	guest->next_table = GUEST_TABLES + HS_PAGE_SIZE;
	cpu->cr0 = 0x80050033; /* PG, AM, WP, NE, ET, MP, PE */
	cpu->cr3 = root.base.v;
	cpu->cr4 = 0x620; /* OSXMMEXCPT, OSFXSR, PAE */
	if (oracle_guest_offers(guest->ops, ZYDIS_ISA_SET_AVX)) {
		cpu->cr4 |= 0x40000; /* OSXSAVE */
		cpu->xcr0 = 7;       /* x87, SSE, AVX */
	}
	cpu->msr.efer = is_long(guest) ? 0xd01 : 0x800;
	make_segments(guest);
	make_idt(guest);
	make_tss(guest);
	return map_all(guest, &root, err);
}
