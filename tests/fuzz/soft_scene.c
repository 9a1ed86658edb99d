/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "soft_scene.h"
#include "soft_vectors.h"

#include "base/bytes.h"
#include "lib/random.h"

#include <stdbool.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct scene_source scene_source_of(const uint8_t *data, size_t size)
{
	struct scene_source source = { .data = data, .left = size, .seed = size };

	/* FNV-1a: inputs that differ anywhere go on differently. */
	for (size_t i = 0; i < size; i++) {
		source.seed = (source.seed ^ data[i]) * UINT64_C(0x100000001b3);
	}
	return source;
}

uint64_t scene_number(struct scene_source *source)
{
	unsigned int bytes = source->left < 8 ? (unsigned int)source->left : 8;
	uint64_t number = bytes ? hs_get_le(source->data, bytes) : 0;

	source->data += bytes;
	source->left -= bytes;
	return number ^ random_next(&source->seed);
}

uint64_t scene_choice(struct scene_source *source, uint64_t below)
{
	return scene_number(source) % below;
}

static bool one_in(struct scene_source *source, uint64_t n)
{
	return scene_choice(source, n) == 0;
}

/* A number that is worth a try: near what matters, or anything. */
static uint64_t interesting(struct scene_source *source)
{
	static const uint64_t places[] = {
		0,
		SCENE_CODE,
		SCENE_STACK,
		SCENE_TABLES,
		SCENE_RAM,
		SCENE_READ_ONLY,
		SCENE_GDT,
		SCENE_TSS,
		0x80000000,
		0x100000000,
		UINT64_C(0x800000000000),
		UINT64_C(0xffff800000000000),
		UINT64_C(0x7fffffffffffffff),
	};
	uint64_t near = places[scene_choice(source, COUNT_OF(places))];

	switch (scene_choice(source, 4)) {
	case 0:
		return scene_number(source);
	case 1:
		return scene_choice(source, SCENE_RAM);
	case 2:
		return near + scene_choice(source, 32) - 16;
	default:
		return scene_choice(source, 256);
	}
}

/* Opcodes that random bytes find too seldom: what changes modes, tables, flags and control. */
static size_t put_instruction(struct scene_source *source, uint8_t *at)
{
	static const uint8_t some[][3] = {
		{ 0x0f, 0x01, 0x38 }, { 0x0f, 0x01, 0x10 }, { 0x0f, 0x01, 0x18 }, { 0x0f, 0x00, 0xd8 },
		{ 0x0f, 0x22, 0xc0 }, { 0x0f, 0x22, 0xd8 }, { 0x0f, 0x22, 0xe0 }, { 0x0f, 0x23, 0xf8 },
		{ 0x0f, 0x30, 0x90 }, { 0x0f, 0x32, 0x90 }, { 0x0f, 0xa2, 0x90 }, { 0x0f, 0x05, 0x90 },
		{ 0x0f, 0x34, 0x90 }, { 0x48, 0xcf, 0x90 }, { 0xcf, 0x90, 0x90 }, { 0xcd, 0x80, 0x90 },
		{ 0xf3, 0xa4, 0x90 }, { 0xf3, 0xab, 0x90 }, { 0xf2, 0xae, 0x90 }, { 0xf3, 0xa6, 0x90 },
		{ 0x8e, 0xd0, 0x90 }, { 0x8e, 0xd8, 0x90 }, { 0x9d, 0x90, 0x90 }, { 0xfb, 0x90, 0x90 },
		{ 0xf3, 0x6c, 0x90 }, { 0xf3, 0x6f, 0x90 }, { 0xe4, 0x10, 0x90 }, { 0xef, 0x90, 0x90 },
		{ 0x0f, 0xae, 0x00 }, { 0x0f, 0xae, 0x08 }, { 0x0f, 0xc7, 0x08 }, { 0xff, 0x18, 0x90 },
		{ 0xca, 0x08, 0x00 }, { 0xc8, 0x10, 0x02 }, { 0xc9, 0x90, 0x90 }, { 0xf1, 0x90, 0x90 },
		{ 0x0f, 0x01, 0xf8 }, { 0x0f, 0x01, 0xca }, { 0x0f, 0x01, 0xd1 }, { 0x0f, 0x20, 0xe0 },
	};

	memcpy(at, some[scene_choice(source, COUNT_OF(some))], 3);
	return 3;
}

