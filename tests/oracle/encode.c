/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes of an instruction: an encoding with random registers, addressing form, immediates, and useless prefixes. */
#include "scene.h"

#include <string.h>

/* What is chosen besides the bytes. */
struct draft {
	struct oracle_random *random;
	const struct oracle_encoding *encoding;
	unsigned int bits;
	unsigned int address_width;
	uint8_t modrm, sib;
	bool has_sib;
	unsigned int disp; /* bytes */
	uint8_t rex;       /* R 4, X 2, B 1 */
};

static bool has_prefix(const struct oracle_encoding *encoding, uint8_t prefix)
{
	return memchr(encoding->prefixes, prefix, encoding->prefix_count) != NULL;
}

static void draft_memory16(struct draft *draft)
{
	unsigned int mod = (unsigned int)oracle_below(draft->random, 3);
	unsigned int rm = (unsigned int)oracle_below(draft->random, 8);

	draft->modrm |= (uint8_t)(mod << 6 | rm);
	draft->disp = mod == 0 && rm == 6 ? 2 : mod;
}

static void draft_memory(struct draft *draft)
{
	unsigned int mod = (unsigned int)oracle_below(draft->random, 3);
	unsigned int rm = (unsigned int)oracle_below(draft->random, 8);
	unsigned int base = rm;

	if (draft->encoding->vsib || oracle_chance(draft->random, 20)) {
		rm = 4; /* a SIB byte; by itself too rare */
	}
	if (rm == 4) {
		base = (unsigned int)oracle_below(draft->random, 8);
		draft->has_sib = true;
		draft->sib = (uint8_t)(oracle_below(draft->random, 32) << 3 | base);
	}
	draft->modrm |= (uint8_t)(mod << 6 | rm);
	draft->disp = mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0;
}

static void draft_modrm(struct draft *draft)
{
	const struct oracle_encoding *encoding = draft->encoding;
	unsigned int reg = encoding->reg >= 0 ? (unsigned int)encoding->reg
					      : (unsigned int)oracle_below(draft->random, 8);

	draft->modrm = (uint8_t)(reg << 3);
	if (!encoding->memory) {
		draft->modrm |= 0xc0;
		draft->modrm |= encoding->rm >= 0 ? (uint8_t)encoding->rm : (uint8_t)oracle_below(draft->random, 8);
	} else if (draft->address_width == 16) {
		draft_memory16(draft);
	} else {
		draft_memory(draft);
	}
}

/* The extension bits: only where they extend an operand that is chosen freely. */
static void draft_rex(struct draft *draft)
{
	uint8_t free = 0;

	if (draft->bits == 32) {
		return;
	}
	if (!draft->encoding->modrm) {
		free = 1;
	} else {
		free |= draft->encoding->reg < 0 ? 4 : 0;
		free |= draft->encoding->memory ? 3 : draft->encoding->rm < 0 ? 1 : 0;
	}
	draft->rex = (uint8_t)oracle_below(draft->random, 8) & free;
}

static uint8_t random_byte(struct oracle_random *random)
{
	static const uint8_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 31, 32, 63, 64 };

	return oracle_chance(random, 40) ? edges[oracle_below(random, sizeof(edges))] : (uint8_t)oracle_random(random);
}

/* A segment that does something everywhere: not FS, which in 64-bit mode is the host process's own. */
static uint8_t random_segment(struct draft *draft)
{
	static const uint8_t segments[] = { 0x65, 0x26, 0x2e, 0x36, 0x3e, 0x64 };

	return segments[oracle_below(draft->random, draft->bits == 32 ? 6 : 5)];
}

