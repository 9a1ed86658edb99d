/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gates, the stacks they lead to, and arriving behind them (SDM vol. 3A 5.8, 6.12, 6.14). */
#include "vmm/soft/segment.h"

#include "base/bytes.h"

#include <string.h>

/* Offsets in a TSS (SDM vol. 3A figures 7-2, 7-10, 7-11). */
#define TSS64_RSP(level) (4u + 8u * (level))
#define TSS64_IST(ist) (28u + 8u * (ist))
#define TSS32_ESP(level) (4u + 8u * (level))
#define TSS16_SP(level) (2u + 4u * (level))

#define LIMIT_32 0xffffffffu
#define LIMIT_16 0xffffu

void hs_soft_decode_gate(const struct hs_soft_cpu *cpu, uint64_t raw, uint64_t upper, struct hs_soft_gate *ret)
{
	*ret = (struct hs_soft_gate){
		.offset = (raw & 0xffff) | (raw >> 48 << 16),
		.selector = (uint16_t)(raw >> 16),
		.parameters = raw >> 32 & 0x1f,
		.type = raw >> 40 & 0xf,
		.s = raw >> 44 & 1,
		.dpl = raw >> 45 & 3,
		.present = raw >> 47 & 1,
	};
	if (cpu->long_mode) {
		ret->offset |= upper << 32;
		ret->ist = ret->parameters & 7;
		ret->parameters = 0;
	} else if (!(ret->type & HS_SOFT_TYPE_32)) {
		ret->offset &= 0xffff;
	}
}

void hs_soft_present_stack(struct hs_soft_cpu *cpu, bool is_64, struct hs_soft_stack *ret)
{
	*ret = (struct hs_soft_stack){
		.ss = { .segment = cpu->seg[HS_SS] },
		.sp = cpu->r[HS_RSP],
		.mask = is_64 ? UINT64_MAX : cpu->stack_mask,
		.is_64 = is_64,
		.space = cpu->space,
	};
}

/* A field of the present TSS. */
static bool load_tss(struct hs_soft_cpu *cpu, unsigned int offset, unsigned int bytes, uint8_t *ret)
{
	const struct hs_segment *tr = &cpu->seg[HS_TR];

	if (tr->unusable || offset + bytes - 1 > tr->limit) {
		return hs_soft_refuse(cpu, HS_VECTOR_TS, tr->selector);
	}
	return hs_soft_system_load(cpu, hs_soft_system_gva(cpu, tr->base, offset), bytes, ret);
}

static bool inner_stack_64(struct hs_soft_cpu *cpu, unsigned int cpl, unsigned int ist, struct hs_soft_stack *ret)
{
	uint8_t bytes[8];

	if (!load_tss(cpu, ist ? TSS64_IST(ist) : TSS64_RSP(cpl), sizeof(bytes), bytes)) {
		return false;
	}
	ret->sp = hs_get_le64(bytes);
	ret->is_64 = true;
	ret->mask = UINT64_MAX;
	if (!hs_soft_canonical(cpu, ret->sp)) {
		return hs_soft_refuse(cpu, HS_VECTOR_SS, 0);
	}
	/* The level's SS is null; without a change of level SS stays. */
	ret->ss.segment = cpu->seg[HS_SS];
	if (cpl != cpu->cpl) {
		ret->ss.segment = (struct hs_segment){ .selector = (uint16_t)cpl, .dpl = (uint8_t)cpl, .unusable = 1 };
	}
	return true;
}

static bool inner_stack_32(struct hs_soft_cpu *cpu, unsigned int cpl, struct hs_soft_stack *ret)
{
	bool wide = cpu->seg[HS_TR].type & HS_SOFT_TYPE_32;
	uint8_t bytes[6];
	uint16_t selector;

	if (!load_tss(cpu, wide ? TSS32_ESP(cpl) : TSS16_SP(cpl), wide ? 6 : 4, bytes)) {
		return false;
	}
	ret->sp = wide ? hs_get_le32(bytes) : hs_get_le16(bytes);
	selector = hs_get_le16(bytes + (wide ? 4 : 2));
	if (!hs_soft_find_stack(cpu, selector, cpl, HS_VECTOR_TS, false, &ret->ss)) {
		return false;
	}
	ret->mask = ret->ss.segment.db ? LIMIT_32 : LIMIT_16;
	return true;
}

bool hs_soft_inner_stack(struct hs_soft_cpu *cpu, unsigned int cpl, unsigned int ist, struct hs_soft_stack *ret)
{
	*ret = (struct hs_soft_stack){ .switched = true, .space = cpu->space };
	if (cpu->cpl == 3 && cpl < 3) {
		ret->space = HS_SOFT_SUPERVISOR;
	}
	return cpu->long_mode ? inner_stack_64(cpu, cpl, ist, ret) : inner_stack_32(cpu, cpl, ret);
}

static uint64_t slot(const struct hs_soft_stack *stack, uint64_t down)
{
	return (stack->sp - down) & stack->mask;
}

static uint64_t gva_of(const struct hs_soft_stack *stack, uint64_t offset)
{
	return stack->is_64 ? offset : (uint32_t)(stack->ss.segment.base + offset);
}

static bool has_room(struct hs_soft_cpu *cpu, const struct hs_soft_stack *stack, uint64_t offset, unsigned int bytes)
{
	bool room = stack->is_64
			    ? hs_soft_canonical(cpu, offset) && hs_soft_canonical(cpu, offset + bytes - 1)
			    : hs_soft_segment_allows(&stack->ss.segment, offset, bytes, HS_PROT_READ | HS_PROT_WRITE);

	return room ||
	       hs_soft_refuse(cpu, HS_VECTOR_SS, stack->switched && !stack->is_64 ? stack->ss.segment.selector : 0);
}

