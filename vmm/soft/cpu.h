/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state of the software CPU, and what its files share.
 *
 * An instruction is done wholly or not at all: a handler makes every access that can fail before it changes anything.
 * Whoever fails says why with hs_soft_raise() (an exception of the guest's) or hs_soft_leave() (an exit to the VM) and
 * returns HS_SOFT_FAULT; the loop in run.c does the rest.
 *
 * Registers are architectural at every instruction boundary, but for the status flags, which are kept as the last
 * result (flags.h). What follows from control registers, segments and the privilege level is cached in the fields
 * under "derived"; whoever changes one of those calls hs_soft_refresh().
 */
#ifndef HS_SOFT_CPU_H
#define HS_SOFT_CPU_H

#include "arch/bits.h"
#include "base/bytes.h"
#include "vmm/backend.h"
#include "vmm/ram.h"
#include "vmm/soft/op.h"

#include <hindsight/cpu.h>
#include <hindsight/paging.h>
#include <hindsight/types.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest instruction (SDM vol. 2A 2.3.11). */
#define HS_SOFT_INSN_MAX 15

#define HS_SOFT_LIKELY(x) __builtin_expect(!!(x), 1)
#define HS_SOFT_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- Physical memory and decoded code ---- */

struct hs_soft_code_page;

/** What is decoded of a region: one a page, NULL where nothing is. */
static inline struct hs_soft_code_page **hs_soft_code_of(const struct hs_ram_region *region)
{
	return region->tag;
}

/** The one of the page of gpa. */
static inline struct hs_soft_code_page **hs_soft_code_at(const struct hs_ram_region *region, uint64_t gpa)
{
	return &hs_soft_code_of(region)[(gpa - region->gpa.v) / HS_PAGE_SIZE];
}

/* ---- TLB (mmu.c fills it, access.h uses it) ---- */

/** Whose access it is. SMAP makes a difference between the supervisor with and without RFLAGS.AC. */
enum hs_soft_space { HS_SOFT_SUPERVISOR, HS_SOFT_SUPERVISOR_AC, HS_SOFT_USER, HS_SOFT_SPACES };

#define HS_SOFT_TLB_ENTRIES 256u

/** One page. A tag is the page's (hs_soft_tag()) where that access may go straight to memory, else 0. */
struct hs_soft_tlb_entry {
	uint64_t read, write;
	uint64_t gpa;     /* of the page */
	uintptr_t addend; /* host address minus gva */
};

struct hs_soft_fetch_entry {
	uint64_t tag; /* 0: none */
	uint64_t gpa;
};

#define HS_SOFT_FETCH_ENTRIES 64u
#define HS_SOFT_TABLE_BITS 1024u
#define HS_SOFT_CHANGED_TABLES 8u

/** What tells a page from others in the TLB. */
static inline uint64_t hs_soft_tag(uint64_t gva)
{
	return gva | (HS_PAGE_SIZE - 1);
}

static inline unsigned int hs_soft_tlb_place(uint64_t gva)
{
	return gva / HS_PAGE_SIZE % HS_SOFT_TLB_ENTRIES;
}

/** The entry that a walk ended at. Whoever has been there need not walk again while the tables above are the same. */
struct hs_soft_leaf {
	uint64_t tag;   /* of the page that it was walked for */
	uint64_t walks; /* cpu->walks at that time */
	uint8_t *host;  /* of the entry; NULL without paging */
	uint64_t gpa;   /* of the entry */
	uint64_t value; /* of the entry, but for A and D */
	/* Where code would be that is decoded from the page, and from the page that the entry is in. */
	struct hs_soft_code_page *const *code, *const *table_code;
	bool read_only; /* lies where the CPU cannot set A and D */
	bool wide;      /* has 8 bytes and not 4 */
	uint8_t prot;   /* what is allowed there: HS_PROT_* */
};

/** What accesses change of a leaf. */
#define HS_SOFT_LEAF_USE (HS_LEAF_ACCESSED | HS_LEAF_DIRTY)

static inline uint64_t hs_soft_leaf_now(const struct hs_soft_leaf *leaf)
{
	return leaf->wide ? hs_get_le64(leaf->host) : hs_get_le32(leaf->host);
}

/** A place to go on from without asking the TLB: rip ^ cpu->jump_key and the operation there; 0 and NULL for none. */
struct hs_soft_jump {
	uint64_t key;
	const struct hs_soft_op *op;
};

#define HS_SOFT_JUMPS 1024u

/** Which of so many entries are in use, so that dropping them costs what there is. */
#define HS_SOFT_USED_WORDS(entries) ((entries) / 64)

static inline void hs_soft_use(uint64_t *used, unsigned int entry)
{
	used[entry / 64] |= UINT64_C(1) << entry % 64;
}

/** An instruction across two pages: kept with its bytes, since no single page's store can announce a change. */
struct hs_soft_straddler {
	uint8_t bytes[HS_SOFT_INSN_MAX];
	uint8_t mode;
	struct hs_soft_op op[2]; /* and the end */
};

#define HS_SOFT_STRADDLERS 16u

/** Components: bits of XSTATE_BV (SDM vol. 1 13.1), and of what has changed. */
enum hs_soft_component { HS_SOFT_X87 = 1, HS_SOFT_SSE = 2, HS_SOFT_AVX = 4, HS_SOFT_ALL_COMPONENTS = 0xff };

/** Of the x87 state while it is in the host's x87 registers (x87.h). */
struct hs_soft_x87 {
	bool live;     /* it is there, and cpu->xsave has only the pointers */
	bool unmasked; /* exceptions may become pending: the control word does not mask all */
	bool pending;  /* one is */
};

/* ---- Events ---- */

/** An exception on its way to the guest. */
struct hs_soft_fault {
	uint8_t vector;
	bool has_error_code;
	uint32_t error_code;
	uint64_t cr2; /* for #PF: what CR2 becomes on delivery */
};

/** What HS_SOFT_FAULT means. */
enum hs_soft_why { HS_SOFT_WHY_EXCEPTION, HS_SOFT_WHY_EXIT };

/** Bits of cpu->attention: what the loop has to look at behind the present instruction. */
enum hs_soft_attention {
	HS_SOFT_INTERRUPT = 1, /* the only one that another thread sets */
	HS_SOFT_LOOK_UP = 2, /* code, the mode or a translation has changed: do not run on in the operations at hand */
	HS_SOFT_TRAP = 4,    /* watch_hit or trap_dr6 is set */
};

/** Execution modes: how code is decoded. */
enum hs_soft_mode { HS_SOFT_MODE_16, HS_SOFT_MODE_32, HS_SOFT_MODE_64, HS_SOFT_MODES };

enum hs_soft_in_to { HS_SOFT_IN_TO_RAX, HS_SOFT_IN_TO_MEMORY, HS_SOFT_IN_TO_NOTHING };

/** A port access whose exit was given out and that has something left to do: `in` and `ins` their value, `ins` and
 *  `outs` their registers. */
struct hs_soft_pending_in {
	bool active;
	uint8_t to; /* enum hs_soft_in_to */
	uint8_t bytes;
	uint32_t value;
	uint64_t rip;    /* where it goes on; the instruction itself when more iterations follow */
	uint64_t linear; /* of ins: where the value goes, checked for writing already */
	bool is_string;
	uint8_t pointer;     /* rsi or rdi */
	uint64_t moved, rcx; /* the registers afterwards */
};

/** What the debugger has armed: a copy. */
struct hs_soft_debugger {
	bool step;
	uint64_t instructions;
	struct hs_breakpoint *list; /* breakpoints, then watchpoints, as they were given */
	uint64_t *sorted;           /* addresses of the breakpoints, ascending */
	size_t break_count, watch_count;
	size_t capacity; /* of list and of sorted */
};

struct hs_soft_cpu {
	/* Architectural. r[HS_SOFT_RIP] is the present instruction's address until its handler returns. */
	uint64_t r[HS_SOFT_REGS];
	uint64_t rflags; /* status flags only when !flags_lazy: use hs_soft_rflags() */
	bool flags_lazy;
	uint64_t flags_result, flags_carries; /* flags.h */

	/* Derived, by hs_soft_refresh(). */
	uint64_t linear_mask; /* 2^32 - 1 outside 64-bit mode */
	uint64_t stack_mask;  /* of rsp: 2^16 - 1, 2^32 - 1, all */
	uint64_t seg_base[6]; /* as an address uses it: 0 for ES, CS, SS, DS in 64-bit mode */
	uint8_t seg_flat[6];  /* HS_PROT_*: accesses that need no look at limit, type or alignment */
	uint8_t cpl;          /* architectural: SS.DPL; here because everything asks */
	uint8_t mode;         /* enum hs_soft_mode */
	uint8_t space;        /* enum hs_soft_space of explicit accesses */
	bool careful;         /* look before and behind each instruction: TF, RF, a shadow, DR7, a step */
	bool paging;
	bool long_mode; /* what EFER.LMA says, or should */
	uint64_t jump_key;
	uint64_t refreshes, restored_refreshes; /* how often they were worked out, and up to the last restore */

	atomic_uint attention;
	uint64_t executed; /* instructions since the CPU was made; each iteration of a rep counts */
	uint64_t limit;    /* stop when executed reaches it */

	struct hs_soft_fault fault;
	enum hs_soft_why why;
	struct hs_exit exit;
	struct hs_soft_pending_in pending_in;

	/* Architectural, seldom used. */
	struct hs_segment seg[HS_SEG_COUNT];
	struct hs_dtable gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t dr[8];
	uint64_t xcr0;
	struct hs_msrs msr; /* tsc: at executed == 0, modulo 2^64 */
	bool shadow;        /* mov ss or pop ss came right before: no #DB before the next instruction is done */
	bool tf_has_told;   /* hs_soft_trap_by_new_tf() */
	uint64_t trap_dr6;  /* DR6 bits of a #DB that waits for the instruction's end; 0: none */
	uint64_t repeat_at; /* `executed` when an iteration of rep was done last, and nothing since */

	struct hs_soft_debugger debugger;
	bool watch_hit;
	size_t watch_index;

	struct hs_ram ram;     /* borrowed regions, each with its decoded code as the tag */
	hs_note_page_fn *note; /* told of pages written; NULL for nobody */
	void *note_ctx;
	size_t code_pages;
	struct hs_soft_code_page *code_list; /* all of them */
	struct hs_soft_straddler straddlers[HS_SOFT_STRADDLERS];

	struct hs_root root;    /* what the control registers say: by hs_soft_flush() */
	bool knows_large_pages; /* some of what the TLB has is a part of one */
	bool leaves_written;    /* by the host: hs_soft_check_leaves() before the TLB is used again */
	bool fetch_lost;        /* there may be jumps to what `fetch` does not have any more */
	uint64_t walks;         /* leaves of an older number are not to be trusted */
	/* A bit for each page that a walk has ended in, or passed, since the TLB was empty, by its number modulo their
	 * count. */
	uint64_t leaf_pages[HS_SOFT_TABLE_BITS / 64];
	uint64_t table_pages[HS_SOFT_TABLE_BITS / 64];
	uint64_t jumps_used[HS_SOFT_USED_WORDS(HS_SOFT_JUMPS)];
	uint64_t fetch_used[HS_SOFT_SPACES][HS_SOFT_USED_WORDS(HS_SOFT_FETCH_ENTRIES)];
	uint64_t tlb_used[HS_SOFT_SPACES][HS_SOFT_USED_WORDS(HS_SOFT_TLB_ENTRIES)];
	uint64_t tlb_writes[HS_SOFT_SPACES][HS_SOFT_USED_WORDS(HS_SOFT_TLB_ENTRIES)]; /* those with a write tag */
	bool has_writes;                                                              /* whether there may be one */
	uint64_t changed_tables
		[HS_SOFT_CHANGED_TABLES]; /* pages that hs_soft_change_table() has seen: since a run began */
	unsigned int changed_table_count;
	uint64_t noted_table; /* the page of tables that was noted last; 1 (no page) for none */
	struct hs_soft_x87 x87;
	uint8_t xsave_changed; /* what of xsave may be other than hs_soft_restore() has left it: components */
	bool mxcsr_lent;       /* MXCSR is in the host's register, and host_mxcsr what was there: mxcsr.h */
	uint32_t host_mxcsr;
	uint16_t host_x87_control; /* what was there before x87.live */
	uint8_t xsave[HS_XSAVE_SIZE] __attribute__((aligned(64)));

	/* Large, and memory only where it is used: zero is empty. */
	struct hs_soft_jump jumps[HS_SOFT_JUMPS];
	struct hs_soft_tlb_entry tlb[HS_SOFT_SPACES][HS_SOFT_TLB_ENTRIES];
	struct hs_soft_leaf leaves[HS_SOFT_SPACES][HS_SOFT_TLB_ENTRIES];
	struct hs_soft_fetch_entry fetch[HS_SOFT_SPACES][HS_SOFT_FETCH_ENTRIES];
	struct hs_soft_leaf fetch_leaves[HS_SOFT_SPACES][HS_SOFT_FETCH_ENTRIES];
};

struct hs_backend {
	struct hs_soft_cpu cpu;
};

/* ---- refresh.c ---- */
/** Work the derived fields out again, after CR0, CR4, EFER, RFLAGS (TF, RF, AC), CPL, a segment, DR7 or the debugger's
 *  request has changed. Asks for a new look-up of the code. Does not flush the TLB. */
void hs_soft_refresh(struct hs_soft_cpu *cpu);

/* ---- exception.c ---- */
/** Note an exception; which vectors push an error code is known. Returns HS_SOFT_FAULT for `return hs_soft_raise()`. */
enum hs_soft_flow hs_soft_raise(struct hs_soft_cpu *cpu, uint8_t vector, uint32_t error_code);
/** Note a #PF. Returns false, for access functions. */
bool hs_soft_raise_pf(struct hs_soft_cpu *cpu, uint64_t cr2, uint32_t error_code);
/**
 * Bring cpu->fault to the guest through its IDT, rip being that of the instruction that faulted (or, for traps, where
 * it goes on). A fault on the way becomes #DF or a shutdown (SDM vol. 3A 6.15, "Interrupt 8"): then registers are as
 * before the first one and cpu->exit is HS_EXIT_SHUTDOWN.
 *
 * @return false when cpu->exit is to be returned
 */
bool hs_soft_deliver(struct hs_soft_cpu *cpu);
/** int n, int3, into, int1: go through the IDT with DPL checks and rip behind the instruction. */
enum hs_soft_flow hs_soft_software_interrupt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint8_t vector);