static void put_vex(const struct draft *draft, struct oracle_code *code)
{
	const struct oracle_encoding *encoding = draft->encoding;
	unsigned int vvvv = encoding->vvvv ? (unsigned int)oracle_below(draft->random, draft->bits == 64 ? 16 : 8) : 0;
	unsigned int last = (~vvvv & 0xf) << 3 | encoding->l << 2 | encoding->pp;

	/* The short prefix says what it can. */
	if (encoding->map == MAP_0F && !encoding->w && !(draft->rex & 3) && oracle_chance(draft->random, 50)) {
		code->bytes[code->length++] = 0xc5;
		code->bytes[code->length++] = (uint8_t)((~draft->rex & 4) << 5 | last);
		return;
	}
	code->bytes[code->length++] = 0xc4;
	code->bytes[code->length++] = (uint8_t)((~draft->rex & 7) << 5 | encoding->map);
	code->bytes[code->length++] = (uint8_t)(encoding->w << 7 | last);
}

static void put_opcode(const struct draft *draft, struct oracle_code *code)
{
	static const uint8_t second[] = { [MAP_0F38] = 0x38, [MAP_0F3A] = 0x3a };
	const struct oracle_encoding *encoding = draft->encoding;

	if (draft->bits == 64 && (encoding->w || draft->rex || oracle_chance(draft->random, 15))) {
		code->bytes[code->length++] = (uint8_t)(0x40 | encoding->w << 3 | draft->rex);
	}
	if (encoding->map != MAP_ONE_BYTE) {
		code->bytes[code->length++] = 0x0f;
	}
	if (encoding->map >= MAP_0F38) {
		code->bytes[code->length++] = second[encoding->map];
	}
}

static void put_prefixes(const struct draft *draft, struct oracle_code *code)
{
	const struct oracle_encoding *encoding = draft->encoding;
	unsigned int turn = encoding->prefix_count ? (unsigned int)oracle_below(draft->random, encoding->prefix_count)
						   : 0;

	if (oracle_chance(draft->random, 12)) {
		code->bytes[code->length++] = random_segment((struct draft *)draft);
	}
	for (unsigned int i = 0; i < encoding->prefix_count; i++) {
		code->bytes[code->length++] = encoding->prefixes[(i + turn) % encoding->prefix_count];
	}
}

static void put_all(struct draft *draft, const struct oracle_form *form, struct oracle_code *code)
{
	code->length = 0;
	put_prefixes(draft, code);
	if (draft->encoding->vex) {
		put_vex(draft, code);
	} else {
		put_opcode(draft, code);
	}
	code->bytes[code->length++] = draft->encoding->opcode;
	if (draft->encoding->modrm) {
		code->bytes[code->length++] = draft->modrm;
	}
	if (draft->has_sib) {
		code->bytes[code->length++] = draft->sib;
	}
	for (unsigned int i = 0; i < draft->disp + draft->encoding->imm && code->length < 15; i++) {
		/* Vectors' immediates select, so that each is as good as another. */
		code->bytes[code->length++] = form->vectors ? (uint8_t)oracle_random(draft->random)
							    : random_byte(draft->random);
	}
}

/* The same instruction as the form's: an extended register may make another one of it (REX.B before 90). */
static bool is_of_form(const struct oracle_form *form, const struct oracle_encoding *encoding,
		       const struct oracle_code *code)
{
	const ZydisDecodedInstruction *insn = &code->decoded.insn;

	if (insn->mnemonic != form->mnemonic || insn->length + (encoding->illegal ? 1u : 0u) != code->length) {
		return false;
	}
	/* An interrupt that the host's kernel takes as a system call. */
	return insn->mnemonic != ZYDIS_MNEMONIC_INT || code->decoded.operands[0].imm.value.u != 0x80;
}

static bool decode_code(const ZydisDecoder *decoder, const struct oracle_encoding *encoding, struct oracle_code *code)
{
	uint8_t bytes[16];
	size_t length = 0;

	for (size_t i = 0; i < code->length; i++) {
		if (!(encoding->illegal && code->bytes[i] == 0xf0 && length == i)) {
			bytes[length++] = code->bytes[i];
		}
	}
	return oracle_decode(decoder, bytes, length, &code->decoded);
}

/*
 * Now and then as long as instructions can be, by prefixes that say again what is so already, and now and then a byte
 * longer: #GP (SDM vol. 2A 2.3.11). What was decoded is the short one.
 */
