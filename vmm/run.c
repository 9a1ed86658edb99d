/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hs_vm_run(): from one event to the next. Each turn runs the CPU once, freely or by one instruction, and decides from its
 * exit whether that was an event. After an event the registers are consistent: a port access has been retired, a crash
 * has been taken back to its instruction.
 */
#include "vmm/vm_private.h"

#include "base/error.h"
#include "vmm/crash.h"
#include "vmm/exception_frame.h"
#include "vmm/insn.h"

#define RFLAGS_TF (1ull << 8)
#define RFLAGS_DF (1ull << 10)
#define OPCODE_INT3 0xCC

/* What one run of the CPU came to. */
enum turn {
	TURN_AGAIN, /* nothing that anybody need know of */
	TURN_STEP,  /* one instruction is done, if that was asked */
	TURN_EVENT, /* *event is filled */
};

static void forget_cpu(struct hs_vm *vm)
{
	vm->have = 0;
}

static struct hs_crash_scene scene_of(struct hs_vm *vm, const struct hs_phys *phys)
{
	return (struct hs_crash_scene){ .phys = phys, .cpu = &vm->cpu, .layout = &vm->layout };
}

static enum hs_status write_rip(struct hs_vm *vm, uint64_t rip, struct hs_error *err)
{
	vm->cpu.rip = rip;
	vm->dirty |= HS_STATE_CORE;
	return hs_vm_flush(vm, err);
}

/* Retire the access that the CPU is in the middle of, so that its registers are those after the instruction. */
static enum hs_status retire(struct hs_vm *vm, struct hs_error *err)
{
	enum hs_status st = vm->ops->complete(vm->backend, err);

	forget_cpu(vm);
	return st ? st : hs_vm_fetch(vm, HS_STATE_CORE, err);
}

struct culprit {
	struct hs_vm *vm;
	const struct hs_exit *exit;
};

static bool is_culprit(void *ctx, const struct hs_insn *insn)
{
	const struct culprit *culprit = ctx;
	struct hs_phys phys = hs_ram_phys(&culprit->vm->ram);
	struct hs_root root;

	if (culprit->exit->kind == HS_EXIT_PORT_OUT) {
		return insn->is_out && insn->port == culprit->exit->port;
	}
	hs_root_of_cpu(&culprit->vm->cpu, &root);
	for (size_t i = 0; i < insn->access_count; i++) {
		struct hs_range range;
		uint64_t address = insn->accesses[i].address;

		hs_translate(&phys, &root, hs_gva_of(address), &range);
		if (range.kind == HS_RANGE_MAPPED &&
		    range.gpa.v + (address - range.start.v) == culprit->exit->gpa) {
			return true;
		}
	}
	return false;
}

/* Put the CPU back to the instruction behind a port or memory exit, with the registers that it found. */
static enum hs_status rewind_access(struct hs_vm *vm, const struct hs_exit *exit, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct culprit culprit = { vm, exit };
	struct hs_cpu_state before;
	struct hs_insn insn;
	enum hs_status st;
	hs_gva start;

	st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	if (st) {
		return st;
	}
	before = vm->cpu;
	st = retire(vm, err);
	if (st) {
		return st;
	}
	if (exit->insn_rip_known) {
		vm->cpu = before;
		return write_rip(vm, exit->insn_rip, err);
	}
	if (hs_insn_before(&phys, &vm->cpu, hs_gva_of(vm->cpu.rip), is_culprit, &culprit, &start, &insn)) {
		return write_rip(vm, start.v, err);
	}
	return HS_OK;
}

static enum hs_status crash_of_exit(struct hs_vm *vm, const struct hs_exit *exit, struct hs_event *event,
				    struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_crash_scene scene = scene_of(vm, &phys);
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (!st && (exit->kind == HS_EXIT_PORT_IN || exit->kind == HS_EXIT_PORT_OUT ||
		    exit->kind == HS_EXIT_UNMAPPED || exit->kind == HS_EXIT_READ_ONLY)) {
		st = rewind_access(vm, exit, err);
	}
	if (!st) {
		event->kind = HS_EVENT_CRASHED;
		hs_crash_of_exit(&scene, exit, &event->crash);
	}
	return st;
}

