/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What compilers emit of SSE to copy and clear memory: moves of whole registers and of their parts, and the bitwise
 * operations. Nothing here looks into a number or at MXCSR.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/* op->aux of moves of whole registers: whether memory must be aligned to 16 bytes. */
enum { UNALIGNED, ALIGNED };

/* op->aux of moves of parts: a four-byte part, where it is and goes in a register, whether the rest becomes zero. */
enum { FOUR_BYTES = 1, FROM_HIGH = 2, TO_HIGH = 4, CLEARS = 8 };

/* op->aux of bitwise operations. */
enum { AND, ANDN, OR, XOR };

bool hs_soft_linear_16(struct hs_soft_cpu *cpu, unsigned int seg, uint64_t offset, unsigned int length, int prot,
		       uint64_t *ret)
{
	uint64_t gva;

	if (!hs_soft_linear(cpu, seg, offset, length, prot, &gva)) {
		return false;
	}
	if (gva % 16 != 0) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	*ret = gva;
	return true;
}

/* ---- Whole registers ---- */

static bool load_16(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool aligned, uint8_t *ret)
{
	uint64_t offset = hs_soft_ea(cpu, op);
	uint64_t gva = hs_soft_gva(cpu, op->segment, offset);
	const struct hs_soft_tlb_entry *entry = hs_soft_tlb_of(cpu, gva);

	if (HS_SOFT_LIKELY(hs_soft_in_page(gva, 16, entry->read) && (cpu->seg_flat[op->segment] & HS_PROT_READ) &&
			   (!aligned || gva % 16 == 0))) {
		memcpy(ret, (const void *)(gva + entry->addend), 16);
		return true;
	}
	if (!aligned) {
		return hs_soft_load_bytes(cpu, op->segment, offset, 16, ret);
	}
	return hs_soft_linear_16(cpu, op->segment, offset, 16, HS_PROT_READ, &gva) &&
	       hs_soft_linear_load(cpu, cpu->space, gva, 16, ret);
}

static bool store_16(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool aligned, const uint8_t *bytes)
{
	uint64_t offset = hs_soft_ea(cpu, op);
	uint64_t gva = hs_soft_gva(cpu, op->segment, offset);
	const struct hs_soft_tlb_entry *entry = hs_soft_tlb_of(cpu, gva);

	if (HS_SOFT_LIKELY(hs_soft_in_page(gva, 16, entry->write) && (cpu->seg_flat[op->segment] & HS_PROT_WRITE) &&
			   (!aligned || gva % 16 == 0))) {
		memcpy((void *)(gva + entry->addend), bytes, 16);
		return true;
	}
	if (!aligned) {
		return hs_soft_store_bytes(cpu, op->segment, offset, 16, bytes);
	}
	return hs_soft_linear_16(cpu, op->segment, offset, 16, HS_PROT_WRITE, &gva) &&
	       hs_soft_linear_store(cpu, cpu->space, gva, 16, bytes);
}

static bool get_whole(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i, bool aligned, uint8_t *ret)
{
	if (op->operand[i].kind == HS_SOFT_XMM) {
		memcpy(ret, hs_soft_xmm(cpu, op->operand[i].reg), 16);
		return true;
	}
	return load_16(cpu, op, aligned, ret);
}

