/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making the machine, and what is asked of it on every backend. */
#include "vmm/machine.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Tables: one large page that maps the first 2 or 4 MiB on themselves. */
#define TOP_TABLE 0x1000u
#define SECOND_TABLE 0x2000u
#define THIRD_TABLE 0x3000u
#define PRESENT_WRITE 3u
#define LARGE 0x80u

static void make_tables(uint8_t *memory, enum hs_paging_format format)
{
	if (format == HS_PAGING_32BIT) {
		hs_put_le32(memory + TOP_TABLE, LARGE | PRESENT_WRITE);
	} else if (format == HS_PAGING_PAE) {
		hs_put_le64(memory + TOP_TABLE, SECOND_TABLE | 1); /* a PDPTE has no W bit in PAE */
		hs_put_le64(memory + SECOND_TABLE, LARGE | PRESENT_WRITE);
	} else {
		hs_put_le64(memory + TOP_TABLE, SECOND_TABLE | PRESENT_WRITE);
		hs_put_le64(memory + SECOND_TABLE, THIRD_TABLE | PRESENT_WRITE);
		hs_put_le64(memory + THIRD_TABLE, LARGE | PRESENT_WRITE);
	}
}

static void make_state(struct hs_cpu_state *cpu, enum hs_paging_format format)
{
	bool is_long = format == HS_PAGING_4LEVEL;
	const struct hs_segment data = {
		.limit = 0xFFFFFFFF, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1
	};

	for (int i = 0; i < HS_TR; i++) {
		cpu->seg[i] = data;
	}
	cpu->seg[HS_CS] = data;
	cpu->seg[HS_CS].selector = 8;
	cpu->seg[HS_CS].type = 11;
	cpu->seg[HS_CS].l = is_long;
	cpu->seg[HS_CS].db = !is_long;
	/* VMX refuses to enter a guest without a busy TSS (SDM vol. 3C 26.3.1.2). */
	cpu->seg[HS_TR] = (struct hs_segment){ .limit = 0x67, .selector = 24, .type = 11, .present = 1 };
	cpu->seg[HS_LDTR] = (struct hs_segment){ .unusable = 1 };
	cpu->gdt = cpu->idt = (struct hs_dtable){ 0, 0 };
	cpu->cr0 = 0x80000031;                                             /* PG, NE, ET, PE */
	cpu->cr4 = is_long || format == HS_PAGING_PAE ? 1u << 5 : 1u << 4; /* PAE, or PSE */
	cpu->cr4 |= 1u << 9;                                               /* OSFXSR: SSE is allowed */
	cpu->msr.efer = is_long ? 0x500 : 0;                               /* LMA, LME */
	cpu->cr3 = TOP_TABLE;
	cpu->rip = HS_MACHINE_CODE;
	cpu->rflags = 2;
	cpu->gpr[HS_RSP] = HS_MACHINE_BYTES;
}

enum hs_status hs_machine_init(struct hs_machine *machine, const struct hs_backend_ops *ops,
			       enum hs_paging_format format, const uint8_t *code, size_t length, struct hs_error *err)
{
	struct hs_cpu_state cpu;
	enum hs_status st;
	void *memory = mmap(NULL, HS_MACHINE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot map the probe's memory");
	}
	*machine = (struct hs_machine){ .ops = ops, .memory = memory };
	memcpy(machine->memory + HS_MACHINE_CODE, code, length);
	make_tables(machine->memory, format);
	hs_cpu_state_init(&cpu);
	st = ops->create(&machine->backend, err);
	if (!st) {
		st = ops->map(machine->backend, hs_gpa_of(0), HS_MACHINE_BYTES, machine->memory, false, err);
	}
	if (!st) {
		st = ops->get_state(machine->backend, HS_STATE_CORE, &cpu, err);
	}
	if (!st) {
		make_state(&cpu, format);
		st = ops->set_state(machine->backend, HS_STATE_CORE, &cpu, err);
	}
	if (st) {
		hs_machine_deinit(machine);
	}
	return st;
}

void hs_machine_deinit(struct hs_machine *machine)
{
	machine->ops->destroy(machine->backend);
	machine->backend = NULL;
	munmap(machine->memory, HS_MACHINE_BYTES);
}

enum hs_status hs_machine_run(struct hs_machine *machine, struct hs_exit *ret_exit, struct hs_cpu_state *ret_cpu,
			      struct hs_error *err)
{
	enum hs_status st = machine->ops->run(machine->backend, ret_exit, err);

	return st ? st : machine->ops->get_state(machine->backend, HS_STATE_CORE, ret_cpu, err);
}