static void fill_code(struct scene_source *source, uint8_t *ram)
{
	uint8_t *code = ram + SCENE_CODE;
	bool structured = !one_in(source, 4);

	for (size_t i = 0; i < SCENE_CODE_BYTES; i += 8) {
		hs_put_le64(code + i, scene_number(source));
	}
	for (size_t i = 0; structured && i < SCENE_CODE_BYTES - 8; i += 1 + scene_choice(source, 24)) {
		i += put_instruction(source, code + i);
	}
}

/* One vector instruction behind the other, seldom with something else between them. */
static void fill_code_with_vectors(struct scene_source *source, uint8_t *ram, bool is_long)
{
	uint8_t *code = ram + SCENE_CODE;

	for (size_t i = 0; i < SCENE_CODE_BYTES - SCENE_VECTOR_BYTES;) {
		i += scene_put_vector(source, code + i, is_long);
		i += one_in(source, 16) ? scene_choice(source, 8) : 0;
	}
}

static void put_descriptors(struct scene_source *source, uint8_t *ram)
{
	/* null, code 64, data, code 32 of ring 3, data of ring 3, code 64 of ring 3, TSS in two slots, code 32, ... */
	static const uint64_t flat[] = {
		0,
		UINT64_C(0x00af9b000000ffff),
		UINT64_C(0x00cf93000000ffff),
		UINT64_C(0x00cffb000000ffff),
		UINT64_C(0x00cff3000000ffff),
		UINT64_C(0x00affb000000ffff),
		UINT64_C(0x00008b0030000067),
		0,
		UINT64_C(0x00cf9b000000ffff),
		UINT64_C(0x0000ec0000088100), /* call gate */
	};

	for (size_t i = 0; i < 64; i++) {
		uint64_t descriptor = i < COUNT_OF(flat) ? flat[i] : scene_number(source);

		if (one_in(source, 16)) {
			descriptor ^= UINT64_C(1) << scene_choice(source, 64);
		}
		hs_put_le64(ram + SCENE_GDT + 8 * i, descriptor);
	}
}

/* Gates that lead into the code, of the width that the mode has. */
static void put_gates(struct scene_source *source, uint8_t *ram, bool is_long)
{
	size_t bytes = is_long ? 16 : 8;

	for (size_t i = 0; i < 4096 / bytes; i++) {
		uint64_t offset = SCENE_CODE + scene_choice(source, SCENE_CODE_BYTES);
		uint64_t selector = is_long ? 0x08 : 0x40;
		uint64_t type = one_in(source, 8) ? scene_choice(source, 256) : one_in(source, 2) ? 0xee : 0x8f;
		uint64_t ist = is_long && one_in(source, 2) ? scene_choice(source, 8) : 0;
		uint64_t gate = (offset & 0xffff) | selector << 16 | ist << 32 | type << 40 | (offset >> 16) << 48;

		if (one_in(source, 32)) {
			gate ^= UINT64_C(1) << scene_choice(source, 64);
		}
		hs_put_le64(ram + SCENE_IDT + bytes * i, gate);
	}
	for (size_t i = 4; i < 104; i += 8) {
		hs_put_le64(ram + SCENE_TSS + i, one_in(source, 16) ? scene_number(source) : SCENE_STACK);
	}
	if (!is_long) {
		hs_put_le32(ram + SCENE_TSS + 8, 0x10); /* SS0 */
	}
}

