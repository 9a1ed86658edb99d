/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Far jumps, calls and returns: to code segments, through call gates, to tasks (SDM vol. 3A 5.8, 7.3). */
#include "vmm/soft/operand.h"
#include "vmm/soft/segment.h"
#include "vmm/soft/select.h"

struct pointer {
	uint64_t offset;
	uint16_t selector;
};

static bool load_pointer(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct pointer *ret)
{
	if (op->operand[0].kind == HS_SOFT_FAR) {
		*ret = (struct pointer){ op->immediate, (uint16_t)op->aux };
		return true;
	}
	return hs_soft_load_pointer(cpu, op, op->bytes, &ret->offset, &ret->selector);
}

static enum hs_soft_flow arrive(struct hs_soft_cpu *cpu, struct hs_soft_arrival *to, const struct hs_soft_frame *frame)
{
	if (!hs_soft_check_frame(cpu, &to->stack, frame) || !hs_soft_check_arrival(cpu, to)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_push_frame(cpu, &to->stack, frame);
	hs_soft_arrive(cpu, to);
	return HS_SOFT_BRANCH;
}

static void add_return(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct hs_soft_frame *frame)
{
	hs_soft_frame_add(frame, cpu->seg[HS_CS].selector);
	hs_soft_frame_add(frame, hs_soft_next_rip(cpu, op));
}

/* ---- To a code segment: never to another level ---- */

static enum hs_soft_flow to_code(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint64_t offset, bool is_call,
				 struct hs_soft_arrival *to)
{
	const struct hs_segment *cs = &to->cs.segment;
	bool may = hs_soft_is_conforming(cs) ? cs->dpl <= cpu->cpl
					     : (cs->selector & HS_SELECTOR_RPL) <= cpu->cpl && cs->dpl == cpu->cpl;
	struct hs_soft_frame frame = { .bytes = op->bytes };

	if (!hs_soft_accept_code(cpu, may, cpu->cpl, HS_VECTOR_GP, &to->cs)) {
		return HS_SOFT_FAULT;
	}
	to->ip = cpu->long_mode && cs->l ? offset : (uint32_t)offset;
	to->cpl = cpu->cpl;
	hs_soft_present_stack(cpu, cpu->mode == HS_SOFT_MODE_64, &to->stack);
	if (is_call) {
		add_return(cpu, op, &frame);
	}
	return arrive(cpu, to, &frame);
}

/* ---- Through a call gate (SDM vol. 3A 5.8.3 to 5.8.5) ---- */

static bool find_gate_code(struct hs_soft_cpu *cpu, const struct hs_soft_gate *gate, bool is_call,
			   struct hs_soft_arrival *to)
{
	const struct hs_segment *cs = &to->cs.segment;
	bool may;

	if (!hs_soft_read_code(cpu, gate->selector, HS_VECTOR_GP, &to->cs)) {
		return false;
	}
	may = (is_call || hs_soft_is_conforming(cs) ? cs->dpl <= cpu->cpl : cs->dpl == cpu->cpl) &&
	      (!cpu->long_mode || cs->l);
	to->ip = gate->offset;
	to->cpl = hs_soft_is_conforming(cs) ? cpu->cpl : cs->dpl;
	return hs_soft_accept_code(cpu, may, to->cpl, HS_VECTOR_GP, &to->cs);
}

/* SS:RSP and the parameters, in the order they have there, for the inner stack. */
static bool add_outer_stack(struct hs_soft_cpu *cpu, const struct hs_soft_gate *gate, struct hs_soft_frame *frame)
{
	hs_soft_frame_add(frame, cpu->seg[HS_SS].selector);
	hs_soft_frame_add(frame, cpu->r[HS_RSP]);
	for (unsigned int i = gate->parameters; i > 0; i--) {
		uint64_t parameter;

		if (!hs_soft_peek(cpu, (i - UINT64_C(1)) * frame->bytes, frame->bytes, &parameter)) {
			return false;
		}
		hs_soft_frame_add(frame, parameter);
	}
	return true;
}

static enum hs_soft_flow through_gate(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
				      struct hs_soft_descriptor *found, bool is_call)
{
	struct hs_soft_frame frame = { .bytes = 2 };
	struct hs_soft_arrival to;
	struct hs_soft_gate gate;

