/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of instruction sets, and what of it this host can run. Those that are executed by the host's CPU are offered
 * where it has them; those that are done by hand everywhere.
 */
#include "vmm/soft/isa.h"

#include "vmm/soft/fpu.h"
#include "vmm/soft/native.h"
#include "vmm/soft/offer.h"

#include <cpuid.h>
#include <pthread.h>

#define BIT(n) (1u << (n))

#define LEAF_FEATURES 1u
#define LEAF_EXTENDED 7u
#define LEAF_XSAVE 0xdu
#define FEATURE_PCLMULQDQ BIT(1)
#define FEATURE_OSXSAVE BIT(27)
#define FEATURE_AVX BIT(28)

enum executor {
	OURS, /* done by hand, or by code of this program on what every x86-64 has */
	HOST, /* runs natively */
	VEX,  /* runs natively and needs AVX: the CPU's, and its state in XCR0 */
};

/* Bits of CPUID: SDM vol. 2A, tables 3-8 to 3-11. Sets without one of their own have that of the set they belong to. */
static const struct row {
	ZydisISASet set;
	uint32_t leaf, subleaf;
	enum hs_soft_cpuid_register reg;
	uint32_t bit;
	enum executor executor;
	uint64_t components; /* of XCR0, beyond x87 and SSE */
} rows[] = {
	{ ZYDIS_ISA_SET_FXSAVE, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(24), OURS, 0 },
	{ ZYDIS_ISA_SET_FXSAVE64, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(24), OURS, 0 },
	{ ZYDIS_ISA_SET_XSAVE, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(26), OURS, 0 },
	{ ZYDIS_ISA_SET_XSAVEOPT, LEAF_XSAVE, 1, HS_SOFT_EAX, BIT(0), OURS, 0 },
	{ ZYDIS_ISA_SET_XSAVEC, LEAF_XSAVE, 1, HS_SOFT_EAX, BIT(1), OURS, 0 },
	{ ZYDIS_ISA_SET_X87, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(0), OURS, 0 },
	{ ZYDIS_ISA_SET_FCMOV, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(0), OURS, 0 },
	{ ZYDIS_ISA_SET_PENTIUMMMX, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(23), HOST, 0 },
	{ ZYDIS_ISA_SET_SSE, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(25), HOST, 0 },
	{ ZYDIS_ISA_SET_SSE2, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(26), HOST, 0 },
	{ ZYDIS_ISA_SET_SSE2MMX, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(26), HOST, 0 },
	{ ZYDIS_ISA_SET_SSEMXCSR, LEAF_FEATURES, 0, HS_SOFT_EDX, BIT(25), HOST, 0 },
	{ ZYDIS_ISA_SET_SSE3, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(0), HOST, 0 },
	{ ZYDIS_ISA_SET_SSE3X87, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(0), HOST, 0 },
	{ ZYDIS_ISA_SET_PCLMULQDQ, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(1), HOST, 0 },
	{ ZYDIS_ISA_SET_SSSE3, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(9), HOST, 0 },
	{ ZYDIS_ISA_SET_SSSE3MMX, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(9), HOST, 0 },
	{ ZYDIS_ISA_SET_SSE4, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(19), HOST, 0 },
	{ ZYDIS_ISA_SET_SSE42, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(20), HOST, 0 },
	{ ZYDIS_ISA_SET_AES, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(25), HOST, 0 },
	{ ZYDIS_ISA_SET_AVX, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(28), VEX, HS_SOFT_AVX },
	{ ZYDIS_ISA_SET_AVXAES, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(25), VEX, HS_SOFT_AVX },
	{ ZYDIS_ISA_SET_FMA, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(12), VEX, HS_SOFT_AVX },
	{ ZYDIS_ISA_SET_F16C, LEAF_FEATURES, 0, HS_SOFT_ECX, BIT(29), VEX, HS_SOFT_AVX },
	{ ZYDIS_ISA_SET_AVX2, LEAF_EXTENDED, 0, HS_SOFT_EBX, BIT(5), VEX, HS_SOFT_AVX },
	{ ZYDIS_ISA_SET_AVX2GATHER, LEAF_EXTENDED, 0, HS_SOFT_EBX, BIT(5), VEX, HS_SOFT_AVX },
	{ ZYDIS_ISA_SET_SHA, LEAF_EXTENDED, 0, HS_SOFT_EBX, BIT(29), HOST, 0 },
	{ ZYDIS_ISA_SET_VAES, LEAF_EXTENDED, 0, HS_SOFT_ECX, BIT(9), VEX, HS_SOFT_AVX },
	{ ZYDIS_ISA_SET_VPCLMULQDQ, LEAF_EXTENDED, 0, HS_SOFT_ECX, BIT(10), VEX, HS_SOFT_AVX },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* A leaf of the host's CPUID. In a VM each is an exit: rows of one leaf stand together, and it is asked for once. */
struct host_leaf {
	uint32_t number, subleaf;
	unsigned int registers[HS_SOFT_CPUID_REGISTERS];
};

static bool offered_rows[ROWS];
static bool offered_sets[ZYDIS_ISA_SET_MAX_VALUE + 1];

static void ask_host(uint32_t number, uint32_t subleaf, struct host_leaf *leaf)
{
	unsigned int *to = leaf->registers;

	if (leaf->number == number && leaf->subleaf == subleaf) {
		return;
	}
	*leaf = (struct host_leaf){ .number = number, .subleaf = subleaf };
	(void)__get_cpuid_count(number, subleaf, &to[HS_SOFT_EAX], &to[HS_SOFT_EBX], &to[HS_SOFT_ECX],
				&to[HS_SOFT_EDX]);
}

/* Zydis counts vpclmulqdq of 128 bits as AVX, so that a host without pclmulqdq has no whole AVX. */
static bool host_has_avx(void)
{
	uint32_t wanted = FEATURE_AVX | FEATURE_PCLMULQDQ | FEATURE_OSXSAVE;
	struct host_leaf leaf = { 0 };
	uint32_t low = 0, high;

	ask_host(LEAF_FEATURES, 0, &leaf);
	if ((leaf.registers[HS_SOFT_ECX] & wanted) != wanted) {
		return false;
	}
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & HS_SOFT_AVX_STATE) == HS_SOFT_AVX_STATE;
}

