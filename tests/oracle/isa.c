/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which instructions are tested: the sets by name, and what of them is left out and why. */
#include "forms.h"

#include <cpuid.h>

/* All of these, vectors apart. Sets of vectors have a few integer instructions, which stand in the second list. */
static const ZydisISASet sets[] = {
	ZYDIS_ISA_SET_I86,          ZYDIS_ISA_SET_I186,   ZYDIS_ISA_SET_I286REAL,  ZYDIS_ISA_SET_I286PROTECTED,
	ZYDIS_ISA_SET_I386,         ZYDIS_ISA_SET_I486,   ZYDIS_ISA_SET_I486REAL,  ZYDIS_ISA_SET_PENTIUMREAL,
	ZYDIS_ISA_SET_PPRO,         ZYDIS_ISA_SET_CMOV,   ZYDIS_ISA_SET_FAT_NOP,   ZYDIS_ISA_SET_PREFETCH_NOP,
	ZYDIS_ISA_SET_PAUSE,        ZYDIS_ISA_SET_LAHF,   ZYDIS_ISA_SET_LONGMODE,  ZYDIS_ISA_SET_CMPXCHG16B,
	ZYDIS_ISA_SET_SSE_PREFETCH, ZYDIS_ISA_SET_POPCNT, ZYDIS_ISA_SET_LZCNT,     ZYDIS_ISA_SET_MOVBE,
	ZYDIS_ISA_SET_BMI1,         ZYDIS_ISA_SET_BMI2,   ZYDIS_ISA_SET_ADOX_ADCX,
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
	{ ZYDIS_MNEMONIC_STR, tables },     { ZYDIS_MNEMONIC_SMSW, tables },     { ZYDIS_MNEMONIC_FWAIT, tables },
	{ ZYDIS_MNEMONIC_RSM, vendors },
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

static bool is_in_sets(const ZydisDecodedInstruction *insn)
{
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (insn->meta.isa_set == sets[i]) {
			return insn->meta.category != ZYDIS_CATEGORY_X87_ALU;
		}
	}
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
	return is_in_sets(&decoded->insn) && !is_excluded(decoded, bits, reason);
}

bool oracle_isa_on_host(ZydisISASet set)
{
	unsigned int a, b = 0, c = 0, d, leaf7 = 0, leaf1 = 0, extended = 0;

	if (__get_cpuid(1, &a, &b, &c, &d)) {
		leaf1 = c;
	}
	if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
		leaf7 = b;
	}
	if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
		extended = c;
	}
	switch (set) {
	case ZYDIS_ISA_SET_POPCNT:
		return leaf1 & bit_POPCNT;
	case ZYDIS_ISA_SET_MOVBE:
		return leaf1 & bit_MOVBE;
	case ZYDIS_ISA_SET_CMPXCHG16B:
		return leaf1 & bit_CMPXCHG16B;
	case ZYDIS_ISA_SET_SSE42:
		return leaf1 & bit_SSE4_2;
	case ZYDIS_ISA_SET_LZCNT:
		return extended & bit_ABM;
	case ZYDIS_ISA_SET_LAHF:
		return extended & bit_LAHF_LM;
	case ZYDIS_ISA_SET_BMI1:
		return leaf7 & bit_BMI;
	case ZYDIS_ISA_SET_BMI2:
		return leaf7 & bit_BMI2;
	case ZYDIS_ISA_SET_ADOX_ADCX:
		return leaf7 & bit_ADX;
	default:
		return true;
	}
}
