/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * syscall, sysret, sysenter, sysexit (SDM vol. 3A 5.8.7, 5.8.8): to flat segments that no descriptor is read for.
 *
 * As the SDM has it: syscall and sysret outside 64-bit mode are #UD, sysenter and sysexit work in all modes.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/segment.h"
#include "vmm/soft/select.h"

/* IA32_STAR: selectors of syscall in 47:32, of sysret in 63:48. */
#define STAR_SYSCALL(star) ((uint16_t)((star) >> 32))
#define STAR_SYSRET(star) ((uint16_t)((star) >> 48))

/* What sysret takes from R11 (SDM vol. 2B): not RF, not VM, nothing reserved. */
#define SYSRET_FLAGS 0x3c7fd7u
#define FLAGS_ALWAYS 2u

/* A segment of 4 GiB. */
static struct hs_segment flat(uint16_t selector, unsigned int dpl, uint8_t type, bool is_64)
{
	return (struct hs_segment){
		.selector = (uint16_t)((selector & ~HS_SELECTOR_RPL) | dpl),
		.limit = 0xffffffff,
		.type = type,
		.present = 1,
		.dpl = (uint8_t)dpl,
		.s = 1,
		.g = 1,
		.l = is_64,
		.db = !is_64,
	};
}

/* Code at `code` and the stack of the next descriptor but one or so, and there. */
static enum hs_soft_flow enter(struct hs_soft_cpu *cpu, uint16_t code, uint16_t stack, unsigned int cpl, bool is_64)
{
	cpu->seg[HS_CS] = flat(code, cpl, HS_DESCRIPTOR_CODE | HS_DESCRIPTOR_WRITABLE | HS_DESCRIPTOR_ACCESSED, is_64);
	cpu->seg[HS_SS] = flat(stack, cpl, HS_DESCRIPTOR_WRITABLE | HS_DESCRIPTOR_ACCESSED, false);
	cpu->cpl = (uint8_t)cpl;
	hs_soft_refresh(cpu);
	return HS_SOFT_BRANCH;
}

static bool has_syscall(const struct hs_soft_cpu *cpu)
{
	return cpu->mode == HS_SOFT_MODE_64 && (cpu->msr.efer & HS_EFER_SCE);
}

static enum hs_soft_flow execute_syscall(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint16_t code = STAR_SYSCALL(cpu->msr.star) & ~HS_SELECTOR_RPL;

	if (!has_syscall(cpu)) {
		return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
	}
	if (!hs_soft_can_go(cpu, cpu->msr.lstar)) {
		return HS_SOFT_FAULT;
	}
	cpu->r[HS_RCX] = hs_soft_next_rip(cpu, op);
	cpu->r[HS_R11] = hs_soft_rflags(cpu);
	hs_soft_set_rflags(cpu, (cpu->r[HS_R11] & ~cpu->msr.fmask & ~(uint64_t)HS_FLAG_RF) | FLAGS_ALWAYS);
	hs_soft_trap_by_new_tf(cpu);
	cpu->r[HS_SOFT_RIP] = cpu->msr.lstar;
	hs_soft_trap_by_new_tf(cpu);
	return enter(cpu, code, (uint16_t)(code + 8), 0, true);
}

static enum hs_soft_flow execute_sysret(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint16_t base = STAR_SYSRET(cpu->msr.star);
	bool is_64 = op->bytes == 8;

	if (!has_syscall(cpu)) {
		return hs_soft_raise(cpu, HS_VECTOR_UD, 0);
	}
	if (cpu->cpl != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	if (is_64 && !hs_soft_can_go(cpu, cpu->r[HS_RCX])) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_rflags(cpu, (cpu->r[HS_R11] & SYSRET_FLAGS) | FLAGS_ALWAYS);
	hs_soft_trap_by_new_tf(cpu);
	cpu->r[HS_SOFT_RIP] = is_64 ? cpu->r[HS_RCX] : (uint32_t)cpu->r[HS_RCX];
	hs_soft_trap_by_new_tf(cpu);
	return enter(cpu, (uint16_t)(is_64 ? base + 16 : base), (uint16_t)(base + 8), 3, is_64);
}

static bool has_sysenter(struct hs_soft_cpu *cpu)
{
	bool has = (cpu->cr0 & HS_CR0_PE) && !hs_soft_is_null((uint16_t)cpu->msr.sysenter_cs);

	if (!has) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return has;
}

static enum hs_soft_flow execute_sysenter(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint16_t code = (uint16_t)cpu->msr.sysenter_cs & ~HS_SELECTOR_RPL;
	uint64_t mask = cpu->long_mode ? UINT64_MAX : 0xffffffff;

	(void)op;
	if (!has_sysenter(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (cpu->long_mode && !hs_soft_canonical(cpu, cpu->msr.sysenter_eip)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	cpu->rflags &= ~(uint64_t)(HS_FLAG_VM | HS_FLAG_IF);
	cpu->r[HS_RSP] = cpu->msr.sysenter_esp & mask;
	cpu->r[HS_SOFT_RIP] = cpu->msr.sysenter_eip & mask;
	return enter(cpu, code, (uint16_t)(code + 8), 0, cpu->long_mode);
}

static enum hs_soft_flow execute_sysexit(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	bool is_64 = op->bytes == 8;
	uint16_t code = (uint16_t)(cpu->msr.sysenter_cs + (is_64 ? 32 : 16));
	uint64_t mask = is_64 ? UINT64_MAX : 0xffffffff;

	if (!has_sysenter(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (cpu->cpl != 0 ||
	    (is_64 && !(hs_soft_canonical(cpu, cpu->r[HS_RCX]) && hs_soft_canonical(cpu, cpu->r[HS_RDX])))) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	cpu->r[HS_RSP] = cpu->r[HS_RCX] & mask;
	cpu->r[HS_SOFT_RIP] = cpu->r[HS_RDX] & mask;
	return enter(cpu, code, (uint16_t)(code + 8), 3, is_64);
}

static const struct {
	ZydisMnemonic mnemonic;
	enum hs_soft_flow (*execute)(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
} rows[] = {
	{ ZYDIS_MNEMONIC_SYSCALL, execute_syscall },
	{ ZYDIS_MNEMONIC_SYSENTER, execute_sysenter },
	{ ZYDIS_MNEMONIC_SYSEXIT, execute_sysexit },
	{ ZYDIS_MNEMONIC_SYSRET, execute_sysret },
};

bool hs_soft_select_syscall(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].mnemonic == decoded->insn.mnemonic) {
			op->execute = rows[i].execute;
			op->prefixes |= HS_SOFT_ENDS;
			return true;
		}
	}
	return false;
}
