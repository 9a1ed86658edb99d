/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hs_vm_run(): from one event to the next. Each turn runs the CPU once, freely or by one instruction; handle_exit.c
 * decides from its exit whether that was an event.
 */
#include "base/bytes.h"
#include "base/error.h"
#include "vmm/handle_exit.h"
#include "vmm/insn.h"
#include "vmm/rewind.h"
#include "vmm/step_plan.h"
#include "vmm/trap_flag.h"
#include "vmm/vm_private.h"

#include <hindsight/paging.h>

#define RFLAGS_DF (1ull << 10)
#define EFER_SCE 1u
#define RPL_MASK 3u

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
		vm->touched = true;
		st = vm->ops->run(vm->backend, ret, err);
		if (!st) {
			vm->exits[ret->kind]++;
		}
		vm->unretired = false;
		vm->root_known = false;
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
		st = hs_debug_arm(&vm->debug, &phys, &vm->cpu, false, &request, err);
	}
	if (st) {
		return st;
	}
	st = run_backend(vm, &request, &exit, err);
	hs_debug_disarm(&vm->debug, &phys);
	return st ? st : hs_vm_handle_exit(vm, &exit, &request, ret, event, err);
}

/* One instruction that is executed alone. */
struct step {
	struct hs_insn insn; /* length 0: it does not decode, so it faults and touches nothing */
	struct hs_cpu_state before;
	bool is_over;    /* from a breakpoint on, and behind it the run is free */
	bool traps;      /* it begins with the guest's own trap flag, and is run to the handler */
	bool trapped;    /* there it is */
	bool is_flagged; /* it was by the CPU's own trap flag */
	size_t ends;     /* so many of the stops are where the instruction ends, and it is run to them */
};

static void hide_trap_flag(struct hs_vm *vm, const struct step *step)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);

	if (hs_trap_flag_hide(&phys, &step->insn, &step->before, &vm->cpu)) {
		vm->dirty |= HS_STATE_CORE;
	}
}

/* See which watchpoint the instruction has touched. */
static void after_step(struct hs_vm *vm, const struct step *step, enum hs_turn *ret, struct hs_event *event)
{
	const struct hs_cpu_state *before = &step->before;
	const struct hs_insn *insn = &step->insn;
	uint64_t iterations = before->gpr[HS_RCX] - vm->cpu.gpr[HS_RCX];
	const struct hs_breakpoint *watch;

	if (!step->trapped && !insn->repeats && !insn->branches && vm->cpu.rip != before->rip + insn->length) {
		return; /* an exception came instead */
	}
	watch = hs_debug_touched(&vm->debug, insn, before, iterations, before->rflags & RFLAGS_DF);
	if (watch) {
		*ret = HS_TURN_EVENT;
		event->kind = HS_EVENT_WATCHPOINT;
		event->breakpoint = *watch;
	}
}

#define OPCODE_HLT 0xF4
#define VECTOR_DB 1u

_Static_assert(HS_STEP_HANDLERS_MAX <= HS_DEBUG_STOPS_MAX && HS_STEP_ENDS_MAX <= HS_DEBUG_STOPS_MAX, "they are stops");

static bool can_plant(struct hs_vm *vm)
{
	struct hs_debug *debug = &vm->debug;

	if (vm->ops->steps_unseen) {
		return false;
	}
	if (!debug->abilities_known) {
		debug->abilities_known = !vm->ops->abilities(vm->backend, &debug->abilities, NULL);
	}
	return debug->abilities_known && !debug->abilities.own_breakpoints && debug->abilities.planted_opcode;
}

/* A syscall or sysret of 64-bit code (SDM vol. 2B, SYSCALL, SYSRET). */
static bool find_syscall_target(struct hs_vm *vm, const struct hs_insn *insn, hs_gva *ret)
{
	const struct hs_segment *cs = &vm->cpu.seg[HS_CS];

	if (!cs->l || !(vm->cpu.msr.efer & EFER_SCE)) {
		return false;
	}
	if (insn->is_syscall && hs_vm_fetch(vm, HS_STATE_MSR, NULL) == HS_OK) {
		*ret = hs_gva_of(vm->cpu.msr.lstar);
		return true;
	}
	*ret = hs_gva_of(vm->cpu.gpr[HS_RCX]);
	return insn->is_sysret && (cs->selector & RPL_MASK) == 0;
}

