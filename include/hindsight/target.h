/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a debugger needs of a target. The gdb stub is written against this table and nothing else; session/ implements
 * it for a live VM, and another emulator may implement it to use the stub.
 *
 * A target is stopped or running. resume() starts it and returns at once; event_fd becomes readable when it has stopped
 * or ended; stop_take() then tells why, exactly once for each resume. All other operations need a stopped target, but
 * for interrupt(). They are all called from the one thread that serves the debugger. A target that only executes one
 * instruction at a time has step() in place of what it would be run by.
 *
 * An operation that fails may leave its err as it is: the client is then told the status, and no more.
 */
#ifndef HINDSIGHT_TARGET_H
#define HINDSIGHT_TARGET_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of breakpoint, numbered as the Z packets number them (gdb manual, Packets, "z type,addr,kind"). */
enum hs_break_kind {
	HS_BREAK_SOFTWARE = 0,
	HS_BREAK_HARDWARE = 1,
	HS_WATCH_WRITE = 2,
	HS_WATCH_READ = 3,
	HS_WATCH_ACCESS = 4,
};

/** One of a target's address spaces, as spaces() of struct hs_target_ops lists them. */
struct hs_target_space {
	uint32_t number;    /**< 1 or more; stays the space's own until the target names others before it */
	hs_gpa root;        /**< of its page tables */
	const char *format; /**< of those, for people; static */
	bool current;       /**< the CPU is in it */
};

/** In place of a space's number: the one that the CPU is in, whatever the user has chosen. */
#define HS_SPACE_CPU UINT32_MAX

/** A breakpoint or watchpoint. */
struct hs_breakpoint {
	enum hs_break_kind kind;
	hs_gva gva;
	uint64_t length; /**< bytes watched; ignored (1) for execution */
	uint32_t space;  /**< number of the address space that it belongs to: hits in others are passed over in silence.
			  *   0: every space */
};

/** How to resume. */
enum hs_resume_kind {
	HS_RESUME_CONTINUE,
	HS_RESUME_STEP,  /**< one instruction */
	HS_RESUME_RANGE, /**< step while rip stays in [range_start, range_start + range_length) (vCont;r) */
};

struct hs_resume {
	enum hs_resume_kind kind;
	hs_gva range_start;
	uint64_t range_length; /**< bytes; for HS_RESUME_RANGE only */
	int signal;            /**< deliver this host signal number to the guest, 0 for none: a pending crash is
				*   dropped by 0 only when the client had discarded it explicitly */
};

/** Why a target stopped. */
enum hs_stop_kind {
	HS_STOP_SIGNAL,      /**< a fault or abort: signal, code, fault_address */
	HS_STOP_STEPPED,     /**< a step or range step is complete */
	HS_STOP_SWBREAK,     /**< rip is at a software breakpoint */
	HS_STOP_HWBREAK,     /**< rip is at a hardware breakpoint */
	HS_STOP_WATCH,       /**< watch_kind and watch_address; rip is after the access */
	HS_STOP_INTERRUPTED, /**< interrupt() was called */
	HS_STOP_EXITED,      /**< the guest has ended with exit_status */
	HS_STOP_KILLED,      /**< the guest has ended by a crash with signal */
};

struct hs_stop {
	enum hs_stop_kind kind;
	int signal;             /**< Linux signal number for HS_STOP_SIGNAL and HS_STOP_KILLED */
	int code;               /**< siginfo si_code */
	uint64_t fault_address; /**< siginfo si_addr; the instruction's own address where the fault has no operand */
	enum hs_break_kind watch_kind;
	hs_gva watch_address; /**< first watched byte of the watchpoint that was hit */
	int exit_status;
};

