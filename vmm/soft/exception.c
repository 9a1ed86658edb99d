/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exceptions: noting one, and bringing it, or a software interrupt, to the guest through its IDT (SDM vol. 3A 6).
 *
 * The virtual-8086 mode and the real mode are not there: EFLAGS.VM is never set, and an exception with CR0.PE clear
 * is a shutdown.
 */
#include "vmm/soft/flags.h"
#include "vmm/soft/segment.h"

#include "base/bytes.h"

#include <string.h>

/* Bits of an error code that names a descriptor (SDM vol. 3A 6.13). */
#define ERROR_EXT 1u
#define ERROR_IDT 2u

/*
 * A fault while one is delivered, and so on. Three make a shutdown at the latest, but for a handler in ring 3 whose
 * every push is an #AC, which is benign: hardware never ends that.
 */
#define ATTEMPTS_MAX 8

enum hs_soft_flow hs_soft_raise(struct hs_soft_cpu *cpu, uint8_t vector, uint32_t error_code)
{
	cpu->fault = (struct hs_soft_fault){
		.vector = vector,
		.has_error_code = hs_exception_of(vector)->has_error_code,
		.error_code = error_code,
	};
	cpu->why = HS_SOFT_WHY_EXCEPTION;
	return HS_SOFT_FAULT;
}

bool hs_soft_raise_pf(struct hs_soft_cpu *cpu, uint64_t cr2, uint32_t error_code)
{
	hs_soft_raise(cpu, HS_VECTOR_PF, error_code);
	cpu->fault.cr2 = cr2;
	return false;
}

/* What goes through the IDT. */
struct event {
	uint8_t vector;
	bool by_instruction; /* int n, int3, into: the gate's DPL counts */
	bool has_error_code;
	uint32_t error_code;
	uint64_t rip;
	uint64_t rflags; /* as they are pushed */
};

static bool refuse_gate(struct hs_soft_cpu *cpu, uint8_t vector, const struct event *event)
{
	hs_soft_raise(cpu, vector, event->vector * 8u | ERROR_IDT);
	return false;
}

static bool is_gate_type(const struct hs_soft_cpu *cpu, const struct hs_soft_gate *gate)
{
	if (gate->s) {
		return false;
	}
	switch (gate->type) {
	case HS_SOFT_TYPE_INTERRUPT:
	case HS_SOFT_TYPE_TRAP:
		return true;
	case HS_SOFT_TYPE_TASK:
	case HS_SOFT_TYPE_INTERRUPT16:
	case HS_SOFT_TYPE_TRAP16:
		return !cpu->long_mode;
	default:
		return false;
	}
}

static bool read_gate(struct hs_soft_cpu *cpu, const struct event *event, struct hs_soft_gate *ret)
{
	unsigned int length = cpu->long_mode ? 16 : 8;
	uint32_t offset = event->vector * length;
	uint8_t bytes[16] = { 0 };

	if (offset + length - 1 > cpu->idt.limit) {
		return refuse_gate(cpu, HS_VECTOR_GP, event);
	}
	if (!hs_soft_system_load(cpu, hs_soft_system_gva(cpu, cpu->idt.base, offset), length, bytes)) {
		return false;
	}
	hs_soft_decode_gate(cpu, hs_get_le64(bytes), hs_get_le64(bytes + 8), ret);
	if (!is_gate_type(cpu, ret) || (event->by_instruction && ret->dpl < cpu->cpl)) {
		return refuse_gate(cpu, HS_VECTOR_GP, event);
	}
	return ret->present || refuse_gate(cpu, HS_VECTOR_NP, event);
}

/* The handler's code segment and level; in long mode it is 64-bit code. */
static bool find_handler(struct hs_soft_cpu *cpu, const struct hs_soft_gate *gate, struct hs_soft_arrival *to)
{
	const struct hs_segment *cs = &to->cs.segment;

	if (!hs_soft_read_code(cpu, gate->selector, HS_VECTOR_GP, &to->cs)) {
		return false;
	}
	to->ip = gate->offset;
	to->cpl = hs_soft_is_conforming(cs) ? cpu->cpl : cs->dpl;
	return hs_soft_accept_code(cpu, cs->dpl <= cpu->cpl && (!cpu->long_mode || cs->l), to->cpl, HS_VECTOR_GP,
				   &to->cs);
}