/* Where the instruction ends, where a step of the CPU's own might end elsewhere or costs more. 0: it is to be that. */
static size_t find_ends(struct hs_vm *vm, const struct step *step, bool *ret_certain, hs_gva *ret)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	size_t count;

	*ret_certain = true;
	if (step->traps) {
		return hs_step_handler(&phys, &vm->cpu, VECTOR_DB, ret) ? 1 : 0;
	}
	count = hs_step_ends(&phys, &vm->cpu, &step->insn, ret);
	if (count > 0) {
		return step->is_over || step->insn.is_untrapped ? count : 0;
	}
	*ret_certain = false;
	return hs_step_return(&phys, &vm->cpu, &step->insn, ret) || find_syscall_target(vm, &step->insn, ret) ? 1 : 0;
}

/*
 * A step of the CPU's own does not end everywhere where the instruction does: QEMU's translator goes on by one
 * instruction behind sti and pause, kvm_pvm behind an iret, whose flags have no trap flag (docs/hosts.md). One over a
 * syscall would end behind it, where the flag is loaded again: IA32_FMASK hides it from the handler. There, where it is
 * known beforehand where it ends, a step is a run up to there. So it is from a breakpoint on, if that is certain: the
 * run behind it goes on freely, and the CPU's debug state stays what it is, which is half of the calls of the kernel.
 *
 * A processor's trap flag is clear from when it takes an exception (SDM vol. 3A 6.12.1.3), so a step of its own would
 * go through the whole handler: what may take one is stopped at the handlers.
 *
 * A step that begins with the guest's own trap flag ends in the guest's handler, as the trap belongs to the
 * instruction. A step of the CPU's own would take the trap for its own one.
 */
static void plan_stops(struct hs_vm *vm, struct step *step)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_debug *debug = &vm->debug;
	bool is_certain;

	step->trapped = false;
	step->traps = !vm->ops->steps_unseen && hs_trap_flag_is_set(&vm->cpu);
	step->ends = 0;
	debug->stop_count = 0;
	if (!can_plant(vm)) {
		return;
	}
	step->ends = find_ends(vm, step, &is_certain, debug->stops);
	debug->stop_count = step->ends;
	/* Not with a byte in ring 3, which comes by a handler. */
	if (step->ends == 0 && !is_certain && debug->abilities.step_skips_handlers) {
		debug->stop_count = hs_step_handlers(&phys, &vm->cpu, &step->insn, debug->stops);
	}
}

/* Whether the bytes where the instruction ends are all planted. */
static bool is_stopped(const struct hs_vm *vm, const struct hs_phys *phys, const struct step *step)
{
	for (size_t i = 0; i < step->ends; i++) {
		if (!hs_debug_was_planted(&vm->debug, phys, &vm->cpu, vm->debug.stops[i])) {
			return false;
		}
	}
	return step->ends > 0;
}

/* What the CPU has met may be a stop of the step's own, which is nobody's breakpoint. */
static void take_stop(struct hs_vm *vm, struct step *step, struct hs_exit *exit, enum hs_turn *ret)
{
	const struct hs_debug *debug = &vm->debug;
	size_t i = 0;

	while (i < debug->stop_count && debug->stops[i].v != vm->cpu.rip) {
		i++;
	}
	if (i < step->ends) {
		/* Whether a breakpoint is there too is for the next run to see, as behind any step. */
		vm->at_breakpoint = false;
		step->trapped = step->traps;
		exit->kind = HS_EXIT_STEPPED;
		*ret = HS_TURN_STEP;
	} else if (i < debug->stop_count && *ret == HS_TURN_OVER) {
		/* At a handler: no instruction has been executed yet. */
		*ret = HS_TURN_AGAIN;
	}
}

/* Run the backend for a step. A string instruction's port accesses are one step all together. */
static enum hs_status run_step(struct hs_vm *vm, struct step *step, struct hs_exit *exit, enum hs_turn *ret,
			       struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_debug_request request = { .step = true };
	enum hs_status st;

	plan_stops(vm, step);
	do {
		st = hs_debug_arm(&vm->debug, &phys, &vm->cpu, true, &request, err);
		if (!st) {
			request.step = !is_stopped(vm, &phys, step);
			st = run_backend(vm, &request, exit, err);
			hs_debug_disarm(&vm->debug, &phys);
		}
		if (!st) {
			st = hs_vm_handle_exit(vm, exit, &request, ret, event, err);
		}
		/* The guest's own trap comes behind a port access. */
	} while (!st && *ret == HS_TURN_STEP && step->traps && !request.step);
	step->is_flagged = request.step;
	if (!st && (*ret == HS_TURN_OVER || (*ret == HS_TURN_EVENT && event->kind == HS_EVENT_BREAKPOINT))) {
		take_stop(vm, step, exit, ret);
	}
	vm->debug.stop_count = 0;
	while (!st && *ret == HS_TURN_STEP && exit->left > 0) {
		st = run_backend(vm, &request, exit, err);
		if (!st) {
			st = hs_vm_handle_exit(vm, exit, &request, ret, event, err);
		}
	}
	return st;
}

