/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exchange under a condition: xadd, cmpxchg, cmpxchg8b, cmpxchg16b. One CPU needs no lock; the memory operand is
 * written in any case, and so faults as a write does (SDM vol. 2A, CMPXCHG).
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

static enum hs_soft_flow execute_xadd(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	uint64_t destination, source, sum;

	if (!hs_soft_get_rw(cpu, op, 0, &destination) || !hs_soft_get(cpu, op, 1, &source)) {
		return HS_SOFT_FAULT;
	}
	sum = destination + source;
	hs_soft_flags_add(cpu, destination, source, sum, bytes);
	if (op->operand[0].kind == HS_SOFT_MEMORY) {
		/* First, as the source may be part of the address. */
		hs_soft_put(cpu, op, 0, sum);
		hs_soft_put(cpu, op, 1, destination);
	} else {
		/* Last, as both may be one register, which then has the sum. */
		hs_soft_put(cpu, op, 1, destination);
		hs_soft_put(cpu, op, 0, sum);
	}
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_cmpxchg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	uint64_t accumulator = hs_soft_reg(cpu, HS_RAX, bytes);
	uint64_t destination, source;
	bool equal;

	if (!hs_soft_get_rw(cpu, op, 0, &destination) || !hs_soft_get(cpu, op, 1, &source)) {
		return HS_SOFT_FAULT;
	}
	equal = accumulator == destination;
	hs_soft_flags_sub(cpu, accumulator, destination, accumulator - destination, bytes);
	/* Before rax, which may be part of the address. A register that is not equal stays, its upper half included. */
	if (equal || op->operand[0].kind == HS_SOFT_MEMORY) {
		hs_soft_put(cpu, op, 0, equal ? source : destination);
	}
	if (!equal) {
		hs_soft_set_reg(cpu, HS_RAX, bytes, destination);
	}
	return HS_SOFT_NEXT;
}

/* ---- cmpxchg8b and cmpxchg16b: the pairs d:a and c:b against twice `bytes` of memory; only ZF changes ---- */

static void set_equal(struct hs_soft_cpu *cpu, bool equal)
{
	hs_soft_change_flags(cpu, HS_FLAG_ZF, equal ? HS_FLAG_ZF : 0);
}

static enum hs_soft_flow execute_cmpxchg8b(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t expected = cpu->r[HS_RDX] << 32 | (uint32_t)cpu->r[HS_RAX];
	uint64_t replacement = cpu->r[HS_RCX] << 32 | (uint32_t)cpu->r[HS_RBX];
	uint64_t value;

	if (!hs_soft_get_rw(cpu, op, 0, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_put(cpu, op, 0, value == expected ? replacement : value);
	if (value != expected) {
		hs_soft_set_reg(cpu, HS_RAX, 4, value);
		hs_soft_set_reg(cpu, HS_RDX, 4, value >> 32);
	}
	set_equal(cpu, value == expected);
	return HS_SOFT_NEXT;
}

/* 16 bytes at an address that must be a multiple of 16: #GP(0) otherwise, before the page is looked at. */
static enum hs_soft_flow execute_cmpxchg16b(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const int prot = HS_PROT_READ | HS_PROT_WRITE;
	uint64_t value[2], replacement[2] = { cpu->r[HS_RBX], cpu->r[HS_RCX] };
	uint64_t gva;
	bool equal;

	if (!hs_soft_linear(cpu, op->segment, hs_soft_ea(cpu, op), sizeof(value), prot, &gva)) {
		return HS_SOFT_FAULT;
	}
	if (gva % sizeof(value) != 0) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	if (!hs_soft_linear_check(cpu, cpu->space, gva, sizeof(value), prot) ||
	    !hs_soft_linear_load(cpu, cpu->space, gva, sizeof(value), value)) {
		return HS_SOFT_FAULT;
	}
	equal = value[0] == cpu->r[HS_RAX] && value[1] == cpu->r[HS_RDX];
	(void)!hs_soft_linear_store(cpu, cpu->space, gva, sizeof(value), equal ? replacement : value);
	if (!equal) {
		cpu->r[HS_RAX] = value[0];
		cpu->r[HS_RDX] = value[1];
	}
	set_equal(cpu, equal);
	return HS_SOFT_NEXT;
}

bool hs_soft_select_atomic(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_XADD:
		op->execute = execute_xadd;
		return true;
	case ZYDIS_MNEMONIC_CMPXCHG:
		op->execute = execute_cmpxchg;
		return true;
	case ZYDIS_MNEMONIC_CMPXCHG8B:
		op->execute = execute_cmpxchg8b;
		return true;
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		op->execute = execute_cmpxchg16b;
		return true;
	default:
		return false;
	}
}
