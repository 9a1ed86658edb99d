/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The forms: a walk over all opcodes and prefixes, and the name under which encodings come together. */
#include "forms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	struct oracle_forms *forms;
	unsigned int bits;
	ZydisDecoder decoder;
};

void oracle_decoder_init(ZydisDecoder *decoder, unsigned int bits)
{
	if (bits == 64) {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	} else {
		ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
	}
}

bool oracle_decode(const ZydisDecoder *decoder, const uint8_t *bytes, size_t length, struct oracle_insn *ret)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, bytes, length, &ret->insn, ret->operands));
}

static const char *name_of_class(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_X87:
		return "st";
	case ZYDIS_REGCLASS_MMX:
		return "mm";
	case ZYDIS_REGCLASS_XMM:
		return "xmm";
	case ZYDIS_REGCLASS_YMM:
		return "ymm";
	default:
		return NULL;
	}
}

/* Of a kind of which one is as good as another. */
static bool is_numbered(ZydisRegister reg)
{
	return ZydisRegisterGetClass(reg) <= ZYDIS_REGCLASS_GPR64 || name_of_class(reg);
}

/* "r32", "m64", "i8", "xmm", "al" for what cannot be another, "cs". */
static void name_operand(const ZydisDecodedOperand *operand, char *text, size_t bytes)
{
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		if (operand->encoding == ZYDIS_OPERAND_ENCODING_NONE || !is_numbered(operand->reg.value)) {
			snprintf(text, bytes, "%s", ZydisRegisterGetString(operand->reg.value));
		} else if (name_of_class(operand->reg.value)) {
			snprintf(text, bytes, "%s", name_of_class(operand->reg.value));
		} else {
			snprintf(text, bytes, "r%u", operand->size);
		}
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (operand->mem.type == ZYDIS_MEMOP_TYPE_VSIB) {
			snprintf(text, bytes, "m%u by %s", operand->size, name_of_class(operand->mem.index));
		} else {
			snprintf(text, bytes, "m%u", operand->size);
		}
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		snprintf(text, bytes, "i%u", operand->size);
		break;
	default:
		snprintf(text, bytes, "far");
		break;
	}
}

static bool has_memory(const struct oracle_insn *decoded)
{
	for (unsigned int i = 0; i < decoded->insn.operand_count; i++) {
		if (decoded->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			return true;
		}
	}
	return false;
}

static const char *repeat_of(ZydisInstructionAttributes attributes)
{
	if (attributes & ZYDIS_ATTRIB_HAS_REP) {
		return "rep ";
	}
	if (attributes & ZYDIS_ATTRIB_HAS_REPE) {
		return "repe ";
	}
	return attributes & ZYDIS_ATTRIB_HAS_REPNE ? "repne " : "";
}

/* Operands that are not written count by their width: push has one for its stack slot. */
static unsigned int hidden_width(const struct oracle_insn *decoded)
{
	for (unsigned int i = decoded->insn.operand_count_visible; i < decoded->insn.operand_count; i++) {
		if (decoded->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			return decoded->operands[i].size;
		}
	}
	return 0;
}

static void name_form(const struct oracle_insn *decoded, bool illegal, unsigned int bits, char *name, size_t bytes)
{
	const ZydisDecodedInstruction *insn = &decoded->insn;
	const char *lock = insn->attributes & ZYDIS_ATTRIB_HAS_LOCK ? "lock " : "";
	size_t used;

	if (illegal) {
		snprintf(name, bytes, "illegal lock %s", ZydisMnemonicGetString(insn->mnemonic));
		return;
	}
	snprintf(name, bytes, "%s%s%s%s", lock, repeat_of(insn->attributes),
		 insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ? "far " : "", ZydisMnemonicGetString(insn->mnemonic));
	for (unsigned int i = 0; i < insn->operand_count_visible; i++) {
		char text[24];

		name_operand(&decoded->operands[i], text, sizeof(text));
		used = strlen(name);
		snprintf(name + used, bytes - used, "%s%s", i ? ", " : " ", text);
	}
	if (hidden_width(decoded)) {
		used = strlen(name);
		snprintf(name + used, bytes - used, " {m%u}", hidden_width(decoded));
	}
	if (insn->address_width != bits && !oracle_isa_vectors(insn) &&
	    (has_memory(decoded) || insn->meta.category == ZYDIS_CATEGORY_COND_BR)) {
		used = strlen(name);
		snprintf(name + used, bytes - used, " [a%u]", insn->address_width);
	}
}

