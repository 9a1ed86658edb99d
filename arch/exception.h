/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exceptions as plain data: vector -> name, signal, siginfo code, as Linux maps them (arch/x86/kernel/traps.c, 6.x). */
#ifndef HS_ARCH_EXCEPTION_H
#define HS_ARCH_EXCEPTION_H

#include <stdbool.h>
#include <stdint.h>

/** Vectors (SDM vol. 3A table 6-1). */
enum hs_vector {
	HS_VECTOR_DE = 0,
	HS_VECTOR_DB = 1,
	HS_VECTOR_NMI = 2,
	HS_VECTOR_BP = 3,
	HS_VECTOR_OF = 4,
	HS_VECTOR_BR = 5,
	HS_VECTOR_UD = 6,
	HS_VECTOR_NM = 7,
	HS_VECTOR_DF = 8,
	HS_VECTOR_TS = 10,
	HS_VECTOR_NP = 11,
	HS_VECTOR_SS = 12,
	HS_VECTOR_GP = 13,
	HS_VECTOR_PF = 14,
	HS_VECTOR_MF = 16,
	HS_VECTOR_AC = 17,
	HS_VECTOR_MC = 18,
	HS_VECTOR_XM = 19,
	HS_VECTOR_CP = 21,
	HS_VECTOR_COUNT = 32,
};

struct hs_exception {
	const char *mnemonic; /* "#PF" */
	const char *name;     /* "page fault" */
	int signal;           /* Linux number: SIGSEGV 11 ... */
	int code;             /* si_code for the plain case */
	bool has_error_code;  /* the CPU pushes one */
	bool is_trap;         /* rip is after the instruction (#DB partly, #BP, #OF) */
};

/** The row of a vector; vectors that the SDM reserves and those from 32 on have rows of their own kind. Never NULL. */
const struct hs_exception *hs_exception_of(uint8_t vector);

/** si_code of a page fault: SEGV_MAPERR (1) when the P bit is clear, else SEGV_ACCERR (2). */
int hs_exception_pf_code(uint32_t error_code);

/** What of floating point an exception is about: the si_code, and the words for it. */
struct hs_float_exception {
	int code;
	const char *name; /* "division by zero" */
};

/**
 * Of a #MF or #XM: the first one, by Linux's order, of those that the control word, or MXCSR, does not mask. NULL for
 * another vector, and when there is none.
 *
 * @param xsave  the CPU's state (enum hs_xsave_offset)
 */
const struct hs_float_exception *hs_float_exception_of(uint8_t vector, const uint8_t *xsave);

/** "SIGSEGV" for 11; "signal N" has no name: NULL. */
const char *hs_signal_name(int signal);

#endif