static enum hs_soft_flow execute_move_whole(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t value[16];

	if (!hs_soft_sse_usable(cpu) || !get_whole(cpu, op, 1, op->aux == ALIGNED, value)) {
		return HS_SOFT_FAULT;
	}
	memcpy(hs_soft_xmm(cpu, op->operand[0].reg), value, 16);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_store_whole(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (!hs_soft_sse_usable(cpu) || !store_16(cpu, op, op->aux == ALIGNED, hs_soft_xmm(cpu, op->operand[1].reg))) {
		return HS_SOFT_FAULT;
	}
	return HS_SOFT_NEXT;
}

/* ---- Parts of 4 or 8 bytes ---- */

static void put_part(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, size_t bytes, uint64_t value)
{
	uint8_t *xmm = hs_soft_xmm(cpu, op->operand[0].reg);

	if (op->aux & CLEARS) {
		memset(xmm, 0, 16);
	}
	memcpy(xmm + (op->aux & TO_HIGH ? 8 : 0), &value, bytes);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
}

static enum hs_soft_flow execute_move_part(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	size_t bytes = op->aux & FOUR_BYTES ? 4 : 8;
	uint64_t value = 0;

	if (!hs_soft_sse_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (op->operand[1].kind == HS_SOFT_XMM) {
		memcpy(&value, hs_soft_xmm(cpu, op->operand[1].reg) + (op->aux & FROM_HIGH ? 8 : 0), bytes);
	} else if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	if (op->operand[0].kind == HS_SOFT_XMM) {
		put_part(cpu, op, bytes, value);
		return HS_SOFT_NEXT;
	}
	return hs_soft_put(cpu, op, 0, value) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* ---- Bitwise ---- */

static uint64_t combine(uint32_t operation, uint64_t a, uint64_t b)
{
	switch (operation) {
	case AND:
		return a & b;
	case ANDN:
		return ~a & b;
	case OR:
		return a | b;
	default:
		return a ^ b;
	}
}

static enum hs_soft_flow execute_bitwise(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t *to = hs_soft_xmm(cpu, op->operand[0].reg);
	uint64_t a[2], b[2];

	if (!hs_soft_sse_usable(cpu) || !get_whole(cpu, op, 1, true, (uint8_t *)b)) {
		return HS_SOFT_FAULT;
	}
	memcpy(a, to, 16);
	a[0] = combine(op->aux, a[0], b[0]);
	a[1] = combine(op->aux, a[1], b[1]);
	memcpy(to, a, 16);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
	return HS_SOFT_NEXT;
}

/* ---- Selection ---- */

static bool select_whole(ZydisMnemonic mnemonic, struct hs_soft_op *op)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
		op->aux = UNALIGNED;
		break;
	case ZYDIS_MNEMONIC_MOVAPS:
	case ZYDIS_MNEMONIC_MOVAPD:
	case ZYDIS_MNEMONIC_MOVDQA:
	case ZYDIS_MNEMONIC_MOVNTPS:
	case ZYDIS_MNEMONIC_MOVNTPD:
	case ZYDIS_MNEMONIC_MOVNTDQ:
	case ZYDIS_MNEMONIC_MOVNTDQA:
		op->aux = ALIGNED;
		break;
	default:
		return false;
	}
	op->execute = op->operand[0].kind == HS_SOFT_MEMORY ? execute_store_whole : execute_move_whole;
	return true;
}

static bool select_part(ZydisMnemonic mnemonic, struct hs_soft_op *op)
{
	bool from_register = op->operand[1].kind == HS_SOFT_XMM;
	uint32_t aux;

	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVSS:
		aux = FOUR_BYTES | (from_register ? 0 : CLEARS);
		break;
	case ZYDIS_MNEMONIC_MOVSD:
		aux = from_register ? 0 : CLEARS;
		break;
	case ZYDIS_MNEMONIC_MOVD:
		aux = FOUR_BYTES | CLEARS;
		break;
	case ZYDIS_MNEMONIC_MOVQ:
		aux = CLEARS;
		break;
	case ZYDIS_MNEMONIC_MOVLPS:
	case ZYDIS_MNEMONIC_MOVLPD:
		aux = 0;
		break;
	case ZYDIS_MNEMONIC_MOVHPS:
	case ZYDIS_MNEMONIC_MOVHPD:
		aux = from_register ? FROM_HIGH : TO_HIGH;
		break;
	case ZYDIS_MNEMONIC_MOVHLPS:
		aux = FROM_HIGH;
		break;
	case ZYDIS_MNEMONIC_MOVLHPS:
		aux = TO_HIGH;
		break;
	default:
		return false;
	}
	op->aux = aux;
	op->execute = execute_move_part;
	return true;
}

static bool select_bitwise(ZydisMnemonic mnemonic, struct hs_soft_op *op)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_PAND:
	case ZYDIS_MNEMONIC_ANDPS:
	case ZYDIS_MNEMONIC_ANDPD:
		op->aux = AND;
		break;
	case ZYDIS_MNEMONIC_PANDN:
	case ZYDIS_MNEMONIC_ANDNPS:
	case ZYDIS_MNEMONIC_ANDNPD:
		op->aux = ANDN;
		break;
	case ZYDIS_MNEMONIC_POR:
	case ZYDIS_MNEMONIC_ORPS:
	case ZYDIS_MNEMONIC_ORPD:
		op->aux = OR;
		break;
	case ZYDIS_MNEMONIC_PXOR:
	case ZYDIS_MNEMONIC_XORPS:
	case ZYDIS_MNEMONIC_XORPD:
		op->aux = XOR;
		break;
	default:
		return false;
	}
	op->execute = execute_bitwise;
	return true;
}

bool hs_soft_select_sse(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	const struct hs_soft_operand *operand = op->operand;
	ZydisMnemonic mnemonic = decoded->insn.mnemonic;
	bool has_xmm = operand[0].kind == HS_SOFT_XMM || operand[1].kind == HS_SOFT_XMM;
	bool has_mmx = operand[0].kind == HS_SOFT_MMX || operand[1].kind == HS_SOFT_MMX;

	if (!has_xmm || has_mmx || decoded->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
		return false;
	}
	return select_whole(mnemonic, op) || select_part(mnemonic, op) || select_bitwise(mnemonic, op);
}