static bool find_stack(struct hs_soft_cpu *cpu, const struct hs_soft_gate *gate, struct hs_soft_arrival *to)
{
	if (to->cpl == cpu->cpl && !gate->ist) {
		hs_soft_present_stack(cpu, cpu->long_mode, &to->stack);
	} else if (!hs_soft_inner_stack(cpu, to->cpl, gate->ist, &to->stack)) {
		return false;
	}
	if (cpu->long_mode) {
		to->stack.sp &= ~UINT64_C(15); /* SDM vol. 3A 6.14.2 */
	}
	return true;
}

static void make_frame(const struct hs_soft_cpu *cpu, const struct event *event, const struct hs_soft_gate *gate,
		       bool with_stack, struct hs_soft_frame *frame)
{
	frame->count = 0;
	frame->bytes = cpu->long_mode ? 8 : gate->type & HS_SOFT_TYPE_32 ? 4 : 2;
	if (with_stack) {
		hs_soft_frame_add(frame, cpu->seg[HS_SS].selector);
		hs_soft_frame_add(frame, cpu->r[HS_RSP]);
	}
	hs_soft_frame_add(frame, event->rflags);
	hs_soft_frame_add(frame, cpu->seg[HS_CS].selector);
	hs_soft_frame_add(frame, event->rip);
	if (event->has_error_code) {
		hs_soft_frame_add(frame, event->error_code);
	}
}

static bool enter_handler(struct hs_soft_cpu *cpu, const struct event *event, const struct hs_soft_gate *gate)
{
	bool is_interrupt = gate->type == HS_SOFT_TYPE_INTERRUPT || gate->type == HS_SOFT_TYPE_INTERRUPT16;
	uint64_t cleared = HS_FLAG_TF | HS_FLAG_RF | HS_FLAG_NT | HS_FLAG_VM | (is_interrupt ? HS_FLAG_IF : 0);
	struct hs_soft_arrival to;
	struct hs_soft_frame frame;

	if (!find_handler(cpu, gate, &to) || !find_stack(cpu, gate, &to)) {
		return false;
	}
	make_frame(cpu, event, gate, cpu->long_mode || to.cpl != cpu->cpl, &frame);
	if (!hs_soft_check_frame(cpu, &to.stack, &frame) || !hs_soft_check_arrival(cpu, &to)) {
		return false;
	}
	hs_soft_push_frame(cpu, &to.stack, &frame);
	cpu->rflags &= ~cleared;
	hs_soft_arrive(cpu, &to);
	return true;
}

static bool enter_task(struct hs_soft_cpu *cpu, const struct event *event, const struct hs_soft_gate *gate)
{
	const struct hs_soft_task_switch request = {
		.cause = HS_SOFT_TASK_EVENT,
		.selector = gate->selector,
		.rip = event->rip,
		.rflags = event->rflags,
		.has_error_code = event->has_error_code,
		.error_code = event->error_code,
	};

	return hs_soft_switch_task(cpu, &request);
}

/* Through the IDT, or a fault on the way, and nothing has changed (but see hs_soft_switch_task()). */
static bool enter(struct hs_soft_cpu *cpu, const struct event *event)
{
	struct hs_soft_gate gate;

	if (!(cpu->cr0 & HS_CR0_PE)) {
		return refuse_gate(cpu, HS_VECTOR_GP, event);
	}
	if (!read_gate(cpu, event, &gate)) {
		return false;
	}
	return gate.type == HS_SOFT_TYPE_TASK ? enter_task(cpu, event, &gate) : enter_handler(cpu, event, &gate);
}

/* ---- Exceptions during an exception (SDM vol. 3A 6.15, "Interrupt 8", tables 6-4 and 6-5) ---- */