/* Zydis counts these to the sets that their registers came with. */
static ZydisISASet set_of(const ZydisDecodedInstruction *insn)
{
	if (insn->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ) {
		return ZYDIS_ISA_SET_SSE;
	}
	if (insn->meta.category == ZYDIS_CATEGORY_X87_ALU && insn->meta.isa_set == ZYDIS_ISA_SET_PPRO) {
		return ZYDIS_ISA_SET_X87;
	}
	return insn->meta.isa_set;
}

static struct oracle_form *find_or_add(struct walk *walk, const char *name, const ZydisDecodedInstruction *insn)
{
	struct oracle_forms *forms = walk->forms;
	struct oracle_form *grown;

	for (size_t i = forms->count; i-- > 0;) {
		/* pextrw of SSE2 and of SSE4.1 are different instructions of one name. */
		if ((!forms->forms[i].vectors || forms->forms[i].isa == set_of(insn)) &&
		    strcmp(forms->forms[i].name, name) == 0) {
			return &forms->forms[i];
		}
	}
	grown = realloc(forms->forms, (forms->count + 1) * sizeof(*grown));
	if (grown == NULL) {
		forms->failed = true;
		return NULL;
	}
	forms->forms = grown;
	grown += forms->count++;
	*grown = (struct oracle_form){
		.bits = walk->bits, .mnemonic = insn->mnemonic, .isa = set_of(insn), .vectors = oracle_isa_vectors(insn)
	};
	snprintf(grown->name, sizeof(grown->name), "%s", name);
	return grown;
}

static void add_named(struct walk *walk, const char *name, const struct oracle_encoding *encoding,
		      const struct oracle_insn *decoded)
{
	struct oracle_form *form = find_or_add(walk, name, &decoded->insn);
	struct oracle_encoding *grown;

	if (form == NULL) {
		return;
	}
	grown = realloc(form->encodings, (form->encoding_count + 1) * sizeof(*grown));
	if (grown == NULL) {
		walk->forms->failed = true;
		return;
	}
	form->encodings = grown;
	grown[form->encoding_count++] = *encoding;
}

static void add(struct walk *walk, const struct oracle_encoding *encoding, const struct oracle_insn *decoded)
{
	char name[sizeof(walk->forms->forms->name)];

	name_form(decoded, encoding->illegal, walk->bits, name, sizeof(name));
	add_named(walk, name, encoding, decoded);
}

/* An instruction with the given ModRM and zeros behind it. */
static void assemble(const struct oracle_encoding *encoding, uint8_t modrm, uint8_t bytes[16])
{
	size_t at = 0;

	memset(bytes, 0, 16);
	for (unsigned int i = 0; i < encoding->prefix_count; i++) {
		if (!(encoding->illegal && encoding->prefixes[i] == 0xf0)) {
			bytes[at++] = encoding->prefixes[i];
		}
	}
	if (encoding->vex) {
		bytes[at++] = 0xc4;
		bytes[at++] = 0xe0 | encoding->map;
		/* Registers of a gather must be different ones. */
		bytes[at++] = (uint8_t)(encoding->w << 7 | (encoding->vsib ? 0xe : 0xf) << 3 | encoding->l << 2 |
					encoding->pp);
	} else {
		if (encoding->w) {
			bytes[at++] = 0x48;
		}
		if (encoding->map != MAP_ONE_BYTE) {
			bytes[at++] = 0x0f;
		}
		if (encoding->map >= MAP_0F38) {
			bytes[at++] = encoding->map == MAP_0F38 ? 0x38 : 0x3a;
		}
	}
	bytes[at++] = encoding->opcode;
	bytes[at++] = encoding->vsib ? modrm | 4 : modrm;
	bytes[at] = encoding->vsib ? 2 << 3 : 0;
}

static bool reg_is_operand(const struct oracle_insn *decoded)
{
	for (unsigned int i = 0; i < decoded->insn.operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &decoded->operands[i];

		if (operand->encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG && is_numbered(operand->reg.value)) {
			return true;
		}
	}
	return false;
}

