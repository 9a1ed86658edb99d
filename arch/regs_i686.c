/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers of i686, in the order in which gdb numbers them.
 *
 * Sources: names and types as gdb 13 prints its own description ("maint print xml-tdesc"); DWARF numbers from the
 * System V psABI for Intel386 1.1, table 2.14; NT_PRSTATUS offsets from struct user_regs_struct of a 32-bit
 * <sys/user.h>.
 */
#include "arch/regs_table.h"

static const struct hs_reg rows[] = {
	REG_CORE("eax", "int32", 4, gpr[HS_RAX], 0, 24),
	REG_CORE("ecx", "int32", 4, gpr[HS_RCX], 1, 4),
	REG_CORE("edx", "int32", 4, gpr[HS_RDX], 2, 8),
	REG_CORE("ebx", "int32", 4, gpr[HS_RBX], 3, 0),
	REG_CORE("esp", "data_ptr", 4, gpr[HS_RSP], 4, 60),
	REG_CORE("ebp", "data_ptr", 4, gpr[HS_RBP], 5, 20),
	REG_CORE("esi", "int32", 4, gpr[HS_RSI], 6, 12),
	REG_CORE("edi", "int32", 4, gpr[HS_RDI], 7, 16),
	REG_CORE("eip", "code_ptr", 4, rip, 8, 48),
	REG_CORE("eflags", "i386_eflags", 4, rflags, 9, 56),
	REG_SELECTOR("cs", HS_CS, 41, 52),
	REG_SELECTOR("ss", HS_SS, 42, 64),
	REG_SELECTOR("ds", HS_DS, 43, 28),
	REG_SELECTOR("es", HS_ES, 40, 32),
	REG_SELECTOR("fs", HS_FS, 44, 36),
	REG_SELECTOR("gs", HS_GS, 45, 40),
	REG_ST("st0", 0, 11),
	REG_ST("st1", 1, 12),
	REG_ST("st2", 2, 13),
	REG_ST("st3", 3, 14),
	REG_ST("st4", 4, 15),
	REG_ST("st5", 5, 16),
	REG_ST("st6", 6, 17),
	REG_ST("st7", 7, 18),
	REG_X87("fctrl", HS_XSAVE_FCW, HS_REG_FIELD16, 37),
	REG_X87("fstat", HS_XSAVE_FSW, HS_REG_FIELD16, 38),
	REG_X87("ftag", HS_XSAVE_FTW, HS_REG_FTAG, -1),
	/* The legacy layout has FCS and FDS behind 32-bit offsets; a 64-bit host's image has zeroes there. */
	REG_X87("fiseg", HS_XSAVE_FIP + 4, HS_REG_FIELD16, -1),
	REG_X87("fioff", HS_XSAVE_FIP, HS_REG_PLAIN, -1),
	REG_X87("foseg", HS_XSAVE_FDP + 4, HS_REG_FIELD16, -1),
	REG_X87("fooff", HS_XSAVE_FDP, HS_REG_PLAIN, -1),
	REG_X87("fop", HS_XSAVE_FOP, HS_REG_FIELD16, -1),
	REG_XMM("xmm0", 0, 21),
	REG_XMM("xmm1", 1, 22),
	REG_XMM("xmm2", 2, 23),
	REG_XMM("xmm3", 3, 24),
	REG_XMM("xmm4", 4, 25),
	REG_XMM("xmm5", 5, 26),
	REG_XMM("xmm6", 6, 27),
	REG_XMM("xmm7", 7, 28),
	REG_MXCSR(39),
	/* Not in the segments feature: gdb 13 numbers that one as on amd64 and fails an assertion on i386. */
	REG_BASE("fs_base", 4, HS_FS, HS_REG_CONTROL, 93, -1),
	REG_BASE("gs_base", 4, HS_GS, HS_REG_CONTROL, 94, -1),
	REG_CONTROL("cr0", "i386_cr0", 4, cr0),
	REG_CONTROL("cr2", "data_ptr", 4, cr2),
	REG_CONTROL("cr3", "int32", 4, cr3),
	REG_CONTROL("cr4", "i386_cr4", 4, cr4),
	REG_CONTROL("efer", "i386_efer", 8, msr.efer),
	REG_NO_CALL("orig_eax", 4, 44),
};

const struct hs_reg_table hs_regs_i686 = { rows, sizeof(rows) / sizeof(rows[0]) };