/* The frame that the guest's stub has pushed becomes the state of the fault. */
static enum hs_status crash_of_exception(struct hs_vm *vm, struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_crash_scene scene = scene_of(vm, &phys);
	struct hs_exception_frame frame;
	enum hs_status st = retire(vm, err);

	if (st) {
		return st;
	}
	event->kind = HS_EVENT_CRASHED;
	if (hs_exception_frame_rewind(&phys, &vm->cpu, &frame, NULL)) {
		hs_crash_of_bad_call(&scene, HS_PORT_EXCEPTION, vm->cpu.gpr[HS_RSP], "no exception frame",
				     &event->crash);
		return HS_OK;
	}
	/* A step in progress had TF set in the CPU, never in the guest: what the CPU pushed is not the guest's. */
	vm->cpu.rflags &= ~RFLAGS_TF;
	vm->dirty |= HS_STATE_CORE;
	st = hs_vm_flush(vm, err);
	hs_crash_of_exception(&scene, &frame, &event->crash);
	return st;
}

static enum hs_status end_by_bus(struct hs_vm *vm, const struct hs_exit *exit, enum hs_bus_action action,
				 uint64_t value, struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_crash_scene scene = scene_of(vm, &phys);
	enum hs_status st;

	switch (action) {
	case HS_BUS_EXIT:
		vm->ended = true;
		event->kind = HS_EVENT_EXITED;
		event->exit_status = (int)value;
		return retire(vm, err);
	case HS_BUS_EXCEPTION:
		return crash_of_exception(vm, event, err);
	case HS_BUS_ABORT:
		st = rewind_access(vm, exit, err);
		event->kind = HS_EVENT_CRASHED;
		hs_crash_of_abort(&scene, vm->bus.abort_text, &event->crash);
		vm->bus.abort_length = 0;
		vm->bus.abort_text[0] = '\0';
		return st;
	case HS_BUS_BAD_PRINT:
		st = rewind_access(vm, exit, err);
		event->kind = HS_EVENT_CRASHED;
		hs_crash_of_bad_call(&scene, exit->port, value, "no readable text of at most 64 KiB", &event->crash);
		return st;
	default:
		return crash_of_exit(vm, exit, event, err);
	}
}

static enum hs_status handle_port(struct hs_vm *vm, const struct hs_exit *exit, enum turn *ret,
				  struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	enum hs_bus_action action;
	uint64_t value;

	if (exit->kind == HS_EXIT_PORT_IN) {
		action = hs_bus_in(&vm->bus, exit->port, &value);
		if (action == HS_BUS_CONTINUE) {
			vm->ops->port_in(vm->backend, (uint32_t)value);
		}
	} else {
		enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

		if (st) {
			return st;
		}
		action = hs_bus_out(&vm->bus, &phys, &vm->cpu, exit->port, exit->size, exit->data, &value);
	}
	*ret = action == HS_BUS_CONTINUE ? TURN_STEP : TURN_EVENT;
	return action == HS_BUS_CONTINUE ? HS_OK : end_by_bus(vm, exit, action, value, event, err);
}

static void breakpoint_event(struct hs_vm *vm, const struct hs_breakpoint *breakpoint, struct hs_event *event)
{
	event->kind = HS_EVENT_BREAKPOINT;
	event->breakpoint = *breakpoint;
	vm->at_breakpoint = true;
	vm->breakpoint_rip = vm->cpu.rip;
}

/* Whether rip, or the hlt right before it, is a planted breakpoint; rip is at it then. */
static enum hs_status find_planted(struct hs_vm *vm, const struct hs_exit *exit, const struct hs_breakpoint **ret,
				   struct hs_error *err)
{
	uint64_t rip = exit->kind == HS_EXIT_HLT ? vm->cpu.rip - 1 : vm->cpu.rip;

	*ret = NULL;
	if (hs_debug_was_planted(&vm->debug, hs_gva_of(rip))) {
		*ret = hs_debug_at(&vm->debug, hs_gva_of(rip));
	}
	return *ret && rip != vm->cpu.rip ? write_rip(vm, rip, err) : HS_OK;
}

static bool is_own_int3(struct hs_vm *vm, const struct hs_exit *exit)
{
	uint8_t byte;
	size_t length;

	return (exit->kind == HS_EXIT_INT3 || exit->kind == HS_EXIT_EMULATION) &&
	       hs_vm_mem_read(vm, hs_gva_of(vm->cpu.rip), &byte, 1, &length, NULL) == HS_OK && byte == OPCODE_INT3;
}

