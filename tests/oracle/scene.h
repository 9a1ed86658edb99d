/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a form to a case: bytes of an instruction, and registers and memory under which it does something worth
 * comparing. All is drawn from one generator, so that a case is known by form and seed.
 */
#ifndef ORACLE_SCENE_H
#define ORACLE_SCENE_H

#include "case.h"
#include "forms.h"
#include "guest.h"
#include "random.h"

/** The bytes of an instruction and what they decode to at `rip`. */
struct oracle_code {
	uint8_t bytes[16];
	size_t length;
	uint64_t rip;
	struct oracle_insn decoded; /* of an illegal encoding: without its LOCK */
};

/** Make bytes with random registers, addressing and immediates. False: this choice gives another instruction. */
bool oracle_encode(struct oracle_random *random, const ZydisDecoder *decoder, const struct oracle_form *form,
		   const struct oracle_encoding *encoding, struct oracle_code *ret);
/** Put a displacement of four (or two) bytes into the code, where there is one. */
void oracle_set_displacement(struct oracle_code *code, uint64_t value);

/** Where an operand of `bytes` bytes is to be: mostly in memory, often at an edge of it. */
uint64_t oracle_target(struct oracle_random *random, unsigned int address_width, unsigned int bytes, bool aligned);

/** The data segments a case begins with. */
void oracle_choose_segments(struct oracle_random *random, struct oracle_case *test);
/** Give an instruction that takes a selector one that is worth it; operands have been placed. */
void oracle_choose_selector(struct oracle_random *random, struct oracle_code *code, struct oracle_case *test);
/** mov ss, pop ss: no trap comes behind it, but behind the next instruction, which is a nop. */
bool oracle_loads_stack_segment(const struct oracle_code *code);

/** How both CPUs are to stop behind the instruction; it may add to the case. */
enum oracle_step oracle_choose_step(struct oracle_random *random, const struct oracle_code *code,
				    struct oracle_case *test);

/** The whole case but for that. False: none was found in a reasonable number of tries. */
bool oracle_scene(struct oracle_random *random, const ZydisDecoder *decoder, const struct oracle_form *form,
		  struct oracle_case *ret, struct oracle_code *ret_code);

#endif
