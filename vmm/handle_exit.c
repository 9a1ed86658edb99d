/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From one exit of the CPU to what the VM makes of it: nothing, a finished step, or an event. */
#include "vmm/handle_exit.h"

#include "arch/exception.h"
#include "vmm/crash.h"
#include "vmm/exception_frame.h"
#include "vmm/insn.h"
#include "vmm/rewind.h"
#include "vmm/vm_private.h"

#define RFLAGS_TF (1ull << 8)
#define OPCODE_INT3 0xCC

/* The byte of a descriptor that has its type, and the bit of that of a TSS (SDM vol. 3A figure 7-3). */
#define DESCRIPTOR_TYPE 5u
#define DESCRIPTOR_BUSY 2u

static struct hs_crash_scene scene_of(struct hs_vm *vm, const struct hs_phys *phys)
{
	return (struct hs_crash_scene){
		.phys = phys,
		.cpu = &vm->cpu,
		.guard = vm->guest.guard,
		.guard_bytes = vm->guest.guard_bytes,
		.executes = vm->ops->executes,
	};
}

static enum hs_status write_rip(struct hs_vm *vm, uint64_t rip, struct hs_error *err)
{
	vm->cpu.rip = rip;
	vm->dirty |= HS_STATE_CORE;
	return hs_vm_flush(vm, err);
}

static enum hs_status crash_of_exit(struct hs_vm *vm, const struct hs_exit *exit, struct hs_event *event,
				    struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_crash_scene scene = scene_of(vm, &phys);
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (!st && (exit->kind == HS_EXIT_PORT_IN || exit->kind == HS_EXIT_PORT_OUT || exit->kind == HS_EXIT_UNMAPPED ||
		    exit->kind == HS_EXIT_READ_ONLY)) {
		st = hs_vm_rewind_access(vm, exit, err);
	}
	if (!st) {
		event->kind = HS_EVENT_CRASHED;
		hs_crash_of_exit(&scene, exit, &event->crash);
	}
	return st;
}

/* Where KVM does not intercept the planted byte at CPL 3, the guest gets its exception: #BP behind an int3, #GP at
 * a hlt. */
static bool is_of_planted(struct hs_vm *vm, const struct hs_phys *phys, const struct hs_exception_frame *frame,
			  hs_gva *ret)
{
	bool is_int3 = vm->debug.abilities.planted_opcode == OPCODE_INT3;

	*ret = hs_gva_of(is_int3 ? vm->cpu.rip - 1 : vm->cpu.rip);
	return frame->vector == (is_int3 ? HS_VECTOR_BP : HS_VECTOR_GP) &&
	       hs_debug_was_planted(&vm->debug, phys, &vm->cpu, *ret);
}

/* The CPU has been stopped where it stands: somebody's breakpoint, or none in this address space. */
static void stand_at_break(struct hs_vm *vm, enum hs_turn *ret, struct hs_event *event)
{
	const struct hs_breakpoint *breakpoint = hs_debug_at(&vm->debug, &vm->cpu);

	*ret = HS_TURN_OVER;
	if (breakpoint) {
		*ret = HS_TURN_EVENT;
		hs_vm_breakpoint_event(vm, breakpoint, event);
	}
}

/*
 * A double fault by a task gate has made the descriptor of the task that handles it busy, and a switch to a busy task
 * is another fault (SDM vol. 3A 7.2.2, 7.3): with the registers that goes back too, or the guest, run again, would end
 * by a triple fault.
 */
static enum hs_status release_task(struct hs_vm *vm, const struct hs_cpu_state *at_call, struct hs_error *err)
{
	hs_gva at = hs_gva_of(at_call->gdt.base + (at_call->seg[HS_TR].selector & ~7u) + DESCRIPTOR_TYPE);
	uint8_t type;
	size_t length;
	enum hs_status st = HS_OK;

	if (at_call->seg[HS_TR].selector != vm->cpu.seg[HS_TR].selector) {
		st = hs_vm_mem_read(vm, at, &type, 1, &length, err);
		type &= (uint8_t)~DESCRIPTOR_BUSY;
		st = st ? st : hs_vm_mem_write(vm, at, &type, 1, err);
	}
	return st;
}

