/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The moves of AVX that compilers emit most, without a thunk: whole registers, and their lowest part from and to
 * memory. Registers are written by halves of 16 bytes, as thunks read them.
 */
#include "vmm/soft/vector.h"

#include <emmintrin.h>

HS_SOFT_INLINE __m128i *low(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i)
{
	return (__m128i *)(void *)hs_soft_xmm(cpu, op->operand[i].reg);
}

HS_SOFT_INLINE __m128i *high(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i)
{
	return (__m128i *)(void *)hs_soft_ymm_high(cpu, op->operand[i].reg);
}

HS_SOFT_INLINE enum hs_soft_flow put(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, __m128i lower, __m128i upper)
{
	_mm_store_si128(low(cpu, op, 0), lower);
	_mm_store_si128(high(cpu, op, 0), upper);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
	hs_soft_mark_component(cpu, HS_SOFT_AVX);
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow move(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	if (!hs_soft_avx_ready(cpu)) {
		return hs_soft_execute_vector(cpu, op);
	}
	return put(cpu, op, _mm_load_si128(low(cpu, op, 1)),
		   bytes == 32 ? _mm_load_si128(high(cpu, op, 1)) : _mm_setzero_si128());
}

HS_SOFT_INLINE enum hs_soft_flow load(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	const __m128i *from = hs_soft_avx_ready(cpu) ? (void *)hs_soft_vector_direct(cpu, op, bytes, HS_PROT_READ)
						     : NULL;

	if (HS_SOFT_UNLIKELY(!from)) {
		return hs_soft_execute_vector(cpu, op);
	}
	return put(cpu, op, _mm_loadu_si128(from), bytes == 32 ? _mm_loadu_si128(from + 1) : _mm_setzero_si128());
}

HS_SOFT_INLINE enum hs_soft_flow store(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	__m128i *to = hs_soft_avx_ready(cpu) ? (void *)hs_soft_vector_direct(cpu, op, bytes, HS_PROT_WRITE) : NULL;

	if (HS_SOFT_UNLIKELY(!to)) {
		return hs_soft_execute_vector(cpu, op);
	}
	_mm_storeu_si128(to, _mm_load_si128(low(cpu, op, 1)));
	if (bytes == 32) {
		_mm_storeu_si128(to + 1, _mm_load_si128(high(cpu, op, 1)));
	}
	return HS_SOFT_NEXT;
}

HS_SOFT_INLINE enum hs_soft_flow load_part(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t value;

	if (!hs_soft_avx_ready(cpu) || !hs_soft_load_quickly(cpu, op->segment, hs_soft_ea(cpu, op), bytes, &value)) {
		return hs_soft_execute_vector(cpu, op);
	}
	return put(cpu, op, _mm_cvtsi64_si128((int64_t)value), _mm_setzero_si128());
}

HS_SOFT_INLINE enum hs_soft_flow store_part(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int bytes)
{
	uint64_t value = hs_get_le64(hs_soft_xmm(cpu, op->operand[1].reg));

	if (!hs_soft_avx_ready(cpu) || !hs_soft_store_quickly(cpu, op->segment, hs_soft_ea(cpu, op), bytes, value)) {
		return hs_soft_execute_vector(cpu, op);
	}
	return HS_SOFT_NEXT;
}

HS_SOFT_HANDLER(move_16, move(cpu, op, 16))
HS_SOFT_HANDLER(move_32, move(cpu, op, 32))
HS_SOFT_HANDLER(load_16, load(cpu, op, 16))
HS_SOFT_HANDLER(load_32, load(cpu, op, 32))
HS_SOFT_HANDLER(store_16, store(cpu, op, 16))
HS_SOFT_HANDLER(store_32, store(cpu, op, 32))
HS_SOFT_HANDLER(load_part_4, load_part(cpu, op, 4))
HS_SOFT_HANDLER(load_part_8, load_part(cpu, op, 8))
HS_SOFT_HANDLER(store_part_4, store_part(cpu, op, 4))
HS_SOFT_HANDLER(store_part_8, store_part(cpu, op, 8))

/* By what is moved: 4, 8, 16 or 32 bytes of memory or, of the latter two, of a register. */
static hs_soft_handler *handler_of(const struct hs_soft_op *op)
{
	static hs_soft_handler *const loads[] = { execute_load_part_4, execute_load_part_8, execute_load_16,
						  execute_load_32 };
	static hs_soft_handler *const stores[] = { execute_store_part_4, execute_store_part_8, execute_store_16,
						   execute_store_32 };
	bool stores_it = op->operand[0].kind == HS_SOFT_MEMORY;
	unsigned int bytes = op->operand[stores_it ? 0 : 1].bytes;

	if (stores_it) {
		return stores[__builtin_ctz(bytes) - 2];
	}
	if (op->operand[1].kind == HS_SOFT_MEMORY) {
		return loads[__builtin_ctz(bytes) - 2];
	}
	return bytes == 32 ? execute_move_32 : execute_move_16;
}

hs_soft_handler *hs_soft_vector_mover(const ZydisDecodedInstruction *insn, const struct hs_soft_op *op)
{
	bool has_memory = op->operand[0].kind == HS_SOFT_MEMORY || op->operand[1].kind == HS_SOFT_MEMORY;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_VMOVUPS:
	case ZYDIS_MNEMONIC_VMOVUPD:
	case ZYDIS_MNEMONIC_VMOVDQU:
	case ZYDIS_MNEMONIC_VLDDQU:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
		return handler_of(op);
	case ZYDIS_MNEMONIC_VMOVSS:
	case ZYDIS_MNEMONIC_VMOVSD:
	case ZYDIS_MNEMONIC_VMOVD:
	case ZYDIS_MNEMONIC_VMOVQ:
		/* Between registers they do more, or less. */
		return has_memory ? handler_of(op) : NULL;
	default:
		return NULL;
	}
}
