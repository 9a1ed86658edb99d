/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The register table: one row a register, per architecture, in gdb's order. It feeds the gdb target description, the g
 * packet, the core notes, DWARF numbers and every place that prints registers; there is no second list anywhere.
 *
 * In: a register row and a struct hs_cpu_state. Out: the register's bytes as gdb and the core notes want them
 * (little-endian). It does not know any protocol or file format beyond the numbers in its columns.
 */
#ifndef HS_ARCH_REGS_H
#define HS_ARCH_REGS_H

#include <hindsight/cpu.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The gdb feature a register belongs to (gdb manual, "i386 Features"; control is ours). */
enum hs_reg_feature {
	HS_REG_CORE,     /* org.gnu.gdb.i386.core: rax..gs, st0..7, fctrl..fop */
	HS_REG_SSE,      /* org.gnu.gdb.i386.sse: xmm0.., mxcsr */
	HS_REG_SEGMENTS, /* org.gnu.gdb.i386.segments: fs_base, gs_base of amd64 */
	HS_REG_LINUX,    /* org.gnu.gdb.i386.linux: orig_rax; without it gdb's Linux ABI is not set up: no $_siginfo */
	HS_REG_AVX,      /* org.gnu.gdb.i386.avx: ymm0h.., which gdb and lldb join to xmm0.. as ymm0.. */
	HS_REG_AVX512,   /* org.gnu.gdb.i386.avx512: k0..7, zmm0h..; xmm16.., ymm16h.. of amd64 */
	HS_REG_PKEYS,    /* org.gnu.gdb.i386.pkeys: pkru */
	HS_REG_CONTROL,  /* org.hindsight.i386.control: cr0.. efer, and what else the table has (k_gs_base, cr8) */
	HS_REG_FEATURE_COUNT,
};

/** How the register's bytes come from the state. */
enum hs_reg_codec {
	HS_REG_PLAIN,    /* `bytes` bytes at `offset` */
	HS_REG_SELECTOR, /* 16 bits at offset, shown as 32 */
	HS_REG_FTAG,     /* the abridged tag byte, shown as the full 16-bit tag word */
	HS_REG_FIELD16,  /* a 16-bit field shown as 32 bits (fctrl, fstat, fop; fiseg and foseg of i686) */
	HS_REG_NO_CALL,  /* has no place: orig_rax reads -1, as Linux has it outside of a system call; writes nothing */
};

struct hs_reg {
	const char *name;     /* gdb's */
	const char *gdb_type; /* the type attribute of the target description */
	uint16_t bytes;       /* in the g packet */
	uint16_t offset;      /* into struct hs_cpu_state */
	enum hs_reg_codec codec;
	enum hs_reg_feature feature;
	int8_t component; /* enum hs_xstate_component, -1 for what is not in the XSAVE area */
	int16_t dwarf;    /* System V psABI register number, -1 for none */
	int16_t prstatus; /* byte offset in elf_gregset_t of NT_PRSTATUS, -1 for none */
};

/** Largest `bytes` of any row. */
#define HS_REG_BYTES_MAX 32
/** No architecture has more rows. */
#define HS_REGS_MAX 192

/** All rows of an architecture, also of registers that only some CPUs have. Static. */
const struct hs_reg *hs_regs(enum hs_arch arch, size_t *ret_count);

/** Whether a CPU has the register; xcr0 is what XCR0 can be set to, or has. x87 and SSE are always there. */
bool hs_reg_exists(const struct hs_reg *reg, uint64_t xcr0);

/**
 * The registers of a CPU, whose index is the gdb register number: the rows that exist, up to HS_REGS_MAX of them to
 * ret. Returns how many.
 */
size_t hs_regs_of(enum hs_arch arch, uint64_t xcr0, const struct hs_reg **ret);

/** The row of a name ("rax", "eflags"), or NULL. */
const struct hs_reg *hs_reg_by_name(enum hs_arch arch, const char *name);
/** The row of a DWARF number, or NULL. */
const struct hs_reg *hs_reg_by_dwarf(enum hs_arch arch, int dwarf);

/**
 * Whether the guest has switched the register on: x87 and SSE always are, the components beyond them by XCR0. One
 * that is off has no value that anything could be done with.
 */
bool hs_reg_enabled(const struct hs_reg *reg, const struct hs_cpu_state *state);

/** Switch the register on, as a guest would: with all that XCR0 must have beside its component (SDM vol. 1 13.3). */
void hs_reg_enable(const struct hs_reg *reg, struct hs_cpu_state *state);

/**
 * The register's value: reg->bytes bytes to ret. 0 for one beyond SSE that is not switched on, or whose component is in
 * its initial configuration (not in XSTATE_BV), in which all are 0 (SDM vol. 1 13.6).
 */
void hs_reg_get(const struct hs_reg *reg, const struct hs_cpu_state *state, uint8_t *ret);
/**
 * Set it from reg->bytes bytes. 32-bit rows clear the upper half of a general register. A segment register changes its
 * selector only, not its hidden part. A row of the XSAVE area marks its component as in use in XSTATE_BV, or the value
 * would be lost when the CPU loads the area (SDM vol. 1 13.8); of one beyond SSE, which has to be enabled, the other
 * registers are made what they were until then, 0.
 */
void hs_reg_set(const struct hs_reg *reg, struct hs_cpu_state *state, const uint8_t *bytes);

/**
 * A state with every byte zero but what the architecture fixes: FCW 0x37f, MXCSR 0x1f80, XCR0 1, rflags bit 1, and x87
 * and SSE in XSTATE_BV, so that these values are what the CPU loads.
 */
void hs_cpu_state_init(struct hs_cpu_state *state);

#endif
