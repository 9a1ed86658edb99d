/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A CPU is stepped by the trap flag in its flags, and whatever stores the flags during a step stores it as well: pushf,
 * syscall, and the delivery of an exception. A guest must not see it, and must not load it again when nobody steps any
 * more: it would get a debug exception that is none of its own.
 */
#ifndef HS_VMM_TRAP_FLAG_H
#define HS_VMM_TRAP_FLAG_H

#include "vmm/insn.h"

#include <hindsight/cpu.h>
#include <hindsight/mem.h>

#include <stdbool.h>

/**
 * Take the trap flag out of what one step has stored.
 *
 * @param insn    the instruction, as decoded before it was executed; length 0 when it was none
 * @param before  the registers before it
 * @param cpu     the registers after it; r11 may be changed
 * @return true when *cpu was changed
 */
bool hs_trap_flag_hide(const struct hs_phys *phys, const struct hs_insn *insn, const struct hs_cpu_state *before,
		       struct hs_cpu_state *cpu);

#endif
