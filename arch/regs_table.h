/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a row of the register table is written down, and the two tables. Private to arch/; everybody else uses regs.h.
 *
 * A row macro only fills in what the kind of register fixes: type, size, codec, feature, and the place in the state.
 */
#ifndef HS_ARCH_REGS_TABLE_H
#define HS_ARCH_REGS_TABLE_H

#include "arch/regs.h"

/* Where registers lie in struct hs_cpu_state. */
#define AT(field) ((uint16_t)offsetof(struct hs_cpu_state, field))
#define AT_XSAVE(position) ((uint16_t)(AT(xsave) + (position)))

#define REG_ROW(reg_name, type, size, place, how, group, dwarf_number, prstatus_offset)                                \
	{                                                                                                              \
		.name = (reg_name), .gdb_type = (type), .bytes = (size), .offset = (place), .codec = (how),            \
		.feature = (group), .component = -1, .dwarf = (dwarf_number), .prstatus = (prstatus_offset)            \
	}
/* A register of the XSAVE area. */
#define REG_STATE(reg_name, type, size, part, position, how, group, dwarf_number)                                      \
	{                                                                                                              \
		.name = (reg_name), .gdb_type = (type), .bytes = (size), .offset = AT_XSAVE(position), .codec = (how), \
		.feature = (group), .component = (part), .dwarf = (dwarf_number), .prstatus = -1                       \
	}

#define REG_CORE(name, type, size, field, dwarf, prstatus)                                                             \
	REG_ROW(name, type, size, AT(field), HS_REG_PLAIN, HS_REG_CORE, dwarf, prstatus)
#define REG_SELECTOR(name, index, dwarf, prstatus)                                                                     \
	REG_ROW(name, "int32", 4, AT(seg[index].selector), HS_REG_SELECTOR, HS_REG_CORE, dwarf, prstatus)
/* st0..7 lie in stack order, 16 bytes apart, 10 used (SDM vol. 1, table 10-2). */
#define REG_ST(name, index, dwarf)                                                                                     \
	REG_STATE(name, "i387_ext", 10, HS_XSTATE_X87, HS_XSAVE_ST0 + 16 * (index), HS_REG_PLAIN, HS_REG_CORE, dwarf)
#define REG_X87(name, position, codec, dwarf)                                                                          \
	REG_STATE(name, "int", 4, HS_XSTATE_X87, position, codec, HS_REG_CORE, dwarf)
#define REG_XMM(name, index, dwarf)                                                                                    \
	REG_STATE(name, "vec128", 16, HS_XSTATE_SSE, HS_XSAVE_XMM0 + 16 * (index), HS_REG_PLAIN, HS_REG_SSE, dwarf)
#define REG_MXCSR(dwarf)                                                                                               \
	REG_STATE("mxcsr", "i386_mxcsr", 4, HS_XSTATE_SSE, HS_XSAVE_MXCSR, HS_REG_PLAIN, HS_REG_SSE, dwarf)
#define REG_YMMH(index)                                                                                                \
	REG_STATE("ymm" #index "h", "uint128", 16, HS_XSTATE_AVX, HS_XSAVE_YMMH0 + 16 * (index), HS_REG_PLAIN,         \
		  HS_REG_AVX, -1)
#define REG_K(index, dwarf)                                                                                            \
	REG_STATE("k" #index, "uint64", 8, HS_XSTATE_OPMASK, HS_XSAVE_OPMASK + 8 * (index), HS_REG_PLAIN,              \
		  HS_REG_AVX512, dwarf)
/* The upper half of one of zmm0..15. */
#define REG_ZMMH(index)                                                                                                \
	REG_STATE("zmm" #index "h", "v2ui128", 32, HS_XSTATE_ZMM_HI256, HS_XSAVE_ZMM_HI256 + 32 * (index),             \
		  HS_REG_PLAIN, HS_REG_AVX512, -1)
/* Parts of one of zmm16..31. */
#define REG_HIGH(name, type, size, index, part, dwarf)                                                                 \
	REG_STATE(name, type, size, HS_XSTATE_HI16_ZMM, HS_XSAVE_HI16_ZMM + 64 * ((index)-16) + (part), HS_REG_PLAIN,  \
		  HS_REG_AVX512, dwarf)
#define REG_HIGH_XMM(index, dwarf) REG_HIGH("xmm" #index, "vec128", 16, index, 0, dwarf)
#define REG_HIGH_YMMH(index) REG_HIGH("ymm" #index "h", "uint128", 16, index, 16, -1)
#define REG_HIGH_ZMMH(index) REG_HIGH("zmm" #index "h", "v2ui128", 32, index, 32, -1)
#define REG_PKRU REG_STATE("pkru", "int", 4, HS_XSTATE_PKRU, HS_XSAVE_PKRU, HS_REG_PLAIN, HS_REG_PKEYS, -1)
#define REG_BASE(name, size, index, feature, dwarf, prstatus)                                                          \
	REG_ROW(name, "int", size, AT(seg[index].base), HS_REG_PLAIN, feature, dwarf, prstatus)
#define REG_CONTROL(name, type, size, field) REG_ROW(name, type, size, AT(field), HS_REG_PLAIN, HS_REG_CONTROL, -1, -1)

#define REG_NO_CALL(name, size, prstatus) REG_ROW(name, "int", size, 0, HS_REG_NO_CALL, HS_REG_LINUX, -1, prstatus)

struct hs_reg_table {
	const struct hs_reg *rows;
	size_t count;
};

extern const struct hs_reg_table hs_regs_amd64;
extern const struct hs_reg_table hs_regs_i686;

#endif
