/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rules.h"

#include "base/bytes.h"
#include "vmm/boot_tables.h"
#include "vmm/insn.h"

#include <Zydis/Zydis.h>

#include <string.h>

#define FLAG_CF 1u
#define FLAG_TF (1u << 8)
#define FLAG_RF (1u << 16)

static bool is_open(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_CPUID: /* each offers what it can do */
	case ZYDIS_MNEMONIC_RDTSC: /* time, and counted instructions */
	case ZYDIS_MNEMONIC_RDTSCP:
	case ZYDIS_MNEMONIC_RDPMC:
	case ZYDIS_MNEMONIC_RDRAND:
	case ZYDIS_MNEMONIC_RDSEED:
		return true;
	default:
		return false;
	}
}

static ZydisDecoder decoder_of(const struct hs_cpu_state *cpu)
{
	bool is_64 = (cpu->msr.efer & 0x400) && cpu->seg[HS_CS].l;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, is_64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
			 is_64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
	return decoder;
}

static bool is_branch(const ZydisDecodedInstruction *insn)
{
	return insn->meta.category == ZYDIS_CATEGORY_CALL || insn->meta.category == ZYDIS_CATEGORY_RET ||
	       insn->meta.category == ZYDIS_CATEGORY_COND_BR || insn->meta.category == ZYDIS_CATEGORY_UNCOND_BR;
}

/* A trap comes one instruction later then (SDM vol. 3A 6.8.3), and KVM's step is one. */
static bool loads_ss(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
	return (insn->mnemonic == ZYDIS_MNEMONIC_MOV || insn->mnemonic == ZYDIS_MNEMONIC_POP) &&
	       operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER && operands[0].reg.value == ZYDIS_REGISTER_SS;
}

/* int3: where it is an exit, its exception is injected, and the step is the first instruction of the handler. iret and
 * popf load flags without the TF that the step is armed by. */
static bool moves_tf(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
		return true;
	default:
		return false;
	}
}

void rules_of_insn(struct hs_vm *vm, const struct hs_cpu_state *cpu, struct rules_of_insn *ret)
{
	ZydisDecoder decoder = decoder_of(cpu);
	struct hs_phys phys = hs_vm_phys(vm);
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	size_t length;

	*ret = (struct rules_of_insn){ .undefined_flags = 0 };
	hs_insn_text(&phys, cpu, hs_gva_of(cpu->rip), ret->text, sizeof(ret->text));
	if (hs_vm_mem_read(vm, hs_gva_of(cpu->seg[HS_CS].base + cpu->rip), bytes, sizeof(bytes), &length, NULL) ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &insn, operands))) {
		return;
	}
	ret->undefined_flags = insn.cpu_flags ? insn.cpu_flags->undefined : 0;
	ret->takes_results = is_open(insn.mnemonic);
	ret->length = insn.length;
	ret->branches = is_branch(&insn);
	ret->may_take_the_next = loads_ss(&insn, operands) || moves_tf(insn.mnemonic);
	ret->repeats = insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

void rules_of_state(const struct hs_cpu_state *kvm, struct hs_cpu_state *soft)
{
	/* RF is cleared by the next instruction; whether it is ever seen depends on where one looks (SDM vol. 3B
	 * 17.3.1.1), and QEMU's translator does not set it in what an exception pushes. */
	soft->rflags = (soft->rflags & ~(uint64_t)FLAG_RF) | (kvm->rflags & FLAG_RF);
	/* How much of the XSAVE area there is depends on what CPUID offers. */
	soft->xcr0 = kvm->xcr0;
	/* As rules_is_pushed_ss(): the handler's own. */
	if (kvm->seg[HS_SS].selector == 0 && soft->seg[HS_SS].selector == HS_BOOT_DATA &&
	    kvm->seg[HS_CS].selector == HS_BOOT_CODE && kvm->seg[HS_CS].l) {
		soft->seg[HS_SS] = kvm->seg[HS_SS];
	}
}

bool rules_are_pushed_flags(uint32_t kvm, uint32_t soft)
{
	/* Bits 3, 5, 15 and 31:22 are always clear, bit 1 is always set. */
	return ((kvm ^ soft) & ~(FLAG_RF | FLAG_TF)) == 0 && (soft & 0xFFC0802A) == 2;
}

bool rules_is_pushed_ss(const uint8_t *kvm, const uint8_t *soft)
{
	return hs_get_le64(kvm) == 0 && hs_get_le64(soft) == HS_BOOT_DATA && hs_get_le64(kvm - 24) == HS_BOOT_CODE &&
	       hs_get_le64(soft - 24) == HS_BOOT_CODE;
}

bool rules_take_over(const struct rules_of_insn *rules, const struct hs_cpu_state *kvm, struct hs_cpu_state *soft)
{
	uint64_t flags = rules->undefined_flags | (rules->takes_results ? FLAG_CF : 0);
	uint64_t taken = (soft->rflags & ~flags) | (kvm->rflags & flags);
	bool changes = taken != soft->rflags;

	soft->rflags = taken;
	if (rules->takes_results && memcmp(soft->gpr, kvm->gpr, 4 * sizeof(kvm->gpr[0])) != 0) {
		memcpy(soft->gpr, kvm->gpr, 4 * sizeof(kvm->gpr[0]));
		changes = true;
	}
	return changes;
}
