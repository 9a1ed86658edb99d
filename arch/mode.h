/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which of the two architectures a CPU executes now: it may have left the one that its image is of. */
#ifndef HS_ARCH_MODE_H
#define HS_ARCH_MODE_H

#include <hindsight/cpu.h>
#include <hindsight/types.h>

/**
 * The architecture of the code at the CPU's rip: amd64 in 64-bit mode, i686 in compatibility mode and in the modes of
 * 32-bit paging.
 *
 * @param otherwise  what to say of a CPU in real mode, which is what a reset (a triple fault) leaves, and of a state
 *                   whose control registers are not known
 */
enum hs_arch hs_mode_arch(const struct hs_cpu_state *cpu, enum hs_arch otherwise);

#endif