/** Facts that are asked for when a client comes, and stay for it as they were. Pointers are the target's, borrowed. */
struct hs_target_info {
	enum hs_arch arch;      /**< of the code that the CPU executes now, which its image may not be of */
	const char *image_path; /**< absolute path of the guest image, NULL when unknown */
	int image_fd;           /**< open for reading, for vFile; -1 when there is none */
	const char *debug_path; /**< absolute path of its separate debug file, NULL when there is none */
	int debug_fd;           /**< open for reading; meaningless without debug_path */
	int event_fd;           /**< readable when stop_take() has something; -1: it is asked again and again */
	uint64_t entry;         /**< gva of the image's entry point */
	uint64_t phdr;          /**< gva of the image's program headers, 0 when they are not in memory */
	uint32_t phent, phnum;  /**< bytes of one, and how many */
	uint64_t xcr0;          /**< what XCR0 may be set to (bit 2 AVX): registers that the client is told of */
};

/** A piece of the current address space in which everything is alike. */
struct hs_target_region {
	hs_gva start;
	uint64_t length; /**< bytes, never 0; one that ends with the address space may end a byte before it */
	bool mapped;     /**< there is memory; a hole otherwise */
	int prot;        /**< of memory, bits of enum hs_prot: what the guest may do; mem_read and mem_write may more */
};

/** What a target shows of an execute breakpoint that the CPU has hit, for the time of a call. Both functions are called
 *  with this ctx. */
struct hs_break_hit {
	/** The registers; NULL when they cannot be had. Unless all are asked for, only those up to cr8 in struct
	 *  hs_cpu_state, and msr.efer, need be valid, which may cost less. Borrowed until the call ends. */
	const struct hs_cpu_state *(*cpu)(void *ctx, bool all);
	/** As in struct hs_target_ops, in the address space that the CPU is in. */
	enum hs_status (*mem_read)(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				   struct hs_error *err);
	void *ctx;
};

/** Whether the CPU is to go on from a hit as if nothing was there. Called by whatever thread runs the CPU. */
typedef bool hs_break_filter_fn(void *filter_ctx, const struct hs_break_hit *hit);