/* Tables of the format for gva = gpa, the first 2 MiB, and then some bits of entries turned. */
static void put_tables(struct scene_source *source, uint8_t *ram, const struct hs_cpu_state *cpu)
{
	bool is_long = cpu->msr.efer & 0x400;
	bool wide = is_long || (cpu->cr4 & 0x20);
	unsigned int levels = is_long ? (cpu->cr4 & 0x1000 ? 4 : 3) : wide ? 2 : 1;
	uint64_t table = SCENE_TABLES;

	for (unsigned int i = 0; i < levels; i++, table += 0x1000) {
		uint64_t flags = !is_long && wide && i == 0 ? 1 : 7;

		hs_put_le(ram + table, (table + 0x1000) | flags, wide ? 8 : 4);
		/* The upper half of the address space too: negative addresses find something. */
		if (is_long && i == 0) {
			hs_put_le64(ram + table + 0xff8, (table + 0x1000) | 7);
		}
	}
	for (unsigned int page = 0; page < 512; page++) {
		uint64_t gpa = page == 300 ? SCENE_READ_ONLY : page * 0x1000u;
		uint64_t entry = gpa | (one_in(source, 32) ? scene_choice(source, 256) : 7);

		if (one_in(source, 64)) {
			entry ^= UINT64_C(1) << scene_choice(source, 64);
		}
		hs_put_le(ram + table + (size_t)page * (wide ? 8 : 4), entry, wide ? 8 : 4);
	}
}

static void set_control(struct scene_source *source, struct hs_cpu_state *cpu)
{
	static const struct {
		uint64_t cr0, cr4, efer;
	} modes[] = {
		{ 0x80010033, 0x620, 0xd01 },
		{ 0x80010033, 0x620, 0xd01 },
		{ 0x80010033, 0x1620, 0xd01 },
		{ 0x80010033, 0x610, 0 },
		{ 0x80010033, 0x600, 0 },
		{ 0x80010033, 0x620, 0x800 },
		{ 0x33, 0x600, 0 },
		{ 0x11, 0, 0 },
		{ 0x10, 0, 0 },
		{ 0x80050033, 0x300620, 0xd01 },
	};
	size_t mode = scene_choice(source, COUNT_OF(modes));

	cpu->cr0 = modes[mode].cr0;
	cpu->cr4 = modes[mode].cr4;
	cpu->msr.efer = modes[mode].efer;
	cpu->cr3 = SCENE_TABLES;
	if (one_in(source, 8)) {
		cpu->cr0 ^= UINT64_C(1) << scene_choice(source, 32);
	}
	if (one_in(source, 4)) {
		cpu->cr4 ^= UINT64_C(1) << scene_choice(source, 24);
	}
	if (one_in(source, 8)) {
		cpu->msr.efer ^= UINT64_C(1) << scene_choice(source, 16);
	}
}

static void set_segment(struct scene_source *source, const uint8_t *ram, unsigned int selector,
			struct hs_segment *segment)
{
	uint64_t descriptor = hs_get_le64(ram + SCENE_GDT + (selector & ~7u));

	*segment = (struct hs_segment){
		.limit = 0xffffffff,
		.selector = (uint16_t)selector,
		.type = descriptor >> 40 & 15,
		.present = 1,
		.dpl = (uint8_t)(selector & 3),
		.db = descriptor >> 54 & 1,
		.s = 1,
		.l = descriptor >> 53 & 1,
		.g = 1,
	};
	if (one_in(source, 16)) {
		segment->base = interesting(source);
		segment->limit = (uint32_t)interesting(source);
		segment->type = (uint8_t)scene_choice(source, 16);
		segment->db = (uint8_t)scene_choice(source, 2);
		segment->l = (uint8_t)scene_choice(source, 2);
		segment->dpl = (uint8_t)scene_choice(source, 4);
		segment->unusable = (uint8_t)scene_choice(source, 2);
	}
}

static void set_segments(struct scene_source *source, const uint8_t *ram, struct hs_cpu_state *cpu)
{
	bool is_long = cpu->msr.efer & 0x400;
	unsigned int code = is_long ? 0x08 : 0x40;
	unsigned int data = 0x10;

	if (one_in(source, 3)) {
		code = is_long && !one_in(source, 3) ? 0x2b : 0x1b;
		data = 0x23;
	}
	for (int i = HS_ES; i <= HS_GS; i++) {
		set_segment(source, ram, i == HS_CS ? code : data, &cpu->seg[i]);
	}
	cpu->seg[HS_TR] =
		(struct hs_segment){ .base = SCENE_TSS, .limit = 0x67, .selector = 0x30, .type = 11, .present = 1 };
	cpu->seg[HS_LDTR] = (struct hs_segment){ .unusable = 1 };
	if (one_in(source, 16)) {
		cpu->seg[HS_LDTR] = (struct hs_segment){
			.base = interesting(source), .limit = 0xfff, .selector = 0x50, .type = 2, .present = 1
		};
		cpu->seg[HS_TR].limit = (uint32_t)interesting(source);
		cpu->seg[HS_TR].type = (uint8_t)scene_choice(source, 16);
	}
	cpu->gdt = (struct hs_dtable){ .base = SCENE_GDT, .limit = 0x1ff };
	cpu->idt = (struct hs_dtable){ .base = SCENE_IDT, .limit = is_long ? 0xfff : 0x7ff };
}