/* ---- run.c ---- */
/** Note cpu->exit of this kind, everything else zero, for the caller to complete; nothing has been executed. */
enum hs_soft_flow hs_soft_leave(struct hs_soft_cpu *cpu, enum hs_exit_kind kind);
enum hs_status hs_soft_run(struct hs_backend *backend, struct hs_exit *ret, struct hs_error *err);

static inline void hs_soft_attend(struct hs_soft_cpu *cpu, unsigned int bits)
{
	atomic_fetch_or_explicit(&cpu->attention, bits, memory_order_relaxed);
}

/* ---- port.c ---- */
/** Finish a port access whose exit was given out, with pending_in.value; it counts as executed now. */
void hs_soft_finish_in(struct hs_soft_cpu *cpu);
/** The bits of XCR0 that cpuid offers; x87 and SSE without XSAVE. (cpuid.c) */
uint64_t hs_soft_xcr0_offered(void);

/* ---- code.c ---- */
/** The operation at rip, decoded if need be. NULL when the fetch faults: cpu->fault or cpu->exit is set. */
const struct hs_soft_op *hs_soft_look_up(struct hs_soft_cpu *cpu);
/** Whether it lies across two pages: then it is good for one execution only. */
bool hs_soft_is_straddler(const struct hs_soft_cpu *cpu, const struct hs_soft_op *op);
/** Somebody wrote to physical memory: forget what was decoded from these bytes. */
void hs_soft_code_written(struct hs_soft_cpu *cpu, uint64_t gpa, uint64_t length);
/** Forget all jumps: translations, the mode or code have changed. */
void hs_soft_forget_jumps(struct hs_soft_cpu *cpu);
void hs_soft_free_code(struct hs_soft_cpu *cpu);

