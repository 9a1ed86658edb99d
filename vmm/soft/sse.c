/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What compilers emit of SSE to copy and clear memory: moves of whole registers and of their parts, and the bitwise
 * operations. Nothing here looks into a number or at MXCSR.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

#include <emmintrin.h>

/* op->aux of moves of whole registers: whether memory must be aligned to 16 bytes. */
enum { UNALIGNED, ALIGNED };

/* op->aux of moves of parts: a four-byte part, where it is and goes in a register, whether the rest becomes zero. */
enum { FOUR_BYTES = 1, FROM_HIGH = 2, TO_HIGH = 4, CLEARS = 8 };

/* op->aux of bitwise operations. */
enum { AND, ANDN, OR, XOR };

/*
 * ---- Whole registers ----
 * They are read and written as a whole: what is put together from two stores the host cannot load at once before both
 * are in its cache.
 */

HS_SOFT_INLINE __m128i *place(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i)
{
	return (__m128i *)(void *)hs_soft_xmm(cpu, op->operand[i].reg);
}

HS_SOFT_INLINE void put(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, __m128i value)
{
	_mm_store_si128(place(cpu, op, 0), value);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
}

/* Where the guest's memory can be accessed as it is; NULL where there is more to do. */
HS_SOFT_INLINE __m128i *direct(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op, int prot, bool aligned)
{
	uint64_t gva = hs_soft_gva(cpu, op->segment, hs_soft_ea(cpu, op));

	return HS_SOFT_LIKELY(!aligned || gva % 16 == 0) ? hs_soft_direct(cpu, op->segment, gva, 16, prot) : NULL;
}

static bool load_16(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool aligned, uint8_t *ret)
{
	uint64_t offset = hs_soft_ea(cpu, op);
	uint64_t gva;

	if (!aligned) {
		return hs_soft_load_bytes(cpu, op->segment, offset, 16, ret);
	}
	return hs_soft_linear_aligned(cpu, op->segment, offset, 16, 16, HS_PROT_READ, &gva) &&
	       hs_soft_linear_load(cpu, cpu->space, gva, 16, ret);
}

static bool store_16(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool aligned, const uint8_t *bytes)
{
	uint64_t offset = hs_soft_ea(cpu, op);
	uint64_t gva;

	if (!aligned) {
		return hs_soft_store_bytes(cpu, op->segment, offset, 16, bytes);
	}
	return hs_soft_linear_aligned(cpu, op->segment, offset, 16, 16, HS_PROT_WRITE, &gva) &&
	       hs_soft_linear_store(cpu, cpu->space, gva, 16, bytes);
}

