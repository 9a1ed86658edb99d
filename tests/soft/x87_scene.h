/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random x87 states with a bias for what is special, and one instruction of x87 or MMX executed on them by the host.
 */
#ifndef HS_TESTS_SOFT_X87_SCENE_H
#define HS_TESTS_SOFT_X87_SCENE_H

#include "machine.h"

#include <stddef.h>
#include <stdint.h>

/** What FNSAVE writes with a 32-bit operand size. */
struct x87_image {
	uint32_t control, status, tags;
	uint32_t pointers[4];
	uint8_t st[8][10];
};

/** The operand in memory: longer than the longest, an FNSAVE image. */
#define X87_OPERAND_BYTES 128u

/** All that an instruction with its operand at rdi sees and changes here. */
struct x87_world {
	struct x87_image x87;
	uint64_t rax, rcx;
	uint64_t rflags; /* CF, PF, AF, ZF, SF, OF */
	uint8_t operand[X87_OPERAND_BYTES];
};

/** A random world in which no exception is pending. masked: and none can come up. */
void x87_random_world(uint64_t *seed, int masked, struct x87_world *ret);

/** Executes one instruction on *world. */
void x87_run_here(const uint8_t *instruction, size_t length, struct x87_world *world);

/** Gives the same to the machine, with its operand at MACHINE_DATA and rdi there. */
void x87_give(struct machine *machine, const struct x87_world *world);

/** Fails the test, with all that there is to see, when the machine is not as the host was behind the instruction. Of
 *  rax and rcx the low halves count. */
void x87_compare(struct machine *machine, const struct machine_stop *stop, const struct x87_world *before,
		 const struct x87_world *after, const uint8_t *code, size_t length);

#endif