/* ---- decode.c ---- */
/**
 * Decode one instruction.
 *
 * @param length  bytes that are there, at most 15
 * @return false when more bytes are needed. Otherwise *ret is filled; what is no instruction here raises #UD (or #GP:
 *         longer than 15 bytes) when executed.
 */
bool hs_soft_decode(enum hs_soft_mode mode, const uint8_t *bytes, size_t length, struct hs_soft_op *ret);

/* ---- control_register.c ---- */
/* The bits of CR4 that CPUID offers. OSXMMEXCPT comes with FXSR: whoever saves MXCSR may say how it treats #XM. */
#define HS_SOFT_CR4_DEFINED                                                                                            \
	(HS_CR4_TSD | HS_CR4_DE | HS_CR4_PSE | HS_CR4_PAE | HS_CR4_PGE | HS_CR4_PCE | HS_CR4_OSFXSR |                  \
	 HS_CR4_OSXMMEXCPT | HS_CR4_UMIP | HS_CR4_LA57 | HS_CR4_FSGSBASE | HS_CR4_OSXSAVE | HS_CR4_SMEP | HS_CR4_SMAP)

/* ---- mmu.c ---- */
/** Physical address bits, as CPUID leaf 0x80000008 says; those above are reserved in page-table entries. */
#define HS_SOFT_PHYSICAL_BITS 48u
/** Linear address bits of 64-bit mode now: 48, or 57 with CR4.LA57. */
static inline unsigned int hs_soft_linear_bits(const struct hs_soft_cpu *cpu)
{
	return cpu->cr4 & HS_CR4_LA57 ? 57 : 48;
}

