/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data movement that changes no flags: mov, movzx, movsx, movsxd, movnti, movbe, lea, xchg, xlat, bswap, cmovcc, setcc;
 * and what moves nothing: nop, pause, fences, prefetches, cache line hints.
 *
 * mov from and to segment, control and debug registers belongs to others.
 */
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* ---- mov ---- */

HS_SOFT_LAST_RESORT execute_mov(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value) || !hs_soft_put(cpu, op, 0, value)) {
		return HS_SOFT_FAULT;
	}
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow move(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, enum hs_soft_form form,
				      unsigned int bytes)
{
	uint64_t value;

	if (form == HS_SOFT_REG_REG || form == HS_SOFT_MEM_REG) {
		value = cpu->r[op->operand[1].reg];
	} else if (form == HS_SOFT_REG_IMM || form == HS_SOFT_MEM_IMM) {
		value = op->immediate;
	} else if (!hs_soft_load_quickly(cpu, op->segment, hs_soft_ea(cpu, op), bytes, &value)) {
		return execute_mov(cpu, op);
	}
	if (form == HS_SOFT_REG_REG || form == HS_SOFT_REG_IMM || form == HS_SOFT_REG_MEM) {
		hs_soft_set_reg(cpu, op->operand[0].reg, bytes, value);
	} else if (!hs_soft_store_quickly(cpu, op->segment, hs_soft_ea(cpu, op), bytes, value)) {
		return execute_mov(cpu, op);
	}
	return HS_SOFT_NEXT;
}

