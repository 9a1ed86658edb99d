/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The test machine: memory, page tables, the state it starts in. Running it is machine_run.c. */
#include "machine.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "base/error.h"
#include "paging/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ENTRY_ACCESSED 0x20u
#define ENTRY_DIRTY 0x40u

static _Noreturn void give_up(const char *what, const struct hs_error *err)
{
	fprintf(stderr, "the test machine: %s: %s\n", what, err->message);
	abort();
}

static enum hs_status phys_check(hs_gpa gpa, size_t length, struct hs_error *err)
{
	if (gpa.v > MACHINE_BYTES || length > MACHINE_BYTES - gpa.v) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gpa.v, "no memory there");
	}
	return HS_OK;
}

static enum hs_status phys_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	const struct machine *machine = ctx;
	enum hs_status st = phys_check(gpa, length, err);

	if (!st) {
		memcpy(buffer, machine->ram + gpa.v, length);
	}
	return st;
}

static enum hs_status phys_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	struct machine *machine = ctx;
	enum hs_status st = phys_check(gpa, length, err);

	if (!st) {
		memcpy(machine->ram + gpa.v, buffer, length);
		machine_touched(machine, gpa.v, length);
	}
	return st;
}

static const uint8_t *phys_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	const struct machine *machine = ctx;

	if (gpa.v >= MACHINE_BYTES) {
		return NULL;
	}
	*ret_length = MACHINE_BYTES - gpa.v;
	return machine->ram + gpa.v;
}

static enum hs_status take_table(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct machine *machine = ctx;

	if (machine->next_table >= MACHINE_BYTES) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "no table pages left");
	}
	*ret = hs_gpa_of(machine->next_table);
	machine->next_table += HS_PAGE_SIZE;
	return HS_OK;
}

uint8_t *machine_at(struct machine *machine, uint64_t gpa)
{
	if (gpa >= MACHINE_BYTES) {
		give_up("machine_at()", &(struct hs_error){ .message = "no memory there" });
	}
	return machine->ram + gpa;
}

void machine_touched(struct machine *machine, uint64_t gpa, uint64_t length)
{
	if (machine->backend && machine->config.ops->memory_written) {
		machine->config.ops->memory_written(machine->backend, hs_gpa_of(gpa), length);
	}
}

void machine_put(struct machine *machine, uint64_t gpa, const void *bytes, size_t length)
{
	struct hs_error err = { 0 };

	if (phys_write(machine, hs_gpa_of(gpa), bytes, length, &err)) {
		give_up("machine_put()", &err);
	}
}

void machine_set_code(struct machine *machine, struct code code)
{
	static const uint8_t hlt = 0xF4;

	machine_put(machine, MACHINE_CODE, code.bytes, code.length);
	machine_put(machine, MACHINE_CODE + code.length, &hlt, 1);
	machine->cpu.rip = MACHINE_CODE;
}

void machine_map(struct machine *machine, uint64_t gva, uint64_t gpa, uint64_t length, int prot, bool user)
{
	const struct hs_mapping mapping = {
		.gva = hs_gva_of(gva),
		.gpa = hs_gpa_of(gpa),
		.length = length,
		.prot = HS_PROT_READ | prot,
		.user = user,
	};
	struct hs_error err = { 0 };

	if (machine->root.format == HS_PAGING_NONE) {
		return;
	}
	if (hs_build_map(&machine->phys, &machine->root, &mapping, &machine->tables, &err)) {
		give_up("machine_map()", &err);
	}
}

/* The tables are walked by the format's shifts alone: what a test breaks in them is to be found again. */
uint64_t machine_entry_at(struct machine *machine, uint64_t gva, int depth)
{
	const struct hs_format *format = hs_format_of(machine->root.format);
	unsigned int target = depth < 0 ? format->levels - 1u : (unsigned int)depth;
	uint64_t table = machine->root.base.v;

	for (unsigned int i = 0;; i++) {
		const struct hs_format_level *level = &format->level[i];
		uint64_t index = gva >> level->shift & ((1u << level->index_bits) - 1);
		uint64_t at = table + index * format->entry_bytes;

		if (i == target) {
			return at;
		}
		table = hs_get_le(machine_at(machine, at), format->entry_bytes) & level->table_address;
	}
}

