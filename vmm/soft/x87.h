/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x87: its instructions run as they are, on the registers of the host's x87, which nothing else in this process uses
 * while a guest runs. The first one of a run brings the guest's state there (live); whoever reads or writes it in
 * cpu->xsave, and the end of the run, brings it back (parked). An exception that the guest does not mask becomes
 * pending there as on any CPU, and the host never learns of it: before each instruction that would report it, it is
 * looked for, and while one pends none of them is executed natively.
 *
 * The pointers to the last instruction and its operand are always in cpu->xsave: the host's would be of this process.
 */
#ifndef HS_SOFT_X87_H
#define HS_SOFT_X87_H

#include "vmm/soft/cpu.h"

#include "arch/exception.h"

/* Bits of the status word (SDM vol. 1 8.1.3); the control word masks the exceptions in the same places. */
#define HS_FSW_INVALID 0x1u
#define HS_FSW_OVERFLOW 0x8u
#define HS_FSW_UNDERFLOW 0x10u
#define HS_FSW_EXCEPTIONS 0x3fu
#define HS_FSW_STACK_FAULT 0x40u
#define HS_FSW_ES 0x80u
#define HS_FSW_B 0x8000u

/** The last opcode has 11 bits. */
#define HS_FOP_MASK 0x7ffu

/** The registers, and the bytes of one in memory. */
#define HS_X87_REGISTERS 8u
#define HS_X87_REGISTER_BYTES 10u

/** Bring the state into the host's registers, or back. */
void hs_soft_x87_go_live(struct hs_soft_cpu *cpu);
void hs_soft_x87_fetch(struct hs_soft_cpu *cpu);

static inline void hs_soft_x87_enter(struct hs_soft_cpu *cpu)
{
	if (HS_SOFT_UNLIKELY(!cpu->x87.live)) {
		hs_soft_x87_go_live(cpu);
	}
}

/** Before anything looks at, or changes, the x87 part of cpu->xsave. */
static inline void hs_soft_x87_park(struct hs_soft_cpu *cpu)
{
	if (HS_SOFT_UNLIKELY(cpu->x87.live)) {
		hs_soft_x87_fetch(cpu);
	}
}

/** The host has just initialised the live state by FNINIT or FNSAVE: so the pointers. */
void hs_soft_x87_initialised(struct hs_soft_cpu *cpu);

/** Set control and status word of the parked state as the CPU would have them: only bits that exist, and ES and B as
 *  the exceptions say (SDM vol. 1 8.1.3.3). */
void hs_soft_x87_put_words(struct hs_soft_cpu *cpu, unsigned int control, unsigned int status);

/** Whether x87 instructions may be executed now: else #NM is raised. */
static inline bool hs_soft_x87_usable(struct hs_soft_cpu *cpu)
{
	if (HS_SOFT_UNLIKELY(cpu->cr0 & (HS_CR0_EM | HS_CR0_TS))) {
		hs_soft_raise(cpu, HS_VECTOR_NM, 0);
		return false;
	}
	return true;
}

/** What instructions that wait do first, the state being live: report a pending exception. Without CR0.NE it would go
 *  to a PIC: nowhere. */
static inline bool hs_soft_x87_waited(struct hs_soft_cpu *cpu)
{
	if (HS_SOFT_UNLIKELY(cpu->x87.pending) && (cpu->cr0 & HS_CR0_NE)) {
		hs_soft_raise(cpu, HS_VECTOR_MF, 0);
		return false;
	}
	return true;
}

static inline unsigned int hs_soft_x87_status(void)
{
	uint16_t status;

	__asm__ volatile("fnstsw %0" : "=m"(status));
	return status;
}

static inline unsigned int hs_soft_x87_control(void)
{
	uint16_t control;

	__asm__ volatile("fnstcw %0" : "=m"(control));
	return control;
}

/** The control word, and maybe more, was loaded into the live state. */
static inline void hs_soft_x87_loaded(struct hs_soft_cpu *cpu)
{
	cpu->x87.unmasked = (hs_soft_x87_control() & HS_FSW_EXCEPTIONS) != HS_FSW_EXCEPTIONS;
	cpu->x87.pending = cpu->x87.unmasked && (hs_soft_x87_status() & HS_FSW_ES);
}

#endif
