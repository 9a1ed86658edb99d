/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The program as a bare guest: the provided IDT reports faults, on a stack of its own on amd64, so that there may be a
 * red zone as in any other program; i686 has none (System V psABI).
 */
#include "program.h"

#include <hindsight/abi.h>

#define NAMES_MAX 64

void _start(const struct hs_abi_boot *boot);

void put(const char *text, size_t length)
{
	__asm__ volatile("outl %0, %w1" : : "a"(0), "d"(HS_PORT_PRINT), "c"(length), "S"(text) : "memory");
}

void end(int status)
{
	for (;;) {
		__asm__ volatile("outl %0, %w1" : : "a"(status), "d"(HS_PORT_EXIT));
	}
}

void _start(const struct hs_abi_boot *boot)
{
	char *names[NAMES_MAX];
	char *arg = (char *)(uintptr_t)boot->args_start;
	int count = 0;

	/* The first is the name of the image. */
	for (uint64_t i = 0; i < boot->args_count && i <= NAMES_MAX; i++) {
		if (i > 0) {
			names[count++] = arg;
		}
		arg += strlen(arg) + 1;
	}
	end(run(count, names));
}
