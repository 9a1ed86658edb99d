/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A CPU is stepped by the trap flag in its flags, and whatever stores the flags during a step stores it as well: pushf,
 * syscall, and the delivery of an exception. A guest must not see it, and must not load it again when nobody steps any
 * more: it would get a debug exception that is none of its own.
 *
 * A guest may set the flag itself. KVM cannot tell it from that of a step: it hides both from whoever reads the
 * registers, and takes both away behind the step. So what the instruction has loaded is looked at, and an instruction
 * that begins with the guest's own is not stepped but run to the handler of its debug exception.
 */
#ifndef HS_VMM_TRAP_FLAG_H
#define HS_VMM_TRAP_FLAG_H

#include "vmm/insn.h"

#include <hindsight/cpu.h>
#include <hindsight/mem.h>

#include <stdbool.h>

/**
 * Take the trap flag out of what one step has stored, and put into cpu the one that the instruction has loaded.
 *
 * @param insn    the instruction, as decoded before it was executed; length 0 when it was none
 * @param before  the registers before it
 * @param cpu     the registers after it, without the trap flag; r11 and rflags may be changed
 * @return true when *cpu was changed
 */
bool hs_trap_flag_hide(const struct hs_phys *phys, const struct hs_insn *insn, const struct hs_cpu_state *before,
		       struct hs_cpu_state *cpu);

/** Whether the guest has set the trap flag itself: its debug exception comes behind the next instruction. */
bool hs_trap_flag_is_set(const struct hs_cpu_state *cpu);

#endif
