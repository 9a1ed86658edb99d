/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a CPU backend is: one CPU with guest-physical memory, behind one table of operations. KVM is one implementation,
 * a software CPU another; nothing above this table knows which one runs.
 *
 * A backend runs until the guest does something that it cannot complete alone and says what in a struct hs_exit. It
 * knows nothing of ports' meanings, of images, of crashes or of a debugger's breakpoint list: that is the VM's.
 */
#ifndef HS_VMM_BACKEND_H
#define HS_VMM_BACKEND_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/target.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Parts of struct hs_cpu_state that can be read or written separately, because some of them are expensive. */
enum hs_state_part {
	HS_STATE_CORE = 1,  /* gpr, rip, rflags, seg, gdt, idt, cr*, msr.efer, msr.apic_base */
	HS_STATE_FPU = 2,   /* xsave, xcr0 */
	HS_STATE_MSR = 4,   /* the rest of msr */
	HS_STATE_DEBUG = 8, /* dr */
	HS_STATE_ALL = 15,
};

enum hs_exit_kind {
	HS_EXIT_PORT_OUT,    /* port, size, data; rip is after the instruction */
	HS_EXIT_PORT_IN,     /* port, size; the next run completes it with the value given to port_in() */
	HS_EXIT_UNMAPPED,    /* gpa, is_write, size: no memory there; the access has not happened */
	HS_EXIT_READ_ONLY,   /* gpa, size: a write to a read-only region; the access has not happened */
	HS_EXIT_HLT,         /* rip is after the instruction */
	HS_EXIT_SHUTDOWN,    /* triple fault; registers_lost */
	HS_EXIT_STEPPED,     /* one instruction was executed as asked */
	HS_EXIT_INT3,        /* int3 at rip, planted or the guest's own, was reached and not executed */
	HS_EXIT_BREAK,       /* an execute breakpoint given to set_debug() at rip; nothing has been executed */
	HS_EXIT_WATCH,       /* a data watchpoint given to set_debug() was touched: watch; rip is after the access */
	HS_EXIT_EMULATION,   /* the backend cannot execute the instruction at rip */
	HS_EXIT_INTERNAL,    /* the backend failed: code, detail; the guest cannot go on */
	HS_EXIT_INTERRUPTED, /* interrupt() was called, or a signal arrived */
};

struct hs_exit {
	enum hs_exit_kind kind;
	bool insn_rip_known; /* for ports and memory: insn_rip is the instruction, rip may already be behind it */
	uint64_t insn_rip;
	uint16_t port;
	uint8_t size; /* bytes of one access */
	uint32_t data;
	uint32_t left; /* for ports: accesses of the same instruction that the next runs hand out, executing nothing */
	uint64_t gpa;
	bool is_write;
	uint64_t written; /* for is_write: the bytes that were to be written, as far as they fit */
	bool registers_lost;
	size_t watch;        /* index into the request's watch list */
	const char *failure; /* for HS_EXIT_INTERNAL: what has failed; static, may be NULL */
	uint32_t code;
	uint64_t detail;
};

/** How breakpoints and steps can be had from this backend on this host. */
struct hs_backend_abilities {
	bool own_breakpoints;   /* set_debug() takes any number of breakpoints and watchpoints; nothing is planted */
	uint8_t planted_opcode; /* the byte to plant: 0xCC (HS_EXIT_INT3 or HS_EXIT_EMULATION), 0xF4 (HS_EXIT_HLT),
				 * 0 when neither works */
	unsigned int execute_slots, data_slots; /* debug registers that work, out of slots in all */
	unsigned int slots;
	bool step;
	bool step_skips_handlers; /* of an instruction that takes an exception it ends behind the guest's handler */
	bool counts;              /* a request may ask for more than one instruction */
};

/** What is armed during the next run. Lists are borrowed for the call. */
struct hs_debug_request {
	bool step;
	uint64_t instructions; /* with step: how many; 0 means 1. HS_EXIT_STEPPED comes behind the last of them */
	bool planted;          /* planted opcodes are in memory */
	const struct hs_breakpoint *breaks;
	size_t break_count;
	const struct hs_breakpoint *watches;
	size_t watch_count;
};

/** A page, by an address in it, was written to. */
typedef void hs_note_page_fn(void *ctx, hs_gpa gpa);

/** One CPU with its memory; defined by each backend. */
struct hs_backend;

struct hs_backend_ops {
	const char *name;  /* of the command line: "kvm" */
	bool steps_unseen; /* a step sets no trap flag, which the guest could store */
	/* Which bits of CR4 its CPU has, and how many of a physical address. 0 where set_state() refuses others by
	 * itself, as KVM does. */
	uint64_t cr4_offered;
	unsigned int physical_bits;

	/** HS_OK when this host can run guests of arch here, else an error that says why not and where it would run. */
	enum hs_status (*check)(enum hs_arch arch, struct hs_error *err);
	enum hs_status (*create)(struct hs_backend **ret, struct hs_error *err);
	void (*destroy)(struct hs_backend *backend); /* NULL is fine */

