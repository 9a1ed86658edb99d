/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports: in, out, ins, outs. Each access is an exit. An out is done when it leaves; whatever has something left to do
 * (in its value, a string instruction its registers) is at its own address until the next run finishes it.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/segment.h"
#include "vmm/soft/select.h"

/* Where a TSS says at which offset its I/O permission bit map begins (SDM vol. 3A figures 7-2 and 7-11). */
#define TSS_MAP_BASE 102u

/* op->aux of the string instructions. */
enum { OUTS, INS };

/* SDM vol. 1 19.5.2: a set bit for one of the ports, and a map that ends before it, forbid. */
static bool map_allows(struct hs_soft_cpu *cpu, uint16_t port, unsigned int bytes)
{
	const struct hs_segment *tr = &cpu->seg[HS_TR];
	uint16_t base, bits;

	if (tr->unusable || !tr->present || !(tr->type & HS_SOFT_TYPE_32) || tr->limit < TSS_MAP_BASE + 1) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	if (!hs_soft_linear_load(cpu, HS_SOFT_SUPERVISOR, hs_soft_system_gva(cpu, tr->base, TSS_MAP_BASE), sizeof(base),
				 &base)) {
		return false;
	}
	/* The CPU always reads two bytes, so that a map ends in one that is all ones. */
	if ((uint32_t)base + port / 8u + 1 > tr->limit) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	if (!hs_soft_linear_load(cpu, HS_SOFT_SUPERVISOR, hs_soft_system_gva(cpu, tr->base, (uint64_t)base + port / 8u),
				 sizeof(bits), &bits)) {
		return false;
	}
	if (bits >> port % 8 & ((1u << bytes) - 1)) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	return true;
}

static bool may_access(struct hs_soft_cpu *cpu, uint16_t port, unsigned int bytes)
{
	return cpu->cpl <= (cpu->rflags & HS_FLAG_IOPL) >> 12 || !(cpu->cr0 & HS_CR0_PE) ||
	       map_allows(cpu, port, bytes);
}

static void leave(struct hs_soft_cpu *cpu, enum hs_exit_kind kind, uint16_t port, unsigned int bytes)
{
	hs_soft_port_touched(cpu, port, bytes);
	hs_soft_leave(cpu, kind);
	cpu->exit.port = port;
	cpu->exit.size = (uint8_t)bytes;
	cpu->exit.insn_rip = cpu->r[HS_SOFT_RIP];
	cpu->exit.insn_rip_known = true;
}

static uint16_t port_of(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i)
{
	return op->operand[i].kind == HS_SOFT_IMMEDIATE ? (uint8_t)op->immediate : (uint16_t)cpu->r[HS_RDX];
}

