/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machine code in a test, written as assembly (Intel syntax, no prefixes before register names) and assembled with the
 * test. It is data: the host never runs it.
 */
#ifndef HS_TESTS_SOFT_CODE_H
#define HS_TESTS_SOFT_CODE_H

#include <stddef.h>
#include <stdint.h>

/** Bytes of code; static. */
struct code {
	const uint8_t *bytes;
	size_t length;
};

/* Both gcc and clang leave the section and the syntax as they were. A far pointer has no spelling that both know. */
#define CODE_OF_BITS(bits, text)                                                                                       \
	__extension__({                                                                                                \
		struct code code_;                                                                                     \
		const uint8_t *end_;                                                                                   \
		__asm__(".pushsection .rodata\n.code" bits "\n.intel_syntax noprefix\n77:\n" text                      \
			"\n78:\n.att_syntax prefix\n.code64\n.popsection\n"                                            \
			"leaq 77b(%%rip), %0\nleaq 78b(%%rip), %1\n"                                                   \
			: "=r"(code_.bytes), "=r"(end_));                                                              \
		code_.length = (size_t)(end_ - code_.bytes);                                                           \
		code_;                                                                                                 \
	})

/** The text as 64-bit code, and as 32-bit code. */
#define CODE64(text) CODE_OF_BITS("64", text)
#define CODE32(text) CODE_OF_BITS("32", text)

#endif