/* What hs_machine_try() runs; each part ends in a hlt. */
static const uint8_t trial_code[] = {
	0xFF, 0xC9, 0x75, 0xFC, 0xF4,             /* dec ecx; jnz -4; hlt */
	0x66, 0x0F, 0xEF, 0xC0, 0xB0, 0x2A, 0xF4, /* pxor xmm0, xmm0; mov al, 42; hlt */
};

#define TRIAL_LOOP HS_MACHINE_CODE
#define TRIAL_VECTORS (HS_MACHINE_CODE + 5)

/* Loops of so many rounds: the first two tell a CPU from KVM's emulator, the last one tells CPUs apart. What takes less
 * than QUICK_NS more than the first, or not twice its time, has told nothing: what a run costs besides varies. */
#define FEW_ROUNDS 4u
#define SOME_ROUNDS 36u
#define MANY_ROUNDS 4096u
#define QUICK_NS 20000.0

/* Run from rip with ecx to the next exit. */
static bool run_from(struct hs_machine *machine, uint64_t rip, uint64_t rounds, struct hs_exit *ret_exit,
		     struct hs_cpu_state *ret_cpu)
{
	struct hs_cpu_state cpu;

	hs_cpu_state_init(&cpu);
	if (machine->ops->get_state(machine->backend, HS_STATE_CORE, &cpu, NULL)) {
		return false;
	}
	cpu.rip = rip;
	cpu.gpr[HS_RCX] = rounds;
	cpu.gpr[HS_RAX] = 0;
	return !machine->ops->set_state(machine->backend, HS_STATE_CORE, &cpu, NULL) &&
	       !hs_machine_run(machine, ret_exit, ret_cpu, NULL);
}

/* The time of 2 * rounds instructions and of what a run costs besides: the least of three, because what runs beside us
 * can only make it slower. */
static bool time_loop(struct hs_machine *machine, unsigned int rounds, double *ret_ns)
{
	double best = 0;

	for (int i = 0; i < 3; i++) {
		uint64_t start = hs_now_ns();
		struct hs_cpu_state cpu;
		struct hs_exit exit;
		double ns;

		if (!run_from(machine, TRIAL_LOOP, rounds, &exit, &cpu) || exit.kind != HS_EXIT_HLT ||
		    (uint32_t)cpu.gpr[HS_RCX] != 0) {
			return false;
		}
		ns = (double)(hs_now_ns() - start);
		best = i == 0 || ns < best ? ns : best;
	}
	*ret_ns = best;
	return true;
}

/* The difference of two lengths, because a run costs something besides. */
static double measure(struct hs_machine *machine)
{
	unsigned int rounds = SOME_ROUNDS;
	double few_ns;
	double ns;

	if (!time_loop(machine, FEW_ROUNDS, &few_ns) || !time_loop(machine, rounds, &ns)) {
		return 0;
	}
	if (ns < few_ns + QUICK_NS || ns < 2 * few_ns) {
		rounds = MANY_ROUNDS;
		if (!time_loop(machine, rounds, &ns)) {
			return 0;
		}
	}
	ns = (ns - few_ns) / (2.0 * (rounds - FEW_ROUNDS));
	return ns < 0.1 ? 0.1 : ns;
}

static enum hs_answer answer_of(bool yes)
{
	return yes ? HS_ANSWER_YES : HS_ANSWER_NO;
}

void hs_machine_try(const struct hs_backend_ops *ops, enum hs_paging_format format, double enough_ns,
		    struct hs_trial *ret)
{
	struct hs_machine machine;
	struct hs_cpu_state cpu;
	struct hs_exit exit;
	enum hs_status st = hs_machine_init(&machine, ops, format, trial_code, sizeof(trial_code), NULL);

	*ret = (struct hs_trial){ .paging = HS_ANSWER_UNKNOWN };
	if (st) {
		/* A mode may be refused; a backend that is not there has said nothing about it. */
		if (st != HS_ERR_PERMISSION && st != HS_ERR_NOT_FOUND) {
			ret->paging = HS_ANSWER_NO;
		}
		return;
	}
	/* kvm_pvm drops CR0.PG in the modes that it lacks and then shuts down. */
	ret->paging = answer_of(run_from(&machine, TRIAL_LOOP, 1, &exit, &cpu) && exit.kind == HS_EXIT_HLT &&
				cpu.gpr[HS_RCX] == 0 && (cpu.cr0 >> 31) == 1);
	if (ret->paging == HS_ANSWER_YES) {
		ret->ns_per_instruction = measure(&machine);
	}
	if (ret->paging == HS_ANSWER_YES && ret->ns_per_instruction <= enough_ns) {
		ret->vectors = answer_of(run_from(&machine, TRIAL_VECTORS, 0, &exit, &cpu) &&
					 exit.kind == HS_EXIT_HLT && cpu.gpr[HS_RAX] == 42);
	}
	hs_machine_deinit(&machine);
}
