/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the registers and the memory of a stopped guest to its backtrace: functions, source lines, inlined functions.
 *
 * A frame's caller is found by call-frame information where the image has it, so guests need no frame pointers, and
 * the way leads through trap entries that say what they are (.cfi_signal_frame); else by what is on the stack. Each
 * frame says by which of them. It knows nothing of VMs and files: memory is a function of the caller's.
 *
 * Neither the image nor the memory is trusted: whatever is in them, it ends, and says why it did.
 */
#ifndef HS_SYMBOLS_UNWIND_H
#define HS_SYMBOLS_UNWIND_H

#include "symbols/symbols.h"

#include <hindsight/cpu.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Registers of a frame, by DWARF number: rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, return address (System V
 * psABI for AMD64 1.0, figure 3.36), or eax, ecx, edx, ebx, esp, ebp, esi, edi, return address (Intel386 1.1, table
 * 2.14). hs_reg_by_dwarf() has names. The return address of a frame is its pc.
 */
#define HS_UNWIND_REGISTERS 17u

/** Values of registers; of those whose bit in known is not set there is none (0). */
struct hs_unwind_registers {
	uint64_t value[HS_UNWIND_REGISTERS];
	uint32_t known; /**< bit n: value[n] is what the register held in this frame */
};

/** How a frame was found. */
enum hs_unwind_method {
	HS_UNWIND_CPU,            /**< the innermost: the CPU's own registers */
	HS_UNWIND_CFI,            /**< by call-frame information of the frame before it */
	HS_UNWIND_FRAME_POINTER,  /**< by the chain of frame pointers: a function without one is missed */
	HS_UNWIND_RETURN_ADDRESS, /**< by the word at the stack pointer, which is behind a call: a jump to nowhere */
};

/** One function of the backtrace. */
struct hs_unwind_frame {
	uint64_t pc;  /**< the innermost: the instruction; else where it goes on. Inlined functions share one */
	uint64_t cfa; /**< the stack pointer before the function was called or interrupted; see has_cfa */
	bool has_cfa;
	bool is_inlined;      /**< it was inlined into the function of the next frame */
	bool is_signal_frame; /**< the entry of a trap: the next frame was not its caller but was interrupted */
	enum hs_unwind_method method;
	struct hs_symbol
		symbol; /**< borrowed from the symbols; as hs_symbols_frames() has it, empty where it has none */
	struct hs_unwind_registers registers;
};

/** Why there is no further frame. */
enum hs_unwind_end {
	HS_UNWIND_END_OUTERMOST,  /**< this one has no caller: its return address is 0, or is said not to be */
	HS_UNWIND_END_LIMIT,      /**< no more were asked for */
	HS_UNWIND_END_LOOP,       /**< this frame was there before */
	HS_UNWIND_END_UNREADABLE, /**< memory at result.where cannot be read */
	HS_UNWIND_END_NO_CODE, /**< the last frame's pc, result.where, is not in code, and the stack helps no further */
	HS_UNWIND_END_NO_CALLER,   /**< code without call-frame information, and the stack helps no further */
	HS_UNWIND_END_BROKEN_INFO, /**< call-frame information that is broken, or that needs a register nobody kept */
};

/** Memory of the guest. */
struct hs_unwind_memory {
	/** Read length bytes at gva, all or nothing: false when one of them is not there. */
	bool (*read)(void *context, hs_gva gva, void *ret, size_t length);
	void *context;
};

struct hs_unwind_input {
	enum hs_arch arch;
	const struct hs_cpu_state *cpu; /**< borrowed for the call */
	struct hs_symbols *symbols;     /**< of the guest's image; NULL: frame pointers are all there is */
	struct hs_unwind_memory memory;
};

struct hs_unwind_result {
	size_t count; /**< of frames: at least 1 */
	enum hs_unwind_end end;
	uint64_t where; /**< the address that end is about, or 0 */
};

/**
 * Make a backtrace, innermost first. Takes time in proportion to the frames; allocates next to nothing.
 *
 * @param frames    caller's storage of capacity (1 and up) frames; strings in them are borrowed from the symbols
 */
void hs_unwind(const struct hs_unwind_input *input, struct hs_unwind_frame *frames, size_t capacity,
	       struct hs_unwind_result *ret);

/** "call-frame information", "frame pointer": for people. Static. */
const char *hs_unwind_method_text(enum hs_unwind_method method);
/** Why it ended, as a clause ("a stack slot cannot be read"). Static. */
const char *hs_unwind_end_text(enum hs_unwind_end end);

#endif
