/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/insn.h"

#include "base/error.h"
#include "vmm/insn_plain.h"

#include <hindsight/paging.h>

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

#define RFLAGS_DF (1ull << 10)

/* How far back decoding starts to find an instruction by its end: some 16 instructions, of which few disagree. */
#define SWEEP_BYTES 64u

struct decoded {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static bool is_64bit(const struct hs_cpu_state *cpu)
{
	return (cpu->msr.efer & (1u << 10)) && cpu->seg[HS_CS].l;
}

static void init_decoder(ZydisDecoder *decoder, const struct hs_cpu_state *cpu)
{
	if (is_64bit(cpu)) {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	} else if (cpu->seg[HS_CS].db) {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	} else {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	}
}

/* In protected mode an address in a register is an offset into its segment; ours are linear. */
static uint64_t code_base(const struct hs_cpu_state *cpu)
{
	return is_64bit(cpu) ? 0 : cpu->seg[HS_CS].base;
}

static enum hs_status fetch(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva, uint8_t *bytes,
			    size_t *ret_length, struct hs_error *err)
{
	struct hs_root root;

	hs_root_of_cpu(cpu, &root);
	return hs_vmem_read(phys, &root, hs_gva_of(gva.v + code_base(cpu)), bytes, HS_INSN_BYTES_MAX, ret_length, err);
}

static uint64_t general_register(const struct hs_cpu_state *cpu, ZydisRegister reg)
{
	ZydisRegister widest = ZydisRegisterGetLargestEnclosing(
		is_64bit(cpu) ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32, reg);
	ZyanI8 id = ZydisRegisterGetId(widest);
	ZyanU16 bits = ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg);
	uint64_t value;

	if (id < 0 || id >= HS_GPR_COUNT) {
		return 0;
	}
	value = cpu->gpr[id];
	return bits < 64 ? value & ((1ull << bits) - 1) : value;
}

static uint64_t segment_base(const struct hs_cpu_state *cpu, ZydisRegister reg)
{
	static const struct {
		ZydisRegister reg;
		enum hs_seg seg;
	} map[] = {
		{ ZYDIS_REGISTER_ES, HS_ES }, { ZYDIS_REGISTER_CS, HS_CS }, { ZYDIS_REGISTER_SS, HS_SS },
		{ ZYDIS_REGISTER_DS, HS_DS }, { ZYDIS_REGISTER_FS, HS_FS }, { ZYDIS_REGISTER_GS, HS_GS },
	};

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (map[i].reg == reg && (!is_64bit(cpu) || reg == ZYDIS_REGISTER_FS || reg == ZYDIS_REGISTER_GS)) {
			return cpu->seg[map[i].seg].base;
		}
	}
	return 0;
}

/* A push writes below the stack pointer that it finds. */
static bool is_push(const ZydisDecodedOperand *operand)
{
	return operand->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
	       (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
	       ZydisRegisterGetId(operand->mem.base) == ZydisRegisterGetId(ZYDIS_REGISTER_RSP);
}

/* The linear address of a memory operand, before the instruction executes (SDM vol. 1 3.7.5). */
static uint64_t operand_address(const struct hs_cpu_state *cpu, const struct decoded *decoded,
				const ZydisDecodedOperand *operand, uint64_t gva)
{
	uint64_t address = (uint64_t)operand->mem.disp.value;
	unsigned int bits = decoded->insn.address_width;

	if (operand->mem.base == ZYDIS_REGISTER_RIP || operand->mem.base == ZYDIS_REGISTER_EIP) {
		address += gva + decoded->insn.length;
	} else if (operand->mem.base != ZYDIS_REGISTER_NONE) {
		address += general_register(cpu, operand->mem.base);
	}
	if (operand->mem.index != ZYDIS_REGISTER_NONE) {
		address += general_register(cpu, operand->mem.index) * operand->mem.scale;
	}
	if (is_push(operand)) {
		address -= operand->size / 8;
		bits = decoded->insn.stack_width;
	}
	if (bits < 64) {
		address &= (1ull << bits) - 1;
	}
	address += segment_base(cpu, operand->mem.segment);
	return is_64bit(cpu) ? address : address & 0xFFFFFFFF;
}

static void find_accesses(const struct hs_cpu_state *cpu, const struct decoded *decoded, uint64_t gva,
			  struct hs_insn *insn)
{
	/* A nop or a prefetch has an operand, and leaves it alone as far as watchpoints go (SDM vol. 3B 17.2.4). */
	switch (decoded->insn.meta.category) {
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_PREFETCH:
		return;
	default:
		break;
	}
	for (ZyanU8 i = 0; i < decoded->insn.operand_count && insn->access_count < HS_INSN_ACCESSES_MAX; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		bool read = operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
		bool write = operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY || operand->mem.type != ZYDIS_MEMOP_TYPE_MEM ||
		    !(read || write)) {
			continue;
		}
		insn->accesses[insn->access_count++] = (struct hs_insn_access){
			.address = operand_address(cpu, decoded, operand, gva),
			.bytes = operand->size / 8,
			.read = read,
			.write = write,
		};
	}
}