	if (!hs_soft_read_upper(cpu, HS_VECTOR_GP, found)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_decode_gate(cpu, found->raw, found->upper, &gate);
	if (!find_gate_code(cpu, &gate, is_call, &to)) {
		return HS_SOFT_FAULT;
	}
	if (gate.type & HS_SOFT_TYPE_32) {
		frame.bytes = cpu->long_mode ? 8 : 4;
	}
	if (to.cpl == cpu->cpl) {
		hs_soft_present_stack(cpu, cpu->long_mode, &to.stack);
	} else if (!hs_soft_inner_stack(cpu, to.cpl, 0, &to.stack) || !add_outer_stack(cpu, &gate, &frame)) {
		return HS_SOFT_FAULT;
	}
	if (is_call) {
		add_return(cpu, op, &frame);
	}
	return arrive(cpu, &to, &frame);
}

/* ---- To a task ---- */

static enum hs_soft_flow to_task(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint16_t selector, bool is_call)
{
	const struct hs_soft_task_switch request = {
		.cause = is_call ? HS_SOFT_TASK_CALL : HS_SOFT_TASK_JMP,
		.selector = selector,
		.rip = hs_soft_next_rip(cpu, op),
		.rflags = hs_soft_rflags(cpu),
	};

	return hs_soft_switch_task(cpu, &request) ? HS_SOFT_BRANCH : HS_SOFT_FAULT;
}

static enum hs_soft_flow to_system(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
				   struct hs_soft_descriptor *found, bool is_call)
{
	const struct hs_segment *segment = &found->segment;
	uint16_t selector = segment->selector;
	bool known;

	switch (segment->type) {
	case HS_SOFT_TYPE_CALL:
		known = true;
		break;
	case HS_SOFT_TYPE_CALL16:
	case HS_SOFT_TYPE_TASK:
	case HS_SOFT_TYPE_TSS16:
	case HS_SOFT_TYPE_TSS:
		known = !cpu->long_mode;
		break;
	default:
		known = false;
	}
	if (!known || segment->dpl < cpu->cpl || segment->dpl < (selector & HS_SELECTOR_RPL)) {
		hs_soft_refuse(cpu, HS_VECTOR_GP, selector);
		return HS_SOFT_FAULT;
	}
	if (!segment->present) {
		hs_soft_refuse(cpu, HS_VECTOR_NP, selector);
		return HS_SOFT_FAULT;
	}
	switch (segment->type) {
	case HS_SOFT_TYPE_CALL16:
	case HS_SOFT_TYPE_CALL:
		return through_gate(cpu, op, found, is_call);
	case HS_SOFT_TYPE_TASK:
		return to_task(cpu, op, (uint16_t)(found->raw >> 16), is_call);
	default:
		return to_task(cpu, op, selector, is_call);
	}
}

/* ---- */

static enum hs_soft_flow transfer(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool is_call)
{
	struct hs_soft_arrival to;
	struct pointer pointer;

	if (!load_pointer(cpu, op, &pointer)) {
		return HS_SOFT_FAULT;
	}
	if (hs_soft_is_null(pointer.selector)) {
		return hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	if (!hs_soft_read_descriptor(cpu, pointer.selector, HS_VECTOR_GP, &to.cs)) {
		return HS_SOFT_FAULT;
	}
	if (hs_soft_is_code(&to.cs.segment)) {
		return to_code(cpu, op, pointer.offset, is_call, &to);
	}
	if (to.cs.segment.s) {
		hs_soft_refuse(cpu, HS_VECTOR_GP, pointer.selector);
		return HS_SOFT_FAULT;
	}
	return to_system(cpu, op, &to.cs, is_call);
}

static enum hs_soft_flow execute_jmp_far(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return transfer(cpu, op, false);
}

static enum hs_soft_flow execute_call_far(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	return transfer(cpu, op, true);
}

static enum hs_soft_flow execute_ret_far(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	unsigned int release = op->operand[0].kind == HS_SOFT_IMMEDIATE ? (uint16_t)op->immediate : 0;
	struct hs_soft_return from = {
		.bytes = op->bytes,
		.behind = 2u * op->bytes + release,
		.release = release,
	};
	struct hs_soft_arrival to;
	uint64_t cs;

	if (!hs_soft_peek(cpu, 0, op->bytes, &from.ip) || !hs_soft_peek(cpu, op->bytes, op->bytes, &cs)) {
		return HS_SOFT_FAULT;
	}
	from.cs = (uint16_t)cs;
	if (!hs_soft_prepare_return(cpu, &from, &to)) {
		return HS_SOFT_FAULT;
	}
	hs_soft_arrive(cpu, &to);
	return HS_SOFT_BRANCH;
}

bool hs_soft_select_far(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	if (decoded->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR) {
		return false;
	}
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
		op->execute = execute_jmp_far;
		return true;
	case ZYDIS_MNEMONIC_CALL:
		op->execute = execute_call_far;
		return true;
	case ZYDIS_MNEMONIC_RET:
		op->execute = execute_ret_far;
		return true;
	default:
		return false;
	}
}