/* hlt, int3 and instructions that the backend cannot execute: a planted byte, the guest's own, or the end. */
static enum hs_status handle_stop_byte(struct hs_vm *vm, const struct hs_exit *exit, enum turn *ret,
				       struct hs_event *event, struct hs_error *err)
{
	const struct hs_breakpoint *breakpoint;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (!st) {
		st = find_planted(vm, exit, &breakpoint, err);
	}
	if (st) {
		return st;
	}
	*ret = TURN_EVENT;
	if (breakpoint) {
		breakpoint_event(vm, breakpoint, event);
		return HS_OK;
	}
	if (is_own_int3(vm, exit)) {
		*ret = TURN_AGAIN;
		st = vm->ops->inject_int3(vm->backend, err);
		forget_cpu(vm);
		return st;
	}
	if (exit->kind == HS_EXIT_HLT) {
		/* There is no interrupt that could wake it. */
		vm->ended = true;
		event->kind = HS_EVENT_EXITED;
		event->exit_status = 0;
		return HS_OK;
	}
	return crash_of_exit(vm, exit, event, err);
}

static enum hs_status handle_exit(struct hs_vm *vm, const struct hs_exit *exit, const struct hs_debug_request *armed,
				  enum turn *ret, struct hs_event *event, struct hs_error *err)
{
	enum hs_status st;

	*ret = TURN_EVENT;
	switch (exit->kind) {
	case HS_EXIT_PORT_IN:
	case HS_EXIT_PORT_OUT:
		return handle_port(vm, exit, ret, event, err);
	case HS_EXIT_HLT:
	case HS_EXIT_INT3:
	case HS_EXIT_EMULATION:
		return handle_stop_byte(vm, exit, ret, event, err);
	case HS_EXIT_STEPPED:
		*ret = TURN_STEP;
		return HS_OK;
	case HS_EXIT_BREAK:
		st = hs_vm_fetch(vm, HS_STATE_CORE, err);
		if (!st && hs_debug_at(&vm->debug, hs_gva_of(vm->cpu.rip))) {
			breakpoint_event(vm, hs_debug_at(&vm->debug, hs_gva_of(vm->cpu.rip)), event);
		} else {
			*ret = TURN_AGAIN;
		}
		return st;
	case HS_EXIT_WATCH:
		event->kind = HS_EVENT_WATCHPOINT;
		event->breakpoint = armed->watches[exit->watch];
		return HS_OK;
	case HS_EXIT_INTERRUPTED:
		event->kind = HS_EVENT_INTERRUPTED;
		return HS_OK;
	default:
		return crash_of_exit(vm, exit, event, err);
	}
}

/* Run once with the given request. */
static enum hs_status run_backend(struct hs_vm *vm, const struct hs_debug_request *request, struct hs_exit *ret,
				  struct hs_error *err)
{
	enum hs_status st = hs_vm_flush(vm, err);

	if (!st) {
		st = vm->ops->set_debug(vm->backend, request, err);
	}
	if (!st) {
		st = vm->ops->run(vm->backend, ret, err);
		forget_cpu(vm);
	}
	return st;
}

/* Run freely until the next exit. */
static enum hs_status turn_free(struct hs_vm *vm, enum turn *ret, struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_debug_request request;
	struct hs_exit exit;
	enum hs_status st = HS_OK;

	if (vm->debug.count > 0) {
		st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	}
	if (!st) {
		st = hs_debug_arm(&vm->debug, &phys, &vm->cpu, &request, err);
	}
	if (st) {
		return st;
	}
	st = run_backend(vm, &request, &exit, err);
	hs_debug_disarm(&vm->debug, &phys);
	return st ? st : handle_exit(vm, &exit, &request, ret, event, err);
}

/* After a step: take TF out of what a pushf has pushed, and see which watchpoint the instruction touched. */
static enum hs_status after_step(struct hs_vm *vm, const struct hs_insn *insn, const struct hs_cpu_state *before,
				 enum turn *ret, struct hs_event *event, struct hs_error *err)
{
	const struct hs_breakpoint *watch;
	uint64_t iterations;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (st) {
		return st;
	}
	if (insn->is_pushf && !(before->rflags & RFLAGS_TF)) {
		hs_gva high_byte = hs_gva_of(vm->cpu.gpr[HS_RSP] + vm->cpu.seg[HS_SS].base + 1);
		uint8_t flags;
		size_t length;

		if (hs_vm_mem_read(vm, high_byte, &flags, 1, &length, NULL) == HS_OK && (flags & 1)) {
			flags &= (uint8_t)~1u;
			(void)!hs_vm_mem_write(vm, high_byte, &flags, 1, NULL);
		}
	}
	iterations = before->gpr[HS_RCX] - vm->cpu.gpr[HS_RCX];
	watch = hs_debug_touched(&vm->debug, insn, iterations, before->rflags & RFLAGS_DF);
	if (watch) {
		*ret = TURN_EVENT;
		event->kind = HS_EVENT_WATCHPOINT;
		event->breakpoint = *watch;
	}
	return HS_OK;
}

