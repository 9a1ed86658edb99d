/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Vector instructions whose elements each go to memory alone: gathers, masked moves. An element that the mask leaves
 * out is not accessed and cannot fault, so they cannot run natively on a copy of their operand. None of them checks
 * alignment, whatever RFLAGS.AC says (SDM vol. 2, VGATHERDPS, VMASKMOV). And vzeroall and vzeroupper, after which AVX
 * is not in use.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/handler.h"
#include "vmm/soft/isa.h"
#include "vmm/soft/mmx.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

#define YMM_BYTES 32u

/* op->aux: what of it an instruction has. */
#define AUX_ELEMENT_BYTES(aux) ((aux)&0xfu)
#define AUX_INDEX_BYTES(aux) ((aux) >> 4 & 0xfu)
#define AUX_INDEX(aux) ((aux) >> 8 & 0xfu)
#define AUX_COUNT(aux) ((aux) >> 12)

static uint32_t make_aux(unsigned int element_bytes, unsigned int index_bytes, unsigned int index, unsigned int count)
{
	return element_bytes | index_bytes << 4 | index << 8 | count << 12;
}

static void get_ymm(struct hs_soft_cpu *cpu, unsigned int reg, uint8_t *ret)
{
	memcpy(ret, hs_soft_xmm(cpu, reg), 16);
	memcpy(ret + 16, hs_soft_ymm_high(cpu, reg), 16);
}

static void put_ymm(struct hs_soft_cpu *cpu, unsigned int reg, const uint8_t *bytes)
{
	memcpy(hs_soft_xmm(cpu, reg), bytes, 16);
	memcpy(hs_soft_ymm_high(cpu, reg), bytes + 16, 16);
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
	hs_soft_mark_component(cpu, HS_SOFT_AVX);
}

/* Whether an element is asked for: the uppermost bit of its mask. */
static bool is_asked(const uint8_t *mask, unsigned int i, unsigned int bytes)
{
	return mask[(i + 1) * bytes - 1] & 0x80;
}

/* ---- Elements in memory ---- */

/* hs_soft_linear() without a look at alignment: single bytes are always aligned. */
static bool find_element(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t offset, unsigned int bytes,
			 int prot, uint64_t *ret)
{
	uint64_t last;

	return hs_soft_linear(cpu, op->segment, offset, 1, prot, ret) &&
	       hs_soft_linear(cpu, op->segment, offset + bytes - 1, 1, prot, &last);
}

static bool load_element(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t offset, unsigned int bytes,
			 uint8_t *ret)
{
	uint64_t gva = hs_soft_gva(cpu, op->segment, offset);
	const void *from = hs_soft_direct(cpu, op->segment, gva, bytes, HS_PROT_READ);

	if (HS_SOFT_LIKELY(from)) {
		memcpy(ret, from, bytes);
		return true;
	}
	return find_element(cpu, op, offset, bytes, HS_PROT_READ, &gva) &&
	       hs_soft_linear_load(cpu, cpu->space, gva, bytes, ret);
}

/* Store those that are asked for, when all of them can be. */
static bool store_elements(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t offset, const uint8_t *mask,
			   const uint8_t *from)
{
	unsigned int bytes = AUX_ELEMENT_BYTES(op->aux), count = AUX_COUNT(op->aux);
	uint64_t gva[16] = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		if (is_asked(mask, i, bytes) &&
		    (!find_element(cpu, op, offset + (uint64_t)i * bytes, bytes, HS_PROT_WRITE, &gva[i]) ||
		     !hs_soft_linear_check(cpu, cpu->space, gva[i], bytes, HS_PROT_WRITE))) {
			return false;
		}
	}
	for (unsigned int i = 0; i < count; i++) {
		if (is_asked(mask, i, bytes)) {
			(void)hs_soft_linear_store(cpu, cpu->space, gva[i], bytes, from + (size_t)i * bytes);
		}
	}
	return true;
}

/* ---- Gathers ---- */

static uint64_t element_offset(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op, const uint8_t *indices,
			       unsigned int i)
{
	unsigned int bytes = AUX_INDEX_BYTES(op->aux);
	uint64_t index = hs_soft_get_bytes(indices + (size_t)i * bytes, bytes);
	uint64_t offset;

	index = bytes == 4 ? (uint64_t)(int64_t)(int32_t)index : index;
	offset = cpu->r[op->base] + (index << op->shift) + (uint64_t)op->displacement;
	return op->address_bits == 64 ? offset : (uint32_t)offset;
}