	/** Back [gpa, gpa + length) by host memory (page-aligned, borrowed until destroy). Regions never overlap. */
	enum hs_status (*map)(struct hs_backend *backend, hs_gpa gpa, uint64_t length, void *host, bool read_only,
			      struct hs_error *err);
	/** Take the region that begins at gpa away, if it was backed: what a failure of map() has left is not. On
	 *  failure it is there still. */
	enum hs_status (*unmap)(struct hs_backend *backend, hs_gpa gpa, struct hs_error *err);
	/**
	 * Call note() for each page that the guest writes to from now on, at least once between one collect() and the
	 * next: during run() or collect(). Regions that are mapped later count too.
	 */
	enum hs_status (*track)(struct hs_backend *backend, hs_note_page_fn *note, void *ctx, struct hs_error *err);
	/** All pages written so far have been noted when this returns; what is written later will be noted again. */
	enum hs_status (*collect)(struct hs_backend *backend, struct hs_error *err);
	/**
	 * Forget what the CPU has under way beside its registers, because memory and all registers are about to be
	 * replaced: port accesses, exceptions that wait, whatever it remembers of page tables and code unless
	 * memory_written() tells it of what is replaced. Not an interrupt() that nobody has seen.
	 */
	enum hs_status (*abandon)(struct hs_backend *backend, struct hs_error *err);
	/** Host or debugger has written to page tables: forget what is remembered of them. NULL where memory_written()
	 *  says enough. */
	enum hs_status (*tables_written)(struct hs_backend *backend, struct hs_error *err);
	/** Host or debugger wrote to memory that may hold code. NULL where the backend need not know. */
	void (*memory_written)(struct hs_backend *backend, hs_gpa gpa, uint64_t length);

	/** Copy the given parts out of or into the CPU; the other parts of *state are left alone or ignored. */
	enum hs_status (*get_state)(struct hs_backend *backend, unsigned int parts, struct hs_cpu_state *state,
				    struct hs_error *err);
	enum hs_status (*set_state)(struct hs_backend *backend, unsigned int parts, const struct hs_cpu_state *state,
				    struct hs_error *err);

	/** Whether it executes vector and x87 instructions of a set (a ZydisISASet), where the guest has switched them
	 *  on. NULL where it executes what the CPU has. */
	bool (*executes)(unsigned int set);
	/** The bits of XCR0 that the guest may set; x87 and SSE where the CPU has no XSAVE. */
	uint64_t (*xcr0_offered)(const struct hs_backend *backend);

	/**
	 * All registers, behind abandon() and when memory is in place. `again`: they are those of the last restore(),
	 * so that what nobody has changed since need not be written.
	 */
	enum hs_status (*restore)(struct hs_backend *backend, const struct hs_cpu_state *state, bool again,
				  struct hs_error *err);

	/** What this backend can do for a debugger here. May probe; the answer is cached. */
	enum hs_status (*abilities)(struct hs_backend *backend, struct hs_backend_abilities *ret, struct hs_error *err);
	/** Arm for the following runs. HS_ERR_EXHAUSTED when the lists exceed the abilities. */
	enum hs_status (*set_debug)(struct hs_backend *backend, const struct hs_debug_request *request,
				    struct hs_error *err);

	/** Run until an exit. */
	enum hs_status (*run)(struct hs_backend *backend, struct hs_exit *ret, struct hs_error *err);
	/** The value for the HS_EXIT_PORT_IN that came last. */
	void (*port_in)(struct hs_backend *backend, uint32_t value);
	/**
	 * Finish the instruction of a port or memory access that the CPU has not retired yet, without executing
	 * anything further. What it still wants to read has any value.
	 */
	enum hs_status (*complete)(struct hs_backend *backend, struct hs_error *err);
	/** Give the guest the #BP of its own int3: rip moves behind it and the exception is pending. */
	enum hs_status (*inject_int3)(struct hs_backend *backend, struct hs_error *err);
	/** Make run() return HS_EXIT_INTERRUPTED soon, the next one at once. Any thread, async-signal-safe. */
	void (*interrupt)(struct hs_backend *backend);

	/**
	 * Where the CPU itself finds gva now, for whoever doubts what paging/ reads in the tables. It says whether
	 * gva is mapped, not for what accesses (but KVM hides what CR4.SMAP forbids), and whether or not memory is
	 * there. A bits may be set on the way. What it says about an address that is not canonical means nothing.
	 * *ret_gpa only when *ret_mapped.
	 */
	enum hs_status (*translate)(struct hs_backend *backend, hs_gva gva, bool *ret_mapped, hs_gpa *ret_gpa,
				    struct hs_error *err);
};

extern const struct hs_backend_ops hs_kvm_backend_ops;
extern const struct hs_backend_ops hs_soft_backend_ops;

#endif
