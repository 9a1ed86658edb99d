/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest's own debugging: DR0-3, the single-step trap of TF, RF, the shadow of mov ss (SDM vol. 3B 17.2, 17.3; vol.
 * 3A 6.8.3).
 *
 * A breakpoint on an instruction is a fault before it. Everything else is a trap behind the instruction: its bits of
 * DR6 are collected in cpu->trap_dr6 and come as one #DB.
 */
#include "vmm/soft/cpu.h"

#include "arch/exception.h"
#include "base/arith.h"

#include <hindsight/types.h>

#define REGISTERS 4u
#define DR6_B 0xfu

/* R/W fields of DR7. */
enum condition { ON_EXECUTION, ON_WRITE, ON_PORT, ON_ACCESS };

/* One of DR0-3 with its fields of DR7. */
struct debug_register {
	bool enabled;
	enum condition condition;
	uint64_t start, length; /* the low bits of an address do not count */
};

static struct debug_register register_of(const struct hs_soft_cpu *cpu, unsigned int i)
{
	static const uint8_t lengths[] = { 1, 2, 8, 4 };
	uint64_t length = lengths[cpu->dr[7] >> (18 + 4 * i) & 3];

	return (struct debug_register){
		.enabled = cpu->dr[7] >> (2 * i) & 3,
		.condition = (enum condition)(cpu->dr[7] >> (16 + 4 * i) & 3),
		.start = cpu->dr[i] & ~(length - 1),
		.length = length,
	};
}

uint64_t hs_soft_registers_watch(const struct hs_soft_cpu *cpu, uint64_t gva, uint64_t length, int prot)
{
	uint64_t dr6 = 0;

	if (!(cpu->dr[7] & 0xff)) {
		return 0;
	}
	for (unsigned int i = 0; i < REGISTERS; i++) {
		struct debug_register reg = register_of(cpu, i);
		bool wanted = reg.condition == ON_ACCESS || (reg.condition == ON_WRITE && (prot & HS_PROT_WRITE));

		if (reg.enabled && wanted && hs_ranges_overlap(reg.start, reg.length, gva, length)) {
			dr6 |= 1u << i;
		}
	}
	return dr6;
}

void hs_soft_port_touched(struct hs_soft_cpu *cpu, uint16_t port, unsigned int bytes)
{
	if (!(cpu->cr4 & HS_CR4_DE)) {
		return;
	}
	for (unsigned int i = 0; i < REGISTERS; i++) {
		struct debug_register reg = register_of(cpu, i);

		if (reg.enabled && reg.condition == ON_PORT && hs_ranges_overlap(reg.start, reg.length, port, bytes)) {
			cpu->trap_dr6 |= 1u << i;
			hs_soft_attend(cpu, HS_SOFT_TRAP);
		}
	}
}

/* Which of DR0-3 want the execution of what is at gva. */
static uint64_t breaks_at(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	uint64_t dr6 = 0;

	for (unsigned int i = 0; i < REGISTERS; i++) {
		struct debug_register reg = register_of(cpu, i);

		if (reg.enabled && reg.condition == ON_EXECUTION && cpu->dr[i] == gva) {
			dr6 |= 1u << i;
		}
	}
	return dr6;
}

static bool has_breaks(const struct hs_soft_cpu *cpu)
{
	if (!(cpu->dr[7] & 0xff)) {
		return false;
	}
	for (unsigned int i = 0; i < REGISTERS; i++) {
		struct debug_register reg = register_of(cpu, i);

		if (reg.enabled && reg.condition == ON_EXECUTION) {
			return true;
		}
	}
	return false;
}

bool hs_soft_wants_care(const struct hs_soft_cpu *cpu)
{
	return (cpu->rflags & (HS_FLAG_TF | HS_FLAG_RF)) || cpu->shadow || has_breaks(cpu);
}

bool hs_soft_before(struct hs_soft_cpu *cpu)
{
	uint64_t gva = (cpu->seg_base[HS_CS] + cpu->r[HS_SOFT_RIP]) & cpu->linear_mask;
	uint64_t dr6;

	/* Between two iterations nobody has come to the instruction. */
	if (hs_soft_is_break(cpu, gva) && cpu->repeat_at != cpu->executed) {
		hs_soft_leave(cpu, HS_EXIT_BREAK);
		return false;
	}
	if (cpu->shadow || (cpu->rflags & HS_FLAG_RF) || !(cpu->dr[7] & 0xff)) {
		return true;
	}
	dr6 = breaks_at(cpu, gva);
	if (dr6) {
		hs_soft_raise_db(cpu, dr6);
	}
	return !dr6;
}

void hs_soft_behind(struct hs_soft_cpu *cpu, uint64_t rflags, bool repeats)
{
	if ((rflags & HS_FLAG_TF) && !cpu->shadow && !cpu->tf_has_told) {
		cpu->trap_dr6 |= HS_DR6_BS;
	}
	if (repeats) {
		/* The rest of it is not stopped at again (SDM vol. 3B 17.3.1.1). */
		cpu->rflags |= cpu->trap_dr6 ? HS_FLAG_RF : rflags & HS_FLAG_RF;
		cpu->repeat_at = cpu->executed;
	}
	if (cpu->trap_dr6) {
		hs_soft_attend(cpu, HS_SOFT_TRAP);
	}
	if (cpu->careful && !hs_soft_wants_care(cpu)) {
		hs_soft_refresh(cpu);
	}
}

void hs_soft_trap_by_new_tf(struct hs_soft_cpu *cpu)
{
	cpu->tf_has_told = true;
	if (cpu->rflags & HS_FLAG_TF) {
		cpu->trap_dr6 |= HS_DR6_BS;
		hs_soft_attend(cpu, HS_SOFT_TRAP);
	}
}

enum hs_soft_flow hs_soft_raise_db(struct hs_soft_cpu *cpu, uint64_t dr6)
{
	/* B0-3 go and the rest stays, as SDM vol. 3B 17.2.3 allows; GD is cleared on the way to the handler. */
	cpu->dr[6] = (cpu->dr[6] & ~(uint64_t)DR6_B) | dr6;
	cpu->dr[7] &= ~(uint64_t)HS_DR7_GD;
	return hs_soft_raise(cpu, HS_VECTOR_DB, 0);
}

bool hs_soft_deliver_trap(struct hs_soft_cpu *cpu)
{
	uint64_t dr6 = cpu->trap_dr6;

	cpu->trap_dr6 = 0;
	hs_soft_raise_db(cpu, dr6);
	return hs_soft_deliver(cpu);
}

void hs_soft_debug_registers_changed(struct hs_soft_cpu *cpu)
{
	hs_soft_flush(cpu); /* pages that are watched now may be known */
	hs_soft_refresh(cpu);
}