static inline bool hs_soft_canonical(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	return hs_is_canonical(gva, hs_soft_linear_bits(cpu));
}

/** Where one page of the guest's is. */
struct hs_soft_page {
	uint8_t *host;
	uint64_t gpa;
	bool watched; /* accesses are to be told to hs_soft_touched() */
	bool code;    /* writes are to be told to hs_soft_code_written() */
};

/**
 * The page of gva for a data access of space, with all that the CPU does on the way: A and D bits, permissions; the
 * TLB is filled. prot: HS_PROT_READ, HS_PROT_WRITE or both. False: cpu->fault or cpu->exit is set.
 */
bool hs_soft_translate(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva, int prot,
		       struct hs_soft_page *ret);
/**
 * The same for what has lost its tags and is written to with nothing to look at but the page: then the TLB has it.
 * False, and nothing has happened, where there is more to it.
 */
bool hs_soft_regain(struct hs_soft_cpu *cpu, enum hs_soft_space space, uint64_t gva);
/** Where gva is for whatever access: as the TLB has it, else as the tables have it. Nothing is changed or raised. */
bool hs_soft_find(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t *ret_gpa);
/** The physical page of code at gva, as the current CPL fetches it. False: cpu->fault or cpu->exit is set. */
bool hs_soft_translate_fetch(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t *ret_gpa);

