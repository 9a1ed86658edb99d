/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Instructions about descriptor tables: lgdt, lidt, sgdt, sidt, lldt, ltr, sldt, str, and those that ask about a
 * selector: lar, lsl, verr, verw, arpl.
 */
#include "vmm/soft/operand.h"
#include "vmm/soft/segment.h"
#include "vmm/soft/select.h"

#include "base/bytes.h"

/* CR4.UMIP hides where the tables are (SDM vol. 3A 2.5). */
static bool may_store(struct hs_soft_cpu *cpu)
{
	bool may = cpu->cpl == 0 || !(cpu->cr4 & HS_CR4_UMIP);

	if (!may) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return may;
}

static bool may_load(struct hs_soft_cpu *cpu)
{
	if (cpu->cpl != 0) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return cpu->cpl == 0;
}

static enum hs_soft_flow load_table(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct hs_dtable *table)
{
	unsigned int width = cpu->mode == HS_SOFT_MODE_64 ? 8 : 4;
	uint8_t bytes[10];
	uint64_t base;

	if (!may_load(cpu) || !hs_soft_load_bytes(cpu, op->segment, hs_soft_ea(cpu, op), 2 + width, bytes)) {
		return HS_SOFT_FAULT;
	}
	base = hs_get_le(bytes + 2, width);
	if (op->bytes == 2) {
		base &= 0xffffff;
	}
	if (width == 8 && !hs_soft_canonical(cpu, base)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	*table = (struct hs_dtable){ .base = base, .limit = hs_get_le16(bytes) };
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_lgdt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return load_table(cpu, op, &cpu->gdt);
}

static enum hs_soft_flow execute_lidt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return load_table(cpu, op, &cpu->idt);
}

static enum hs_soft_flow store_table(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
				     const struct hs_dtable *table)
{
	unsigned int width = cpu->mode == HS_SOFT_MODE_64 ? 8 : 4;
	uint8_t bytes[10];

	hs_put_le16(bytes, table->limit);
	hs_put_le64(bytes + 2, table->base);
	if (!may_store(cpu) || !hs_soft_store_bytes(cpu, op->segment, hs_soft_ea(cpu, op), 2 + width, bytes)) {
		return HS_SOFT_FAULT;
	}
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_sgdt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return store_table(cpu, op, &cpu->gdt);
}

static enum hs_soft_flow execute_sidt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return store_table(cpu, op, &cpu->idt);
}

static enum hs_soft_flow store_selector(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int seg)
{
	return may_store(cpu) && hs_soft_put(cpu, op, 0, cpu->seg[seg].selector) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

static enum hs_soft_flow execute_sldt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return store_selector(cpu, op, HS_LDTR);
}

static enum hs_soft_flow execute_str(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return store_selector(cpu, op, HS_TR);
}

/* A system segment of the GDT, for lldt and ltr. */
static bool find_system(struct hs_soft_cpu *cpu, uint16_t selector, bool is_tss, struct hs_soft_descriptor *ret)
{
	const struct hs_segment *segment = &ret->segment;
	bool fits;

	if (selector & HS_SELECTOR_TI) {
		return hs_soft_refuse(cpu, HS_VECTOR_GP, selector);
	}
	if (!hs_soft_read_descriptor(cpu, selector, HS_VECTOR_GP, ret)) {
		return false;
	}
	fits = is_tss ? segment->type == HS_SOFT_TYPE_TSS || (segment->type == HS_SOFT_TYPE_TSS16 && !cpu->long_mode)
		      : segment->type == HS_SOFT_TYPE_LDT;
	if (segment->s || !fits) {
		return hs_soft_refuse(cpu, HS_VECTOR_GP, selector);
	}
	return (segment->present || hs_soft_refuse(cpu, HS_VECTOR_NP, selector)) &&
	       hs_soft_read_upper(cpu, HS_VECTOR_GP, ret);
}

static enum hs_soft_flow execute_lldt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct hs_soft_descriptor found = { .segment = { .unusable = 1 } };
	uint64_t selector;

	if (!may_load(cpu) || !hs_soft_get(cpu, op, 0, &selector)) {
		return HS_SOFT_FAULT;
	}
	if (hs_soft_is_null((uint16_t)selector)) {
		found.segment.selector = (uint16_t)selector;
	} else if (!find_system(cpu, (uint16_t)selector, false, &found)) {
		return HS_SOFT_FAULT;
	}
	cpu->seg[HS_LDTR] = found.segment;
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_ltr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct hs_soft_descriptor found;
	uint64_t selector;

	if (!may_load(cpu) || !hs_soft_get(cpu, op, 0, &selector)) {
		return HS_SOFT_FAULT;
	}
	if (hs_soft_is_null((uint16_t)selector)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	if (!find_system(cpu, (uint16_t)selector, true, &found) || !hs_soft_check_type(cpu, &found)) {
		return HS_SOFT_FAULT;
	}
	found.segment.type |= HS_SOFT_TYPE_BUSY;
	hs_soft_set_type(cpu, &found, found.segment.type);
	cpu->seg[HS_TR] = found.segment;
	return HS_SOFT_NEXT;
}

/* ---- Questions about a selector: ZF is the answer, and a bad selector no fault ---- */

/*
 * The descriptor that operand i names. *ret_found: there is one, and the present level may see it. The registers of lar
 * and lsl are as wide as the operand size; only their low 16 bits count.
 */
static bool look_up(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i,
		    struct hs_soft_descriptor *ret, bool *ret_found)
{
	const struct hs_segment *segment = &ret->segment;
	uint64_t value;
	uint16_t selector;

