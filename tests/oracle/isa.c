/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which instructions are tested: the sets by name, and what of them is left out and why. */
#include "forms.h"

#include <cpuid.h>

enum cpuid_register { EAX, EBX, ECX, EDX };

/* All of these; where a set has a bit of CPUID, the host must have it (SDM vol. 2A, tables 3-8 to 3-11). Sets of
 * vectors have a few integer instructions, which stand in the second list. */
static const struct row {
	ZydisISASet set;
	bool vectors;
	uint32_t leaf;
	enum cpuid_register reg;
	uint32_t bit;
} rows[] = {
	{ .set = ZYDIS_ISA_SET_I86 },
	{ .set = ZYDIS_ISA_SET_I186 },
	{ .set = ZYDIS_ISA_SET_I286REAL },
	{ .set = ZYDIS_ISA_SET_I286PROTECTED },
	{ .set = ZYDIS_ISA_SET_I386 },
	{ .set = ZYDIS_ISA_SET_I486 },
	{ .set = ZYDIS_ISA_SET_I486REAL },
	{ .set = ZYDIS_ISA_SET_PENTIUMREAL },
	{ .set = ZYDIS_ISA_SET_PPRO },
	{ .set = ZYDIS_ISA_SET_CMOV },
	{ .set = ZYDIS_ISA_SET_FAT_NOP },
	{ .set = ZYDIS_ISA_SET_PREFETCH_NOP },
	{ .set = ZYDIS_ISA_SET_PAUSE },
	{ .set = ZYDIS_ISA_SET_LONGMODE },
	{ .set = ZYDIS_ISA_SET_SSE_PREFETCH },
	{ ZYDIS_ISA_SET_LAHF, false, 0x80000001, ECX, bit_LAHF_LM },
	{ ZYDIS_ISA_SET_CMPXCHG16B, false, 1, ECX, bit_CMPXCHG16B },
	{ ZYDIS_ISA_SET_POPCNT, false, 1, ECX, bit_POPCNT },
	{ ZYDIS_ISA_SET_LZCNT, false, 0x80000001, ECX, bit_ABM },
	{ ZYDIS_ISA_SET_MOVBE, false, 1, ECX, bit_MOVBE },
	{ ZYDIS_ISA_SET_BMI1, false, 7, EBX, bit_BMI },
	{ ZYDIS_ISA_SET_BMI2, false, 7, EBX, bit_BMI2 },
	{ ZYDIS_ISA_SET_ADOX_ADCX, false, 7, EBX, bit_ADX },
	{ ZYDIS_ISA_SET_X87, true, 1, EDX, 1u << 0 },
	{ ZYDIS_ISA_SET_FCMOV, true, 1, EDX, 1u << 0 },
	{ ZYDIS_ISA_SET_SSE3X87, true, 1, ECX, bit_SSE3 },
	{ ZYDIS_ISA_SET_PENTIUMMMX, true, 1, EDX, bit_MMX },
	{ ZYDIS_ISA_SET_FXSAVE, true, 1, EDX, bit_FXSAVE },
	{ ZYDIS_ISA_SET_FXSAVE64, true, 1, EDX, bit_FXSAVE },
	{ ZYDIS_ISA_SET_SSE, true, 1, EDX, bit_SSE },
	{ ZYDIS_ISA_SET_SSEMXCSR, true, 1, EDX, bit_SSE },
	{ ZYDIS_ISA_SET_SSE2, true, 1, EDX, bit_SSE2 },
	{ ZYDIS_ISA_SET_SSE2MMX, true, 1, EDX, bit_SSE2 },
	{ ZYDIS_ISA_SET_SSE3, true, 1, ECX, bit_SSE3 },
	{ ZYDIS_ISA_SET_SSSE3, true, 1, ECX, bit_SSSE3 },
	{ ZYDIS_ISA_SET_SSSE3MMX, true, 1, ECX, bit_SSSE3 },
	{ ZYDIS_ISA_SET_SSE4, true, 1, ECX, bit_SSE4_1 },
	{ ZYDIS_ISA_SET_SSE42, true, 1, ECX, bit_SSE4_2 },
	{ ZYDIS_ISA_SET_AES, true, 1, ECX, bit_AES },
	{ ZYDIS_ISA_SET_PCLMULQDQ, true, 1, ECX, bit_PCLMUL },
	{ ZYDIS_ISA_SET_SHA, true, 7, EBX, bit_SHA },
	{ ZYDIS_ISA_SET_AVX, true, 1, ECX, bit_AVX },
	{ ZYDIS_ISA_SET_AVXAES, true, 1, ECX, bit_AES },
	{ ZYDIS_ISA_SET_F16C, true, 1, ECX, bit_F16C },
	{ ZYDIS_ISA_SET_FMA, true, 1, ECX, bit_FMA },
	{ ZYDIS_ISA_SET_AVX2, true, 7, EBX, bit_AVX2 },
	{ ZYDIS_ISA_SET_AVX2GATHER, true, 7, EBX, bit_AVX2 },
	{ ZYDIS_ISA_SET_VAES, true, 7, ECX, bit_VAES },
	{ ZYDIS_ISA_SET_VPCLMULQDQ, true, 7, ECX, bit_VPCLMULQDQ },
};

static const ZydisMnemonic from_vector_sets[] = {
	ZYDIS_MNEMONIC_MOVNTI, ZYDIS_MNEMONIC_CRC32,  ZYDIS_MNEMONIC_LFENCE,
	ZYDIS_MNEMONIC_MFENCE, ZYDIS_MNEMONIC_SFENCE,
};