uint64_t machine_entry(struct machine *machine, uint64_t gva, int depth)
{
	uint64_t at = machine_entry_at(machine, gva, depth);

	return hs_get_le(machine_at(machine, at), hs_format_of(machine->root.format)->entry_bytes);
}

void machine_set_entry(struct machine *machine, uint64_t gva, int depth, uint64_t entry)
{
	unsigned int bytes = hs_format_of(machine->root.format)->entry_bytes;
	uint64_t at = machine_entry_at(machine, gva, depth);

	hs_put_le(machine_at(machine, at), entry, bytes);
	machine_touched(machine, at, bytes);
}

void machine_change_entry(struct machine *machine, uint64_t gva, uint64_t clear, uint64_t set)
{
	machine_set_entry(machine, gva, -1, (machine_entry(machine, gva, -1) & ~clear) | set);
}

static void set_segments(struct machine *machine)
{
	const struct machine_config *config = &machine->config;
	unsigned int cpl = config->cpl;
	uint16_t code = cpl == 0 ? MACHINE_CS0 : cpl == 1 ? MACHINE_CS1 : MACHINE_CS3_64;
	uint16_t data = cpl == 0 ? MACHINE_DS0 : cpl == 1 ? MACHINE_DS1 : MACHINE_DS3;
	struct hs_cpu_state *cpu = &machine->cpu;

	if (config->mode == MACHINE_COMPAT) {
		code = cpl == 0 ? MACHINE_CS0_32 : MACHINE_CS3_32;
	}
	for (int i = HS_ES; i <= HS_GS; i++) {
		machine_segment(machine, i == HS_CS ? (uint16_t)(code | cpl) : (uint16_t)(data | cpl), &cpu->seg[i]);
	}
	cpu->seg[HS_TR] = (struct hs_segment){
		.base = MACHINE_TSS, .limit = 0x67, .selector = MACHINE_TR, .type = 11, .present = 1
	};
	cpu->seg[HS_LDTR] = (struct hs_segment){ .unusable = 1 };
	cpu->gdt = (struct hs_dtable){ .base = MACHINE_GDT, .limit = 0xFFF };
	cpu->idt = (struct hs_dtable){ .base = MACHINE_IDT, .limit = config->mode == MACHINE_32 ? 0x7FF : 0xFFF };
}

/* PG (where there is paging), WP, NE, ET, MP, PE; OSXMMEXCPT, OSFXSR, then what the format needs. */
static void set_control(struct machine *machine)
{
	enum hs_paging_format format = machine->config.format;
	struct hs_cpu_state *cpu = &machine->cpu;
	bool is_long = machine->config.mode != MACHINE_32;

	cpu->cr0 = format == HS_PAGING_NONE ? 0x33 : 0x80010033;
	cpu->cr4 = 0x600;
	if (format == HS_PAGING_32BIT) {
		cpu->cr4 |= 1u << 4; /* PSE */
	} else if (format != HS_PAGING_NONE) {
		cpu->cr4 |= 1u << 5; /* PAE */
	}
	if (format == HS_PAGING_5LEVEL) {
		cpu->cr4 |= 1u << 12; /* LA57 */
	}
	/* NXE, LMA, LME, SCE. */
	cpu->msr.efer = is_long ? 0xD01 : format == HS_PAGING_PAE ? 0x800 : 0;
	cpu->cr3 = format == HS_PAGING_NONE ? 0 : machine->root.base.v;
	cpu->rip = MACHINE_CODE;
	cpu->rflags = 2;
	cpu->gpr[HS_RSP] = MACHINE_STACK;
}

static void map_all(struct machine *machine)
{
	bool user = machine->config.cpl == 3;
	const int all = HS_PROT_WRITE | HS_PROT_EXEC;

	machine_map(machine, MACHINE_GDT, MACHINE_GDT, MACHINE_CODE - MACHINE_GDT, all, false);
	machine_map(machine, MACHINE_CODE, MACHINE_CODE, MACHINE_FRAMES - MACHINE_CODE, all, user);
}