/* KVM's emulator tells of the step and not of the hlt that it was; nothing comes behind a hlt. */
static bool was_hlt(struct hs_vm *vm, const struct step *step)
{
	uint8_t byte;
	size_t length;

	return step->insn.length == 1 && vm->cpu.rip == step->before.rip + 1 &&
	       !hs_vm_mem_read(vm, hs_gva_of(step->before.rip), &byte, 1, &length, NULL) && byte == OPCODE_HLT;
}

/* Whether something of a step has to be known before it: what it touches, or where it leaves the trap flag. */
static bool is_looked_at(const struct hs_vm *vm)
{
	return !vm->ops->steps_unseen || hs_debug_has_watches(&vm->debug);
}

/* Execute one instruction. */
static enum hs_status turn_step(struct hs_vm *vm, bool is_over, enum hs_turn *ret, struct hs_event *event,
				struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	bool looked_at = is_looked_at(vm);
	struct step step;
	struct hs_exit exit;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (st) {
		return st;
	}
	if (looked_at) {
		step.before = vm->cpu;
		step.insn = (struct hs_insn){ .length = 0 };
		(void)!hs_insn_decode(&phys, &step.before, hs_gva_of(step.before.rip), &step.insn, NULL);
	}
	step.is_over = is_over;
	st = run_step(vm, &step, &exit, ret, event, err);
	if (!st && *ret == HS_TURN_STEP && exit.kind != HS_EXIT_STEPPED) {
		st = hs_vm_retire(vm, err);
	}
	if (!st) {
		st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	}
	if (st) {
		return st;
	}
	if (!vm->ops->steps_unseen && step.is_flagged) {
		hide_trap_flag(vm, &step);
	}
	if (looked_at && *ret == HS_TURN_STEP && exit.kind == HS_EXIT_STEPPED && was_hlt(vm, &step)) {
		vm->ended = true;
		*ret = HS_TURN_EVENT;
		*event = (struct hs_event){ .kind = HS_EVENT_EXITED };
	} else if (looked_at && *ret == HS_TURN_STEP) {
		after_step(vm, &step, ret, event);
	}
	return HS_OK;
}

/* One instruction for sure: an int3 that was handed to the guest is not one yet. */
static enum hs_status step(struct hs_vm *vm, bool is_over, enum hs_turn *ret, struct hs_event *event,
			   struct hs_error *err)
{
	bool was_at_breakpoint = vm->at_breakpoint;
	enum hs_status st;

	vm->at_breakpoint = false;
	do {
		st = turn_step(vm, is_over, ret, event, err);
	} while (!st && *ret == HS_TURN_AGAIN);
	/* It has taken an exception, and the handler begins where another space has a breakpoint. */
	if (!st && *ret == HS_TURN_OVER) {
		*ret = HS_TURN_STEP;
	}
	/* Interrupted before it was executed. */
	if (!st && *ret == HS_TURN_EVENT && event->kind == HS_EVENT_INTERRUPTED) {
		vm->at_breakpoint = was_at_breakpoint;
	}
	return st;
}

static bool stands_at_breakpoint(struct hs_vm *vm, struct hs_event *event)
{
	const struct hs_breakpoint *breakpoint = hs_debug_at(&vm->debug, &vm->cpu);

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
		enum hs_status st = step(vm, false, &turn, event, err);

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
	enum hs_turn turn;
	enum hs_status st = HS_OK;

	/* From one call to the next, or from a restore, nobody need know the registers: that would cost a call of the
	 * kernel. */
	if (!vm->root_known || vm->debug.count > 0) {
		st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	}
	if (st) {
		return st;
	}
	/* Whoever goes on from a breakpoint means what is behind it. */
	if (vm->at_breakpoint && vm->breakpoint_rip == vm->cpu.rip && hs_debug_at(&vm->debug, &vm->cpu)) {
		st = step(vm, !hs_debug_needs_steps(&vm->debug), &turn, event, err);
		if (st || turn == HS_TURN_EVENT) {
			return st;
		}
	}
	vm->at_breakpoint = false;
	for (;;) {
		bool by_steps = hs_debug_needs_steps(&vm->debug);

		if (by_steps && stands_at_breakpoint(vm, event)) {
			return HS_OK;
		}
		st = by_steps ? step(vm, false, &turn, event, err) : turn_free(vm, &turn, event, err);
		if (!st && turn == HS_TURN_OVER) {
			st = step(vm, !by_steps, &turn, event, err);
		}
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
	if (vm->unusable) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest's memory is in pieces since a restore failed");
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
