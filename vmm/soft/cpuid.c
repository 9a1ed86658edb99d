/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this CPU says it is. It offers what it executes and nothing else. That is the same on every host but for the
 * instruction sets that the host's CPU executes (isa.h); "GenuineIntel" because the SDM is what is followed where
 * vendors differ (syscall in 64-bit mode only, sysenter in all).
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/isa.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

#include <string.h>

#define BIT(n) (1u << (n))

#define LEAF_XSAVE 0xdu
#define LEAF_MAX LEAF_XSAVE
#define LEAF_HYPERVISOR 0x40000000u
#define LEAF_EXTENDED 0x80000000u
#define LEAF_EXTENDED_MAX 0x80000008u
#define LEAF_BRAND 0x80000002u

/* Family 6, model 15: later than the first ones, whose SEP software does not believe (SDM vol. 2A, SYSENTER). */
#define SIGNATURE 0x6f0u
/* clflush works on 8 * 8 bytes; one logical CPU. */
#define LEAF1_EBX (8u << 8 | 1u << 16)
/* cx16, movbe, popcnt, hypervisor */
#define LEAF1_ECX (BIT(13) | BIT(22) | BIT(23) | BIT(31))
#define CPUID_OSXSAVE BIT(27)
/* de, pse, tsc, msr, pae, cx8, sep, pge, cmov, pat, pse36, clflush */
#define LEAF1_EDX                                                                                                      \
	(BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(11) | BIT(13) | BIT(15) | BIT(16) | BIT(17) |       \
	 BIT(19))
/* fsgsbase, bmi1, smep, bmi2, erms (it is the fastest way here, too), no FCS and FDS, adx, smap, clflushopt, clwb */
#define LEAF7_EBX (BIT(0) | BIT(3) | BIT(7) | BIT(8) | BIT(9) | BIT(13) | BIT(19) | BIT(20) | BIT(23) | BIT(24))
/* umip, la57 */
#define LEAF7_ECX (BIT(2) | BIT(16))
/* fsrm */
#define LEAF7_EDX BIT(4)
/* lahf, lzcnt, prefetchw */
#define EXTENDED1_ECX (BIT(0) | BIT(5) | BIT(8))
/* nx, pdpe1gb, rdtscp, long mode; in 64-bit mode syscall too */
#define EXTENDED1_EDX (BIT(20) | BIT(26) | BIT(27) | BIT(29))
#define EXTENDED1_SYSCALL BIT(11)
#define LINEAR_BITS 57u

struct leaf {
	uint32_t eax, ebx, ecx, edx;
};

static const char brand[3 * 16] = "hindsight software CPU";

static bool has_subleaves(uint32_t number)
{
	return number == 7 || number == LEAF_XSAVE;
}

static uint32_t four_bytes(const char *text)
{
	return (uint32_t)hs_soft_get_bytes(text, 4);
}

/* What of a leaf the list of instruction sets says. */
static struct leaf listed(uint32_t number, uint32_t subleaf)
{
	return (struct leaf){
		.eax = hs_soft_isa_bits(number, subleaf, HS_SOFT_EAX),
		.ebx = hs_soft_isa_bits(number, subleaf, HS_SOFT_EBX),
		.ecx = hs_soft_isa_bits(number, subleaf, HS_SOFT_ECX),
		.edx = hs_soft_isa_bits(number, subleaf, HS_SOFT_EDX),
	};
}

static struct leaf both(struct leaf a, struct leaf b)
{
	return (struct leaf){ a.eax | b.eax, a.ebx | b.ebx, a.ecx | b.ecx, a.edx | b.edx };
}

uint64_t hs_soft_xcr0_offered(void)
{
	return HS_SOFT_X87 | HS_SOFT_SSE | hs_soft_isa_components();
}

/* Where the area of xsave ends when it has these components. */
static uint32_t area_end(uint64_t components)
{
	return components & HS_SOFT_AVX ? HS_XSAVE_YMMH0 + HS_SOFT_REGISTERS_BYTES : HS_XSAVE_YMMH0;
}

/* The standard and the compacted format have the same size: AVX is the last component. */
static struct leaf xsave_leaf(const struct hs_soft_cpu *cpu, uint32_t subleaf)
{
	uint64_t offered = hs_soft_xcr0_offered();

