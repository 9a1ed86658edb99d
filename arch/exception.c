/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arch/exception.h"

#include "base/bytes.h"

#include <hindsight/cpu.h>

#include <signal.h>
#include <stddef.h>

/*
 * Where Linux raises a signal without a code of its own, force_sig() makes it SI_KERNEL. The vectors on which Linux
 * dies instead of raising one (#NMI, #NM, #DF, #VE, #HV, #SX, reserved) are SIGSEGV here, as its die() reports them.
 */
static const struct hs_exception exceptions[HS_VECTOR_COUNT] = {
	[0] = { "#DE", "divide error", SIGFPE, FPE_INTDIV, false, false },
	[1] = { "#DB", "debug exception", SIGTRAP, TRAP_TRACE, false, true },
	[2] = { "#NMI", "non-maskable interrupt", SIGSEGV, SI_KERNEL, false, false },
	[3] = { "#BP", "breakpoint", SIGTRAP, SI_KERNEL, false, true },
	[4] = { "#OF", "overflow", SIGSEGV, SI_KERNEL, false, true },
	[5] = { "#BR", "bound range exceeded", SIGSEGV, SI_KERNEL, false, false },
	[6] = { "#UD", "invalid opcode", SIGILL, ILL_ILLOPN, false, false },
	[7] = { "#NM", "device not available", SIGSEGV, SI_KERNEL, false, false },
	[8] = { "#DF", "double fault", SIGSEGV, SI_KERNEL, true, false },
	[9] = { "#CSO", "coprocessor segment overrun", SIGFPE, SI_KERNEL, false, false },
	[10] = { "#TS", "invalid TSS", SIGSEGV, SI_KERNEL, true, false },
	[11] = { "#NP", "segment not present", SIGBUS, SI_KERNEL, true, false },
	[12] = { "#SS", "stack-segment fault", SIGBUS, SI_KERNEL, true, false },
	[13] = { "#GP", "general protection fault", SIGSEGV, SI_KERNEL, true, false },
	[14] = { "#PF", "page fault", SIGSEGV, SEGV_MAPERR, true, false },
	[16] = { "#MF", "x87 floating-point error", SIGFPE, FPE_FLTINV, false, false },
	[17] = { "#AC", "alignment check", SIGBUS, BUS_ADRALN, true, false },
	[18] = { "#MC", "machine check", SIGBUS, BUS_MCEERR_AR, false, false },
	[19] = { "#XM", "SIMD floating-point exception", SIGFPE, FPE_FLTINV, false, false },
	[20] = { "#VE", "virtualization exception", SIGSEGV, SI_KERNEL, false, false },
	/* SEGV_CPERR; glibc 2.36 has no name for it (Linux, include/uapi/asm-generic/siginfo.h). */
	[21] = { "#CP", "control protection exception", SIGSEGV, 10, true, false },
	/* AMD64 Architecture Programmer's Manual vol. 2, table 8-1. */
	[28] = { "#HV", "hypervisor injection exception", SIGSEGV, SI_KERNEL, false, false },
	[29] = { "#VC", "VMM communication exception", SIGBUS, BUS_OBJERR, true, false },
	[30] = { "#SX", "security exception", SIGSEGV, SI_KERNEL, true, false },
};

static const struct hs_exception reserved = { "reserved", "reserved exception", SIGSEGV, SI_KERNEL, false, false };
/* int n leaves rip behind itself; Linux answers an int n that has no gate with SIGSEGV. */
static const struct hs_exception interrupt = { "INT", "interrupt", SIGSEGV, SI_KERNEL, false, true };

const struct hs_exception *hs_exception_of(uint8_t vector)
{
	if (vector >= HS_VECTOR_COUNT) {
		return &interrupt;
	}
	return exceptions[vector].name ? &exceptions[vector] : &reserved;
}

int hs_exception_pf_code(uint32_t error_code)
{
	return error_code & HS_PF_P ? SEGV_ACCERR : SEGV_MAPERR;
}

/* Flags that are set and not masked: they are in the same places in both words of x87, and MXCSR has the masks 7 bits
 * above the flags (SDM vol. 1 8.1, 10.2.3). */
static unsigned int unmasked_flags(uint8_t vector, const uint8_t *xsave)
{
	uint32_t mxcsr = hs_get_le32(xsave + HS_XSAVE_MXCSR);

	switch (vector) {
	case HS_VECTOR_MF:
		return hs_get_le16(xsave + HS_XSAVE_FSW) & ~(unsigned int)hs_get_le16(xsave + HS_XSAVE_FCW);
	case HS_VECTOR_XM:
		return mxcsr & ~(mxcsr >> 7);
	default:
		return 0;
	}
}

const struct hs_float_exception *hs_float_exception_of(uint8_t vector, const uint8_t *xsave)
{
	static const struct {
		unsigned int flags;
		struct hs_float_exception exception;
	} rows[] = {
		{ 0x01, { FPE_FLTINV, "invalid operation" } }, { 0x04, { FPE_FLTDIV, "division by zero" } },
		{ 0x08, { FPE_FLTOVF, "overflow" } },          { 0x02, { FPE_FLTUND, "denormal operand" } },
		{ 0x10, { FPE_FLTUND, "underflow" } },         { 0x20, { FPE_FLTRES, "inexact result" } },
	};
	unsigned int flags = unmasked_flags(vector, xsave);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (flags & rows[i].flags) {
			return &rows[i].exception;
		}
	}
	return NULL;
}

/* Numbers of x86 Linux (signal(7)), which are the guest's on any host. */
static const char *const signal_names[] = {
	[1] = "SIGHUP",   [2] = "SIGINT",     [3] = "SIGQUIT",  [4] = "SIGILL",     [5] = "SIGTRAP",  [6] = "SIGABRT",
	[7] = "SIGBUS",   [8] = "SIGFPE",     [9] = "SIGKILL",  [10] = "SIGUSR1",   [11] = "SIGSEGV", [12] = "SIGUSR2",
	[13] = "SIGPIPE", [14] = "SIGALRM",   [15] = "SIGTERM", [16] = "SIGSTKFLT", [17] = "SIGCHLD", [18] = "SIGCONT",
	[19] = "SIGSTOP", [20] = "SIGTSTP",   [21] = "SIGTTIN", [22] = "SIGTTOU",   [23] = "SIGURG",  [24] = "SIGXCPU",
	[25] = "SIGXFSZ", [26] = "SIGVTALRM", [27] = "SIGPROF", [28] = "SIGWINCH",  [29] = "SIGIO",   [30] = "SIGPWR",
	[31] = "SIGSYS",
};

const char *hs_signal_name(int signal)
{
	if (signal < 0 || (size_t)signal >= sizeof(signal_names) / sizeof(signal_names[0])) {
		return NULL;
	}
	return signal_names[signal];
}