static bool is_aligned(struct hs_soft_cpu *cpu, const struct hs_soft_stack *stack, uint64_t gva, unsigned int bytes)
{
	bool checked = stack->space == HS_SOFT_USER && (cpu->cr0 & HS_CR0_AM) && (cpu->rflags & HS_FLAG_AC);

	if (checked && gva & (bytes - 1)) {
		hs_soft_raise(cpu, HS_VECTOR_AC, 0);
		return false;
	}
	return true;
}

static bool check_word(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, uint8_t bytes, uint64_t value)
{
	if (hs_soft_linear_check(cpu, space, gva, bytes, HS_PROT_WRITE)) {
		return true;
	}
	if (cpu->why == HS_SOFT_WHY_EXIT) {
		cpu->exit.size = bytes;
		memcpy(&cpu->exit.written, &value, bytes);
	}
	return false;
}

/* Room for all of it is looked for first, then each word as it is pushed: CR2 is that of the first one that faults. */
bool hs_soft_check_frame(struct hs_soft_cpu *cpu, const struct hs_soft_stack *stack, const struct hs_soft_frame *frame)
{
	uint8_t bytes = frame->bytes;

	for (unsigned int i = 1; i <= frame->count; i++) {
		if (!has_room(cpu, stack, slot(stack, (uint64_t)i * bytes), bytes)) {
			return false;
		}
	}
	for (unsigned int i = 1; i <= frame->count; i++) {
		uint64_t gva = gva_of(stack, slot(stack, (uint64_t)i * bytes));
		const struct hs_soft_tlb_entry *entry = &cpu->tlb[stack->space][hs_soft_tlb_place(gva)];

		if (!is_aligned(cpu, stack, gva, bytes)) {
			return false;
		}
		if (!hs_soft_in_page(gva, bytes, entry->write) &&
		    !check_word(cpu, stack->space, gva, bytes, frame->value[i - 1])) {
			return false;
		}
	}
	return true;
}

static void store(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, unsigned int bytes, uint64_t value)
{
	const struct hs_soft_tlb_entry *entry = &cpu->tlb[space][hs_soft_tlb_place(gva)];

	if (HS_SOFT_LIKELY(hs_soft_in_page(gva, bytes, entry->write))) {
		memcpy((void *)(gva + entry->addend), &value, bytes);
		return;
	}
	/* It was checked. A guest whose stack is one of its page tables loses the rest of the frame. */
	(void)!hs_soft_linear_store(cpu, space, gva, bytes, &value);
}

void hs_soft_push_frame(struct hs_soft_cpu *cpu, struct hs_soft_stack *stack, const struct hs_soft_frame *frame)
{
	for (unsigned int i = 0; i < frame->count; i++) {
		uint64_t gva = gva_of(stack, slot(stack, (i + UINT64_C(1)) * frame->bytes));

		store(cpu, stack->space, gva, frame->bytes, frame->value[i]);
	}
	stack->sp = (stack->sp & ~stack->mask) | slot(stack, (uint64_t)frame->count * frame->bytes);
}

bool hs_soft_check_arrival(struct hs_soft_cpu *cpu, const struct hs_soft_arrival *to)
{
	const struct hs_segment *cs = &to->cs.segment;
	bool is_64 = cpu->long_mode && cs->l;

	if (is_64 ? !hs_soft_canonical(cpu, to->ip) : to->ip > cs->limit) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	return hs_soft_check_accessed(cpu, &to->cs) && hs_soft_check_accessed(cpu, &to->stack.ss);
}

/* After a return: what the outer level may not see. Conforming code, and null, may stay (SDM vol. 2A, IRET). */
static void drop_segments(struct hs_soft_cpu *cpu, unsigned int cpl)
{
	static const uint8_t data[] = { HS_ES, HS_DS, HS_FS, HS_GS };

	for (size_t i = 0; i < sizeof(data); i++) {
		struct hs_segment *segment = &cpu->seg[data[i]];
		bool stays = hs_soft_is_null(segment->selector) ||
			     (hs_soft_is_code(segment) && hs_soft_is_conforming(segment)) || segment->dpl >= cpl;

		if (!stays) {
			*segment = (struct hs_segment){ .unusable = 1 };
		}
	}
}

void hs_soft_arrive(struct hs_soft_cpu *cpu, const struct hs_soft_arrival *to)
{
	uint64_t sp = to->stack.sp;

	hs_soft_set_accessed(cpu, &to->cs);
	hs_soft_set_accessed(cpu, &to->stack.ss);
	cpu->seg[HS_CS] = to->cs.segment;
	cpu->seg[HS_SS] = to->stack.ss.segment;
	if (to->cpl > cpu->cpl) {
		drop_segments(cpu, to->cpl);
	}
	cpu->cpl = to->cpl;
	cpu->shadow = false;
	hs_soft_refresh(cpu);
	/* A new stack of 16 bits replaces only SP. */
	if (to->stack.switched && cpu->stack_mask == LIMIT_16) {
		sp = (cpu->r[HS_RSP] & ~(uint64_t)LIMIT_16) | (sp & LIMIT_16);
	} else if (to->stack.switched) {
		sp &= cpu->stack_mask;
	}
	cpu->r[HS_RSP] = sp;
	cpu->r[HS_SOFT_RIP] = to->ip;
}
