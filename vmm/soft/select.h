/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How an instruction finds its handler: decode.c fills in the operands, then asks one function after the other, each at
 * the top of the file whose instructions it knows. A new group of instructions is a new file and a line in decode.c.
 */
#ifndef HS_SOFT_SELECT_H
#define HS_SOFT_SELECT_H

#include "vmm/soft/cpu.h"

#include <Zydis/Zydis.h>

/** The instruction as Zydis sees it, for what struct hs_soft_op does not say. */
struct hs_soft_decoded {
	enum hs_soft_mode mode;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

/**
 * Set op->execute (and op->aux) if the instruction belongs to this file. op is filled but for these.
 *
 * @return false when it does not; then op is untouched
 */
bool hs_soft_select_integer(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_shift(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_multiply(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_bit(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_move(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_atomic(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_decimal(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_flag(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_stack(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_control(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_string(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_sse(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_fpu_state(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_mmx(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_mmx_convert(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_x87(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_x87_control(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_x87_environment(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_descriptor_table(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_far(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_iret(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_segment(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_syscall(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_control_register(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_msr(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_cpuid(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_port(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_vector_special(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_xsave(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_system(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);
bool hs_soft_select_vector(const struct hs_soft_decoded *decoded, struct hs_soft_op *op);

/** The handler of an instruction whose native code could not be made: an exit that says so. */
enum hs_soft_flow hs_soft_execute_no_room(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);

#endif