/* The frame that the guest's stub has pushed becomes the state of the fault. */
static enum hs_status crash_of_exception(struct hs_vm *vm, const struct hs_exit *exit,
					 const struct hs_debug_request *armed, enum hs_turn *ret,
					 struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_crash_scene scene = scene_of(vm, &phys);
	struct hs_exception_frame frame;
	struct hs_cpu_state at_call;
	bool planted;
	hs_gva at;
	enum hs_status st = hs_vm_rewind_access(vm, exit, err);

	if (st) {
		return st;
	}
	at_call = vm->cpu;
	event->kind = HS_EVENT_CRASHED;
	if (hs_exception_frame_rewind(&phys, &vm->cpu, &frame, NULL)) {
		hs_crash_of_bad_call(&scene, HS_PORT_EXCEPTION, vm->cpu.gpr[HS_RSP], "no exception frame",
				     &event->crash);
		return HS_OK;
	}
	planted = is_of_planted(vm, &phys, &frame, &at);
	if (planted) {
		vm->cpu.rip = at.v;
	}
	/* A step in progress had TF set in the CPU, never in the guest: what the CPU pushed is not the guest's.
	 * Otherwise it is. */
	if (armed->step) {
		vm->cpu.rflags &= ~RFLAGS_TF;
	}
	vm->dirty |= HS_STATE_CORE;
	if (release_task(vm, &at_call, NULL) || hs_vm_flush(vm, NULL)) {
		/* The guest may have made the frame up of what no CPU accepts. */
		vm->cpu = at_call;
		hs_crash_of_bad_call(&scene, HS_PORT_EXCEPTION, vm->cpu.gpr[HS_RSP], "an impossible exception frame",
				     &event->crash);
		return HS_OK;
	}
	if (planted) {
		stand_at_break(vm, ret, event);
		return HS_OK;
	}
	if (frame.vector == HS_VECTOR_MF || frame.vector == HS_VECTOR_XM) {
		st = hs_vm_fetch(vm, HS_STATE_FPU, err); /* which exception it is */
	}
	if (!st) {
		hs_crash_of_exception(&scene, &frame, &event->crash);
	}
	return st;
}

/* The run that comes next finishes the out, at no cost of its own; whoever looks at the registers before has it
 * finished (hs_vm_fetch()). */
static enum hs_status end_behind_out(struct hs_vm *vm, enum hs_event_kind kind, struct hs_event *event)
{
	event->kind = kind;
	hs_root_of_cpu(&vm->cpu, &vm->last_root);
	vm->root_known = true;
	vm->have = 0;
	vm->unretired = true;
	return HS_OK;
}

/* Most calls of a guest on KVM come here: one byte tells that they are by no string instruction. */
static bool is_prefix(uint8_t byte)
{
	return byte == 0xF2 || byte == 0xF3 || (byte & 0xFE) == 0x66 || (byte & 0xFE) == 0x64 || (byte & 0xE7) == 0x26;
}

/*
 * Whether a string instruction makes more than one call: backends hand out its accesses one by one, but completing one,
 * as for somebody who looks at the registers, is completing all of them on KVM, and the other calls would be lost. The
 * software CPU has moved no register yet, and KVM those of this access.
 */
static bool calls_several(struct hs_vm *vm, const struct hs_exit *exit)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	uint64_t left = vm->cpu.gpr[HS_RCX];
	struct hs_insn insn;
	uint8_t byte;
	size_t length;

	if (exit->left > 0) {
		return true;
	}
	/* It has been left behind, so it is done. */
	if (exit->insn_rip_known && exit->insn_rip != vm->cpu.rip) {
		return false;
	}
	return !hs_vm_mem_read(vm, hs_gva_of(vm->cpu.rip), &byte, 1, &length, NULL) && is_prefix(byte) &&
	       !hs_insn_decode(&phys, &vm->cpu, hs_gva_of(vm->cpu.rip), &insn, NULL) && insn.repeats && insn.is_out &&
	       insn.port == exit->port && left > (exit->insn_rip_known ? 1 : 0);
}

static enum hs_status end_by_call(struct hs_vm *vm, const struct hs_exit *exit, enum hs_event_kind kind,
				  struct hs_event *event, struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_crash_scene scene = scene_of(vm, &phys);
	enum hs_status st;

	if (!calls_several(vm, exit)) {
		return end_behind_out(vm, kind, event);
	}
	st = hs_vm_rewind_access(vm, exit, err);
	event->kind = HS_EVENT_CRASHED;
	hs_crash_of_bad_call(&scene, exit->port, vm->cpu.rip, "several at once by a string instruction", &event->crash);
	return st;
}

static enum hs_status end_by_bus(struct hs_vm *vm, const struct hs_exit *exit, const struct hs_debug_request *armed,
				 enum hs_bus_action action, uint64_t value, enum hs_turn *ret, struct hs_event *event,
				 struct hs_error *err)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_crash_scene scene = scene_of(vm, &phys);
	enum hs_status st;

	switch (action) {
	case HS_BUS_EXIT:
		vm->ended = true;
		event->kind = HS_EVENT_EXITED;
		event->exit_status = (int)value;
		return hs_vm_retire(vm, err);
	case HS_BUS_READY:
		return end_by_call(vm, exit, HS_EVENT_READY, event, err);
	case HS_BUS_CALL_HOST:
		return end_by_call(vm, exit, HS_EVENT_HOST_CALL, event, err);
	case HS_BUS_LOG:
		return end_by_call(vm, exit, HS_EVENT_LOG, event, err);
	case HS_BUS_EXCEPTION:
		return crash_of_exception(vm, exit, armed, ret, event, err);
	case HS_BUS_ABORT:
		st = hs_vm_rewind_access(vm, exit, err);
		event->kind = HS_EVENT_CRASHED;
		hs_crash_of_abort(&scene, vm->bus.abort_message, &event->crash);
		return st;
	case HS_BUS_BAD_ROOTS:
		st = hs_vm_rewind_access(vm, exit, err);
		event->kind = HS_EVENT_CRASHED;
		hs_crash_of_bad_call(&scene, exit->port, value, "no readable list of roots", &event->crash);
		return st;
	case HS_BUS_BAD_PRINT:
		st = hs_vm_rewind_access(vm, exit, err);
		event->kind = HS_EVENT_CRASHED;
		hs_crash_of_bad_call(&scene, exit->port, value, "no readable text of at most 64 KiB", &event->crash);
		return st;
	default:
		return crash_of_exit(vm, exit, event, err);
	}
}

