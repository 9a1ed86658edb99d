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
		vm->exits[ret->kind] += !st;
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
	bool traps;   /* it begins with the guest's own trap flag, and is run to the handler */
	bool trapped; /* there it is */
	bool flagged; /* it was by the CPU's own trap flag */
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

/* Where one step is to be stopped: breakpoints like the others, at the end of their list while it runs. */
struct stops {
	size_t first;
	size_t ends; /* so many of them are where the instruction ends; 0: nobody knows */
};

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

/* All or none. */
static size_t add_stops(struct hs_debug *debug, const hs_gva *places, size_t count)
{
	if (count > HS_DEBUG_MAX - debug->count) {
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		debug->list[debug->count++] =
			(struct hs_breakpoint){ .kind = HS_BREAK_SOFTWARE, .gva = places[i], .length = 1 };
	}
	return count;
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

/*
 * Where it is known beforehand where an instruction ends, a step is a run up to there: that is half of the calls of the
 * kernel, as the CPU's debug state stays what it is, and it ends there on each KVM. A step of the CPU's own does not
 * everywhere: QEMU's translator goes on by one instruction behind sti and pause, kvm_pvm behind an iret, whose flags
 * have no trap flag (docs/hosts.md). One over a syscall would end behind it, where the flag is loaded again: IA32_FMASK
 * hides it from the handler.
 *
 * A processor's trap flag is clear from when it takes an exception (SDM vol. 3A 6.12.1.3), so a step of its own would
 * go through the whole handler: it is stopped at the handlers.
 *
 * A step that begins with the guest's own trap flag ends in the guest's handler, as the trap belongs to the
 * instruction. A step of the CPU's own would take the trap for its own one.
 */
static void plan_stops(struct hs_vm *vm, struct step *step, struct stops *stops)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_debug *debug = &vm->debug;
	hs_gva places[HS_STEP_VECTORS];
	size_t count;

	step->trapped = false;
	step->traps = !vm->ops->steps_unseen && hs_trap_flag_is_set(&vm->cpu);
	*stops = (struct stops){ .first = debug->count };
	if (!can_plant(vm)) {
		return;
	}
	if (step->traps) {
		count = hs_step_handler(&phys, &vm->cpu, VECTOR_DB, places) ? 1 : 0;
		stops->ends = add_stops(debug, places, count);
		return;
	}
	count = hs_step_ends(&phys, &vm->cpu, &step->insn, places);
	if (count == 0 &&
	    (hs_step_return(&phys, &vm->cpu, &step->insn, places) || find_syscall_target(vm, &step->insn, places))) {
		count = 1;
	}
	stops->ends = add_stops(debug, places, count);
	/* Not with a byte in ring 3, which comes by a handler. */
	if (stops->ends == 0 && debug->abilities.step_skips_handlers) {
		count = hs_step_handlers(&phys, &vm->cpu, places);
		(void)add_stops(debug, places, count);
	}
}

/* Whether the bytes where the instruction ends are all planted. */
static bool is_stopped(const struct hs_vm *vm, const struct hs_phys *phys, const struct stops *stops)
{
	for (size_t i = 0; i < stops->ends; i++) {
		hs_gva gva = vm->debug.list[stops->first + i].gva;

		if (!hs_debug_was_planted(&vm->debug, phys, &vm->cpu, gva)) {
			return false;
		}
	}
	return stops->ends > 0;
}

enum standing { NOT_AT_STOP, AT_END, AT_HANDLER };

static enum standing find_stop(const struct hs_vm *vm, const struct stops *stops)
{
	for (size_t i = stops->first; i < vm->debug.count; i++) {
		if (vm->debug.list[i].gva.v == vm->cpu.rip) {
			return i - stops->first < stops->ends ? AT_END : AT_HANDLER;
		}
	}
	return NOT_AT_STOP;
}

/* A breakpoint of the step's own is none. Called without the stops in the list. */
static void take_stop(struct hs_vm *vm, enum standing standing, struct step *step, struct hs_exit *exit,
		      enum hs_turn *ret)
{
	if (standing == AT_END) {
		/* Whether another one is there is for the next run to see, as behind any step. */
		vm->at_breakpoint = false;
		step->trapped = step->traps;
		exit->kind = HS_EXIT_STEPPED;
		*ret = HS_TURN_STEP;
	} else if (standing == AT_HANDLER && !hs_debug_at(&vm->debug, &vm->cpu)) {
		/* No instruction has been executed yet. */
		vm->at_breakpoint = false;
		*ret = HS_TURN_AGAIN;
	}
}

/* Run the backend for a step. A string instruction's port accesses are one step all together. */
static enum hs_status run_step(struct hs_vm *vm, struct step *step, struct hs_exit *exit, enum hs_turn *ret,
			       struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_debug_request request = { .step = true };
	struct stops stops;
	enum standing standing = NOT_AT_STOP;
	enum hs_status st;

	plan_stops(vm, step, &stops);
	do {
		st = hs_debug_arm(&vm->debug, &phys, &vm->cpu, true, &request, err);
		if (!st) {
			request.step = !is_stopped(vm, &phys, &stops);
			st = run_backend(vm, &request, exit, err);
			hs_debug_disarm(&vm->debug, &phys);
		}
		if (!st) {
			st = hs_vm_handle_exit(vm, exit, &request, ret, event, err);
		}
		/* The guest's own trap comes behind a port access. */
	} while (!st && *ret == HS_TURN_STEP && step->traps && !request.step);
	if (!st && *ret == HS_TURN_EVENT && event->kind == HS_EVENT_BREAKPOINT) {
		standing = find_stop(vm, &stops);
	}
	vm->debug.count = stops.first;
	step->flagged = request.step;
	take_stop(vm, standing, step, exit, ret);
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
static enum hs_status turn_step(struct hs_vm *vm, enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
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
	if (!vm->ops->steps_unseen && step.flagged) {
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
static enum hs_status step(struct hs_vm *vm, enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
{
	bool was_at_breakpoint = vm->at_breakpoint;
	enum hs_status st;

	vm->at_breakpoint = false;
	do {
		st = turn_step(vm, ret, event, err);
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
		st = step(vm, &turn, event, err);
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
		st = by_steps ? step(vm, &turn, event, err) : turn_free(vm, &turn, event, err);
		if (!st && turn == HS_TURN_OVER) {
			st = step(vm, &turn, event, err);
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