static void find_port(const struct hs_cpu_state *cpu, const struct decoded *decoded, struct hs_insn *insn)
{
	switch (decoded->insn.mnemonic) {
	case ZYDIS_MNEMONIC_OUT:
	case ZYDIS_MNEMONIC_OUTSB:
	case ZYDIS_MNEMONIC_OUTSW:
	case ZYDIS_MNEMONIC_OUTSD:
		break;
	default:
		return;
	}
	insn->is_out = true;
	insn->port = (uint16_t)cpu->gpr[HS_RDX];
	if (decoded->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		insn->port = (uint16_t)decoded->operands[0].imm.value.u;
	}
	insn->port_bytes = (uint8_t)(decoded->operands[1].size / 8);
}

/* Pointers that the instruction moves besides reading or writing through them. */
static void find_pointers(const struct decoded *decoded, struct hs_insn *insn)
{
	bool string = decoded->insn.meta.category == ZYDIS_CATEGORY_STRINGOP ||
		      decoded->insn.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;

	for (ZyanU8 i = 0; i < decoded->insn.operand_count; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];
		ZyanI8 base;

		if (operand->type != ZYDIS_OPERAND_TYPE_MEMORY) {
			continue;
		}
		base = ZydisRegisterGetId(operand->mem.base);
		if (string && (base == HS_RSI || base == HS_RDI)) {
			insn->moves_si |= base == HS_RSI;
			insn->moves_di |= base == HS_RDI;
			insn->string_bytes = (uint8_t)(operand->size / 8);
		}
		if (is_push(operand)) {
			insn->push_bytes = (uint8_t)(operand->size / 8);
		}
	}
}

static bool may_branch(ZydisInstructionCategory category)
{
	switch (category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
		return true;
	default:
		return false;
	}
}

static void find_target(const struct hs_cpu_state *cpu, const struct decoded *decoded, uint64_t gva,
			struct hs_insn *insn)
{
	const ZydisDecodedOperand *operand = &decoded->operands[0];
	ZyanU64 target;

	if (!insn->branches || decoded->insn.operand_count_visible == 0) {
		return;
	}
	if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER) {
		insn->target_known = true;
		insn->target = general_register(cpu, operand->reg.value);
	} else if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand->imm.is_relative &&
		   ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&decoded->insn, operand, gva, &target))) {
		insn->target_known = true;
		insn->target = target;
	}
}

static bool decode_bytes(const struct hs_cpu_state *cpu, const uint8_t *bytes, size_t length, uint64_t gva,
			 struct hs_insn *ret)
{
	struct decoded decoded;
	ZydisDecoder decoder;

