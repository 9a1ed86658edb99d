/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The instruction forms under test, made from Zydis's tables by decoding every opcode under every set of prefixes.
 *
 * A form is what a person would call one: mnemonic, kinds and widths of its operands, lock and rep, address width. Each
 * has one or more encodings: opcodes, prefixes that change nothing, a register in the opcode.
 */
#ifndef ORACLE_FORMS_H
#define ORACLE_FORMS_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum oracle_map { MAP_ONE_BYTE, MAP_0F, MAP_0F38, MAP_0F3A };

/** What of an instruction is fixed; registers, address and immediates are chosen anew for each case. */
struct oracle_encoding {
	uint8_t prefixes[4]; /* of 66, 67, F0, F2, F3 */
	uint8_t prefix_count;
	uint8_t opcode;
	uint8_t map;    /* enum oracle_map */
	bool w;         /* REX.W or VEX.W */
	bool vex;       /* with L as below */
	bool l;         /* VEX.L: 256 bits */
	bool vvvv;      /* of VEX is an operand; else it must be all ones */
	bool vsib;      /* memory is as many places as a vector has elements */
	uint8_t pp;     /* of VEX */
	bool modrm;     /* there is a ModRM byte */
	int8_t reg;     /* its reg field, -1 when it is an operand */
	int8_t rm;      /* its rm field where that is part of the opcode, else -1 */
	bool memory;    /* mod is not 3 */
	uint8_t imm;    /* bytes of all immediates, an address without ModRM included */
	bool undefined; /* any bytes of this map, legacy or VEX, that are no instruction: #UD */
	bool illegal;   /* LOCK where it is not allowed: #UD, and Zydis decodes it only without */
};

struct oracle_form {
	char name[96]; /* "add m32, r32", "rep movsb [a32]", "lock xadd m8, r8" */
	unsigned int bits;
	ZydisMnemonic mnemonic;
	ZydisISASet isa;
	bool vectors; /* x87, SSE and AVX state takes part in it */
	struct oracle_encoding *encodings;
	size_t encoding_count;
};

struct oracle_forms {
	struct oracle_form *forms;
	size_t count;
	size_t excluded; /* encodings that were left out by oracle_isa_excluded() */
	bool failed;     /* no memory */
};

/** All forms of a mode: 32 or 64 bits. Free with oracle_forms_deinit(). */
void oracle_forms_init(struct oracle_forms *forms, unsigned int bits);
void oracle_forms_deinit(struct oracle_forms *forms);

/** An instruction, decoded. */
struct oracle_insn {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

void oracle_decoder_init(ZydisDecoder *decoder, unsigned int bits);
bool oracle_decode(const ZydisDecoder *decoder, const uint8_t *bytes, size_t length, struct oracle_insn *ret);

/** What stands for bytes that are no instruction. */
bool oracle_decode_undefined(const ZydisDecoder *decoder, struct oracle_insn *ret);

/** Whether an instruction belongs to what is tested: of isa.c. *reason is set where it was left out on purpose. */
bool oracle_isa_wanted(const struct oracle_insn *decoded, unsigned int bits, const char **reason);
/** Whether it is one of x87, MMX, SSE or AVX: then that state is part of its cases. */
bool oracle_isa_vectors(const ZydisDecodedInstruction *insn);
/** Whether the host's CPU has the instruction; one that it lacks cannot be compared. */
bool oracle_isa_on_host(const struct oracle_form *form);

#endif
