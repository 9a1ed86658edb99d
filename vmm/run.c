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
#define OPCODE_IRET 0xCF
#define PREFIX_REX_W 0x48

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

/* Where the iret at rip goes, as far as the stack tells. */
static bool find_return(struct hs_vm *vm, hs_gva *ret)
{
	uint8_t code[2];
	uint8_t word[8];
	unsigned int word_bytes;
	size_t length;

	if (hs_vm_mem_read(vm, hs_gva_of(vm->cpu.rip), code, sizeof(code), &length, NULL) || length != sizeof(code)) {
		return false;
	}
	if (code[0] == PREFIX_REX_W && code[1] == OPCODE_IRET) {
		word_bytes = 8;
	} else if (code[0] == OPCODE_IRET) {
		word_bytes = 4;
	} else {
		return false;
	}
	if (hs_vm_mem_read(vm, hs_gva_of(vm->cpu.seg[HS_SS].base + vm->cpu.gpr[HS_RSP]), word, word_bytes, &length,
			   NULL) ||
	    length != word_bytes) {
		return false;
	}
	*ret = hs_gva_of(hs_get_le(word, word_bytes));
	return true;
}

/*
 * A step over an iret of a CPU that plants breakpoints: up to where it returns to, for as long as that is a breakpoint
 * like the others. A step of the CPU's own would end one instruction behind that: the flags which iret loads have no
 * trap flag, and KVM sees no instruction executed before the next one (kvm_pvm). One over a syscall would end behind
 * it, where the flag is loaded again: IA32_FMASK hides it from the handler.
 *
 * A step that begins with the guest's own trap flag ends in the guest's handler, as the trap belongs to the
 * instruction. A step of the CPU's own would take the trap for its own one.
 */
static bool plan_stop(struct hs_vm *vm, struct step *step, hs_gva *ret)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_debug *debug = &vm->debug;

	step->trapped = false;
	step->traps = !vm->ops->steps_unseen && hs_trap_flag_is_set(&vm->cpu);
	if (vm->ops->steps_unseen || debug->count == HS_DEBUG_MAX) {
		return false;
	}
	if (!(step->traps ? hs_trap_flag_handler(&phys, &vm->cpu, ret)
			  : find_return(vm, ret) || find_syscall_target(vm, &step->insn, ret))) {
		return false;
	}
	if (!debug->abilities_known) {
		debug->abilities_known = !vm->ops->abilities(vm->backend, &debug->abilities, NULL);
	}
	if (!debug->abilities_known || debug->abilities.own_breakpoints || !debug->abilities.planted_opcode) {
		return false;
	}
	debug->list[debug->count++] = (struct hs_breakpoint){ .kind = HS_BREAK_SOFTWARE, .gva = *ret, .length = 1 };
	return true;
}

/* Run the backend for a step. A string instruction's port accesses are one step all together. */
static enum hs_status run_step(struct hs_vm *vm, struct step *step, struct hs_exit *exit, enum hs_turn *ret,
			       struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_debug_request request;
	hs_gva target;
	bool is_planned = plan_stop(vm, step, &target);
	enum hs_status st;

	do {
		st = hs_debug_arm(&vm->debug, &phys, &vm->cpu, true, &request, err);
		if (!st) {
			request.step = !is_planned || !hs_debug_was_planted(&vm->debug, &phys, &vm->cpu, target);
			st = run_backend(vm, &request, exit, err);
			hs_debug_disarm(&vm->debug, &phys);
		}
		if (!st) {
			st = hs_vm_handle_exit(vm, exit, &request, ret, event, err);
		}
		/* The guest's own trap comes behind a port access. */
	} while (!st && *ret == HS_TURN_STEP && step->traps && !request.step);
	if (is_planned) {
		vm->debug.count--;
	}
	if (!st && is_planned && *ret == HS_TURN_EVENT && event->kind == HS_EVENT_BREAKPOINT &&
	    vm->cpu.rip == target.v) {
		/* Whether another one is there is for the next run to see, as behind any step. */
		vm->at_breakpoint = false;
		step->trapped = step->traps;
		exit->kind = HS_EXIT_STEPPED;
		*ret = HS_TURN_STEP;
	}
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
	if (!vm->ops->steps_unseen) {
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
