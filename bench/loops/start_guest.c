/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As a bare guest: the letter of the loop and the number of rounds are arguments. It exits with LOOP_NOT_OFFERED when
 * this CPU lacks what the loop needs. */
#include "loops.h"

#include <hindsight/abi.h>

__attribute__((noreturn)) void _start(const struct hs_abi_boot *boot);

static const char *behind(const char *text)
{
	while (*text) {
		text++;
	}
	return text + 1;
}

void _start(const struct hs_abi_boot *boot)
{
	uint32_t rounds = 0;
	bool done = true;

	if (boot->args_count == 3) {
		const char *letter = behind((const char *)(uintptr_t)boot->args_start);

		for (const char *digit = behind(letter); *digit; digit++) {
			rounds = rounds * 10 + (uint32_t)(*digit - '0');
		}
		if (rounds > 0) {
			done = loop_run(*letter, rounds);
		}
	}
	for (;;) {
		__asm__ volatile("outl %0, %w1" : : "a"(done ? 0 : LOOP_NOT_OFFERED), "d"(HS_PORT_EXIT));
	}
}