	switch (subleaf) {
	case 0:
		return (struct leaf){ .eax = (uint32_t)offered,
				      .ebx = area_end(cpu->xcr0),
				      .ecx = area_end(offered),
				      .edx = (uint32_t)(offered >> 32) };
	case 1:
		return (struct leaf){ .ebx = area_end(cpu->xcr0) };
	case HS_XSTATE_AVX:
		return offered & HS_SOFT_AVX ? (struct leaf){ .eax = HS_SOFT_REGISTERS_BYTES, .ebx = HS_XSAVE_YMMH0 }
					     : (struct leaf){ 0 };
	default:
		return (struct leaf){ 0 };
	}
}

/* What the CPU has beside the list. */
static struct leaf basic(const struct hs_soft_cpu *cpu, uint32_t number, uint32_t subleaf)
{
	static const char vendor[] = "GenuineIntel";
	uint32_t osxsave = cpu->cr4 & HS_CR4_OSXSAVE ? CPUID_OSXSAVE : 0;

	switch (number) {
	case 0:
		return (struct leaf){ LEAF_MAX, four_bytes(vendor), four_bytes(vendor + 8), four_bytes(vendor + 4) };
	case 1:
		return (struct leaf){ SIGNATURE, LEAF1_EBX, LEAF1_ECX | osxsave, LEAF1_EDX };
	case 7:
		return subleaf == 0 ? (struct leaf){ 0, LEAF7_EBX, LEAF7_ECX, LEAF7_EDX } : (struct leaf){ 0 };
	case LEAF_XSAVE:
		return xsave_leaf(cpu, subleaf);
	default:
		return (struct leaf){ 0 };
	}
}

static struct leaf extended(const struct hs_soft_cpu *cpu, uint32_t number)
{
	uint32_t in_64_bit_mode = cpu->mode == HS_SOFT_MODE_64 ? EXTENDED1_SYSCALL : 0;
	const char *part;

	switch (number) {
	case LEAF_EXTENDED:
		return (struct leaf){ .eax = LEAF_EXTENDED_MAX };
	case LEAF_EXTENDED + 1:
		return (struct leaf){ .ecx = EXTENDED1_ECX, .edx = EXTENDED1_EDX | in_64_bit_mode };
	case LEAF_BRAND:
	case LEAF_BRAND + 1:
	case LEAF_BRAND + 2:
		part = brand + (number - LEAF_BRAND) * sizeof(struct leaf);
		return (struct leaf){ four_bytes(part), four_bytes(part + 4), four_bytes(part + 8),
				      four_bytes(part + 12) };
	case LEAF_EXTENDED_MAX:
		return (struct leaf){ .eax = LINEAR_BITS << 8 | HS_SOFT_PHYSICAL_BITS };
	default:
		return (struct leaf){ 0 };
	}
}

/* Leaves that are not there show the last basic one, which is all zeroes (SDM vol. 2A, CPUID). */
static struct leaf leaf_of(const struct hs_soft_cpu *cpu, uint32_t number, uint32_t subleaf)
{
	static const char name[12] = "hindsight";

	if (number == LEAF_HYPERVISOR) {
		return (struct leaf){ LEAF_HYPERVISOR, four_bytes(name), four_bytes(name + 4), four_bytes(name + 8) };
	}
	return both(number >= LEAF_EXTENDED ? extended(cpu, number) : basic(cpu, number, subleaf),
		    listed(number, has_subleaves(number) ? subleaf : 0));
}

static enum hs_soft_flow execute_cpuid(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct leaf leaf = leaf_of(cpu, (uint32_t)cpu->r[HS_RAX], (uint32_t)cpu->r[HS_RCX]);

	(void)op;
	cpu->r[HS_RAX] = leaf.eax;
	cpu->r[HS_RBX] = leaf.ebx;
	cpu->r[HS_RCX] = leaf.ecx;
	cpu->r[HS_RDX] = leaf.edx;
	return HS_SOFT_NEXT;
}

bool hs_soft_select_cpuid(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	if (decoded->insn.mnemonic != ZYDIS_MNEMONIC_CPUID) {
		return false;
	}
	op->execute = execute_cpuid;
	return true;
}
