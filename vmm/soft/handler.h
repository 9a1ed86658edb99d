/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handlers by the dozen: one inlined function with constants for what varies (operand size, form, operation) and a
 * line for each handler made of it.
 */
#ifndef HS_SOFT_HANDLER_H
#define HS_SOFT_HANDLER_H

#include "vmm/soft/op.h"

#define HS_SOFT_INLINE static inline __attribute__((always_inline))

typedef enum hs_soft_flow hs_soft_handler(struct hs_soft_cpu *cpu, const struct hs_soft_op *op);

/** The function execute_<name>(cpu, op), which returns that call. */
#define HS_SOFT_HANDLER(name, call)                                                                                    \
	static enum hs_soft_flow execute_##name(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)                  \
	{                                                                                                              \
		return call;                                                                                           \
	}

/** A handler that others end in when they do not get on. */
#define HS_SOFT_LAST_RESORT static __attribute__((noinline)) enum hs_soft_flow

/** The two operands of the most common instructions; destination first. */
enum hs_soft_form {
	HS_SOFT_REG_REG,
	HS_SOFT_REG_IMM,
	HS_SOFT_REG_MEM,
	HS_SOFT_MEM_REG,
	HS_SOFT_MEM_IMM,
	HS_SOFT_FORMS, /* something else */
};

static inline enum hs_soft_form hs_soft_form_of(const struct hs_soft_op *op)
{
	switch (op->operand[0].kind << 8 | op->operand[1].kind) {
	case HS_SOFT_GPR << 8 | HS_SOFT_GPR:
		return HS_SOFT_REG_REG;
	case HS_SOFT_GPR << 8 | HS_SOFT_IMMEDIATE:
		return HS_SOFT_REG_IMM;
	case HS_SOFT_GPR << 8 | HS_SOFT_MEMORY:
		return HS_SOFT_REG_MEM;
	case HS_SOFT_MEMORY << 8 | HS_SOFT_GPR:
		return HS_SOFT_MEM_REG;
	case HS_SOFT_MEMORY << 8 | HS_SOFT_IMMEDIATE:
		return HS_SOFT_MEM_IMM;
	default:
		return HS_SOFT_FORMS;
	}
}

/** An instruction's handlers: one by form for 1, 4 and 8 bytes each, and one for everything else. */
struct hs_soft_handlers {
	hs_soft_handler *of_1[HS_SOFT_FORMS], *of_4[HS_SOFT_FORMS], *of_8[HS_SOFT_FORMS];
	hs_soft_handler *any;
};

static inline hs_soft_handler *hs_soft_handler_for(const struct hs_soft_handlers *handlers, const struct hs_soft_op *op)
{
	enum hs_soft_form form = hs_soft_form_of(op);

	if (form == HS_SOFT_FORMS) {
		return handlers->any;
	}
	switch (op->operand[0].bytes) {
	case 1:
		return handlers->of_1[form];
	case 4:
		return handlers->of_4[form];
	case 8:
		return handlers->of_8[form];
	default:
		return handlers->any;
	}
}

/** The initialiser of such a row: execute_<name>_reg_reg_<bytes> and so on. */
#define HS_SOFT_BY_FORM(name, bytes)                                                                                   \
	{                                                                                                              \
		execute_##name##_reg_reg_##bytes, execute_##name##_reg_imm_##bytes, execute_##name##_reg_mem_##bytes,  \
			execute_##name##_mem_reg_##bytes, execute_##name##_mem_imm_##bytes                             \
	}
#define HS_SOFT_HANDLERS(name)                                                                                         \
	{                                                                                                              \
		HS_SOFT_BY_FORM(name, 1), HS_SOFT_BY_FORM(name, 4), HS_SOFT_BY_FORM(name, 8), execute_##name           \
	}

#endif
