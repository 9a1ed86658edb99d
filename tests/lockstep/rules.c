/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rules.h"

#include "vmm/insn.h"

#include <Zydis/Zydis.h>

#include <string.h>

#define FLAG_CF 1u

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

void rules_of_insn(struct hs_vm *vm, const struct hs_cpu_state *cpu, struct rules_of_insn *ret)
{
	ZydisDecoder decoder = decoder_of(cpu);
	struct hs_phys phys = hs_vm_phys(vm);
	ZydisDecodedInstruction insn;
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	size_t length;

	*ret = (struct rules_of_insn){ .undefined_flags = 0 };
	hs_insn_text(&phys, cpu, hs_gva_of(cpu->rip), ret->text, sizeof(ret->text));
	if (hs_vm_mem_read(vm, hs_gva_of(cpu->seg[HS_CS].base + cpu->rip), bytes, sizeof(bytes), &length, NULL) ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, bytes, length, &insn))) {
		return;
	}
	ret->undefined_flags = insn.cpu_flags ? insn.cpu_flags->undefined : 0;
	ret->takes_results = is_open(insn.mnemonic);
	ret->repeats = insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

void rules_of_state(const struct hs_cpu_state *kvm, struct hs_cpu_state *soft)
{
	/* RF is cleared by the next instruction; whether it is ever seen depends on where one looks (SDM vol. 3B
	 * 17.3.1.1), and QEMU's translator does not set it in what an exception pushes. */
	soft->rflags = (soft->rflags & ~(1ull << 16)) | (kvm->rflags & 1ull << 16);
	/* How much of the XSAVE area there is depends on what CPUID offers. */
	soft->xcr0 = kvm->xcr0;
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