struct hs_target_ops {
	void (*info)(void *ctx, struct hs_target_info *ret);
	/** All registers of the one CPU. */
	enum hs_status (*cpu_read)(void *ctx, struct hs_cpu_state *ret, struct hs_error *err);
	/** Optional (may be NULL), where it costs less: as cpu_read(), but only the registers up to cr8 in struct
	 *  hs_cpu_state, and msr.efer, need be valid. Behind each stop the stub needs no more than that. */
	enum hs_status (*cpu_read_core)(void *ctx, struct hs_cpu_state *ret, struct hs_error *err);
	/** Replace all registers; on failure nothing changed. */
	enum hs_status (*cpu_write)(void *ctx, const struct hs_cpu_state *state, struct hs_error *err);
	/** Copy up to length bytes at gva, stopping at the first byte that is not readable: *ret_length says how many
	 *  were copied. HS_ERR_UNREADABLE only when the first byte is. Never shows a planted breakpoint byte. */
	enum hs_status (*mem_read)(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				   struct hs_error *err);
	/** Write length bytes at gva, regardless of guest write protection; all or nothing. */
	enum hs_status (*mem_write)(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err);
	/** Insert; inserting an identical one again succeeds and counts once. HS_ERR_EXHAUSTED when no hardware slot is
	 *  left, HS_ERR_UNREADABLE when nothing is mapped there, HS_ERR_UNSUPPORTED for a kind this target lacks. */
	enum hs_status (*break_insert)(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err);
	/** Remove; HS_ERR_NOT_FOUND when there is none such. A space that has none of its own there loses its part in
	 *  the one that is of every space: that one is removed. */
	enum hs_status (*break_remove)(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err);
	/** Remove all of them (detach, disconnect). */
	void (*break_clear)(void *ctx);
	/** Start the target; returns at once. HS_ERR_STATE when it runs or has ended. */
	enum hs_status (*resume)(void *ctx, const struct hs_resume *resume, struct hs_error *err);
	/** Ask a running target to stop; harmless when it is stopped. */
	void (*interrupt)(void *ctx);
	/** The stop that event_fd announced: true and *ret filled once for each resume, else false. */
	bool (*stop_take)(void *ctx, struct hs_stop *ret);
	/** The stop the target is in now, for '?' and for a client that connects later. */
	void (*stop_current)(void *ctx, struct hs_stop *ret);
	/**
	 * Optional, in place of all operations from break_insert to stop_current, which may then be NULL: execute one
	 * instruction. For a target with one address space.
	 *
	 * The stub does what they do. While the target runs it calls step() thousands of times in a row, compares
	 * breakpoints behind each, and hears its client in between. There are no watchpoints, and a fault that the
	 * client passes on ends the guest: one that it can handle is to be delivered by step().
	 *
	 * @param ret_next  address of the instruction that comes next
	 * @param ret       filled when it goes no further: HS_STOP_SIGNAL for a fault, with nothing executed;
	 *                  HS_STOP_EXITED or HS_STOP_KILLED for the guest's end
	 * @return true when it was executed (*ret is untouched), false when *ret says why not
	 */
	bool (*step)(void *ctx, hs_gva *ret_next, struct hs_stop *ret);
	/** Optional: end the guest for good (k, vKill). */
	void (*kill)(void *ctx);
	/** Optional (may be NULL): answer a "monitor" command line with text. *ret_text is heap-allocated and
	 *  transferred. HS_ERR_NOT_FOUND for an unknown command. "help" lists the commands but itself, a line each:
	 *  name and arguments in 15 columns, then what it does. May also be asked of a target that has ended. */
	enum hs_status (*monitor)(void *ctx, const char *line, char **ret_text, struct hs_error *err);
	/**
	 * Optional, as are the two below: the target has several address spaces, which a client may open as processes.
	 * List the first `max` of them, ascending by number from 1 on; *ret_count is how many there are, at least 1.
	 * Exactly one is the current one: a root that nothing names counts as that of space 1.
	 */
	enum hs_status (*spaces)(void *ctx, struct hs_target_space *items, uint32_t max, uint32_t *ret_count,
				 struct hs_error *err);
	/** From now on addresses of memory operations are those of this space: one that spaces() has listed, or
	 *  HS_SPACE_CPU; 0, as at first: of the one that the user has chosen ("monitor root"), else the CPU's. */
	void (*space_use)(void *ctx, uint32_t number);
	/** Remove the breakpoints of one space, or (0) those of every space. */
	void (*break_clear_space)(void *ctx, uint32_t number);
	/** Optional: ask `filter` at each hit of an execute breakpoint, before the target stops for it; NULL: nobody.
	 *  Does what the stub does itself with a target that lacks it, without the way there and back. May be called
	 *  while the target runs; on return the filter before is not in use any more. */
	void (*break_filter)(void *ctx, hs_break_filter_fn *filter, void *filter_ctx);
	/** Optional: the piece of the address space that holds gva. Bounded in time: a piece may be cut, and then its
	 *  neighbour is alike. */
	enum hs_status (*mem_region)(void *ctx, hs_gva gva, struct hs_target_region *ret, struct hs_error *err);
	/** Optional: as mem_read, by guest-physical address. */
	enum hs_status (*phys_read)(void *ctx, hs_gpa gpa, void *buffer, size_t length, size_t *ret_length,
				    struct hs_error *err);
	/** Optional: as mem_region, by guest-physical address (region->start is one). Of rights only writing counts. */
	enum hs_status (*phys_region)(void *ctx, hs_gpa gpa, struct hs_target_region *ret, struct hs_error *err);
	/** Optional: as mem_write, by guest-physical address. */
	enum hs_status (*phys_write)(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err);
	/** Optional: put the target back to where it began; it stands there, also when it had ended or was killed.
	 *  Breakpoints stay as they are. For a stopped target; on failure nothing changed, or it has ended. */
	enum hs_status (*restart)(void *ctx, struct hs_error *err);
};

/** A target: operations and context, both borrowed by the stub for as long as it serves them. */
struct hs_target {
	const struct hs_target_ops *ops;
	void *ctx;
};

#ifdef __cplusplus
}
#endif
#endif
