/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One vector instruction as a function of the host's: it loads the operands from where the guest has them, executes the
 * instruction and stores what it has written. Its registers are renamed by the position of the operand, so that all
 * guest registers share the code, and memory is a buffer.
 */
#ifndef HS_SOFT_THUNK_H
#define HS_SOFT_THUNK_H

#include "vmm/soft/native.h"
#include "vmm/soft/select.h"

/** General registers that an instruction reads and writes. */
struct hs_soft_scalars {
	uint64_t value;      /* of the operand that is one, before and afterwards */
	uint64_t lengths[2]; /* rax and rdx of pcmpestri and pcmpestrm */
	uint64_t index;      /* ecx of pcmpestri and pcmpistri */
};

/**
 * Operand i is at v<i>, where that is a vector register: its low 16 bytes, the upper ones HS_SOFT_HIGH_HALF behind; at
 * v3 is xmm0 where it is implied. With VEX what is written is written wholly, without it only the low half is.
 *
 * @return status flags, if the instruction writes any: in the place that they have in RFLAGS, other bits are undefined
 */
typedef uint64_t hs_soft_thunk_fn(uint8_t *v0, uint8_t *v1, uint8_t *v2, uint8_t *v3, uint8_t *memory,
				  struct hs_soft_scalars *scalars);

/** From the low half of a register of the guest's to its upper half, in the standard format of xsave. */
#define HS_SOFT_HIGH_HALF (HS_XSAVE_YMMH0 - HS_XSAVE_XMM0)

/** What an instruction has beside its visible vectors. */
enum hs_soft_thunk_trait {
	HS_SOFT_THUNK_WRITES_VECTOR = 1, /* operand 0, or the implied xmm0 */
	HS_SOFT_THUNK_WRITES_FLAGS = 2,
	HS_SOFT_THUNK_READS_VALUE = 4,
	HS_SOFT_THUNK_WRITES_VALUE = 8,
	HS_SOFT_THUNK_READS_LENGTHS = 16,
	HS_SOFT_THUNK_WRITES_INDEX = 32,
	HS_SOFT_THUNK_READS_MEMORY = 64,
	HS_SOFT_THUNK_WRITES_MEMORY = 128,
};

enum hs_soft_thunk_end {
	HS_SOFT_THUNK_MADE,
	HS_SOFT_THUNK_REFUSED, /* nobody here knows all that the instruction does */
	HS_SOFT_THUNK_NO_ROOM, /* hs_soft_native_code() gave NULL */
};

struct hs_soft_thunk {
	hs_soft_thunk_fn *run;
	unsigned int traits; /* enum hs_soft_thunk_trait */
	unsigned int memory; /* which operand is memory, */
	unsigned int value;  /* and which is a general register */
};

/** Make it. *ret is complete only when it was made. */
enum hs_soft_thunk_end hs_soft_thunk_make(const struct hs_soft_decoded *decoded, struct hs_soft_thunk *ret);

#endif