static void make_root(struct machine *machine)
{
	enum hs_paging_format format = machine->config.format;

	machine->phys_ops = (struct hs_phys_ops){ .read = phys_read, .write = phys_write, .pointer = phys_pointer };
	machine->phys = (struct hs_phys){ .ops = &machine->phys_ops, .ctx = machine };
	machine->tables = (struct hs_table_source){ .take = take_table, .ctx = machine };
	machine->next_table = MACHINE_TABLES + HS_PAGE_SIZE;
	machine->root = (struct hs_root){
		.format = format,
		.base = hs_gpa_of(MACHINE_TABLES),
		.pse = format == HS_PAGING_32BIT,
		.nxe = format != HS_PAGING_32BIT && format != HS_PAGING_NONE,
		.wp = true,
	};
}

static void make_memory(struct machine *machine)
{
	size_t length = MACHINE_BYTES + 2 * HS_PAGE_SIZE;
	uint8_t *around = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (around == MAP_FAILED || mprotect(around + HS_PAGE_SIZE, MACHINE_BYTES, PROT_READ | PROT_WRITE)) {
		give_up("mmap", &(struct hs_error){ .message = "no memory" });
	}
	machine->ram = around + HS_PAGE_SIZE;
}

void machine_init(struct machine *machine, const struct machine_config *config)
{
	const struct hs_backend_ops *ops = config->ops;
	struct hs_error err = { 0 };
	enum hs_status st;

	memset(machine, 0, sizeof(*machine));
	machine->config = *config;
	make_memory(machine);
	make_root(machine);
	st = ops->create(&machine->backend, &err);
	if (!st) {
		st = ops->map(machine->backend, hs_gpa_of(0), MACHINE_BYTES, machine->ram, false, &err);
	}
	hs_cpu_state_init(&machine->cpu);
	if (!st) {
		st = ops->get_state(machine->backend, HS_STATE_ALL, &machine->cpu, &err);
	}
	if (st) {
		give_up("no machine", &err);
	}
	memset(machine->cpu.gpr, 0, sizeof(machine->cpu.gpr));
	map_all(machine);
	set_control(machine);
	machine_write_tables(machine);
	set_segments(machine);
}

void machine_deinit(struct machine *machine)
{
	machine->config.ops->destroy(machine->backend);
	munmap(machine->ram - HS_PAGE_SIZE, MACHINE_BYTES + 2 * HS_PAGE_SIZE);
}

void machine_each(const struct machine_config *configs, size_t count, void (*check)(struct machine *machine))
{
	for (size_t i = 0; i < count; i++) {
		struct machine machine;

		machine_init(&machine, &configs[i]);
		check(&machine);
		machine_deinit(&machine);
	}
}

uint8_t *machine_copy_memory(const struct machine *machine)
{
	uint8_t *copy = malloc(MACHINE_BYTES);

	if (!copy) {
		give_up("malloc()", &(struct hs_error){ .message = "no memory" });
	}
	memcpy(copy, machine->ram, MACHINE_BYTES);
	return copy;
}

static bool is_compared(uint64_t gpa)
{
	return !(gpa >= MACHINE_TSS && gpa < MACHINE_STUBS) &&
	       !(gpa >= MACHINE_EXCEPTION_STACK - HS_PAGE_SIZE && gpa < MACHINE_DF_STACK) &&
	       !(gpa >= MACHINE_GDT + MACHINE_TR && gpa < MACHINE_GDT + MACHINE_DF_TR + 8);
}

/* The bits of a byte of memory that count. */
static uint8_t mask_of(const struct machine *machine, uint64_t gpa)
{
	unsigned int entry_bytes = hs_format_of(machine->root.format)->entry_bytes;

	if (gpa >= MACHINE_TABLES && entry_bytes && gpa % entry_bytes == 0) {
		return (uint8_t) ~(ENTRY_ACCESSED | ENTRY_DIRTY);
	}
	return 0xFF;
}

uint64_t machine_compare_memory(const struct machine *machine, const uint8_t *a, const uint8_t *b, uint64_t except,
				uint64_t except_length)
{
	for (uint64_t gpa = 0; gpa < MACHINE_BYTES; gpa++) {
		/* Most of it is equal: a page at a time. */
		if (gpa % HS_PAGE_SIZE == 0 && memcmp(a + gpa, b + gpa, HS_PAGE_SIZE) == 0) {
			gpa += HS_PAGE_SIZE - 1;
			continue;
		}
		if (((a[gpa] ^ b[gpa]) & mask_of(machine, gpa)) && is_compared(gpa) &&
		    !(gpa >= except && gpa - except < except_length)) {
			return gpa;
		}
	}
	return MACHINE_BYTES;
}
