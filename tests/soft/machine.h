/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small machine for tests of a CPU backend: one CPU, 320 KiB of memory, page tables of any format, a GDT, a TSS and
 * an IDT whose every gate leads to a stub that halts and, when run again, returns to the interrupted code. So a test
 * puts code in place, runs it, and sees either its hlt or the fault with the state of the interrupted code.
 *
 * Addresses of memory; gva = gpa until a test maps otherwise:
 *   0x00000  not mapped
 *   0x01000  GDT          0x02000  IDT         0x03000  TSS, and the double fault's (32-bit)
 *   0x04000  stubs        0x05000  the stack of exceptions                 0x06000  the double fault's stack (32-bit)
 *   0x08000  code         0x10000  data        0x20000  stacks             0x30000  frames that are mapped nowhere
 *   0x40000  page tables
 * Code, data and stacks are user pages when the machine runs at CPL 3 and supervisor pages otherwise.
 *
 * Exceptions come by interrupt gates to ring 0; in 64-bit mode all of the CPU's own (vectors below 32) switch to the
 * exception stack by IST1. In 32-bit mode they switch stacks only when the level changes, and the double fault is a
 * task gate. Vectors 0x80.. may be raised by int from CPL 3: 0x80..0x8F go to ring 0 without IST, 0x90 to ring 1.
 *
 * What a test cannot go on without (memory, a state that the backend refuses) ends the program with a message.
 */
#ifndef HS_TESTS_SOFT_MACHINE_H
#define HS_TESTS_SOFT_MACHINE_H

#include "code.h"

#include "vmm/backend.h"

#include <hindsight/mem.h>
#include <hindsight/paging.h>

enum machine_address {
	MACHINE_GDT = 0x1000,
	MACHINE_IDT = 0x2000,
	MACHINE_TSS = 0x3000,
	MACHINE_DF_TSS = 0x3100,
	MACHINE_STUBS = 0x4000, /* 16 bytes each */
	MACHINE_EXCEPTION_STACK = 0x6000,
	MACHINE_DF_STACK = 0x7000,
	MACHINE_CODE = 0x8000,
	MACHINE_DATA = 0x10000,
	MACHINE_STACK = 0x28000, /* rsp at the start; eight pages lie on either side */
	MACHINE_FRAMES = 0x30000,
	MACHINE_TABLES = 0x40000,
	MACHINE_BYTES = 0x50000,
};

/** Offsets in the GDT: add the RPL. Gates and the 64-bit TSS take two slots. */
enum machine_selector {
	MACHINE_CS0 = 0x08,
	MACHINE_DS0 = 0x10,
	MACHINE_CS3_32 = 0x18,
	MACHINE_DS3 = 0x20,
	MACHINE_CS3_64 = 0x28,
	MACHINE_TR = 0x30,
	MACHINE_DF_TR = 0x40, /* 32-bit mode only */
	MACHINE_CS1 = 0x48,
	MACHINE_DS1 = 0x50,
	MACHINE_GATE0 = 0x58, /* call gate of DPL 3 to stub 0xA0 in ring 0 */
	MACHINE_GATE1 = 0x68, /* to stub 0xA1 in ring 1 */
	MACHINE_CS0_32 = 0x78,
	MACHINE_SPARE = 0x80, /* this one and all up to 0xFF8 are the test's */
};

enum machine_mode {
	MACHINE_64,     /* 4-level or 5-level paging */
	MACHINE_COMPAT, /* 32-bit code under them */
	MACHINE_32,     /* no paging, 32-bit or PAE */
};

struct machine_config {
	const struct hs_backend_ops *ops;
	enum machine_mode mode;
	enum hs_paging_format format;
	unsigned int cpl; /* 0, 1 or 3 */
};

struct machine {
	struct machine_config config;
	struct hs_backend *backend;
	uint8_t *ram; /* MACHINE_BYTES, with a page on either side that the host cannot touch */
	struct hs_phys_ops phys_ops;
	struct hs_phys phys;
	struct hs_root root;
	struct hs_table_source tables;
	uint64_t next_table;
	struct hs_cpu_state cpu; /* what machine_load() gives to the CPU; the test may change it first */
};

