/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of vector instructions share. Of their operations, op->aux begins with AUX_ALIGNMENT. */
#ifndef HS_SOFT_VECTOR_H
#define HS_SOFT_VECTOR_H

#include "vmm/soft/fpu.h"
#include "vmm/soft/handler.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/select.h"

/** In op->aux: the bits that must be zero in the address. */
#define HS_SOFT_AUX_ALIGNMENT 0x1fu

/** Where the guest's memory can be accessed as it is; NULL where there is more to do. */
HS_SOFT_INLINE uint8_t *hs_soft_vector_direct(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
					      unsigned int bytes, int prot)
{
	uint64_t gva = hs_soft_gva(cpu, op->segment, hs_soft_ea(cpu, op));
	bool is_aligned = !(gva & op->aux & HS_SOFT_AUX_ALIGNMENT);

	return HS_SOFT_LIKELY(is_aligned) ? hs_soft_direct(cpu, op->segment, gva, bytes, prot) : NULL;
}

/** Any vector instruction that has a thunk, whatever stands in its way. */
enum hs_soft_flow hs_soft_execute_vector(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);

/** A handler that moves without a thunk, and ends in the one above where it does not get on; NULL if there is none. */
hs_soft_handler *hs_soft_vector_mover(const ZydisDecodedInstruction *insn, const struct hs_soft_op *op);

#endif