/* Execute one instruction. */
static enum hs_status turn_step(struct hs_vm *vm, enum turn *ret, struct hs_event *event, struct hs_error *err)
{
	const struct hs_debug_request request = { .step = true };
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_insn insn = { .length = 0 };
	struct hs_cpu_state before;
	struct hs_exit exit;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (st) {
		return st;
	}
	before = vm->cpu;
	vm->debug.planted_count = 0;
	/* What does not decode faults, and touches nothing. */
	(void)!hs_insn_decode(&phys, &before, hs_gva_of(before.rip), &insn, NULL);
	st = run_backend(vm, &request, &exit, err);
	if (!st) {
		st = handle_exit(vm, &exit, &request, ret, event, err);
	}
	if (st || *ret != TURN_STEP) {
		return st;
	}
	if (exit.kind != HS_EXIT_STEPPED) {
		st = retire(vm, err);
	}
	return st ? st : after_step(vm, &insn, &before, ret, event, err);
}

/* One instruction for sure: an int3 that was handed to the guest is not one yet. */
static enum hs_status step(struct hs_vm *vm, enum turn *ret, struct hs_event *event, struct hs_error *err)
{
	enum hs_status st;

	do {
		st = turn_step(vm, ret, event, err);
	} while (!st && *ret == TURN_AGAIN);
	vm->at_breakpoint = vm->at_breakpoint && st == HS_OK && *ret == TURN_EVENT &&
			    event->kind == HS_EVENT_INTERRUPTED;
	return st;
}

static bool stands_at_breakpoint(struct hs_vm *vm, struct hs_event *event)
{
	const struct hs_breakpoint *breakpoint = hs_debug_at(&vm->debug, hs_gva_of(vm->cpu.rip));

	if (breakpoint) {
		breakpoint_event(vm, breakpoint, event);
	}
	return breakpoint != NULL;
}

static enum hs_status run_range(struct hs_vm *vm, const struct hs_resume *resume, struct hs_event *event,
				struct hs_error *err)
{
	for (;;) {
		enum turn turn;
		enum hs_status st = step(vm, &turn, event, err);

		if (st || turn == TURN_EVENT) {
			return st;
		}
		if (resume->kind == HS_RESUME_STEP ||
		    vm->cpu.rip - resume->range_start.v >= resume->range_length) {
			event->kind = HS_EVENT_STEPPED;
			return HS_OK;
		}
		if (stands_at_breakpoint(vm, event)) {
			return HS_OK;
		}
	}
}

static enum hs_status run_on(struct hs_vm *vm, struct hs_event *event, struct hs_error *err)
{
	bool stepped = false;
	enum turn turn;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (st) {
		return st;
	}
	/* Whoever goes on from a breakpoint means what is behind it. */
	if (vm->at_breakpoint && vm->breakpoint_rip == vm->cpu.rip && hs_debug_at(&vm->debug, hs_gva_of(vm->cpu.rip))) {
		st = step(vm, &turn, event, err);
		if (st || turn == TURN_EVENT) {
			return st;
		}
		stepped = true;
	}
	vm->at_breakpoint = false;
	for (;;) {
		bool by_steps = hs_debug_needs_steps(&vm->debug);

		if (by_steps && stepped && stands_at_breakpoint(vm, event)) {
			return HS_OK;
		}
		st = by_steps ? step(vm, &turn, event, err) : turn_free(vm, &turn, event, err);
		stepped = true;
		if (st || turn == TURN_EVENT) {
			return st;
		}
	}
}

enum hs_status hs_vm_run(struct hs_vm *vm, const struct hs_resume *resume, struct hs_event *ret, struct hs_error *err)
{
	struct hs_event event = { .kind = HS_EVENT_INTERRUPTED };
	enum hs_status st;

	if (vm->ended) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	if (resume->kind == HS_RESUME_CONTINUE) {
		st = run_on(vm, &event, err);
	} else {
		st = run_range(vm, resume, &event, err);
	}
	if (!st) {
		*ret = event;
	}
	return st;
}

void hs_vm_interrupt(struct hs_vm *vm)
{
	vm->ops->interrupt(vm->backend);
}
