/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Protection: descriptors, segment registers, gates, stacks of other levels, task switches (SDM vol. 3A 3.4, 5, 6, 7).
 * What exceptions, far transfers, returns and segment loads share.
 *
 * As everywhere, all checks come before all changes. A transfer is prepared as a struct hs_soft_arrival, checked with
 * hs_soft_check_arrival() and its frame with hs_soft_check_frame(); then hs_soft_push_frame() and hs_soft_arrive()
 * cannot fail. Functions that return bool have raised an exception, or left for the VM, when they return false.
 *
 * Error codes are those of an instruction. Whoever delivers an event that no instruction asked for adds the EXT bit to
 * what is raised on the way.
 */
#ifndef HS_SOFT_SEGMENT_H
#define HS_SOFT_SEGMENT_H

#include "vmm/soft/access.h"

#include "arch/exception.h"
#include "vmm/descriptor.h"

/* ---- Selectors (SDM vol. 3A figure 3-6) ---- */

#define HS_SELECTOR_RPL 3u
#define HS_SELECTOR_TI 4u

static inline bool hs_soft_is_null(uint16_t selector)
{
	return (selector & ~HS_SELECTOR_RPL) == 0;
}

/** Raise vector with the selector as error code (SDM vol. 3A 6.13). Returns false. */
static inline bool hs_soft_refuse(struct hs_soft_cpu *cpu, uint8_t vector, uint16_t selector)
{
	hs_soft_raise(cpu, vector, selector & ~HS_SELECTOR_RPL);
	return false;
}

/* ---- Descriptors (segment.c) ---- */

/** Bits of a system descriptor's type: those with this one are of 32-bit (in long mode 64-bit) kind. */
#define HS_SOFT_TYPE_32 8u
/** The bit by which a busy TSS differs from an available one. */
#define HS_SOFT_TYPE_BUSY 2u

enum hs_soft_system_type {
	HS_SOFT_TYPE_TSS16 = 1,
	HS_SOFT_TYPE_LDT = 2,
	HS_SOFT_TYPE_TSS16_BUSY = 3,
	HS_SOFT_TYPE_CALL16 = 4,
	HS_SOFT_TYPE_TASK = 5,
	HS_SOFT_TYPE_INTERRUPT16 = 6,
	HS_SOFT_TYPE_TRAP16 = 7,
	HS_SOFT_TYPE_TSS = 9,
	HS_SOFT_TYPE_TSS_BUSY = 11,
	HS_SOFT_TYPE_CALL = 12,
	HS_SOFT_TYPE_INTERRUPT = 14,
	HS_SOFT_TYPE_TRAP = 15,
};

/** A descriptor and where it lies. All zero but segment for a null selector, and for a register that stays as it is. */
struct hs_soft_descriptor {
	struct hs_segment segment; /* as a register holds it; of a gate only selector, type, s, dpl and present count */
	uint64_t gva;
	uint64_t raw;
	uint64_t upper; /* bytes 8 to 15, of system descriptors in long mode */
};

/** Read memory that the CPU itself looks at, whatever the CPL: descriptor tables, the TSS. */
bool hs_soft_system_load(struct hs_soft_cpu *cpu, uint64_t gva, unsigned int bytes, void *ret);
/** A linear address behind the base of a table or of the TSS. */
static inline uint64_t hs_soft_system_gva(const struct hs_soft_cpu *cpu, uint64_t base, uint64_t offset)
{
	return cpu->long_mode ? base + offset : (uint32_t)(base + offset);
}

/** Whether so many bytes from the selector's descriptor on are within its table. */
bool hs_soft_in_table(const struct hs_soft_cpu *cpu, uint16_t selector, unsigned int bytes);
/** The descriptor that selector, not null, names; when it is outside its table: vector with the selector. */
bool hs_soft_read_descriptor(struct hs_soft_cpu *cpu, uint16_t selector, uint8_t vector,
			     struct hs_soft_descriptor *ret);
/** In long mode: the second half of a system descriptor, and a TSS's or LDT's whole base (SDM vol. 3A 7.2.3). */
bool hs_soft_read_upper(struct hs_soft_cpu *cpu, uint8_t vector, struct hs_soft_descriptor *descriptor);
/** Whether hs_soft_set_accessed() will succeed. */
bool hs_soft_check_accessed(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor);
/** Set the accessed bit of a code or data descriptor in memory. */
void hs_soft_set_accessed(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor);
/** Whether the type of a TSS in memory can be changed, and change it (available, busy). */
bool hs_soft_check_type(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor);
void hs_soft_set_type(struct hs_soft_cpu *cpu, const struct hs_soft_descriptor *descriptor, uint8_t type);

/* ---- What a segment register may be loaded with (segment.c); vector is #GP, or #TS ---- */

/** For DS, ES, FS or GS at that CPL; null makes it unusable. */
bool hs_soft_find_data(struct hs_soft_cpu *cpu, uint16_t selector, unsigned int cpl, uint8_t vector,
		       struct hs_soft_descriptor *ret);
/** For SS of that CPL. null_allowed: 64-bit code above ring 3 needs no stack segment. */
bool hs_soft_find_stack(struct hs_soft_cpu *cpu, uint16_t selector, unsigned int cpl, uint8_t vector, bool null_allowed,
			struct hs_soft_descriptor *ret);
