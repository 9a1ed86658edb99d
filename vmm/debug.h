/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Breakpoints and watchpoints: one authoritative list, and the way each is had from the backend at hand. A debug
 * register where one fires, a planted opcode where that is reported, else single steps with a look at what each
 * instruction is about to touch. Planted bytes are in memory only between arm and disarm, which enclose one run of the
 * CPU.
 *
 * A breakpoint belongs to an address space. What the CPU runs into does not: a planted byte is in a frame, that other
 * spaces may have too, and a debug register compares addresses alone. So whoever handles an exit asks whether there is
 * a breakpoint in the space that the CPU is in, and passes over what is none.
 */
#ifndef HS_VMM_DEBUG_H
#define HS_VMM_DEBUG_H

#include "vmm/backend.h"
#include "vmm/debug_space.h"
#include "vmm/insn.h"

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/target.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most breakpoints and watchpoints of one VM. */
#define HS_DEBUG_MAX 4096
/** Most places where one step is to be stopped. */
#define HS_DEBUG_STOPS_MAX 32

struct hs_planted {
	hs_gpa gpa;
	uint8_t original;
};

/** Caller's storage; zero is the empty list. What each run looks at is together, before the arrays: those are half a
 *  MiB, of which a VM has in memory what it uses. */
struct hs_debug {
	struct hs_debug_spaces spaces;         /* to be deinitialised */
	struct hs_backend_abilities abilities; /* valid when abilities_known */
	bool abilities_known;
	size_t count, stop_count;
	size_t planted_count; /* between arm and disarm, as the last three arrays */
	/* Where one step is to be stopped, in the space that the CPU is in: nobody's breakpoints. Planted where that
	 * can be, which a shared snapshot's memory is not; only with a planted_opcode. */
	hs_gva stops[HS_DEBUG_STOPS_MAX];
	struct hs_breakpoint list[HS_DEBUG_MAX];
	struct hs_planted planted[2 * HS_DEBUG_MAX + HS_DEBUG_STOPS_MAX];
	struct hs_breakpoint breaks[HS_DEBUG_MAX];  /* given to the backend */
	struct hs_breakpoint watches[HS_DEBUG_MAX]; /* given to the backend */
};

/** As hs_vm_break_insert(). phys and cpu (core registers) tell whether something is mapped there. */
HS_MUST_CHECK enum hs_status hs_debug_insert(struct hs_debug *debug, const struct hs_breakpoint *breakpoint,
					     const struct hs_phys *phys, const struct hs_cpu_state *cpu,
					     struct hs_error *err);
HS_MUST_CHECK enum hs_status hs_debug_remove(struct hs_debug *debug, const struct hs_breakpoint *breakpoint,
					     struct hs_error *err);
/** Remove those of one space, 0 for those of every space. */
void hs_debug_clear_space(struct hs_debug *debug, uint32_t space);

/** True when something in the list can only be had by single steps. */
bool hs_debug_needs_steps(const struct hs_debug *debug);
/** Whether there is a watchpoint. */
bool hs_debug_has_watches(const struct hs_debug *debug);
/** What there is and how it is had, for who tells a user. */
struct hs_debug_counts {
	size_t breakpoints, watchpoints;
	unsigned int slots_used, slots; /* debug registers; 0 of 0 where the backend needs none */
};
void hs_debug_count(const struct hs_debug *debug, struct hs_debug_counts *ret);
/** Whether there is one that is not of every space. */
bool hs_debug_has_spaces(const struct hs_debug *debug);
/** The execute breakpoint that the CPU stands at, in the space that it is in; or NULL. */
const struct hs_breakpoint *hs_debug_at(const struct hs_debug *debug, const struct hs_cpu_state *cpu);
/** The watchpoint of that space that is where an armed one is; or NULL. */
const struct hs_breakpoint *hs_debug_watch_of(const struct hs_debug *debug, const struct hs_breakpoint *armed,
					      const struct hs_cpu_state *cpu);

/**
 * Arm for a run: plant and fill *ret, which borrows from debug until disarm. What is at one place for several spaces is
 * armed once.
 *
 * @param step  of one instruction: what is where the CPU stands is left out, so that it is not hit again, and so are
 *              watchpoints, for which hs_debug_touched() is to be asked. The others count when the step takes an
 *              exception, whose handler some CPUs execute as part of it.
 */
HS_MUST_CHECK enum hs_status hs_debug_arm(struct hs_debug *debug, const struct hs_phys *phys,
					  const struct hs_cpu_state *cpu, bool step, struct hs_debug_request *ret,
					  struct hs_error *err);
/** Take planted bytes out again; what the guest has written over them meanwhile stays. */
void hs_debug_disarm(struct hs_debug *debug, const struct hs_phys *phys);
/** True when the armed list has a byte planted where the CPU has gva; valid after disarm too, until the next arm. */
bool hs_debug_was_planted(const struct hs_debug *debug, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
			  hs_gva gva);

/**
 * The watchpoint that an instruction touched, or NULL.
 *
 * @param insn        as decoded before it executed
 * @param cpu         before it executed
 * @param iterations  of a repeated string instruction: how many were executed, with `backwards` when RFLAGS.DF was set
 */
const struct hs_breakpoint *hs_debug_touched(const struct hs_debug *debug, const struct hs_insn *insn,
					     const struct hs_cpu_state *cpu, uint64_t iterations, bool backwards);

#endif