static const char not_same[] = "its result is not the same twice";
static const char kernel[] = "it would enter the host's kernel";
static const char vendors[] = "Intel's and AMD's processors differ";
static const char tables[] = "it depends on the host's descriptor tables or control registers";

static const struct {
	ZydisMnemonic mnemonic;
	const char *why;
} excluded[] = {
	{ ZYDIS_MNEMONIC_RDTSC, not_same }, { ZYDIS_MNEMONIC_RDTSCP, not_same }, { ZYDIS_MNEMONIC_CPUID, not_same },
	{ ZYDIS_MNEMONIC_RDPMC, not_same }, { ZYDIS_MNEMONIC_SYSCALL, kernel },  { ZYDIS_MNEMONIC_SYSENTER, kernel },
	{ ZYDIS_MNEMONIC_INT1, kernel },    { ZYDIS_MNEMONIC_SYSRET, vendors },  { ZYDIS_MNEMONIC_SYSEXIT, vendors },
	{ ZYDIS_MNEMONIC_SGDT, tables },    { ZYDIS_MNEMONIC_SIDT, tables },     { ZYDIS_MNEMONIC_SLDT, tables },
	{ ZYDIS_MNEMONIC_STR, tables },     { ZYDIS_MNEMONIC_SMSW, tables },     { ZYDIS_MNEMONIC_RSM, vendors },
};

static bool is_excluded_mnemonic(ZydisMnemonic mnemonic, const char **reason)
{
	for (size_t i = 0; i < sizeof(excluded) / sizeof(excluded[0]); i++) {
		if (excluded[i].mnemonic == mnemonic) {
			*reason = excluded[i].why;
			return true;
		}
	}
	return false;
}

/* AMD's processors take 66 on a near branch in 64-bit mode as a 16-bit operand size, Intel's ignore it (SDM vol. 2,
 * "JMP"; APM vol. 3, "Near Branches in 64-Bit Mode"). */
static bool is_16bit_branch(const struct oracle_insn *decoded, unsigned int bits)
{
	return bits == 64 && decoded->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
	       decoded->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR &&
	       (decoded->insn.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE);
}

/* 0F 0D with a register: AMD's processors say #UD, Intel's take it as a nop. */
static bool is_prefetch_of_register(const struct oracle_insn *decoded)
{
	return decoded->insn.opcode_map == ZYDIS_OPCODE_MAP_0F && decoded->insn.opcode == 0x0d &&
	       decoded->insn.raw.modrm.mod == 3;
}

/* With REX.W, far pointers have 64-bit offsets on Intel's processors; AMD's ignore it (APM vol. 3, "JMP (Far)"). */
static bool is_pointer_of_80_bits(const struct oracle_insn *decoded)
{
	for (unsigned int i = 0; i < decoded->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];

		if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->size == 80) {
			return decoded->insn.mnemonic != ZYDIS_MNEMONIC_LGDT &&
			       decoded->insn.mnemonic != ZYDIS_MNEMONIC_LIDT;
		}
	}
	return false;
}

static bool is_excluded(const struct oracle_insn *decoded, unsigned int bits, const char **reason)
{
	if (is_excluded_mnemonic(decoded->insn.mnemonic, reason)) {
		return true;
	}
	if (is_16bit_branch(decoded, bits) || is_prefetch_of_register(decoded) || is_pointer_of_80_bits(decoded)) {
		*reason = vendors;
		return true;
	}
	return false;
}

static const struct row *row_of(ZydisISASet set)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].set == set) {
			return &rows[i];
		}
	}
	return NULL;
}

static bool is_integer(const ZydisDecodedInstruction *insn)
{
	for (size_t i = 0; i < sizeof(from_vector_sets) / sizeof(from_vector_sets[0]); i++) {
		if (insn->mnemonic == from_vector_sets[i]) {
			return true;
		}
	}
	return false;
}

bool oracle_isa_wanted(const struct oracle_insn *decoded, unsigned int bits, const char **reason)
{
	*reason = NULL;
	return row_of(decoded->insn.meta.isa_set) != NULL && !is_excluded(decoded, bits, reason);
}

bool oracle_isa_vectors(const ZydisDecodedInstruction *insn)
{
	const struct row *row = row_of(insn->meta.isa_set);

	/* Zydis counts fcomi to the sets of its time. */
	return insn->meta.category == ZYDIS_CATEGORY_X87_ALU || (row != NULL && row->vectors && !is_integer(insn));
}

/* Where a signal frame has the upper halves of ymm: the host's kernel has set XCR0 up for it. */
static bool frame_has_vectors(void)
{
	unsigned int registers[4] = { 0 }, low, high;

	if (!__get_cpuid(1, &registers[EAX], &registers[EBX], &registers[ECX], &registers[EDX]) ||
	    !(registers[ECX] & bit_OSXSAVE)) {
		return false;
	}
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & 6) == 6;
}

bool oracle_isa_on_host(const struct oracle_form *form)
{
	const struct row *row = row_of(form->isa);
	unsigned int registers[4] = { 0 };

	if (form->vectors && !frame_has_vectors()) {
		return false;
	}
	if (row == NULL || row->leaf == 0) {
		return true;
	}
	return __get_cpuid_count(row->leaf, 0, &registers[EAX], &registers[EBX], &registers[ECX], &registers[EDX]) &&
	       (registers[row->reg] & row->bit);
}