/** A code segment; whether it may be entered is still to be asked: */
bool hs_soft_read_code(struct hs_soft_cpu *cpu, uint16_t selector, uint8_t vector, struct hs_soft_descriptor *ret);
/** Go on with a code segment: privilege (as the caller sees it), presence, L and D. Its RPL becomes cpl. */
bool hs_soft_accept_code(struct hs_soft_cpu *cpu, bool privileged, unsigned int cpl, uint8_t vector,
			 struct hs_soft_descriptor *descriptor);
/** Load DS, ES, FS, GS or SS as mov does: checks, accessed bit, register, hs_soft_refresh(). */
bool hs_soft_load_segment(struct hs_soft_cpu *cpu, unsigned int seg, uint16_t selector);
/** Read the far pointer of an instruction, an offset of width bytes and the selector behind it: two accesses, each with
 *  its own alignment (SDM vol. 3A table 6-7). segment_register.c. */
bool hs_soft_load_pointer(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int width,
			  uint64_t *ret_offset, uint16_t *ret_selector);
static inline bool hs_soft_is_code(const struct hs_segment *segment)
{
	return segment->s && (segment->type & HS_DESCRIPTOR_CODE);
}

static inline bool hs_soft_is_conforming(const struct hs_segment *code)
{
	return code->type & HS_DESCRIPTOR_CONFORMING;
}

/* ---- Gates, stacks and arrivals (gate.c) ---- */

/** A gate of any kind (SDM vol. 3A figures 5-8, 5-9, 6-2, 6-8). */
struct hs_soft_gate {
	uint64_t offset;
	uint16_t selector;
	uint8_t parameters; /* of a call gate outside long mode */
	uint8_t ist;        /* of an interrupt or trap gate in long mode; 0: none */
	uint8_t type, dpl;
	bool s, present;
};

void hs_soft_decode_gate(const struct hs_soft_cpu *cpu, uint64_t raw, uint64_t upper, struct hs_soft_gate *ret);

/** A stack to push on: the present one, or that of another level. */
struct hs_soft_stack {
	struct hs_soft_descriptor ss;
	uint64_t sp;
	uint64_t mask;
	bool is_64;    /* no base, no limit */
	bool switched; /* sp and SS are new */
	uint8_t space; /* enum hs_soft_space of the accesses */
};

/** What is pushed, the first value first, each of `bytes`. */
struct hs_soft_frame {
	uint64_t value[40];
	unsigned int count;
	uint8_t bytes;
};

static inline void hs_soft_frame_add(struct hs_soft_frame *frame, uint64_t value)
{
	frame->value[frame->count++] = value;
}

/** The present stack; is_64: as 64-bit code sees it. */
void hs_soft_present_stack(struct hs_soft_cpu *cpu, bool is_64, struct hs_soft_stack *ret);
/** The stack of level cpl that the TSS names; ist (long mode): one of the interrupt stacks instead, 0 for none. */
bool hs_soft_inner_stack(struct hs_soft_cpu *cpu, unsigned int cpl, unsigned int ist, struct hs_soft_stack *ret);
bool hs_soft_check_frame(struct hs_soft_cpu *cpu, const struct hs_soft_stack *stack, const struct hs_soft_frame *frame);
/** Write it, after hs_soft_check_frame(), and move stack->sp. */
void hs_soft_push_frame(struct hs_soft_cpu *cpu, struct hs_soft_stack *stack, const struct hs_soft_frame *frame);

/** Where a transfer leads. */
struct hs_soft_arrival {
	struct hs_soft_descriptor cs;
	uint64_t ip;
	uint8_t cpl;
	struct hs_soft_stack stack;
};

/** Whether ip is within CS or canonical (else #GP(0)), and the accessed bits can be set. */
bool hs_soft_check_arrival(struct hs_soft_cpu *cpu, const struct hs_soft_arrival *to);
/**
 * Load CS:RIP, SS:RSP and the CPL. Flags, if they change, are to be set before. At an outer level, data segments that
 * it may not use become unusable.
 */
void hs_soft_arrive(struct hs_soft_cpu *cpu, const struct hs_soft_arrival *to);

/* ---- Returns (iret.c) ---- */

/** A far return's or iret's view of the stack. */
struct hs_soft_return {
	uint64_t ip;
	uint16_t cs;
	uint8_t bytes;        /* of a word */
	bool pops_stack;      /* SS:RSP are there even without a change of level */
	unsigned int behind;  /* bytes from the stack pointer to SS:RSP, or to the end */
	unsigned int release; /* bytes to drop from the outer stack as well */
};

/** Check everything and fill in where it leads; nothing changes. */
bool hs_soft_prepare_return(struct hs_soft_cpu *cpu, const struct hs_soft_return *from, struct hs_soft_arrival *ret);

/* ---- Task switches (task.c) ---- */

enum hs_soft_task_cause { HS_SOFT_TASK_JMP, HS_SOFT_TASK_CALL, HS_SOFT_TASK_EVENT, HS_SOFT_TASK_RETURN };

struct hs_soft_task_switch {
	enum hs_soft_task_cause cause;
	uint16_t selector; /* of the new TSS; ignored for a return, which follows the back link */
	uint64_t rip;      /* what the old task goes on with */
	uint64_t rflags;   /* what it has saved */
	bool has_error_code;
	uint32_t error_code;
};

/**
 * Switch tasks outside long mode (SDM vol. 3A 7.3).
 *
 * @return false for an exception. When it concerns the new task's own state (segments, stack), the CPU is in the new
 *         task already, as the SDM says: such an exception is that task's.
 */
bool hs_soft_switch_task(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request);

#endif