#define MOVES(bytes)                                                                                                   \
	HS_SOFT_HANDLER(mov_reg_reg_##bytes, move(cpu, op, HS_SOFT_REG_REG, bytes))                                    \
	HS_SOFT_HANDLER(mov_reg_imm_##bytes, move(cpu, op, HS_SOFT_REG_IMM, bytes))                                    \
	HS_SOFT_HANDLER(mov_reg_mem_##bytes, move(cpu, op, HS_SOFT_REG_MEM, bytes))                                    \
	HS_SOFT_HANDLER(mov_mem_reg_##bytes, move(cpu, op, HS_SOFT_MEM_REG, bytes))                                    \
	HS_SOFT_HANDLER(mov_mem_imm_##bytes, move(cpu, op, HS_SOFT_MEM_IMM, bytes))

MOVES(1)
MOVES(4)
MOVES(8)

static bool is_plain(const struct hs_soft_operand *operand)
{
	return operand->kind == HS_SOFT_GPR || operand->kind == HS_SOFT_GPR_HIGH || operand->kind == HS_SOFT_MEMORY ||
	       operand->kind == HS_SOFT_IMMEDIATE;
}

static hs_soft_handler *mov_handler(const struct hs_soft_op *op)
{
	static const struct hs_soft_handlers handlers = HS_SOFT_HANDLERS(mov);

	return is_plain(&op->operand[0]) && is_plain(&op->operand[1]) ? hs_soft_handler_for(&handlers, op) : NULL;
}

/* ---- movzx, movsx, movsxd: always to a register ---- */

HS_SOFT_LAST_RESORT extend(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool with_sign)
{
	unsigned int from = op->operand[1].bytes;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_reg(cpu, op->operand[0].reg, op->operand[0].bytes,
			with_sign ? hs_soft_sign_extend(value, from) : value);
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow extend_quickly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool with_sign,
						unsigned int to, unsigned int from)
{
	uint64_t value;

	if (op->operand[1].kind == HS_SOFT_MEMORY) {
		if (!hs_soft_load_quickly(cpu, op->segment, hs_soft_ea(cpu, op), from, &value)) {
			return extend(cpu, op, with_sign);
		}
	} else {
		(void)hs_soft_get(cpu, op, 1, &value);
	}
	hs_soft_set_reg(cpu, op->operand[0].reg, to, with_sign ? hs_soft_sign_extend(value, from) : value);
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(movzx, extend(cpu, op, false))
HS_SOFT_HANDLER(movsx, extend(cpu, op, true))
/* To 4 or 8 bytes, which is the same when the upper half becomes zero. */
HS_SOFT_HANDLER(movzx_1, extend_quickly(cpu, op, false, 4, 1))
HS_SOFT_HANDLER(movzx_2, extend_quickly(cpu, op, false, 4, 2))
HS_SOFT_HANDLER(movsx_4_1, extend_quickly(cpu, op, true, 4, 1))
HS_SOFT_HANDLER(movsx_4_2, extend_quickly(cpu, op, true, 4, 2))
HS_SOFT_HANDLER(movsx_8_1, extend_quickly(cpu, op, true, 8, 1))
HS_SOFT_HANDLER(movsx_8_2, extend_quickly(cpu, op, true, 8, 2))
HS_SOFT_HANDLER(movsx_8_4, extend_quickly(cpu, op, true, 8, 4))

static hs_soft_handler *movzx_handler(const struct hs_soft_op *op)
{
	if (op->operand[0].bytes == 2) {
		return execute_movzx;
	}
	return op->operand[1].bytes == 1 ? execute_movzx_1 : execute_movzx_2;
}

static hs_soft_handler *movsx_handler(const struct hs_soft_op *op)
{
	switch (op->operand[0].bytes << 4 | op->operand[1].bytes) {
	case 0x41:
		return execute_movsx_4_1;
	case 0x42:
		return execute_movsx_4_2;
	case 0x81:
		return execute_movsx_8_1;
	case 0x82:
		return execute_movsx_8_2;
	case 0x84:
		return execute_movsx_8_4;
	default:
		return execute_movsx;
	}
}

/* ---- lea ---- */

HS_SOFT_INLINE enum hs_soft_flow load_address(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	hs_soft_set_reg(cpu, op->operand[0].reg, bytes, hs_soft_ea(cpu, op));
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(lea, load_address(cpu, op, op->operand[0].bytes))
HS_SOFT_HANDLER(lea_4, load_address(cpu, op, 4))
HS_SOFT_HANDLER(lea_8, load_address(cpu, op, 8))

static hs_soft_handler *lea_handler(const struct hs_soft_op *op)
{
	switch (op->operand[0].bytes) {
	case 4:
		return execute_lea_4;
	case 8:
		return execute_lea_8;
	default:
		return execute_lea;
	}
}

/* ---- Conditions: aux is the condition's number ---- */

/* The source is read in any case, and so may fault; a 4-byte destination is always extended (SDM vol. 2A, CMOVcc). */
static enum hs_soft_flow execute_cmov(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int reg = op->operand[0].reg;
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_reg(cpu, reg, bytes, hs_soft_condition(cpu, op->aux) ? value : cpu->r[reg]);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_set(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_put(cpu, op, 0, hs_soft_condition(cpu, op->aux)) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* ---- The others ---- */

static enum hs_soft_flow execute_xchg(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t a, b;

	/* Operand 0 is the one that may be memory: it is written first, since operand 1 may be part of its address. */
	if (!hs_soft_get_rw(cpu, op, 0, &a) || !hs_soft_get(cpu, op, 1, &b)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_put(cpu, op, 0, b);
	hs_soft_put(cpu, op, 1, a);
	return HS_SOFT_NEXT;
}

/* Two bytes: undefined; CPUs give zero. */
static enum hs_soft_flow execute_bswap(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = op->operand[0].bytes;
	unsigned int reg = op->operand[0].reg;
	uint64_t value = cpu->r[reg];

	hs_soft_set_reg(cpu, reg, bytes,
			bytes == 8   ? __builtin_bswap64(value)
			: bytes == 4 ? __builtin_bswap32((uint32_t)value)
				     : 0);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_movbe(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	value = __builtin_bswap64(value) >> (64 - op->operand[0].bytes * 8);
	return hs_soft_put(cpu, op, 0, value) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* Its memory operand, ds:[rbx + al], is implied. */
static enum hs_soft_flow execute_xlat(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t offset = hs_soft_zero_extend(cpu->r[HS_RBX] + (cpu->r[HS_RAX] & 0xff), op->address_bits / 8);
	uint64_t value;

	if (!hs_soft_load(cpu, op->segment, offset, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_set_reg(cpu, HS_RAX, 1, value);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_nop(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)cpu;
	(void)op;
	return HS_SOFT_NEXT;
}

/* There is no cache to flush, but the line must be readable (SDM vol. 2A, CLFLUSH). */
static enum hs_soft_flow execute_clflush(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	return hs_soft_load(cpu, op->segment, hs_soft_ea(cpu, op), 1, &value) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* f3 90 with REX.B, which the decoder calls pause, is what it is without f3: xchg r8, rax. */
static void make_xchg_r8(struct hs_soft_op *op)
{
	op->operand[0] = (struct hs_soft_operand){ .kind = HS_SOFT_GPR, .reg = HS_R8, .bytes = op->bytes };
	op->operand[1] = (struct hs_soft_operand){ .kind = HS_SOFT_GPR, .reg = HS_RAX, .bytes = op->bytes };
	op->execute = execute_xchg;
}

/* What has one handler for all its forms. */
static hs_soft_handler *other_handler(ZydisMnemonic mnemonic)
{
	static const struct {
		ZydisMnemonic mnemonic;
		hs_soft_handler *execute;
	} handlers[] = {
		{ ZYDIS_MNEMONIC_XCHG, execute_xchg },
		{ ZYDIS_MNEMONIC_BSWAP, execute_bswap },
		{ ZYDIS_MNEMONIC_MOVBE, execute_movbe },
		{ ZYDIS_MNEMONIC_MOVNTI, execute_mov },
		{ ZYDIS_MNEMONIC_XLAT, execute_xlat },
		{ ZYDIS_MNEMONIC_PAUSE, execute_nop },
		{ ZYDIS_MNEMONIC_ENDBR32, execute_nop },
		{ ZYDIS_MNEMONIC_ENDBR64, execute_nop },
		{ ZYDIS_MNEMONIC_LFENCE, execute_nop },
		{ ZYDIS_MNEMONIC_SFENCE, execute_nop },
		{ ZYDIS_MNEMONIC_MFENCE, execute_nop },
		{ ZYDIS_MNEMONIC_PREFETCH, execute_nop },
		{ ZYDIS_MNEMONIC_PREFETCHNTA, execute_nop },
		{ ZYDIS_MNEMONIC_PREFETCHT0, execute_nop },
		{ ZYDIS_MNEMONIC_PREFETCHT1, execute_nop },
		{ ZYDIS_MNEMONIC_PREFETCHT2, execute_nop },
		{ ZYDIS_MNEMONIC_PREFETCHW, execute_nop },
		{ ZYDIS_MNEMONIC_PREFETCHWT1, execute_nop },
		{ ZYDIS_MNEMONIC_CLDEMOTE, execute_nop },
		/* Without shadow stacks they do nothing: what was a reserved nop before (SDM vol. 1 chapter 17). */
		{ ZYDIS_MNEMONIC_RDSSPD, execute_nop },
		{ ZYDIS_MNEMONIC_RDSSPQ, execute_nop },
		{ ZYDIS_MNEMONIC_CLFLUSH, execute_clflush },
	};

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (mnemonic == handlers[i].mnemonic) {
			return handlers[i].execute;
		}
	}
	return NULL;
}

static hs_soft_handler *handler_of(const ZydisDecodedInstruction *insn, const struct hs_soft_op *op)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_NOP:
		/* 0F 0D is a prefetch. On registers it is undefined, though the decoder and Intel's CPUs take it. */
		return insn->opcode_map == ZYDIS_OPCODE_MAP_0F && insn->opcode == 0x0d ? NULL : execute_nop;
	case ZYDIS_MNEMONIC_MOV:
		return mov_handler(op);
	case ZYDIS_MNEMONIC_MOVZX:
		return movzx_handler(op);
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return movsx_handler(op);
	case ZYDIS_MNEMONIC_LEA:
		return lea_handler(op);
	default:
		break;
	}
	if (insn->meta.category == ZYDIS_CATEGORY_CMOV) {
		return execute_cmov;
	}
	return insn->meta.category == ZYDIS_CATEGORY_SETCC ? execute_set : other_handler(insn->mnemonic);
}

bool hs_soft_select_move(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	const ZydisDecodedInstruction *insn = &decoded->insn;
	hs_soft_handler *execute = handler_of(insn, op);

	if (!execute) {
		return false;
	}
	op->execute = execute;
	if (insn->mnemonic == ZYDIS_MNEMONIC_PAUSE && insn->raw.rex.B) {
		make_xchg_r8(op);
	}
	if (execute == execute_cmov || execute == execute_set) {
		op->aux = insn->opcode & 15; /* 0F 4x, 0F 9x: SDM vol. 1 appendix B */
	}
	return true;
}
