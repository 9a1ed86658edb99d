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

/* As Linux does before it starts a program: AVX is there where CPUID says that it can be (SDM vol. 1 13.3). */
static void switch_on_vectors(void)
{
	const uint32_t xsave_and_avx = 1u << 26 | 1u << 28;
	const uintptr_t osxsave = (uintptr_t)1 << 18;
	uint32_t eax = 1;
	uint32_t ecx = 0;
	uint32_t ebx;
	uint32_t edx;
	uintptr_t cr4;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if ((ecx & xsave_and_avx) == xsave_and_avx) {
		__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | osxsave));
		__asm__ volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
	}
}

void _start(const struct hs_abi_boot *boot)
{
	char *names[NAMES_MAX];
	char *arg = (char *)(uintptr_t)boot->args_start;
	int count = 0;

	switch_on_vectors();
	/* The first is the name of the image. */
	for (uint64_t i = 0; i < boot->args_count && i <= NAMES_MAX; i++) {
		if (i > 0) {
			names[count++] = arg;
		}
		arg += strlen(arg) + 1;
	}
	end(run(count, names));
}
