/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running the test machine, and seeing the interrupted code behind the stub of an exception. */
#include "machine.h"

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/tss32.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPCODE_HLT 0xF4
#define FLAG_RF (1ull << 16)
#define FLAG_NT (1ull << 14)
#define CR4_PGE (1ull << 7)
#define STUB_BYTES 16u
#define CPU_VECTORS 32u
#define VECTOR_DF 8u
#define VECTOR_GP 13u

static void must(enum hs_status st, const char *what, const struct hs_error *err)
{
	if (st) {
		fprintf(stderr, "the test machine: %s: %s\n", what, err->message);
		abort();
	}
}

const char *machine_missing(const struct machine_config *config)
{
	enum hs_arch arch = config->mode == MACHINE_32 ? HS_ARCH_I686 : HS_ARCH_AMD64;
	bool is_kvm = strcmp(config->ops->name, "kvm") == 0;

	if (is_kvm && config->format == HS_PAGING_5LEVEL) {
		return "5-level paging depends on the host's CPU";
	}
	if (config->ops->check(arch, NULL)) {
		return arch == HS_ARCH_I686 ? "no 32-bit machines on this backend here" : "this backend is not here";
	}
	return NULL;
}

void machine_read(struct machine *machine, struct hs_cpu_state *ret)
{
	struct hs_error err = { 0 };

	memset(ret, 0, sizeof(*ret));
	must(machine->config.ops->get_state(machine->backend, HS_STATE_ALL, ret, &err), "get_state", &err);
}

void machine_load(struct machine *machine)
{
	struct hs_error err = { 0 };

	if (strcmp(machine->config.ops->name, "kvm") == 0) {
		/* It keeps its translations while the control registers stay as they are. */
		machine->cpu.cr4 ^= CR4_PGE;
		must(machine->config.ops->set_state(machine->backend, HS_STATE_ALL, &machine->cpu, &err), "set_state",
		     &err);
		machine->cpu.cr4 ^= CR4_PGE;
	}
	must(machine->config.ops->set_state(machine->backend, HS_STATE_ALL, &machine->cpu, &err), "set_state", &err);
}

void machine_start(struct machine *machine, struct machine_stop *ret)
{
	machine_load(machine);
	machine_run(machine, ret);
}

/* A number on the stack of the stub, which is mapped: the CPU has just pushed it. */
static uint64_t read_word(struct machine *machine, const struct hs_root *root, uint64_t gva, unsigned int size)
{
	uint8_t bytes[8] = { 0 };
	size_t length = 0;
	struct hs_error err = { 0 };

	must(hs_vmem_read(&machine->phys, root, hs_gva_of(gva), bytes, size, &length, &err), "the stub's stack", &err);
	return hs_get_le(bytes, size);
}

/* The hidden part of a register: as the test loaded it, or else what the GDT says. */
static void set_segment(struct machine *machine, struct hs_segment *segment, const struct hs_segment *loaded,
			uint16_t selector)
{
	if (loaded->selector == selector) {
		*segment = *loaded;
	} else {
		machine_segment(machine, selector, segment);
	}
}

/* The double fault's task: all of the interrupted state is in the TSS. */
static void read_task(struct machine *machine, struct hs_cpu_state *cpu)
{
	const uint8_t *tss = machine->ram + MACHINE_TSS;

	for (int i = HS_RAX; i <= HS_RDI; i++) {
		cpu->gpr[i] = hs_get_le32(tss + HS_TSS32_GPR + 4 * i);
	}
	for (int i = HS_ES; i <= HS_GS; i++) {
		set_segment(machine, &cpu->seg[i], &machine->cpu.seg[i], hs_get_le16(tss + HS_TSS32_SEG + 4 * i));
	}
	cpu->seg[HS_TR] = machine->cpu.seg[HS_TR];
	cpu->rip = hs_get_le32(tss + HS_TSS32_EIP);
	cpu->rflags = hs_get_le32(tss + HS_TSS32_EFLAGS);
	cpu->cr0 = machine->cpu.cr0; /* a task switch sets TS */
}

