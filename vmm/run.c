/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hs_vm_run(): from one event to the next. Each turn runs the CPU once, freely or by one instruction; handle_exit.c
 * decides from its exit whether that was an event.
 */
#include "base/error.h"
#include "vmm/handle_exit.h"
#include "vmm/insn.h"
#include "vmm/vm_private.h"

#include <hindsight/paging.h>

#define RFLAGS_TF (1ull << 8)
#define RFLAGS_DF (1ull << 10)

/* Run once with the given request. */
static enum hs_status run_backend(struct hs_vm *vm, const struct hs_debug_request *request, struct hs_exit *ret,
				  struct hs_error *err)
{
	enum hs_status st = hs_vm_flush(vm, err);

	if (vm->have & HS_STATE_CORE) {
		hs_root_of_cpu(&vm->cpu, &vm->last_root);
	}
	if (!st) {
		st = vm->ops->set_debug(vm->backend, request, err);
	}
	if (!st) {
		st = vm->ops->run(vm->backend, ret, err);
		vm->have = 0;
	}
	return st;
}

/* Run freely until the next exit. */
static enum hs_status turn_free(struct hs_vm *vm, enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
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
	return st ? st : hs_vm_handle_exit(vm, &exit, &request, ret, event, err);
}

/* After a step: take TF out of what a pushf has pushed, and see which watchpoint the instruction touched. */
static enum hs_status after_step(struct hs_vm *vm, const struct hs_insn *insn, const struct hs_cpu_state *before,
				 enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
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
		*ret = HS_TURN_EVENT;
		event->kind = HS_EVENT_WATCHPOINT;
		event->breakpoint = *watch;
	}
	return HS_OK;
}

/* Execute one instruction. */
static enum hs_status turn_step(struct hs_vm *vm, enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
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
		st = hs_vm_handle_exit(vm, &exit, &request, ret, event, err);
	}
	if (st || *ret != HS_TURN_STEP) {
		return st;
	}
	if (exit.kind != HS_EXIT_STEPPED) {
		st = hs_vm_retire(vm, err);
	}
	return st ? st : after_step(vm, &insn, &before, ret, event, err);
}

/* One instruction for sure: an int3 that was handed to the guest is not one yet. */
static enum hs_status step(struct hs_vm *vm, enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
{
	enum hs_status st;

	do {
		st = turn_step(vm, ret, event, err);
	} while (!st && *ret == HS_TURN_AGAIN);
	vm->at_breakpoint = vm->at_breakpoint && st == HS_OK && *ret == HS_TURN_EVENT &&
			    event->kind == HS_EVENT_INTERRUPTED;
	return st;
}

static bool stands_at_breakpoint(struct hs_vm *vm, struct hs_event *event)
{
	const struct hs_breakpoint *breakpoint = hs_debug_at(&vm->debug, hs_gva_of(vm->cpu.rip));

	if (breakpoint) {
		hs_vm_breakpoint_event(vm, breakpoint, event);
	}
	return breakpoint != NULL;
}

static enum hs_status run_range(struct hs_vm *vm, const struct hs_resume *resume, struct hs_event *event,
				struct hs_error *err)
{
	for (;;) {
		enum hs_turn turn;
		enum hs_status st = step(vm, &turn, event, err);

		if (st || turn == HS_TURN_EVENT) {
			return st;
		}
		if (resume->kind == HS_RESUME_STEP || vm->cpu.rip - resume->range_start.v >= resume->range_length) {
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
	enum hs_turn turn;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (st) {
		return st;
	}
	/* Whoever goes on from a breakpoint means what is behind it. */
	if (vm->at_breakpoint && vm->breakpoint_rip == vm->cpu.rip && hs_debug_at(&vm->debug, hs_gva_of(vm->cpu.rip))) {
		st = step(vm, &turn, event, err);
		if (st || turn == HS_TURN_EVENT) {
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
		if (st || turn == HS_TURN_EVENT) {
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