HS_SOFT_LAST_RESORT load_whole(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	__m128i value;

	if (!hs_soft_sse_usable(cpu) || !load_16(cpu, op, op->aux == ALIGNED, (uint8_t *)&value)) {
		return HS_SOFT_FAULT;
	}
	put(cpu, op, value);
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow load_whole_quickly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool aligned)
{
	const __m128i *from = hs_soft_sse_ready(cpu) ? direct(cpu, op, HS_PROT_READ, aligned) : NULL;

	if (HS_SOFT_UNLIKELY(!from)) {
		return load_whole(cpu, op);
	}
	put(cpu, op, _mm_loadu_si128(from));
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(load_aligned, load_whole_quickly(cpu, op, true))
HS_SOFT_HANDLER(load_unaligned, load_whole_quickly(cpu, op, false))

HS_SOFT_LAST_RESORT store_whole(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (!hs_soft_sse_usable(cpu) || !store_16(cpu, op, op->aux == ALIGNED, hs_soft_xmm(cpu, op->operand[1].reg))) {
		return HS_SOFT_FAULT;
	}
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow store_whole_quickly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool aligned)
{
	__m128i *to = hs_soft_sse_ready(cpu) ? direct(cpu, op, HS_PROT_WRITE, aligned) : NULL;

	if (HS_SOFT_UNLIKELY(!to)) {
		return store_whole(cpu, op);
	}
	_mm_storeu_si128(to, _mm_load_si128(place(cpu, op, 1)));
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(store_aligned, store_whole_quickly(cpu, op, true))
HS_SOFT_HANDLER(store_unaligned, store_whole_quickly(cpu, op, false))

static enum hs_soft_flow execute_move_whole(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	if (!hs_soft_sse_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	put(cpu, op, _mm_load_si128(place(cpu, op, 1)));
	return HS_SOFT_NEXT;
}

/* ---- Parts of 4 or 8 bytes ---- */

/* The part, with zeroes above it. */
static __m128i with_part(uint32_t how, __m128i old, uint64_t value)
{
	__m128i part = _mm_cvtsi64_si128((int64_t)value);

	if (how & CLEARS) {
		return part;
	}
	if (how & TO_HIGH) {
		return _mm_unpacklo_epi64(old, part);
	}
	if (how & FOUR_BYTES) {
		return _mm_castps_si128(_mm_move_ss(_mm_castsi128_ps(old), _mm_castsi128_ps(part)));
	}
	return _mm_castpd_si128(_mm_move_sd(_mm_castsi128_pd(old), _mm_castsi128_pd(part)));
}

static uint64_t part_of(const uint8_t *xmm, uint32_t how)
{
	return hs_soft_zero_extend(hs_get_le64(xmm + (how & FROM_HIGH ? 8 : 0)), how & FOUR_BYTES ? 4 : 8);
}

HS_SOFT_LAST_RESORT execute_move_part(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t value;

	if (!hs_soft_sse_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (op->operand[1].kind == HS_SOFT_XMM) {
		value = part_of(hs_soft_xmm(cpu, op->operand[1].reg), op->aux);
	} else if (!hs_soft_get(cpu, op, 1, &value)) {
		return HS_SOFT_FAULT;
	}
	if (op->operand[0].kind == HS_SOFT_XMM) {
		put(cpu, op, with_part(op->aux, _mm_load_si128(place(cpu, op, 0)), value));
		return HS_SOFT_NEXT;
	}
	return hs_soft_put(cpu, op, 0, value) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* From memory, zeroes above it. */
HS_SOFT_INLINE enum hs_soft_flow load_part(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t value;

	if (!hs_soft_sse_ready(cpu) || !hs_soft_load_quickly(cpu, op->segment, hs_soft_ea(cpu, op), bytes, &value)) {
		return execute_move_part(cpu, op);
	}
	put(cpu, op, with_part(CLEARS, _mm_setzero_si128(), value));
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow store_low(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t value = hs_get_le64(hs_soft_xmm(cpu, op->operand[1].reg));

	if (!hs_soft_sse_ready(cpu) || !hs_soft_store_quickly(cpu, op->segment, hs_soft_ea(cpu, op), bytes, value)) {
		return execute_move_part(cpu, op);
	}
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(load_part_4, load_part(cpu, op, 4))
HS_SOFT_HANDLER(load_part_8, load_part(cpu, op, 8))
HS_SOFT_HANDLER(store_low_4, store_low(cpu, op, 4))
HS_SOFT_HANDLER(store_low_8, store_low(cpu, op, 8))

static hs_soft_handler *part_handler(const struct hs_soft_op *op)
{
	bool four = op->aux & FOUR_BYTES;

	if (op->operand[1].kind == HS_SOFT_MEMORY && (op->aux & CLEARS)) {
		return four ? execute_load_part_4 : execute_load_part_8;
	}
	if (op->operand[0].kind == HS_SOFT_MEMORY && !(op->aux & FROM_HIGH)) {
		return four ? execute_store_low_4 : execute_store_low_8;
	}
	return execute_move_part;
}

/* ---- Bitwise ---- */

HS_SOFT_INLINE __m128i combine(uint32_t operation, __m128i a, __m128i b)
{
	switch (operation) {
	case AND:
		return _mm_and_si128(a, b);
	case ANDN:
		return _mm_andnot_si128(a, b);
	case OR:
		return _mm_or_si128(a, b);
	default:
		return _mm_xor_si128(a, b);
	}
}

static enum hs_soft_flow execute_bitwise(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	__m128i value;

	if (!hs_soft_sse_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (op->operand[1].kind == HS_SOFT_XMM) {
		value = _mm_load_si128(place(cpu, op, 1));
	} else if (!load_16(cpu, op, true, (uint8_t *)&value)) {
		return HS_SOFT_FAULT;
	}
	put(cpu, op, combine(op->aux, _mm_load_si128(place(cpu, op, 0)), value));
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
	if (op->operand[0].kind == HS_SOFT_MEMORY) {
		op->execute = op->aux == ALIGNED ? execute_store_aligned : execute_store_unaligned;
	} else if (op->operand[1].kind == HS_SOFT_MEMORY) {
		op->execute = op->aux == ALIGNED ? execute_load_aligned : execute_load_unaligned;
	} else {
		op->execute = execute_move_whole;
	}
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
	op->execute = part_handler(op);
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