static void set_rest(struct scene_source *source, struct hs_cpu_state *cpu)
{
	for (int i = 0; i < HS_GPR_COUNT; i++) {
		cpu->gpr[i] = interesting(source);
	}
	cpu->gpr[HS_RSP] = one_in(source, 8) ? interesting(source) : SCENE_STACK;
	cpu->rip = one_in(source, 32) ? interesting(source) : SCENE_CODE + scene_choice(source, SCENE_CODE_BYTES);
	/* Most of the time without TF, VM and the reserved bits. */
	cpu->rflags = 2 | (scene_number(source) & (one_in(source, 8) ? 0x3fffff : 0x3cd5));
	cpu->msr.lstar = SCENE_CODE + scene_choice(source, SCENE_CODE_BYTES);
	cpu->msr.star = UINT64_C(0x0018000800000000) + SCENE_CODE;
	cpu->msr.fmask = scene_number(source);
	cpu->msr.sysenter_cs = 8;
	cpu->msr.sysenter_eip = SCENE_CODE + scene_choice(source, SCENE_CODE_BYTES);
	cpu->msr.sysenter_esp = SCENE_STACK;
	cpu->msr.kernel_gs_base = interesting(source);
	if (one_in(source, 4)) {
		for (int i = 0; i < 4; i++) {
			cpu->dr[i] = interesting(source);
		}
		cpu->dr[7] = (uint32_t)scene_number(source) | 0x400;
	}
	for (size_t i = HS_XSAVE_ST0; i < HS_XSAVE_XSTATE_BV && one_in(source, 2); i += 8) {
		hs_put_le64(cpu->xsave + i, scene_number(source));
	}
}

/* Code that begins with stores to what comes next. */
static void put_self_modification(struct scene_source *source, uint8_t *ram, struct hs_cpu_state *cpu)
{
	/* Each stores something: stos, mov and add to [rdi] or [edi], push. */
	static const uint8_t stores[][2] = {
		{ 0xaa, 0x90 }, { 0xab, 0x90 }, { 0x89, 0x07 }, { 0x88, 0x07 },
		{ 0x00, 0x07 }, { 0x01, 0x37 }, { 0x50, 0x90 },
	};

	for (unsigned int i = 0; i < 4; i++) {
		memcpy(ram + cpu->rip + 2 * i, stores[scene_choice(source, COUNT_OF(stores))], 2);
	}
	memset(ram + cpu->rip + 8, 0x90, 32);
	cpu->gpr[HS_RDI] = cpu->rip + 8 + scene_choice(source, 16);
	cpu->gpr[HS_RSP] = cpu->rip + 16 + scene_choice(source, 16);
}

void scene_make(struct scene_source *source, bool vectors, uint8_t *ram, struct hs_cpu_state *cpu)
{
	set_control(source, cpu);
	fill_code(source, ram);
	put_descriptors(source, ram);
	put_gates(source, ram, cpu->msr.efer & 0x400);
	put_tables(source, ram, cpu);
	set_segments(source, ram, cpu);
	set_rest(source, cpu);
	if (vectors) {
		fill_code_with_vectors(source, ram, cpu->msr.efer & 0x400);
		scene_set_vectors(source, cpu);
	}
	if (one_in(source, 4) && cpu->rip < SCENE_RAM - 64) {
		put_self_modification(source, ram, cpu);
	}
	/* Once in a while nothing makes sense. */
	for (size_t i = 0; one_in(source, 8) && i < SCENE_RAM; i += 8) {
		hs_put_le64(ram + i, scene_number(source));
	}
}