	init_decoder(&decoder, cpu);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded.insn, decoded.operands))) {
		return false;
	}
	*ret = (struct hs_insn){ .length = decoded.insn.length };
	ret->repeats = decoded.insn.attributes &
		       (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
	ret->is_pushf = decoded.insn.mnemonic == ZYDIS_MNEMONIC_PUSHF ||
			decoded.insn.mnemonic == ZYDIS_MNEMONIC_PUSHFD ||
			decoded.insn.mnemonic == ZYDIS_MNEMONIC_PUSHFQ;
	ret->is_popf = decoded.insn.mnemonic == ZYDIS_MNEMONIC_POPF || decoded.insn.mnemonic == ZYDIS_MNEMONIC_POPFD ||
		       decoded.insn.mnemonic == ZYDIS_MNEMONIC_POPFQ;
	ret->is_untrapped = decoded.insn.mnemonic == ZYDIS_MNEMONIC_STI ||
			    decoded.insn.mnemonic == ZYDIS_MNEMONIC_PAUSE;
	ret->is_syscall = decoded.insn.mnemonic == ZYDIS_MNEMONIC_SYSCALL;
	ret->is_sysret = decoded.insn.mnemonic == ZYDIS_MNEMONIC_SYSRET;
	ret->iret_bytes = decoded.insn.mnemonic == ZYDIS_MNEMONIC_IRETQ ? 8 : 0;
	ret->iret_bytes = decoded.insn.mnemonic == ZYDIS_MNEMONIC_IRETD ? 4 : ret->iret_bytes;
	ret->branches = may_branch(decoded.insn.meta.category);
	ret->is_conditional = decoded.insn.meta.category == ZYDIS_CATEGORY_COND_BR;
	ret->is_plain = hs_insn_is_plain(&decoded.insn, decoded.operands, is_64bit(cpu));
	find_port(cpu, &decoded, ret);
	find_pointers(&decoded, ret);
	find_target(cpu, &decoded, gva, ret);
	find_accesses(cpu, &decoded, gva, ret);
	return true;
}

enum hs_status hs_insn_decode(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva,
			      struct hs_insn *ret, struct hs_error *err)
{
	uint8_t bytes[HS_INSN_BYTES_MAX];
	size_t length;
	enum hs_status st = fetch(phys, cpu, gva, bytes, &length, err);

	if (st) {
		return st;
	}
	if (!decode_bytes(cpu, bytes, length, gva.v, ret)) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, gva.v, "no valid instruction at 0x%llx",
				    (unsigned long long)gva.v);
	}
	return HS_OK;
}

void hs_insn_text(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva, char *ret, size_t size)
{
	uint8_t bytes[HS_INSN_BYTES_MAX];
	struct decoded decoded;
	ZydisDecoder decoder;
	ZydisFormatter formatter;
	size_t length;

	if (fetch(phys, cpu, gva, bytes, &length, NULL)) {
		snprintf(ret, size, "(unreadable)");
		return;
	}
	init_decoder(&decoder, cpu);
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded.insn, decoded.operands)) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &decoded.insn, decoded.operands,
							  decoded.insn.operand_count_visible, ret, size, gva.v,
							  NULL))) {
		snprintf(ret, size, "(bad)");
	}
}