static void lengthen(struct oracle_random *random, struct oracle_code *code)
{
	size_t length = oracle_chance(random, 50) ? 16 : 15;

	if (!oracle_chance(random, 2) || code->decoded.insn.raw.prefix_count == 0 || code->length >= length ||
	    code->decoded.insn.mnemonic == ZYDIS_MNEMONIC_UD0 || code->decoded.insn.mnemonic == ZYDIS_MNEMONIC_UD1) {
		return;
	}
	if (code->bytes[0] >> 4 == 4) {
		return; /* REX must come last */
	}
	memmove(code->bytes + length - code->length, code->bytes, code->length);
	memset(code->bytes, code->bytes[length - code->length], length - code->length);
	code->length = length;
}

/* In 32-bit mode VEX begins with what is LES or LDS unless its next two bits are set. */
static void put_undefined_vex(struct oracle_random *random, const struct oracle_encoding *encoding, unsigned int bits,
			      struct oracle_code *code)
{
	uint8_t set = bits == 64 ? 0 : 0xc0;

	if (encoding->map == MAP_0F && oracle_chance(random, 50)) {
		code->bytes[code->length++] = 0xc5;
	} else {
		code->bytes[code->length++] = 0xc4;
		code->bytes[code->length++] = (uint8_t)((oracle_random(random) & 0xe0) | encoding->map | set);
		set = 0;
	}
	code->bytes[code->length++] = (uint8_t)oracle_random(random) | set;
}

/* Now and then with a prefix that selects an instruction, or that may not stand before VEX. */
static bool encode_undefined(struct oracle_random *random, const ZydisDecoder *decoder, const struct oracle_form *form,
			     const struct oracle_encoding *encoding, struct oracle_code *ret)
{
	static const uint8_t prefixes[] = { 0x66, 0xf2, 0xf3, 0x48 },
			     second[] = { [MAP_0F38] = 0x38, [MAP_0F3A] = 0x3a };

	ret->length = 0;
	if (oracle_chance(random, 30)) {
		ret->bytes[ret->length++] = prefixes[oracle_below(random, form->bits == 64 ? 4 : 3)];
	}
	if (encoding->vex) {
		put_undefined_vex(random, encoding, form->bits, ret);
	} else {
		ret->bytes[ret->length++] = 0x0f;
	}
	if (!encoding->vex && encoding->map >= MAP_0F38) {
		ret->bytes[ret->length++] = second[encoding->map];
	}
	while (ret->length < 15) {
		ret->bytes[ret->length++] = (uint8_t)oracle_random(random);
	}
	return !oracle_decode(decoder, ret->bytes, ret->length, &ret->decoded) &&
	       oracle_decode_undefined(decoder, &ret->decoded);
}

bool oracle_encode(struct oracle_random *random, const ZydisDecoder *decoder, const struct oracle_form *form,
		   const struct oracle_encoding *encoding, struct oracle_code *ret)
{
	struct draft draft = { .random = random, .encoding = encoding, .bits = form->bits };
	bool narrow = has_prefix(encoding, 0x67);

	if (encoding->undefined) {
		return encode_undefined(random, decoder, form, encoding, ret);
	}
	draft.address_width = form->bits == 64 ? (narrow ? 32 : 64) : narrow ? 16 : 32;
	if (encoding->modrm) {
		draft_modrm(&draft);
	}
	draft_rex(&draft);
	put_all(&draft, form, ret);
	if (!decode_code(decoder, encoding, ret) || !is_of_form(form, encoding, ret)) {
		return false;
	}
	lengthen(random, ret);
	return true;
}

void oracle_set_displacement(struct oracle_code *code, uint64_t value)
{
	size_t size = code->decoded.insn.raw.disp.size / 8;
	size_t offset = code->decoded.insn.raw.disp.offset + (code->length - code->decoded.insn.length);

	memcpy(code->bytes + offset, &value, size);
}