/*
 * From the lowest element on. What is loaded, or passed over, leaves the mask, also when a later element faults. A
 * fault behind something that was loaded is as between two iterations of rep: a trap that waits for what was loaded
 * comes first, and the element that faults is the first of the next round (SDM vol. 2C, VPGATHERDD).
 */
static enum hs_soft_flow execute_gather(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = AUX_ELEMENT_BYTES(op->aux), count = AUX_COUNT(op->aux), loaded = 0, i;
	uint8_t to[YMM_BYTES], indices[YMM_BYTES], mask[YMM_BYTES];

	if (!hs_soft_avx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	get_ymm(cpu, op->operand[0].reg, to);
	get_ymm(cpu, AUX_INDEX(op->aux), indices);
	get_ymm(cpu, op->operand[2].reg, mask);
	for (i = 0; i < count; i++) {
		if (is_asked(mask, i, bytes)) {
			if (!load_element(cpu, op, element_offset(cpu, op, indices, i), bytes,
					  to + (size_t)i * bytes)) {
				break;
			}
			loaded++;
		}
		memset(mask + (size_t)i * bytes, 0, bytes);
	}
	if (i == count) {
		memset(to + (size_t)count * bytes, 0, sizeof(to) - (size_t)count * bytes);
		memset(mask, 0, sizeof(mask));
	}
	put_ymm(cpu, op->operand[0].reg, to);
	put_ymm(cpu, op->operand[2].reg, mask);
	if (i == count) {
		return HS_SOFT_NEXT;
	}
	return loaded > 0 ? HS_SOFT_REPEAT : HS_SOFT_FAULT;
}

/* ---- Masked moves ---- */

static enum hs_soft_flow execute_masked_load(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int bytes = AUX_ELEMENT_BYTES(op->aux), count = AUX_COUNT(op->aux);
	uint64_t offset = hs_soft_ea(cpu, op);
	uint8_t to[YMM_BYTES] = { 0 }, mask[YMM_BYTES];

	if (!hs_soft_avx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	get_ymm(cpu, op->operand[1].reg, mask);
	for (unsigned int i = 0; i < count; i++) {
		if (is_asked(mask, i, bytes) &&
		    !load_element(cpu, op, offset + (uint64_t)i * bytes, bytes, to + (size_t)i * bytes)) {
			return HS_SOFT_FAULT;
		}
	}
	put_ymm(cpu, op->operand[0].reg, to);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_masked_store(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t from[YMM_BYTES], mask[YMM_BYTES];

	if (!hs_soft_avx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	get_ymm(cpu, op->operand[1].reg, mask);
	get_ymm(cpu, op->operand[2].reg, from);
	return store_elements(cpu, op, hs_soft_ea(cpu, op), mask, from) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* To where rdi points to. */
static bool store_bytes(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, const uint8_t *mask, const uint8_t *from)
{
	uint64_t offset = cpu->r[HS_RDI];

	offset = op->address_bits == 64 ? offset : offset & ((UINT64_C(1) << op->address_bits) - 1);
	return store_elements(cpu, op, offset, mask, from);
}

static enum hs_soft_flow store_xmm(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	const uint8_t *mask = hs_soft_xmm(cpu, op->operand[1].reg);

	return store_bytes(cpu, op, mask, hs_soft_xmm(cpu, op->operand[0].reg)) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_maskmovdqu(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_sse_usable(cpu) ? store_xmm(cpu, op) : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_vmaskmovdqu(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return hs_soft_avx_usable(cpu) ? store_xmm(cpu, op) : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_maskmovq(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t from[8], mask[8];

	if (!hs_soft_mmx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	hs_put_le64(from, hs_soft_mmx_read(cpu, op->operand[0].reg));
	hs_put_le64(mask, hs_soft_mmx_read(cpu, op->operand[1].reg));
	if (!store_bytes(cpu, op, mask, from)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_mmx_enter(cpu);
	return HS_SOFT_NEXT;
}

/* ---- Zeroes ---- */

/* Registers 8 to 15 are there in 64-bit mode only. */
static enum hs_soft_flow execute_vzero(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	static const uint8_t zero[HS_SOFT_REGISTERS_BYTES];
	size_t bytes = cpu->mode == HS_SOFT_MODE_64 ? HS_SOFT_REGISTERS_BYTES : HS_SOFT_REGISTERS_BYTES / 2;
	bool all = op->aux;

	if (!hs_soft_avx_usable(cpu)) {
		return HS_SOFT_FAULT;
	}
	if (all) {
		memset(hs_soft_xmm(cpu, 0), 0, bytes);
		hs_soft_mark_component(cpu, HS_SOFT_SSE);
	}
	if (cpu->xsave[HS_XSAVE_XSTATE_BV] & HS_SOFT_AVX) {
		memset(hs_soft_ymm_high(cpu, 0), 0, bytes);
		hs_soft_mark_component(cpu, HS_SOFT_AVX);
		if (memcmp(hs_soft_ymm_high(cpu, 0), zero, sizeof(zero)) == 0) {
			cpu->xsave[HS_XSAVE_XSTATE_BV] &= (uint8_t)~HS_SOFT_AVX;
		}
	}
	return HS_SOFT_NEXT;
}

/* ---- Selection ---- */

static unsigned int register_of(const struct hs_soft_decoded *decoded, unsigned int i)
{
	return (unsigned int)ZydisRegisterGetId(decoded->operands[i].reg.value) & 0xf;
}

static bool select_gather(const struct hs_soft_decoded *decoded, struct hs_soft_op *op, unsigned int index_bytes,
			  unsigned int element_bytes)
{
	ZydisRegister index = decoded->operands[1].mem.index;
	unsigned int indices = (ZydisRegisterGetClass(index) == ZYDIS_REGCLASS_YMM ? 32 : 16) / index_bytes;
	unsigned int elements = decoded->operands[0].size / 8 / element_bytes;

	op->operand[0].reg = (uint8_t)register_of(decoded, 0);
	op->operand[2].reg = (uint8_t)register_of(decoded, 2);
	op->aux = make_aux(element_bytes, index_bytes, (unsigned int)ZydisRegisterGetId(index) & 0xf,
			   indices < elements ? indices : elements);
	op->execute = execute_gather;
	return true;
}

static bool select_masked(const struct hs_soft_decoded *decoded, struct hs_soft_op *op, unsigned int element_bytes)
{
	bool stores = decoded->operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY;

	op->operand[1].reg = (uint8_t)register_of(decoded, 1);
	op->operand[stores ? 2 : 0].reg = (uint8_t)register_of(decoded, stores ? 2 : 0);
	op->aux = make_aux(element_bytes, 0, 0, decoded->operands[1].size / 8 / element_bytes);
	op->execute = stores ? execute_masked_store : execute_masked_load;
	return true;
}

static bool select_bytes(const struct hs_soft_decoded *decoded, struct hs_soft_op *op, hs_soft_handler *handler)
{
	op->operand[0].reg = (uint8_t)register_of(decoded, 0);
	op->operand[1].reg = (uint8_t)register_of(decoded, 1);
	op->aux = make_aux(1, 0, 0, decoded->operands[0].size / 8);
	op->execute = handler;
	return true;
}

/* Zydis counts maskmovq to MMX; it came with SSE (SDM vol. 2B, MASKMOVQ). */
static bool is_offered(const ZydisDecodedInstruction *insn)
{
	bool with_sse = insn->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ;

	return hs_soft_isa_offered(with_sse ? ZYDIS_ISA_SET_SSE : insn->meta.isa_set);
}

bool hs_soft_select_vector_special(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	if (!is_offered(&decoded->insn)) {
		return false;
	}
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_VPGATHERDD:
	case ZYDIS_MNEMONIC_VGATHERDPS:
		return select_gather(decoded, op, 4, 4);
	case ZYDIS_MNEMONIC_VPGATHERDQ:
	case ZYDIS_MNEMONIC_VGATHERDPD:
		return select_gather(decoded, op, 4, 8);
	case ZYDIS_MNEMONIC_VPGATHERQD:
	case ZYDIS_MNEMONIC_VGATHERQPS:
		return select_gather(decoded, op, 8, 4);
	case ZYDIS_MNEMONIC_VPGATHERQQ:
	case ZYDIS_MNEMONIC_VGATHERQPD:
		return select_gather(decoded, op, 8, 8);
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
		return select_masked(decoded, op, 4);
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		return select_masked(decoded, op, 8);
	case ZYDIS_MNEMONIC_MASKMOVQ:
		return select_bytes(decoded, op, execute_maskmovq);
	case ZYDIS_MNEMONIC_MASKMOVDQU:
		return select_bytes(decoded, op, execute_maskmovdqu);
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
		return select_bytes(decoded, op, execute_vmaskmovdqu);
	case ZYDIS_MNEMONIC_VZEROALL:
	case ZYDIS_MNEMONIC_VZEROUPPER:
		op->aux = decoded->insn.mnemonic == ZYDIS_MNEMONIC_VZEROALL;
		op->execute = execute_vzero;
		return true;
	default:
		return false;
	}
}