static bool vvvv_is_operand(const struct oracle_insn *decoded)
{
	for (unsigned int i = 0; i < decoded->insn.operand_count_visible; i++) {
		if (decoded->operands[i].encoding == ZYDIS_OPERAND_ENCODING_NDSNDD) {
			return true;
		}
	}
	return false;
}

static bool rm_is_operand(const struct oracle_insn *decoded)
{
	for (unsigned int i = 0; i < decoded->insn.operand_count_visible; i++) {
		if (decoded->operands[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM) {
			return true;
		}
	}
	return false;
}

static bool has_lock(const struct oracle_encoding *encoding)
{
	return encoding->prefix_count > 0 && encoding->prefixes[0] == 0xf0;
}

/* LOCK on what does not take it is #UD, and for Zydis an error: then it is decoded without. */
static bool decode_encoding(struct walk *walk, struct oracle_encoding *encoding, uint8_t modrm,
			    struct oracle_insn *decoded)
{
	uint8_t bytes[16];

	encoding->illegal = encoding->vsib = false;
	assemble(encoding, modrm, bytes);
	if (oracle_decode(&walk->decoder, bytes, 15, decoded)) {
		return true;
	}
	encoding->illegal = has_lock(encoding);
	encoding->vsib = encoding->vex && modrm < 0xc0;
	assemble(encoding, modrm, bytes);
	return (encoding->illegal || encoding->vsib) && oracle_decode(&walk->decoder, bytes, 15, decoded);
}

/* On AMD's processors LOCK before mov cr0 makes mov cr8 of it. */
static bool is_move_of_control(const struct oracle_insn *decoded)
{
	return decoded->insn.opcode_map == ZYDIS_OPCODE_MAP_0F && (decoded->insn.opcode & 0xfd) == 0x20;
}

/* One ModRM byte (reg, and memory or the register rm) of one opcode. False: those that follow are of the same form. */
static bool try_modrm(struct walk *walk, struct oracle_encoding encoding, uint8_t modrm)
{
	struct oracle_insn decoded;
	const char *reason;

	if (!decode_encoding(walk, &encoding, modrm, &decoded)) {
		return true;
	}
	encoding.modrm = decoded.insn.attributes & ZYDIS_ATTRIB_HAS_MODRM;
	encoding.memory = encoding.modrm && modrm < 0xc0;
	encoding.reg = (int8_t)(reg_is_operand(&decoded) ? -1 : modrm >> 3 & 7);
	encoding.vvvv = encoding.vex && vvvv_is_operand(&decoded);
	encoding.rm = (int8_t)(encoding.memory || rm_is_operand(&decoded) ? -1 : modrm & 7);
	encoding.imm = (uint8_t)(decoded.insn.raw.imm[0].size / 8 + decoded.insn.raw.imm[1].size / 8);
	if (!encoding.modrm) {
		encoding.imm = (uint8_t)(encoding.imm + decoded.insn.raw.disp.size / 8); /* mov al, [moffs] */
	}
	if (!oracle_isa_wanted(&decoded, walk->bits, &reason) || (encoding.illegal && is_move_of_control(&decoded))) {
		walk->forms->excluded++;
		return encoding.modrm;
	}
	add(walk, &encoding, &decoded);
	return encoding.modrm;
}

static void try_opcode(struct walk *walk, const struct oracle_encoding *encoding)
{
	/* Memory is [rax], the register rcx: neither has a meaning of its own in any opcode that has operands. */
	for (unsigned int reg = 0; reg < 8; reg++) {
		struct oracle_encoding copy = *encoding;
		struct oracle_insn decoded;

		if (!try_modrm(walk, *encoding, (uint8_t)(reg << 3))) {
			return;
		}
		if (!decode_encoding(walk, &copy, (uint8_t)(0xc1 | reg << 3), &decoded)) {
			continue;
		}
		try_modrm(walk, *encoding, (uint8_t)(0xc1 | reg << 3));
		for (unsigned int rm = 0; rm < 8 && !rm_is_operand(&decoded); rm++) {
			if (rm != 1) {
				try_modrm(walk, *encoding, (uint8_t)(0xc0 | reg << 3 | rm));
			}
		}
		if (reg_is_operand(&decoded)) {
			return;
		}
	}
}

/* Bytes that lead on: prefixes, and the first bytes of other maps. */
static bool is_prefix(uint8_t map, unsigned int opcode, unsigned int bits)
{
	if (map != MAP_ONE_BYTE) {
		return map == MAP_0F && (opcode == 0x38 || opcode == 0x3a);
	}
	switch (opcode) {
	case 0x0f:
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	case 0xc4: /* VEX; as LES and LDS they load segments */
	case 0xc5:
	case 0x62:
		return bits == 64 || opcode != 0x62;
	default:
		return bits == 64 && (opcode & 0xf0) == 0x40;
	}
}

/* Every set of prefixes that can select an instruction: a bit each for LOCK, 66, 67, W; F2, F3 or neither. */
static void walk_legacy(struct walk *walk, uint8_t map)
{
	for (unsigned int set = 0; set < 48; set++) {
		struct oracle_encoding encoding = { .map = map };
		unsigned int repeat = set / 16;

		if (set & 1) {
			encoding.prefixes[encoding.prefix_count++] = 0xf0;
		}
		if (set & 2) {
			encoding.prefixes[encoding.prefix_count++] = 0x66;
		}
		if (set & 4) {
			encoding.prefixes[encoding.prefix_count++] = 0x67;
		}
		if (repeat) {
			encoding.prefixes[encoding.prefix_count++] = repeat == 1 ? 0xf2 : 0xf3;
		}
		encoding.w = set & 8;
		if (encoding.w && walk->bits == 32) {
			continue;
		}
		for (unsigned int opcode = 0; opcode < 256; opcode++) {
			encoding.opcode = (uint8_t)opcode;
			if (!is_prefix(map, opcode, walk->bits)) {
				try_opcode(walk, &encoding);
			}
		}
	}
}

static void walk_vex(struct walk *walk, uint8_t map)
{
	for (unsigned int set = 0; set < 32; set++) {
		struct oracle_encoding encoding = {
			.map = map, .vex = true, .w = set & 4, .pp = set & 3, .l = set & 16
		};

		if (set & 8) {
			encoding.prefixes[encoding.prefix_count++] = 0x67;
		}
		for (unsigned int opcode = 0; opcode < 256; opcode++) {
			encoding.opcode = (uint8_t)opcode;
			try_opcode(walk, &encoding);
		}
	}
}

bool oracle_decode_undefined(const ZydisDecoder *decoder, struct oracle_insn *ret)
{
	static const uint8_t ud1[] = { 0x0f, 0xb9, 0xc0 };

	return oracle_decode(decoder, ud1, sizeof(ud1), ret);
}

/* What is no instruction, by map: reserved opcodes, prefixes, fields of VEX. */
static void add_undefined(struct walk *walk)
{
	static const char *const names[] = { [MAP_0F] = "0f", [MAP_0F38] = "0f38", [MAP_0F3A] = "0f3a" };
	struct oracle_insn decoded;

	if (!oracle_decode_undefined(&walk->decoder, &decoded)) {
		return;
	}
	for (unsigned int map = MAP_0F; map <= MAP_0F3A; map++) {
		for (unsigned int vex = 0; vex < 2; vex++) {
			const struct oracle_encoding encoding = { .undefined = true, .map = (uint8_t)map, .vex = vex };
			char name[sizeof(walk->forms->forms->name)];

			snprintf(name, sizeof(name), "undefined %s%s", vex ? "vex " : "", names[map]);
			add_named(walk, name, &encoding, &decoded);
		}
	}
}

void oracle_forms_init(struct oracle_forms *forms, unsigned int bits)
{
	struct walk walk = { .forms = forms, .bits = bits };

	memset(forms, 0, sizeof(*forms));
	oracle_decoder_init(&walk.decoder, bits);
	for (unsigned int map = MAP_ONE_BYTE; map <= MAP_0F3A; map++) {
		walk_legacy(&walk, (uint8_t)map);
	}
	walk_vex(&walk, MAP_0F);
	walk_vex(&walk, MAP_0F38);
	walk_vex(&walk, MAP_0F3A);
	add_undefined(&walk);
}

void oracle_forms_deinit(struct oracle_forms *forms)
{
	for (size_t i = 0; i < forms->count; i++) {
		free(forms->forms[i].encodings);
	}
	free(forms->forms);
	memset(forms, 0, sizeof(*forms));
}
