/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state of one x86 CPU as plain data: what a debugger shows, a core records and a snapshot restores. No types of
 * any CPU backend appear here; a backend converts to and from it.
 */
#ifndef HINDSIGHT_CPU_H
#define HINDSIGHT_CPU_H

#include <hindsight/types.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Index of a general register in hs_cpu_state.gpr: the encoding order of SDM vol. 2A table 3-1. */
enum hs_gpr {
	HS_RAX,
	HS_RCX,
	HS_RDX,
	HS_RBX,
	HS_RSP,
	HS_RBP,
	HS_RSI,
	HS_RDI,
	HS_R8,
	HS_R9,
	HS_R10,
	HS_R11,
	HS_R12,
	HS_R13,
	HS_R14,
	HS_R15,
	HS_GPR_COUNT,
};

/**
 * Index of a segment register in hs_cpu_state.seg: the encoding order of SDM vol. 2A table 3-1 (Sreg), then TR, LDTR.
 */
enum hs_seg { HS_ES, HS_CS, HS_SS, HS_DS, HS_FS, HS_GS, HS_TR, HS_LDTR, HS_SEG_COUNT };

/** A segment register with its hidden part (SDM vol. 3A 3.4.3, 3.4.5). */
struct hs_segment {
	uint64_t base;
	uint32_t limit; /**< in bytes, granularity applied */
	uint16_t selector;
	uint8_t type; /**< the four type bits */
	uint8_t present, dpl, db, s, l, g, avl, unusable;
	uint8_t reserved; /**< zero; there is no padding, so that states can be compared by memcmp */
};

/** GDTR or IDTR. */
struct hs_dtable {
	uint64_t base;
	uint16_t limit;
};

/** The model-specific registers that are part of a guest's state; the names are the SDM's (vol. 4). */
struct hs_msrs {
	uint64_t efer; /**< IA32_EFER 0xC0000080 */
	uint64_t star, lstar, cstar, fmask;
	uint64_t kernel_gs_base; /**< 0xC0000102; FS.base and GS.base are in seg[] */
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat;
	uint64_t tsc;
	uint64_t tsc_aux;
	uint64_t apic_base;
};

/** Bytes of the XSAVE area: the standard format (SDM vol. 1 13.4), as large as KVM_GET_XSAVE's. */
#define HS_XSAVE_SIZE 4096u

/** State components: bits of XCR0 and XSTATE_BV (SDM vol. 1 13.1). What is beyond has no place in the area: AMX. */
enum hs_xstate_component {
	HS_XSTATE_X87 = 0,
	HS_XSTATE_SSE = 1,
	HS_XSTATE_AVX = 2,       /**< upper halves of ymm0..15 */
	HS_XSTATE_BNDREGS = 3,   /**< bnd0..3 */
	HS_XSTATE_BNDCSR = 4,    /**< bndcfgu, bndstatus */
	HS_XSTATE_OPMASK = 5,    /**< k0..7 */
	HS_XSTATE_ZMM_HI256 = 6, /**< upper halves of zmm0..15 */
	HS_XSTATE_HI16_ZMM = 7,  /**< zmm16..31 */
	HS_XSTATE_PKRU = 9,
};

/**
 * Offsets in the XSAVE area. Up to AVX they never vary (SDM vol. 1, table 10-2 and 13.4). The others are a CPU's own
 * choice (CPUID leaf 0xD): here they are those of Intel's CPUs, which gdb 13 takes for granted in a core, whatever CPU
 * the state comes from.
 */
enum hs_xsave_offset {
	HS_XSAVE_FCW = 0,
	HS_XSAVE_FSW = 2,
	HS_XSAVE_FTW = 4, /**< abridged: one bit a register, by physical register number */
	HS_XSAVE_FOP = 6,
	HS_XSAVE_FIP = 8,
	HS_XSAVE_FDP = 16,
	HS_XSAVE_MXCSR = 24,
	HS_XSAVE_MXCSR_MASK = 28,
	HS_XSAVE_ST0 = 32,   /**< 8 registers, 16 bytes apart, 10 used */
	HS_XSAVE_XMM0 = 160, /**< 16 registers of 16 bytes */
	HS_XSAVE_XSTATE_BV = 512,
	HS_XSAVE_XCOMP_BV = 520,
	HS_XSAVE_YMMH0 = 576, /**< upper halves of ymm0..15, 16 bytes each */
	HS_XSAVE_BNDREGS = 960,
	HS_XSAVE_BNDCSR = 1024,
	HS_XSAVE_OPMASK = 1088,    /**< k0..7, 8 bytes each */
	HS_XSAVE_ZMM_HI256 = 1152, /**< upper halves of zmm0..15, 32 bytes each */
	HS_XSAVE_HI16_ZMM = 1664,  /**< zmm16..31, 64 bytes each */
	HS_XSAVE_PKRU = 2688,      /**< 8 bytes, 4 used */
};

/** All of one CPU. Plain data: copied by assignment, compared after hs_cpu_state_init() by memcmp. */
struct hs_cpu_state {
	uint64_t gpr[HS_GPR_COUNT];
	uint64_t rip;
	uint64_t rflags;
	struct hs_segment seg[HS_SEG_COUNT];
	struct hs_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t dr[8]; /**< the guest's own; dr[4] and dr[5] are unused */
	uint64_t xcr0;
	struct hs_msrs msr;
	uint8_t xsave[HS_XSAVE_SIZE] __attribute__((aligned(64)));
};

/** Bits of a page-fault error code (SDM vol. 3A figure 4-12). */
enum hs_pf_bit {
	HS_PF_P = 1,    /**< rights are missing or bits reserved; otherwise an entry is not present */
	HS_PF_W = 2,    /**< a write */
	HS_PF_U = 4,    /**< a user-mode access */
	HS_PF_RSVD = 8, /**< an entry has a reserved bit set */
	HS_PF_I = 16,   /**< a fetch; told only with CR4.SMEP, or with EFER.NXE outside of 32-bit paging */
	HS_PF_PK = 32,  /**< a protection key forbids it */
};

#ifdef __cplusplus
}
#endif
#endif