	if (!hs_soft_get(cpu, op, i, &value)) {
		return false;
	}
	selector = (uint16_t)value;
	*ret_found = !hs_soft_is_null(selector) && hs_soft_in_table(cpu, selector, HS_DESCRIPTOR_BYTES);
	if (!*ret_found) {
		return true;
	}
	if (!hs_soft_read_descriptor(cpu, selector, HS_VECTOR_GP, ret)) {
		return false;
	}
	if (!(hs_soft_is_code(segment) && hs_soft_is_conforming(segment))) {
		*ret_found = segment->dpl >= cpu->cpl && segment->dpl >= (selector & HS_SELECTOR_RPL);
	}
	if (!segment->s && cpu->long_mode) {
		*ret_found &= hs_soft_in_table(cpu, selector, HS_DESCRIPTOR_LONG_BYTES);
	}
	return true;
}

/* The system types that lar (SDM vol. 2A table 3-53) and lsl (table 3-54) know: a bit for each. */
#define BIT(type) (1u << HS_SOFT_TYPE_##type)
#define TYPES_LSL_64 (BIT(LDT) | BIT(TSS) | BIT(TSS_BUSY))
#define TYPES_LAR_64 (TYPES_LSL_64 | BIT(CALL))
#define TYPES_LSL (TYPES_LSL_64 | BIT(TSS16) | BIT(TSS16_BUSY))
#define TYPES_LAR (TYPES_LSL | BIT(CALL) | BIT(CALL16) | BIT(TASK))

static bool is_among(const struct hs_soft_cpu *cpu, const struct hs_segment *segment, unsigned int types,
		     unsigned int types_64)
{
	return segment->s || ((cpu->long_mode ? types_64 : types) >> segment->type & 1);
}

static enum hs_soft_flow answer(struct hs_soft_cpu *cpu, bool yes)
{
	hs_soft_change_flags(cpu, HS_FLAG_ZF, yes ? HS_FLAG_ZF : 0);
	return HS_SOFT_NEXT;
}

static enum hs_soft_flow execute_lar(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	/* Of the descriptor's second half. The SDM leaves 19:16 undefined; processors show the limit that is there. */
	const uint64_t access_rights = 0x00ffff00;
	struct hs_soft_descriptor found;
	bool yes;

	if (!look_up(cpu, op, 1, &found, &yes)) {
		return HS_SOFT_FAULT;
	}
	yes = yes && is_among(cpu, &found.segment, TYPES_LAR, TYPES_LAR_64);
	if (yes) {
		(void)hs_soft_put(cpu, op, 0, found.raw >> 32 & access_rights);
	}
	return answer(cpu, yes);
}

static enum hs_soft_flow execute_lsl(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct hs_soft_descriptor found;
	bool yes;

	if (!look_up(cpu, op, 1, &found, &yes)) {
		return HS_SOFT_FAULT;
	}
	yes = yes && is_among(cpu, &found.segment, TYPES_LSL, TYPES_LSL_64);
	if (yes) {
		(void)hs_soft_put(cpu, op, 0, found.segment.limit);
	}
	return answer(cpu, yes);
}

static enum hs_soft_flow execute_verr(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct hs_soft_descriptor found;
	bool yes;

	if (!look_up(cpu, op, 0, &found, &yes)) {
		return HS_SOFT_FAULT;
	}
	return answer(cpu, yes && found.segment.s &&
				   (!hs_soft_is_code(&found.segment) || (found.segment.type & HS_DESCRIPTOR_WRITABLE)));
}

static enum hs_soft_flow execute_verw(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct hs_soft_descriptor found;
	bool yes;

	if (!look_up(cpu, op, 0, &found, &yes)) {
		return HS_SOFT_FAULT;
	}
	return answer(cpu, yes && found.segment.s && !hs_soft_is_code(&found.segment) &&
				   (found.segment.type & HS_DESCRIPTOR_WRITABLE));
}

static enum hs_soft_flow execute_arpl(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t selector;
	uint64_t other;
	bool lower;

	if (!hs_soft_get(cpu, op, 0, &selector) || !hs_soft_get(cpu, op, 1, &other)) {
		return HS_SOFT_FAULT;
	}
	/* Memory is written only when something changes: CPUs fault as for a read otherwise. */
	lower = (selector & HS_SELECTOR_RPL) < (other & HS_SELECTOR_RPL);
	selector = (selector & ~(uint64_t)HS_SELECTOR_RPL) | (other & HS_SELECTOR_RPL);
	if (lower && !hs_soft_put(cpu, op, 0, selector)) {
		return HS_SOFT_FAULT;
	}
	return answer(cpu, lower);
}

static const struct {
	ZydisMnemonic mnemonic;
	enum hs_soft_flow (*execute)(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
} rows[] = {
	{ ZYDIS_MNEMONIC_ARPL, execute_arpl }, { ZYDIS_MNEMONIC_LAR, execute_lar },
	{ ZYDIS_MNEMONIC_LGDT, execute_lgdt }, { ZYDIS_MNEMONIC_LIDT, execute_lidt },
	{ ZYDIS_MNEMONIC_LLDT, execute_lldt }, { ZYDIS_MNEMONIC_LSL, execute_lsl },
	{ ZYDIS_MNEMONIC_LTR, execute_ltr },   { ZYDIS_MNEMONIC_SGDT, execute_sgdt },
	{ ZYDIS_MNEMONIC_SIDT, execute_sidt }, { ZYDIS_MNEMONIC_SLDT, execute_sldt },
	{ ZYDIS_MNEMONIC_STR, execute_str },   { ZYDIS_MNEMONIC_VERR, execute_verr },
	{ ZYDIS_MNEMONIC_VERW, execute_verw },
};

bool hs_soft_select_descriptor_table(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].mnemonic == decoded->insn.mnemonic) {
			op->execute = rows[i].execute;
			return true;
		}
	}
	return false;
}