static enum hs_soft_flow execute_in(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint16_t port = port_of(cpu, op, 1);
	uint8_t bytes = op->operand[0].bytes;

	if (!may_access(cpu, port, bytes)) {
		return HS_SOFT_FAULT;
	}
	cpu->pending_in = (struct hs_soft_pending_in){
		.active = true,
		.to = HS_SOFT_IN_TO_RAX,
		.bytes = bytes,
		.rip = hs_soft_next_rip(cpu, op),
	};
	leave(cpu, HS_EXIT_PORT_IN, port, bytes);
	return HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_out(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint16_t port = port_of(cpu, op, 0);
	uint8_t bytes = op->operand[1].bytes;

	if (!may_access(cpu, port, bytes)) {
		return HS_SOFT_FAULT;
	}
	leave(cpu, HS_EXIT_PORT_OUT, port, bytes);
	cpu->exit.data = (uint32_t)hs_soft_reg(cpu, HS_RAX, bytes);
	cpu->r[HS_SOFT_RIP] = hs_soft_next_rip(cpu, op);
	return HS_SOFT_EXIT;
}

/* A register as wide as addresses are, moved by delta, as a write to it would leave it. */
static uint64_t moved(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int reg, uint64_t delta)
{
	uint64_t before = cpu->r[reg];
	uint64_t after;

	hs_soft_set_reg(cpu, reg, op->address_bits / 8, before + delta);
	after = cpu->r[reg];
	cpu->r[reg] = before;
	return after;
}

/* What is left of one iteration for the time behind its exit. */
static struct hs_soft_pending_in rest_of(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t delta = cpu->rflags & HS_FLAG_DF ? -(uint64_t)bytes : bytes;
	unsigned int pointer = op->aux == INS ? HS_RDI : HS_RSI;
	bool repeats = op->prefixes & (HS_SOFT_REP | HS_SOFT_REPNE);
	bool last = !repeats || hs_soft_reg(cpu, HS_RCX, op->address_bits / 8) == 1;

	return (struct hs_soft_pending_in){
		.active = true,
		.to = op->aux == INS ? HS_SOFT_IN_TO_MEMORY : HS_SOFT_IN_TO_NOTHING,
		.bytes = (uint8_t)bytes,
		.is_string = true,
		.pointer = (uint8_t)pointer,
		.moved = moved(cpu, op, pointer, delta),
		.rcx = repeats ? moved(cpu, op, HS_RCX, UINT64_MAX) : cpu->r[HS_RCX],
		.rip = last ? hs_soft_next_rip(cpu, op) : cpu->r[HS_SOFT_RIP],
	};
}

/* ins and outs: the memory operand is checked, or read, before the port sees anything. */
static enum hs_soft_flow execute_string(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->bytes < 4 ? op->bytes : 4;
	unsigned int address_bytes = op->address_bits / 8;
	uint16_t port = (uint16_t)cpu->r[HS_RDX];
	struct hs_soft_pending_in rest;
	uint64_t data = 0;

	if ((op->prefixes & (HS_SOFT_REP | HS_SOFT_REPNE)) && hs_soft_reg(cpu, HS_RCX, address_bytes) == 0) {
		return HS_SOFT_NEXT;
	}
	if (!may_access(cpu, port, bytes)) {
		return HS_SOFT_FAULT;
	}
	rest = rest_of(cpu, op, bytes);
	if (op->aux == INS) {
		uint64_t offset = hs_soft_reg(cpu, HS_RDI, address_bytes);

		if (!hs_soft_linear(cpu, HS_ES, offset, bytes, HS_PROT_WRITE, &rest.linear) ||
		    !hs_soft_linear_check(cpu, cpu->space, rest.linear, bytes, HS_PROT_WRITE)) {
			return HS_SOFT_FAULT;
		}
	} else if (!hs_soft_load(cpu, op->segment, hs_soft_reg(cpu, HS_RSI, address_bytes), bytes, &data)) {
		return HS_SOFT_FAULT;
	}
	cpu->pending_in = rest;
	leave(cpu, op->aux == INS ? HS_EXIT_PORT_IN : HS_EXIT_PORT_OUT, port, bytes);
	cpu->exit.data = (uint32_t)data;
	return HS_SOFT_FAULT;
}

void hs_soft_finish_in(struct hs_soft_cpu *cpu)
{
	struct hs_soft_pending_in *in = &cpu->pending_in;
	uint64_t rflags = cpu->rflags;
	bool repeats = in->rip == cpu->r[HS_SOFT_RIP];

	if (!in->active) {
		return;
	}
	in->active = false;
	cpu->shadow = false;
	cpu->tf_has_told = false;
	cpu->rflags &= ~(uint64_t)HS_FLAG_RF;
	if (in->to == HS_SOFT_IN_TO_MEMORY) {
		/* It was checked before the exit; a host that has changed the tables since loses the value. */
		(void)!hs_soft_linear_store(cpu, cpu->space, in->linear, in->bytes, &in->value);
	} else if (in->to == HS_SOFT_IN_TO_RAX) {
		hs_soft_set_reg(cpu, HS_RAX, in->bytes, in->value);
	}
	if (in->is_string) {
		cpu->r[in->pointer] = in->moved;
		cpu->r[HS_RCX] = in->rcx;
	}
	cpu->r[HS_SOFT_RIP] = in->rip;
	cpu->executed++;
	hs_soft_behind(cpu, rflags, repeats);
}

bool hs_soft_select_port(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_IN:
		op->execute = execute_in;
		return true;
	case ZYDIS_MNEMONIC_OUT:
		op->execute = execute_out;
		return true;
	case ZYDIS_MNEMONIC_INSB:
	case ZYDIS_MNEMONIC_INSW:
	case ZYDIS_MNEMONIC_INSD:
		op->execute = execute_string;
		op->aux = INS;
		return true;
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD:
		op->execute = execute_string;
		op->aux = OUTS;
		return true;
	default:
		return false;
	}
}