/* ---- tlb.c ---- */
/** Drop all translations and see which address space it is now: CR3, CR0.PG/WP, CR4, EFER were written. */
void hs_soft_flush(struct hs_soft_cpu *cpu);
/** Drop those of one page (invlpg). */
void hs_soft_flush_page(struct hs_soft_cpu *cpu, uint64_t gva);
/** No write may go straight to this physical page any more: it holds code now. */
void hs_soft_flush_writes(struct hs_soft_cpu *cpu, uint64_t gpa);
/** The guest is about to write to a page of tables. True: for the first time since a restore, and what was translated
 *  has to be translated again. */
bool hs_soft_change_table(struct hs_soft_cpu *cpu, uint64_t gpa);
static inline bool hs_soft_was_passed(const uint64_t *filter, uint64_t gpa)
{
	uint64_t page = gpa / HS_PAGE_SIZE % HS_SOFT_TABLE_BITS;

	return filter[page / 64] >> page % 64 & 1;
}
/** Whether tables may be in the page of gpa. */
static inline bool hs_soft_has_tables(const struct hs_soft_cpu *cpu, uint64_t gpa)
{
	return hs_soft_was_passed(cpu->leaf_pages, gpa) || hs_soft_was_passed(cpu->table_pages, gpa);
}
/** No write may go straight to any page that has not been noted again. */
void hs_soft_note_again(struct hs_soft_cpu *cpu);
/** The host wrote to physical memory: translations that may have come from there are dropped or checked again. */
void hs_soft_tables_written(struct hs_soft_cpu *cpu, uint64_t gpa, uint64_t length);
/** Drop translations that are not those of the tables any more, if the host has written to some: before the CPU runs
 *  again. */
