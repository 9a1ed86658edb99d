/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The register notes of one CPU, to bytes and back: NT_PRSTATUS, NT_FPREGSET, NT_PRXFPREG, NT_X86_XSTATE.
 *
 * In and out: struct hs_cpu_state and the descriptors' bytes, of either class. The place of each general register
 * comes from the register table (arch/regs.h); the layouts around them are those of Linux,
 * arch/x86/include/uapi/asm/ptrace-abi.h, include/linux/elfcore.h and elfcore-compat.h, and
 * arch/x86/kernel/fpu/regset.c (6.x).
 */
#ifndef HS_COREDUMP_REGNOTES_H
#define HS_COREDUMP_REGNOTES_H

#include "arch/regs.h"

#include <hindsight/cpu.h>
#include <hindsight/types.h>

#include <stddef.h>
#include <stdint.h>

/** Bytes of each descriptor. */
enum {
	HS_PRSTATUS64_BYTES = 336,
	HS_PRSTATUS32_BYTES = 144,
	HS_FXSAVE_BYTES = 512,     /* NT_FPREGSET of amd64, NT_PRXFPREG of i686 */
	HS_FSAVE_BYTES = 108,      /* NT_FPREGSET of i686 */
	HS_XSTATE_MIN_BYTES = 576, /* the legacy area and the header */
};

/** Size of NT_PRSTATUS. */
size_t hs_prstatus_bytes(enum hs_arch arch);
/** NT_PRSTATUS: hs_prstatus_bytes() bytes. */
void hs_prstatus_put(enum hs_arch arch, const struct hs_cpu_state *cpu, int signal, uint32_t pid, uint8_t *ret);
/** The general registers out of NT_PRSTATUS of the right size; other registers of *ret stay. */
void hs_prstatus_get(enum hs_arch arch, const uint8_t *desc, struct hs_cpu_state *ret);
/** pr_cursig of such a note. */
int hs_prstatus_signal(enum hs_arch arch, const uint8_t *desc);

/** NT_FPREGSET of i686: HS_FSAVE_BYTES bytes, the x87 state as FSAVE stores it. */
void hs_fsave_put(const struct hs_cpu_state *cpu, uint8_t *ret);

/**
 * Size of NT_X86_XSTATE for an XCR0: that of the XSAVE area in standard format, HS_XSTATE_MIN_BYTES..HS_XSAVE_SIZE.
 *
 * @param known  what CPUID said it is, 0 for Intel's layout (SDM vol. 1 13.5, table of CPUID.0DH)
 */
size_t hs_xstate_bytes(uint64_t xcr0, uint32_t known);
/** NT_X86_XSTATE: length bytes, as hs_xstate_bytes() says. */
void hs_xstate_put(const struct hs_cpu_state *cpu, size_t length, uint8_t *ret);
/** Vector state and XCR0 out of NT_X86_XSTATE of at least HS_XSTATE_MIN_BYTES bytes. */
void hs_xstate_get(const uint8_t *desc, size_t length, struct hs_cpu_state *ret);

#endif
