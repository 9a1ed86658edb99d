/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine with numbers in its vector registers that runs a short text, as 64-bit and as 32-bit code. rsi points to a
 * copy of ymm1, 32 bytes aligned; rdi behind it, to zeroes.
 *
 * xmm1 is 3, 5; xmm2 2, 4; xmm3 0, 0; xmm4 the smallest normal number, twice; xmm5 a signalling NaN and a number; xmm6
 * the smallest denormal one. The upper halves are bytes of their register's number.
 */
#ifndef HS_TESTS_SOFT_VECTOR_SCENE_H
#define HS_TESTS_SOFT_VECTOR_SCENE_H

#include "machine.h"

#define CR0_EM 4u
#define CR0_TS 8u
#define CR4_OSFXSR 0x200u
#define CR4_OSXMMEXCPT 0x400u
#define CR4_OSXSAVE 0x40000u
#define MXCSR_INITIAL 0x1F80u

#define FLAG_CF 1u
#define FLAG_PF 4u
#define FLAG_ZF 0x40u
#define FLAG_SF 0x80u
#define FLAG_OF 0x800u
#define FLAG_STATUS 0x8D5u

/* Where rsi and rdi point to. */
#define VECTOR_FROM MACHINE_DATA
#define VECTOR_TO (MACHINE_DATA + 0x400u)

#define VECTOR_CONFIGS 4u
extern const struct machine_config vector_configs[VECTOR_CONFIGS];

/** The text as code of both modes. */
struct vector_text {
	const char *name;
	struct code code64, code32;
};

#define VECTOR_TEXT(text)                                                                                              \
	{                                                                                                              \
		text, CODE64(text), CODE32(text)                                                                       \
	}

uint8_t *vector_xmm(struct hs_cpu_state *cpu, unsigned int number);
uint8_t *vector_high(struct hs_cpu_state *cpu, unsigned int number);
uint32_t vector_mxcsr(const struct hs_cpu_state *cpu);

/** Whether this host has what the text needs: AVX2, FMA and F16C where it begins with a v. */
bool vector_is_there(const struct vector_text *text);

void vector_begin(struct machine *machine, const struct machine_config *config, const struct vector_text *text);
/** The end of a text that has no fault; else the test fails. */
void vector_run_to_hlt(struct machine *machine, const char *name, struct machine_stop *ret);
/** A fault of the first instruction, with nothing changed but MXCSR's flags. */
void vector_run_to_fault(struct machine *machine, const char *name, unsigned int vector, struct machine_stop *ret);

#endif