enum machine_stop_kind {
	MACHINE_HLT, /* at a hlt of the test's, at any CPL, or at the stub of a vector from 32 on; cpu.rip is the hlt */
	MACHINE_FAULT, /* an exception: vector, error_code, cr2 in cpu; cpu is the state of the interrupted code */
	MACHINE_EXIT,  /* anything else: exit says what */
};

struct machine_stop {
	enum machine_stop_kind kind;
	struct hs_exit exit;
	unsigned int vector;
	bool has_error_code;
	uint32_t error_code;
	bool rf;                 /* RF was set in the flags that the CPU pushed; cpu.rflags is without it */
	struct hs_cpu_state cpu; /* of the code that ran; a fault's handler is behind the scenes */
};

/** NULL when the backend runs machines of this kind here, else why not. */
const char *machine_missing(const struct machine_config *config);

/** A machine with memory, tables and a state to start in: rip at MACHINE_CODE, rsp at MACHINE_STACK, flat segments. */
void machine_init(struct machine *machine, const struct machine_config *config);
void machine_deinit(struct machine *machine);
/** Check on a new machine of each kind. */
void machine_each(const struct machine_config *configs, size_t count, void (*check)(struct machine *machine));

/** The same text as code of the machine's mode. */
#define CODE_FOR(machine, text) ((machine)->config.mode == MACHINE_64 ? CODE64(text) : CODE32(text))

/** Put code at gpa (which must not leave memory) and tell the backend. */
void machine_put(struct machine *machine, uint64_t gpa, const void *bytes, size_t length);
/** Put code at MACHINE_CODE with a hlt behind it, and rip there. */
void machine_set_code(struct machine *machine, struct code code);
/** The bytes at gpa. Who changes what may be code or tables says so by machine_touched(). */
uint8_t *machine_at(struct machine *machine, uint64_t gpa);
void machine_touched(struct machine *machine, uint64_t gpa, uint64_t length);

/** Add a mapping; it must be new. */
void machine_map(struct machine *machine, uint64_t gva, uint64_t gpa, uint64_t length, int prot, bool user);
/** The gpa of the entry of gva at a depth (0 is the root table); the one that maps 4 KiB for depth -1. */
uint64_t machine_entry_at(struct machine *machine, uint64_t gva, int depth);
uint64_t machine_entry(struct machine *machine, uint64_t gva, int depth);
void machine_set_entry(struct machine *machine, uint64_t gva, int depth, uint64_t entry);
/** Change bits of the 4 KiB entry of gva. */
void machine_change_entry(struct machine *machine, uint64_t gva, uint64_t clear, uint64_t set);

/** Give machine->cpu to the CPU, all of it. */
void machine_load(struct machine *machine);
/** Run on until something comes. After a fault the next call returns from its stub to the interrupted code. */
void machine_run(struct machine *machine, struct machine_stop *ret);
/** The same, instruction by instruction. */
void machine_run_by_steps(struct machine *machine, struct machine_stop *ret);
/** machine_load() and machine_run(). */
void machine_start(struct machine *machine, struct machine_stop *ret);
/** All of the CPU's state now. */
void machine_read(struct machine *machine, struct hs_cpu_state *ret);

/** A copy of all memory. The caller frees it. */
uint8_t *machine_copy_memory(const struct machine *machine);
/**
 * Where two copies of memory differ first, or MACHINE_BYTES: without the stacks of exceptions, TSSs, the A and D bits
 * of page tables and [except, except + except_length).
 */
uint64_t machine_compare_memory(const struct machine *machine, const uint8_t *a, const uint8_t *b, uint64_t except,
				uint64_t except_length);

/** Fill the memory with descriptor tables, stubs, TSSs; of machine.c. */
void machine_write_tables(struct machine *machine);
/** The segment that a selector of the machine's GDT names, as a register holds it. */
void machine_segment(const struct machine *machine, uint16_t selector, struct hs_segment *ret);

#endif