enum severity { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum severity severity_of(uint8_t vector)
{
	switch (vector) {
	case HS_VECTOR_DE:
	case HS_VECTOR_TS:
	case HS_VECTOR_NP:
	case HS_VECTOR_SS:
	case HS_VECTOR_GP:
	case HS_VECTOR_CP:
		return CONTRIBUTORY;
	case HS_VECTOR_PF:
		return PAGE_FAULT;
	case HS_VECTOR_DF:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

/* cpu->fault came while `first` was delivered: make it what is delivered next. False for a shutdown. */
static bool combine(struct hs_soft_cpu *cpu, uint8_t first)
{
	enum severity second = severity_of(cpu->fault.vector);

	switch (severity_of(first)) {
	case DOUBLE_FAULT:
		return false;
	case PAGE_FAULT:
		if (second != BENIGN) {
			hs_soft_raise(cpu, HS_VECTOR_DF, 0);
		}
		return true;
	case CONTRIBUTORY:
		if (second == CONTRIBUTORY) {
			hs_soft_raise(cpu, HS_VECTOR_DF, 0);
		}
		return true;
	default:
		return true;
	}
}

/* No instruction asked for the event: whatever descriptor is bad, the event is to blame (SDM vol. 3A 6.13). */
static void add_ext(struct hs_soft_cpu *cpu)
{
	if (cpu->why == HS_SOFT_WHY_EXCEPTION && severity_of(cpu->fault.vector) == CONTRIBUTORY &&
	    cpu->fault.has_error_code) {
		cpu->fault.error_code |= ERROR_EXT;
	}
}

/* RF is set in the image of a fault, so that the instruction can be restarted behind its breakpoint (SDM vol. 3B
 * 17.3.1.1); the #DB of that breakpoint, traps and aborts leave it. */
static bool sets_rf(uint8_t vector)
{
	return !hs_exception_of(vector)->is_trap && vector != HS_VECTOR_DB && vector != HS_VECTOR_DF &&
	       vector != HS_VECTOR_MC;
}

/* What delivering an exception changes although it fails: CR2, and all that a task switch has changed by then. */
struct saved {
	uint64_t r[HS_SOFT_REGS];
	struct hs_segment seg[HS_SEG_COUNT];
	uint64_t rflags, cr0, cr2, cr3, dr7;
	uint8_t cpl;
};

static void save(const struct hs_soft_cpu *cpu, struct saved *ret)
{
	memcpy(ret->r, cpu->r, sizeof(ret->r));
	memcpy(ret->seg, cpu->seg, sizeof(ret->seg));
	ret->rflags = hs_soft_rflags(cpu);
	ret->cr0 = cpu->cr0;
	ret->cr2 = cpu->cr2;
	ret->cr3 = cpu->cr3;
	ret->dr7 = cpu->dr[7];
	ret->cpl = cpu->cpl;
}

static void restore(struct hs_soft_cpu *cpu, const struct saved *saved)
{
	bool other_tables = cpu->cr3 != saved->cr3;

	memcpy(cpu->r, saved->r, sizeof(cpu->r));
	memcpy(cpu->seg, saved->seg, sizeof(cpu->seg));
	hs_soft_set_rflags(cpu, saved->rflags);
	cpu->cr0 = saved->cr0;
	cpu->cr2 = saved->cr2;
	cpu->cr3 = saved->cr3;
	cpu->dr[7] = saved->dr7;
	cpu->cpl = saved->cpl;
	if (other_tables) {
		hs_soft_flush(cpu);
	}
	hs_soft_refresh(cpu);
}

static void note_cr2(struct hs_soft_cpu *cpu)
{
	if (cpu->fault.vector == HS_VECTOR_PF) {
		cpu->cr2 = cpu->fault.cr2;
	}
}

bool hs_soft_deliver(struct hs_soft_cpu *cpu)
{
	struct saved saved;

	save(cpu, &saved);
	note_cr2(cpu);
	for (unsigned int i = 0; i < ATTEMPTS_MAX; i++) {
		struct event event = {
			.vector = cpu->fault.vector,
			.has_error_code = cpu->fault.has_error_code,
			.error_code = cpu->fault.error_code,
			.rip = cpu->r[HS_SOFT_RIP],
			.rflags = hs_soft_rflags(cpu),
		};

		event.rflags |= sets_rf(event.vector) ? HS_FLAG_RF : 0;
		if (enter(cpu, &event)) {
			return true;
		}
		if (cpu->why == HS_SOFT_WHY_EXIT) {
			restore(cpu, &saved);
			return false;
		}
		note_cr2(cpu);
		add_ext(cpu);
		if (!combine(cpu, event.vector)) {
			break;
		}
	}
	restore(cpu, &saved);
	hs_soft_leave(cpu, HS_EXIT_SHUTDOWN);
	return false;
}

enum hs_soft_flow hs_soft_software_interrupt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint8_t vector)
{
	/* int1 has no operand, and is an exception to the IDT. */
	bool is_int1 = vector == HS_VECTOR_DB && op->operand[0].kind == HS_SOFT_NONE;
	struct event event = {
		.vector = vector,
		.by_instruction = !is_int1,
		.rip = cpu->r[HS_SOFT_RIP] + op->length,
		.rflags = hs_soft_rflags(cpu),
	};

	if (cpu->mode != HS_SOFT_MODE_64) {
		event.rip = (uint32_t)event.rip;
	}
	if (enter(cpu, &event)) {
		hs_soft_trap_by_new_tf(cpu);
		return HS_SOFT_BRANCH;
	}
	if (is_int1) {
		add_ext(cpu);
	}
	return HS_SOFT_FAULT;
}