static enum hs_status handle_port(struct hs_vm *vm, const struct hs_exit *exit, const struct hs_debug_request *armed,
				  enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
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
	if (action == HS_BUS_ROOTS) {
		vm->guest.roots = value;
		action = HS_BUS_CONTINUE;
	}
	*ret = action == HS_BUS_CONTINUE ? HS_TURN_STEP : HS_TURN_EVENT;
	return action == HS_BUS_CONTINUE ? HS_OK : end_by_bus(vm, exit, armed, action, value, ret, event, err);
}

void hs_vm_breakpoint_event(struct hs_vm *vm, const struct hs_breakpoint *breakpoint, struct hs_event *event)
{
	event->kind = HS_EVENT_BREAKPOINT;
	event->breakpoint = *breakpoint;
	vm->at_breakpoint = true;
	vm->breakpoint_rip = vm->cpu.rip;
}

/* Whether rip, or the hlt right before it, is a planted byte; rip is at it then. */
static enum hs_status find_planted(struct hs_vm *vm, const struct hs_exit *exit, bool *ret, struct hs_error *err)
{
	uint64_t rip = exit->kind == HS_EXIT_HLT ? vm->cpu.rip - 1 : vm->cpu.rip;
	struct hs_phys phys = hs_ram_phys(&vm->ram);

	*ret = hs_debug_was_planted(&vm->debug, &phys, &vm->cpu, hs_gva_of(rip));
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
static enum hs_status handle_stop_byte(struct hs_vm *vm, const struct hs_exit *exit, enum hs_turn *ret,
				       struct hs_event *event, struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	bool planted;

	if (!st) {
		st = find_planted(vm, exit, &planted, err);
	}
	if (st) {
		return st;
	}
	if (planted) {
		stand_at_break(vm, ret, event);
		return HS_OK;
	}
	*ret = HS_TURN_EVENT;
	if (is_own_int3(vm, exit)) {
		*ret = HS_TURN_AGAIN;
		st = vm->ops->inject_int3(vm->backend, err);
		vm->have = 0;
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

/* A debug register, or the backend in its place, knows addresses and not spaces. */
static enum hs_status handle_own_stop(struct hs_vm *vm, const struct hs_exit *exit,
				      const struct hs_debug_request *armed, enum hs_turn *ret, struct hs_event *event,
				      struct hs_error *err)
{
	const struct hs_breakpoint *watch;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);

	if (st) {
		return st;
	}
	if (exit->kind == HS_EXIT_BREAK) {
		stand_at_break(vm, ret, event);
		return HS_OK;
	}
	watch = hs_debug_watch_of(&vm->debug, &armed->watches[exit->watch], &vm->cpu);
	*ret = watch ? HS_TURN_EVENT : HS_TURN_AGAIN;
	if (watch) {
		event->kind = HS_EVENT_WATCHPOINT;
		event->breakpoint = *watch;
	}
	return HS_OK;
}

enum hs_status hs_vm_handle_exit(struct hs_vm *vm, const struct hs_exit *exit, const struct hs_debug_request *armed,
				 enum hs_turn *ret, struct hs_event *event, struct hs_error *err)
{
	*ret = HS_TURN_EVENT;
	switch (exit->kind) {
	case HS_EXIT_PORT_IN:
	case HS_EXIT_PORT_OUT:
		return handle_port(vm, exit, armed, ret, event, err);
	case HS_EXIT_HLT:
	case HS_EXIT_INT3:
	case HS_EXIT_EMULATION:
		return handle_stop_byte(vm, exit, ret, event, err);
	case HS_EXIT_STEPPED:
		*ret = HS_TURN_STEP;
		return HS_OK;
	case HS_EXIT_BREAK:
	case HS_EXIT_WATCH:
		return handle_own_stop(vm, exit, armed, ret, event, err);
	case HS_EXIT_INTERRUPTED:
		event->kind = HS_EVENT_INTERRUPTED;
		return HS_OK;
	default:
		return crash_of_exit(vm, exit, event, err);
	}
}