static bool host_runs(const struct row *row, bool has_avx, struct host_leaf *leaf)
{
	if (row->executor == OURS) {
		return true;
	}
	if (!hs_soft_native_works()) {
		return false;
	}
	ask_host(row->leaf, row->subleaf, leaf);
	return (leaf->registers[row->reg] & row->bit) && (row->executor != VEX || has_avx);
}

static void learn(void)
{
	bool has_avx = host_has_avx();
	struct host_leaf leaf = { 0 };

	for (size_t i = 0; i < ROWS; i++) {
		offered_rows[i] = host_runs(&rows[i], has_avx, &leaf);
		offered_sets[rows[i].set] = offered_rows[i];
	}
}

static void know(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, learn);
}

bool hs_soft_isa_offered(ZydisISASet set)
{
	know();
	return (size_t)set < sizeof(offered_sets) && offered_sets[set];
}

uint32_t hs_soft_isa_bits(uint32_t leaf, uint32_t subleaf, enum hs_soft_cpuid_register reg)
{
	uint32_t bits = 0;

	know();
	for (size_t i = 0; i < ROWS; i++) {
		bool is_there = rows[i].leaf == leaf && rows[i].subleaf == subleaf && rows[i].reg == reg;

		bits |= is_there && offered_rows[i] ? rows[i].bit : 0;
	}
	return bits;
}

uint64_t hs_soft_isa_components(void)
{
	uint64_t components = 0;

	know();
	for (size_t i = 0; i < ROWS; i++) {
		components |= offered_rows[i] ? rows[i].components : 0;
	}
	return components;
}

bool hs_soft_offers_sse2(void)
{
	return hs_soft_isa_offered(ZYDIS_ISA_SET_SSE2);
}

bool hs_soft_offers_avx2(void)
{
	return hs_soft_isa_offered(ZYDIS_ISA_SET_AVX2);
}
