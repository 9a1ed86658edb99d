/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the CPU at an out to HS_PORT_EXCEPTION back to the code that was interrupted: the trap frame on the guest's
 * stack (struct hs_abi_exception64 and 32 in abi.h) undone. The frame is the guest's memory, so nothing in it is
 * trusted.
 */
#ifndef HS_VMM_EXCEPTION_FRAME_H
#define HS_VMM_EXCEPTION_FRAME_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>

#include <stdbool.h>
#include <stdint.h>

/** An exception as its frame tells it. */
struct hs_exception_frame {
	uint8_t vector;
	bool has_error_code; /* the CPU pushes one for this vector */
	uint32_t error_code; /* 0 unless has_error_code */
};

/**
 * Turn the state at the out into the interrupted state: rip, cs, rflags, rsp, ss; every other register is still as it
 * was.
 *
 * A double fault that came through an i686 task gate (vector 8 and EFLAGS.NT set) is taken back from the TSS that the
 * back link names instead: general registers, segments, eflags, eip, CR3 and TR. The CPU does not save CR3 in a task
 * switch (SDM vol. 3A 7.3), so that is what the TSS's own CR3 field says.
 *
 * rip is left as the CPU pushed it: behind the instruction for traps (#BP, #OF).
 *
 * HS_ERR_UNREADABLE: the stack, the GDT or the TSS is not in memory. HS_ERR_FORMAT: no frame that a CPU could have
 * pushed. On failure nothing changed.
 *
 * @param phys  borrowed for the call; only read
 * @param cpu   in: at the out; out: at the interrupted instruction
 */
HS_MUST_CHECK enum hs_status hs_exception_frame_rewind(const struct hs_phys *phys, struct hs_cpu_state *cpu,
						       struct hs_exception_frame *ret, struct hs_error *err);

#endif