void hs_soft_check_leaves(struct hs_soft_cpu *cpu);

/* ---- debug.c: the debugger's ---- */
/** Whether an execute breakpoint of the debugger is in the page of gva. */
bool hs_soft_page_has_breaks(const struct hs_soft_cpu *cpu, uint64_t gva);
/** Whether one is at gva. */
bool hs_soft_is_break(const struct hs_soft_cpu *cpu, uint64_t gva);
/** Whether data accesses to this page have to be told to hs_soft_touched(). */
bool hs_soft_page_is_watched(const struct hs_soft_cpu *cpu, uint64_t gva);
/** A data access is about to succeed: see whether it touches a watchpoint or one of DR0-3. */
void hs_soft_touched(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t length, int prot);
enum hs_status hs_soft_set_debug(struct hs_backend *backend, const struct hs_debug_request *request,
				 struct hs_error *err);
void hs_soft_free_debugger(struct hs_soft_cpu *cpu);
enum hs_status hs_soft_inject_int3(struct hs_backend *backend, struct hs_error *err);

/* ---- trap.c: the guest's own ---- */
/** Whether DR0-3, RFLAGS or a shadow ask for a look before and behind each instruction. */
bool hs_soft_wants_care(const struct hs_soft_cpu *cpu);
/** B0-3 of the data breakpoints that an access touches. */
uint64_t hs_soft_registers_watch(const struct hs_soft_cpu *cpu, uint64_t gva, uint64_t length, int prot);
/** A port access is about to succeed. */
void hs_soft_port_touched(struct hs_soft_cpu *cpu, uint16_t port, unsigned int bytes);
/** Before an instruction in careful mode or on a page with breakpoints. False: cpu->exit (a breakpoint) or cpu->fault
 *  (a #DB). */
bool hs_soft_before(struct hs_soft_cpu *cpu);
/** Behind it, RF having been cleared before it: the single-step trap. `rflags` are those before it; `repeats` that
 *  iterations are left. */
void hs_soft_behind(struct hs_soft_cpu *cpu, uint64_t rflags, bool repeats);
/** Called behind syscall, sysret, int n: not the TF before them but the one they leave decides about their trap. */
void hs_soft_trap_by_new_tf(struct hs_soft_cpu *cpu);
/** Note a #DB with these bits of DR6, which is changed at once, as is DR7.GD. */
enum hs_soft_flow hs_soft_raise_db(struct hs_soft_cpu *cpu, uint64_t dr6);
/** Bring the #DB of cpu->trap_dr6 to the guest. As hs_soft_deliver(). */
bool hs_soft_deliver_trap(struct hs_soft_cpu *cpu);
/** DR0-3 or DR7 were written. */
void hs_soft_debug_registers_changed(struct hs_soft_cpu *cpu);

/* ---- state.c ---- */
enum hs_status hs_soft_get_state(struct hs_backend *backend, unsigned int parts, struct hs_cpu_state *state,
				 struct hs_error *err);
enum hs_status hs_soft_set_state(struct hs_backend *backend, unsigned int parts, const struct hs_cpu_state *state,
				 struct hs_error *err);
void hs_soft_reset(struct hs_soft_cpu *cpu);
/** All of it at once, as hs_backend_ops.restore. */
enum hs_status hs_soft_restore(struct hs_backend *backend, const struct hs_cpu_state *state, bool again,
			       struct hs_error *err);
/** Forget what is under way beside the registers. */
void hs_soft_abandon(struct hs_soft_cpu *cpu);

#endif
