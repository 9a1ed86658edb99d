/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The 32-bit TSS (SDM vol. 3A figure 7-2), as offsets; its registers stand in the order of enum hs_gpr and enum
 * hs_seg. */
#ifndef HS_VMM_TSS32_H
#define HS_VMM_TSS32_H

/** Bytes of a TSS without I/O bitmap; the 64-bit one has as many (SDM vol. 3A figures 7-2 and 7-11). */
#define HS_TSS_BYTES 104u

enum hs_tss32_offset {
	HS_TSS32_BACK_LINK = 0, /* selector of the TSS that was current before a nested task switch */
	HS_TSS32_ESP0 = 4,
	HS_TSS32_SS0 = 8,
	HS_TSS32_CR3 = 28, /* read at a switch to this task, never written */
	HS_TSS32_EIP = 32,
	HS_TSS32_EFLAGS = 36,
	HS_TSS32_GPR = 40, /* eax, ecx, edx, ebx, esp, ebp, esi, edi */
	HS_TSS32_SEG = 72, /* es, cs, ss, ds, fs, gs: 4 bytes each, 2 used */
	HS_TSS32_LDT = 96, /* read only, like CR3 */
};

#endif