/* The names that processors' manuals and compilers' options have for what Zydis tells apart. */
static const char *vector_set_name(ZydisISAExt extension)
{
	switch (extension) {
	case ZYDIS_ISA_EXT_X87:
		return "x87";
	case ZYDIS_ISA_EXT_AMD3DNOW:
		return "3DNow!";
	case ZYDIS_ISA_EXT_AVX512EVEX:
	case ZYDIS_ISA_EXT_AVX512VEX:
		return "AVX-512";
	case ZYDIS_ISA_EXT_AVX2GATHER:
		return "AVX2";
	case ZYDIS_ISA_EXT_AVXAES:
		return "AVX and AES";
	case ZYDIS_ISA_EXT_AES:
	case ZYDIS_ISA_EXT_AVX:
	case ZYDIS_ISA_EXT_AVX2:
	case ZYDIS_ISA_EXT_AVX_VNNI:
	case ZYDIS_ISA_EXT_F16C:
	case ZYDIS_ISA_EXT_FMA:
	case ZYDIS_ISA_EXT_FMA4:
	case ZYDIS_ISA_EXT_GFNI:
	case ZYDIS_ISA_EXT_MMX:
	case ZYDIS_ISA_EXT_PCLMULQDQ:
	case ZYDIS_ISA_EXT_SHA:
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSE4:
	case ZYDIS_ISA_EXT_SSE4A:
	case ZYDIS_ISA_EXT_SSSE3:
	case ZYDIS_ISA_EXT_VAES:
	case ZYDIS_ISA_EXT_VPCLMULQDQ:
	case ZYDIS_ISA_EXT_XOP:
		return ZydisISAExtGetString(extension);
	default:
		return NULL;
	}
}

const char *hs_insn_vector_set(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva,
			       unsigned int *ret_set)
{
	uint8_t bytes[HS_INSN_BYTES_MAX];
	struct decoded decoded;
	ZydisDecoder decoder;
	size_t length;

	init_decoder(&decoder, cpu);
	if (fetch(phys, cpu, gva, bytes, &length, NULL) ||
	    !ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &decoded.insn, decoded.operands))) {
		return NULL;
	}
	*ret_set = decoded.insn.meta.isa_set;
	return vector_set_name(decoded.insn.meta.isa_ext);
}

static void add_to(struct hs_cpu_state *cpu, enum hs_gpr reg, uint64_t amount)
{
	cpu->gpr[reg] += amount;
	if (!is_64bit(cpu)) {
		cpu->gpr[reg] &= UINT32_MAX;
	}
}

void hs_insn_undo(const struct hs_insn *insn, struct hs_cpu_state *cpu)
{
	uint64_t back = cpu->rflags & RFLAGS_DF ? insn->string_bytes : -(uint64_t)insn->string_bytes;

	add_to(cpu, HS_RSP, insn->push_bytes);
	if (insn->moves_si) {
		add_to(cpu, HS_RSI, back);
	}
	if (insn->moves_di) {
		add_to(cpu, HS_RDI, back);
	}
	if (insn->repeats) {
		add_to(cpu, HS_RCX, 1);
	}
}

/* For each length of an instruction that ends before gva: how many starts before it lead to it. */
static void count_starts(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva, unsigned int *ret)
{
	for (uint64_t back = 1; back <= SWEEP_BYTES && back <= gva.v; back++) {
		uint64_t at = gva.v - back;
		struct hs_insn insn = { .length = 0 };

		while (at < gva.v && hs_insn_decode(phys, cpu, hs_gva_of(at), &insn, NULL) == HS_OK) {
			at += insn.length;
		}
		if (at == gva.v) {
			ret[insn.length]++;
		}
	}
}

bool hs_insn_before(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva,
		    bool (*wanted)(void *ctx, const struct hs_insn *insn), void *ctx, struct hs_cpu_state *ret)
{
	unsigned int starts[HS_INSN_BYTES_MAX + 1] = { 0 };
	unsigned int most = 0;

	count_starts(phys, cpu, gva, starts);
	for (uint64_t length = 1; length <= HS_INSN_BYTES_MAX && length <= gva.v; length++) {
		struct hs_cpu_state before = *cpu;
		struct hs_insn insn;

		before.rip = gva.v - length;
		/* Of two that are as good the longer: the other one is it without its prefix. */
		if (starts[length] < most || hs_insn_decode(phys, cpu, hs_gva_of(before.rip), &insn, NULL) ||
		    insn.length != length) {
			continue;
		}
		hs_insn_undo(&insn, &before);
		if (hs_insn_decode(phys, &before, hs_gva_of(before.rip), &insn, NULL) == HS_OK && wanted(ctx, &insn)) {
			most = starts[length];
			*ret = before;
		}
	}
	return most > 0;
}
