/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registers of amd64, in the order in which gdb numbers them.
 *
 * Sources: names and types as gdb 13 prints its own description ("maint print xml-tdesc"); DWARF numbers from the
 * System V psABI for AMD64 1.0, figure 3.36; NT_PRSTATUS offsets from struct user_regs_struct, <sys/user.h>.
 */
#include "arch/regs_table.h"

static const struct hs_reg rows[] = {
	REG_CORE("rax", "int64", 8, gpr[HS_RAX], 0, 80),
	REG_CORE("rbx", "int64", 8, gpr[HS_RBX], 3, 40),
	REG_CORE("rcx", "int64", 8, gpr[HS_RCX], 2, 88),
	REG_CORE("rdx", "int64", 8, gpr[HS_RDX], 1, 96),
	REG_CORE("rsi", "int64", 8, gpr[HS_RSI], 4, 104),
	REG_CORE("rdi", "int64", 8, gpr[HS_RDI], 5, 112),
	REG_CORE("rbp", "data_ptr", 8, gpr[HS_RBP], 6, 32),
	REG_CORE("rsp", "data_ptr", 8, gpr[HS_RSP], 7, 152),
	REG_CORE("r8", "int64", 8, gpr[HS_R8], 8, 72),
	REG_CORE("r9", "int64", 8, gpr[HS_R9], 9, 64),
	REG_CORE("r10", "int64", 8, gpr[HS_R10], 10, 56),
	REG_CORE("r11", "int64", 8, gpr[HS_R11], 11, 48),
	REG_CORE("r12", "int64", 8, gpr[HS_R12], 12, 24),
	REG_CORE("r13", "int64", 8, gpr[HS_R13], 13, 16),
	REG_CORE("r14", "int64", 8, gpr[HS_R14], 14, 8),
	REG_CORE("r15", "int64", 8, gpr[HS_R15], 15, 0),
	REG_CORE("rip", "code_ptr", 8, rip, 16, 128),
	REG_CORE("eflags", "i386_eflags", 4, rflags, 49, 144),
	REG_SELECTOR("cs", HS_CS, 51, 136),
	REG_SELECTOR("ss", HS_SS, 52, 160),
	REG_SELECTOR("ds", HS_DS, 53, 184),
	REG_SELECTOR("es", HS_ES, 50, 192),
	REG_SELECTOR("fs", HS_FS, 54, 200),
	REG_SELECTOR("gs", HS_GS, 55, 208),
	REG_ST("st0", 0, 33),
	REG_ST("st1", 1, 34),
	REG_ST("st2", 2, 35),
	REG_ST("st3", 3, 36),
	REG_ST("st4", 4, 37),
	REG_ST("st5", 5, 38),
	REG_ST("st6", 6, 39),
	REG_ST("st7", 7, 40),
	REG_X87("fctrl", HS_XSAVE_FCW, HS_REG_FIELD16, 65),
	REG_X87("fstat", HS_XSAVE_FSW, HS_REG_FIELD16, 66),
	REG_X87("ftag", HS_XSAVE_FTW, HS_REG_FTAG, -1),
	/*
	 * FIP and FDP are 64 bits here; as gdb reads an FXSAVE image, the "segment" is the upper half of the address.
	 */
	REG_X87("fiseg", HS_XSAVE_FIP + 4, HS_REG_PLAIN, -1),
	REG_X87("fioff", HS_XSAVE_FIP, HS_REG_PLAIN, -1),
	REG_X87("foseg", HS_XSAVE_FDP + 4, HS_REG_PLAIN, -1),
	REG_X87("fooff", HS_XSAVE_FDP, HS_REG_PLAIN, -1),
	REG_X87("fop", HS_XSAVE_FOP, HS_REG_FIELD16, -1),
	REG_XMM("xmm0", 0, 17),
	REG_XMM("xmm1", 1, 18),
	REG_XMM("xmm2", 2, 19),
	REG_XMM("xmm3", 3, 20),
	REG_XMM("xmm4", 4, 21),
	REG_XMM("xmm5", 5, 22),
	REG_XMM("xmm6", 6, 23),
	REG_XMM("xmm7", 7, 24),
	REG_XMM("xmm8", 8, 25),
	REG_XMM("xmm9", 9, 26),
	REG_XMM("xmm10", 10, 27),
	REG_XMM("xmm11", 11, 28),
	REG_XMM("xmm12", 12, 29),
	REG_XMM("xmm13", 13, 30),
	REG_XMM("xmm14", 14, 31),
	REG_XMM("xmm15", 15, 32),
	REG_MXCSR(64),
	REG_BASE("fs_base", 8, HS_FS, HS_REG_SEGMENTS, 58, 168),
	REG_BASE("gs_base", 8, HS_GS, HS_REG_SEGMENTS, 59, 176),
	REG_CONTROL("k_gs_base", "int64", 8, msr.kernel_gs_base),
	REG_CONTROL("cr0", "i386_cr0", 8, cr0),
	REG_CONTROL("cr2", "data_ptr", 8, cr2),
	REG_CONTROL("cr3", "int64", 8, cr3),
	REG_CONTROL("cr4", "i386_cr4", 8, cr4),
	REG_CONTROL("cr8", "int64", 8, cr8),
	REG_CONTROL("efer", "i386_efer", 8, msr.efer),
	REG_NO_CALL("orig_rax", 8, 120),
};

const struct hs_reg_table hs_regs_amd64 = { rows, sizeof(rows) / sizeof(rows[0]) };
