/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Model-specific registers and the counters. Time is counted: the time-stamp counter advances by one an instruction, so
 * that a run can be repeated exactly.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* Numbers of SDM vol. 4, chapter 2. */
#define MSR_TSC 0x10u
#define MSR_PLATFORM_ID 0x17u
#define MSR_APIC_BASE 0x1bu
#define MSR_BIOS_SIGN_ID 0x8bu
#define MSR_SYSENTER_CS 0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u
#define MSR_MCG_CAP 0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MISC_ENABLE 0x1a0u
#define MSR_DEBUGCTL 0x1d9u
#define MSR_PAT 0x277u
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_FMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

#define EFER_WRITABLE (HS_EFER_SCE | HS_EFER_LME | HS_EFER_NXE)
/* Fast strings; no branch trace and no PEBS. */
#define MISC_ENABLE_VALUE UINT64_C(0x1801)
/* The one performance counter there is. */
#define COUNTER_INSTRUCTIONS 0u

/* What a value must be to be written. */
enum rule { ANY, LOW_HALF, CANONICAL, PAT };

/* The registers that are but a place, and where it is. */
static uint64_t *place_of(struct hs_soft_cpu *cpu, uint32_t number, enum rule *ret_rule)
{
	const struct {
		uint32_t number;
		enum rule rule;
		uint64_t *place;
	} places[] = {
		{ MSR_SYSENTER_CS, ANY, &cpu->msr.sysenter_cs },
		{ MSR_SYSENTER_ESP, CANONICAL, &cpu->msr.sysenter_esp },
		{ MSR_SYSENTER_EIP, CANONICAL, &cpu->msr.sysenter_eip },
		{ MSR_PAT, PAT, &cpu->msr.pat },
		{ MSR_STAR, ANY, &cpu->msr.star },
		{ MSR_LSTAR, CANONICAL, &cpu->msr.lstar },
		{ MSR_CSTAR, CANONICAL, &cpu->msr.cstar },
		{ MSR_FMASK, LOW_HALF, &cpu->msr.fmask },
		{ MSR_FS_BASE, CANONICAL, &cpu->seg[HS_FS].base },
		{ MSR_GS_BASE, CANONICAL, &cpu->seg[HS_GS].base },
		{ MSR_KERNEL_GS_BASE, CANONICAL, &cpu->msr.kernel_gs_base },
		{ MSR_TSC_AUX, LOW_HALF, &cpu->msr.tsc_aux },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (places[i].number == number) {
			*ret_rule = places[i].rule;
			return places[i].place;
		}
	}
	return NULL;
}

static bool obeys(const struct hs_soft_cpu *cpu, enum rule rule, uint64_t value)
{
	switch (rule) {
	case LOW_HALF:
		return value >> 32 == 0;
	case CANONICAL:
		return hs_soft_canonical(cpu, value);
	case PAT:
		return hs_is_pat(value);
	default:
		return true;
	}
}

/* False: there is no such register. */
static bool read_msr(struct hs_soft_cpu *cpu, uint32_t number, uint64_t *ret)
{
	enum rule rule;
	const uint64_t *place = place_of(cpu, number, &rule);

	if (place) {
		*ret = *place;
		return true;
	}
	switch (number) {
	case MSR_TSC:
		*ret = cpu->msr.tsc + cpu->executed;
		return true;
	case MSR_APIC_BASE:
		*ret = cpu->msr.apic_base;
		return true;
	case MSR_EFER:
		*ret = cpu->msr.efer;
		return true;
	case MSR_MISC_ENABLE:
		*ret = MISC_ENABLE_VALUE;
		return true;
	case MSR_PLATFORM_ID:
	case MSR_BIOS_SIGN_ID:
	case MSR_MCG_CAP:
	case MSR_MCG_STATUS:
	case MSR_DEBUGCTL:
		*ret = 0;
		return true;
	default:
		return false;
	}
}

/* SDM vol. 3A 2.2.1: LME cannot change while paging is on; LMA is not software's. */
static bool write_efer(struct hs_soft_cpu *cpu, uint64_t value)
{
	uint64_t changed = (value ^ cpu->msr.efer) & EFER_WRITABLE;

	if ((value & ~(uint64_t)(EFER_WRITABLE | HS_EFER_LMA)) || ((changed & HS_EFER_LME) && cpu->paging)) {
		return false;
	}
	cpu->msr.efer ^= changed;
	if (changed) {
		hs_soft_flush(cpu);
		hs_soft_refresh(cpu);
	}
	return true;
}

/* False: nothing was written, and it is #GP. */
static bool write_msr(struct hs_soft_cpu *cpu, uint32_t number, uint64_t value)
{
	enum rule rule;
	uint64_t *place = place_of(cpu, number, &rule);

	if (place) {
		if (!obeys(cpu, rule, value)) {
			return false;
		}
		*place = value;
		if (number == MSR_FS_BASE || number == MSR_GS_BASE) {
			hs_soft_refresh(cpu);
		}
		return true;
	}
	switch (number) {
	case MSR_TSC:
		cpu->msr.tsc = value - cpu->executed;
		return true;
	case MSR_EFER:
		return write_efer(cpu, value);
	case MSR_BIOS_SIGN_ID:
	case MSR_MISC_ENABLE:
		return true; /* ignored: it is written on the way to reading a version, or to turn off what is off */
	case MSR_APIC_BASE:
		return value == cpu->msr.apic_base;
	case MSR_DEBUGCTL:
	case MSR_MCG_STATUS:
		return value == 0;
	default:
		return false;
	}
}

static void set_edx_eax(struct hs_soft_cpu *cpu, uint64_t value)
{
	cpu->r[HS_RAX] = (uint32_t)value;
	cpu->r[HS_RDX] = value >> 32;
}

static enum hs_soft_flow execute_rdmsr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	(void)op;
	if (cpu->cpl != 0 || !read_msr(cpu, (uint32_t)cpu->r[HS_RCX], &value)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	set_edx_eax(cpu, value);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_wrmsr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value = cpu->r[HS_RDX] << 32 | (uint32_t)cpu->r[HS_RAX];

	(void)op;
	if (cpu->cpl != 0 || !write_msr(cpu, (uint32_t)cpu->r[HS_RCX], value)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_rdtsc(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if (cpu->cpl != 0 && (cpu->cr4 & HS_CR4_TSD)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	set_edx_eax(cpu, cpu->msr.tsc + cpu->executed);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_rdtscp(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	enum hs_soft_flow flow = execute_rdtsc(cpu, op);

	if (flow == HS_SOFT_NEXT) {
		cpu->r[HS_RCX] = (uint32_t)cpu->msr.tsc_aux;
	}
	return flow;
}

static enum hs_soft_flow execute_rdpmc(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	if ((cpu->cpl != 0 && !(cpu->cr4 & HS_CR4_PCE)) || (uint32_t)cpu->r[HS_RCX] != COUNTER_INSTRUCTIONS) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	set_edx_eax(cpu, cpu->msr.tsc + cpu->executed);
	return HS_SOFT_NEXT;
}

bool hs_soft_select_msr(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_RDMSR:
		op->execute = execute_rdmsr;
		return true;
	case ZYDIS_MNEMONIC_WRMSR:
		op->execute = execute_wrmsr;
		return true;
	case ZYDIS_MNEMONIC_RDTSC:
		op->execute = execute_rdtsc;
		return true;
	case ZYDIS_MNEMONIC_RDTSCP:
		op->execute = execute_rdtscp;
		return true;
	case ZYDIS_MNEMONIC_RDPMC:
		op->execute = execute_rdpmc;
		return true;
	default:
		return false;
	}
}