/* The frame that an interrupt gate left at rsp. */
static void read_frame(struct machine *machine, struct hs_cpu_state *cpu, bool has_error_code)
{
	unsigned int word = machine->config.mode == MACHINE_32 ? 4 : 8;
	uint64_t at = cpu->gpr[HS_RSP] + (has_error_code ? word : 0);
	unsigned int from = 0;
	struct hs_root root;

	hs_root_of_cpu(cpu, &root);
	cpu->rip = read_word(machine, &root, at, word);
	from = (unsigned int)read_word(machine, &root, at + word, word) & 0xFFFF;
	cpu->rflags = read_word(machine, &root, at + 2 * word, word);
	if (word == 8 || (from & 3) != 0) {
		uint16_t ss = (uint16_t)read_word(machine, &root, at + 4 * word, word);

		cpu->gpr[HS_RSP] = read_word(machine, &root, at + 3 * word, word);
		set_segment(machine, &cpu->seg[HS_SS], &machine->cpu.seg[HS_SS], ss);
	} else {
		cpu->gpr[HS_RSP] = at + 3 * word;
	}
	set_segment(machine, &cpu->seg[HS_CS], &machine->cpu.seg[HS_CS], (uint16_t)from);
}

static bool pushes_error_code(unsigned int vector)
{
	return vector == VECTOR_DF || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

static void read_fault(struct machine *machine, struct machine_stop *stop)
{
	struct hs_root root;

	stop->kind = MACHINE_FAULT;
	stop->has_error_code = pushes_error_code(stop->vector);
	if (stop->has_error_code) {
		hs_root_of_cpu(&stop->cpu, &root);
		stop->error_code = (uint32_t)read_word(machine, &root, stop->cpu.gpr[HS_RSP], 4);
	}
	if (machine->config.mode == MACHINE_32 && stop->vector == VECTOR_DF && (stop->cpu.rflags & FLAG_NT)) {
		read_task(machine, &stop->cpu);
	} else {
		read_frame(machine, &stop->cpu, stop->has_error_code);
	}
	stop->rf = stop->cpu.rflags & FLAG_RF;
	stop->cpu.rflags &= ~FLAG_RF;
}

/* hlt above CPL 0 is a #GP(0), and the end of a test all the same. */
static bool is_hlt_above_ring_0(struct machine *machine, const struct machine_stop *stop)
{
	struct hs_root root;
	uint8_t byte;
	size_t length;

	hs_root_of_cpu(&stop->cpu, &root);
	return stop->vector == VECTOR_GP && stop->error_code == 0 && (stop->cpu.seg[HS_CS].selector & 3) != 0 &&
	       hs_vmem_read(&machine->phys, &root, hs_gva_of(stop->cpu.seg[HS_CS].base + stop->cpu.rip), &byte, 1,
			    &length, NULL) == HS_OK &&
	       byte == OPCODE_HLT;
}

/* What the exit in ret means. */
static void understand(struct machine *machine, struct machine_stop *ret)
{
	uint64_t stub;

	machine_read(machine, &ret->cpu);
	if (ret->exit.kind != HS_EXIT_HLT) {
		ret->kind = MACHINE_EXIT;
		return;
	}
	ret->kind = MACHINE_HLT;
	ret->cpu.rip--;
	stub = ret->cpu.rip - MACHINE_STUBS;
	if (stub >= CPU_VECTORS * STUB_BYTES) {
		return;
	}
	ret->vector = (unsigned int)(stub / STUB_BYTES);
	read_fault(machine, ret);
	if (is_hlt_above_ring_0(machine, ret)) {
		ret->kind = MACHINE_HLT;
	}
}

void machine_run(struct machine *machine, struct machine_stop *ret)
{
	struct hs_error err = { 0 };

	memset(ret, 0, sizeof(*ret));
	must(machine->config.ops->run(machine->backend, &ret->exit, &err), "run", &err);
	understand(machine, ret);
}

void machine_run_by_steps(struct machine *machine, struct machine_stop *ret)
{
	const struct hs_backend_ops *ops = machine->config.ops;
	const struct hs_debug_request step = { .step = true };
	const struct hs_debug_request nothing = { .step = false };
	struct hs_error err = { 0 };

	memset(ret, 0, sizeof(*ret));
	must(ops->set_debug(machine->backend, &step, &err), "set_debug", &err);
	do {
		must(ops->run(machine->backend, &ret->exit, &err), "run", &err);
	} while (ret->exit.kind == HS_EXIT_STEPPED);
	must(ops->set_debug(machine->backend, &nothing, &err), "set_debug", &err);
	understand(machine, ret);
}
