/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers of which the CPU has to be told that they are used: those beyond x87 and SSE (SDM vol. 1 13.3). */
#include "rt.h"

#define CPUID_FEATURES 1
#define CPUID_FEATURES_ECX_XSAVE (1u << 26)
#define CPUID_XSTATE 0xD
#define CR4_OSXSAVE ((uintptr_t)1 << 18)

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static struct cpuid cpuid(uint32_t leaf)
{
	struct cpuid ret = { .eax = leaf };
	__asm__ volatile("cpuid" : "+a"(ret.eax), "=b"(ret.ebx), "+c"(ret.ecx), "=d"(ret.edx));
	return ret;
}

/*
 * XCR0 as this file has made it; a reset leaves x87 alone (SDM vol. 1 13.3). The CPU is not asked: what it says before
 * anybody has set XCR0 is of the host's making, and a KVM that emulates ring 0 may not execute xgetbv (docs/hosts.md).
 */
static uint32_t switched_on = 1;

bool hs_xcr0_add(uint32_t components)
{
	/* All that are named by AVX-512 and before it are in the low half. */
	if (!(cpuid(CPUID_FEATURES).ecx & CPUID_FEATURES_ECX_XSAVE) || components & ~cpuid(CPUID_XSTATE).eax) {
		return false;
	}
	uintptr_t cr4;
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE) : "memory");
	switched_on |= components;
	__asm__ volatile("xsetbv" : : "c"(0), "a"(switched_on), "d"(0) : "memory");
	return true;
}

void hs_begin_avx(void)
{
	if (!hs_xcr0_add(HS_XCR0_AVX)) {
		hs_abort("this guest is compiled for AVX, which its CPU does not offer");
	}
}

void hs_begin_avx512(void)
{
	if (!hs_xcr0_add(HS_XCR0_AVX512)) {
		hs_abort("this guest is compiled for AVX-512, which its CPU does not offer");
	}
}
