/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface between hindsight and a guest: ports, the boot information, the ELF note, the trap frame. Host and
 * guest both include this file, and assembly may: only #defines outside the __ASSEMBLER__ guard. docs/guest-abi.md
 * explains it.
 *
 * All fields are little-endian u64 (and labels bytes), so that amd64 and i686 share one layout.
 */
#ifndef HINDSIGHT_ABI_H
#define HINDSIGHT_ABI_H

/* Ports: a 32-bit out, the value in eax, unless said otherwise. */
#define HS_PORT_LOG 99          /* a LOG record is in the output buffer: "Records" below */
#define HS_PORT_CALL_HOST 101   /* a CALL record is in the output buffer; the answer comes in the input buffer */
#define HS_PORT_ABORT 102       /* u32: low byte = count (0..3) of message bytes that follow it; 0xFF as a byte ends */
#define HS_PORT_DEBUG_PRINT 103 /* low byte: one character; or a string by HS_PORT_PRINT */
#define HS_PORT_TRACE 104       /* reserved for trace events */
#define HS_PORT_TIMER 107       /* reserved */
#define HS_PORT_HALT 108        /* the guest is done: status 0 */
#define HS_PORT_EXIT 109        /* exit with status eax & 0xff */
#define HS_PORT_READY 110       /* ready for calls, or done with one: then the answer is in the output buffer */
#define HS_PORT_EXCEPTION 111   /* unhandled exception: stack and registers as "Exceptions" below says */
#define HS_PORT_ROOTS 112       /* (r/e)si = gva of struct hs_abi_roots, what page-table roots there are; 0: none */
#define HS_PORT_PRINT 113       /* (r/e)si = gva, (r/e)cx = length in bytes: console output; up to 64 KiB a call */

/* Ports of other systems, for guests that were written for them. */
#define HS_PORT_DEBUGCON 0xE9   /* Bochs/QEMU debug console: 8-bit out, a character; in gives 0xE9 */
#define HS_PORT_DEBUG_EXIT 0xF4 /* QEMU isa-debug-exit: status = value << 1 | 1 */
#define HS_PORT_UART 0x3F8      /* transmit-only 16550, eight ports */

/* The ELF note: name "Hindsight", type 1, descriptor two u32: version, feature bits. */
#define HS_NOTE_NAME "Hindsight"
#define HS_NOTE_TYPE 1
#define HS_NOTE_VERSION 1
#define HS_FEATURE_COW 1   /* has a copy-on-write handler */
#define HS_FEATURE_CALLS 2 /* has callable functions */
#define HS_FEATURE_ROOTS 4 /* finds its own roots */

/* Layout (docs/guest-abi.md). */
#define HS_SNAPSHOT_BASE_GPA 0x1000
#define HS_AMD64_SCRATCH_TOP_GPA 0xFFFFFFFFF /* last byte */
#define HS_AMD64_SCRATCH_TOP_GVA 0xFFFFFFFFFFFFEFFF
#define HS_I686_SCRATCH_TOP_GPA 0xFEDFFFFF
#define HS_I686_SCRATCH_TOP_GVA 0xFFFFEFFF
/* Bookkeeping words: offsets down from the first byte after the scratch region. */
#define HS_SCRATCH_SIZE_OFFSET 0x08
#define HS_SCRATCH_NEXT_FREE_OFFSET 0x10
#define HS_SCRATCH_TABLES_OFFSET 0x18
#define HS_SCRATCH_GENERATION_OFFSET 0x20
#define HS_SCRATCH_EXCEPTION_STACK_OFFSET 0x30
#define HS_SCRATCH_COUNTER_OFFSET 0x1008

/*
 * Copy-on-write, in the entry of a small page: read-only, and these of the bits that are software's. The page is the
 * guest's to write to, in a copy that its handler makes. A page whose entry has others of software's bits set is never
 * made copy-on-write: HS_ENTRY_KEPT for those that the CPU itself writes to.
 */
#define HS_ENTRY_COW_MASK 0xE02
#define HS_ENTRY_COW 0x200
#define HS_ENTRY_KEPT 0x800

/* Address spaces: most entries of the list that a guest registers. */
#define HS_ROOTS_MAX 4096

#define HS_BOOT_MAGIC 0x54484753444E4948 /* the bytes "HINDSGHT" */
#define HS_BOOT_VERSION 1

/* Mappings: the most that a guest has, the bytes of a label with its NUL, flags. */
#define HS_MAPPINGS_MAX 32
#define HS_MAPPING_LABEL_BYTES 64
#define HS_MAPPING_WRITABLE 1

/*
 * Records (docs/guest-abi.md, "Calls"): what host and guest write for each other at the beginning of the input buffer
 * (host to guest) and of the output buffer (guest to host). Whoever reads one clears its kind.
 */
#define HS_RECORD_CALL 1   /* name, 0 to 16 values */
#define HS_RECORD_RESULT 2 /* one value, of type void if there is no result */
#define HS_RECORD_ERROR 3  /* code is one of HS_CALL_*; one string, the message */
#define HS_RECORD_LOG 4    /* code is one of HS_LOG_*; one string, the text */

/* Why a call has no result. */
#define HS_CALL_FAILED 1      /* the function says so */
#define HS_CALL_NO_FUNCTION 2 /* there is none of that name */
#define HS_CALL_SIGNATURE 3   /* it does not take these arguments, or made another result than it should */
#define HS_CALL_TOO_LARGE 4   /* arguments or result do not fit where they have to go */
#define HS_CALL_FORMAT 5      /* the record of the call is broken */

/* Levels of what is logged. A guest leaves out what is above the log level of its boot information; 0 there means
 * HS_LOG_INFO. */
#define HS_LOG_ERROR 1
#define HS_LOG_WARNING 2
#define HS_LOG_INFO 3
#define HS_LOG_DEBUG 4
#define HS_LOG_TRACE 5

#ifndef __ASSEMBLER__
#include <stdint.h>

/*
 * What the guest's entry receives a pointer to. Addresses are guest-virtual unless the name says gpa. Sizes in bytes.
 */
struct hs_abi_boot {
	uint64_t magic;
	uint64_t version;
	uint64_t bytes; /* of this structure */
	uint64_t page_size;
	uint64_t seed;
	uint64_t log_level;
	uint64_t image_start, image_length; /* lowest address and span of the segments */
	uint64_t heap_start, heap_length;
	uint64_t stack_start, stack_length; /* stack_start is the lowest address; the page below is not mapped */
	uint64_t input_start, input_length;
	uint64_t output_start, output_length;
	uint64_t scratch_start, scratch_length;
	uint64_t scratch_gpa;
	uint64_t tables_gpa;  /* what CR3 holds at entry */
	uint64_t args_start;  /* NUL-terminated strings, one after the other */
	uint64_t args_length; /* bytes of all of them */
	uint64_t args_count;
	uint64_t mappings_start; /* struct hs_abi_mapping, one behind the other; 0 when there is none */
	uint64_t mappings_count;
};

/* Memory of the host's choice: a file or a part of the host's own memory. */
struct hs_abi_mapping {
	uint64_t start, length; /* bytes; zeros follow up to the end of the last page */
	uint64_t gpa;
	uint64_t flags;                     /* HS_MAPPING_WRITABLE */
	char label[HS_MAPPING_LABEL_BYTES]; /* with at least one NUL */
};

/*
 * A record. Behind it come the bytes of the name, then the values; each of them is filled up with zeros to a multiple
 * of 8 bytes.
 */
struct hs_abi_record {
	uint64_t kind;  /* HS_RECORD_*; 0: there is none */
	uint64_t bytes; /* of the whole record, this structure and all zeros included */
	uint64_t code;  /* of ERROR and LOG; else 0 */
	uint64_t name_length;
	uint64_t value_count;
};

/*
 * A value of a record. Behind it come its bytes: 4 of int, uint, float; 8 of long, ulong, double; 1 of bool, 0 or 1;
 * none of void; any number of bytes; of a string its bytes and one NUL, which length counts.
 */
struct hs_abi_value {
	uint32_t type; /* a letter: enum hs_type of <hindsight/call.h> */
	uint32_t length;
};

/*
 * The address spaces of a guest, beside the one that its CPU is on (which may be among them). The host reads it when a
 * snapshot is taken, so the guest changes list and count as it likes. A snapshot moves page tables: after a restore the
 * list holds their new addresses. Neither this nor the list may be in scratch memory.
 */
struct hs_abi_roots {
	uint64_t bytes; /* of this structure */
	uint64_t list;  /* gva of u64s: what CR3 holds in the space, without flags; 0 for none */
	uint64_t count; /* of the list's entries: HS_ROOTS_MAX at most */
};

/*
 * Exceptions. On the stack at HS_PORT_EXCEPTION, in words of the guest's size (amd64 u64, i686 u32); all other
 * registers are those of the interrupted code. error_code is 0 where the CPU pushed none.
 *
 * i686, two rules more:
 * - sp and ss are there only when the interrupted code ran at another privilege level ((cs & 3) is not the current
 *   one); otherwise the interrupted esp is the address of the word behind flags.
 * - When vector is 8 and EFLAGS.NT is set, the double fault came through a task gate (an interrupt gate clears NT; the
 *   SDK and the provided IDT use a task gate there, as a stack overflow leaves no stack). Then only vector and
 *   error_code are on the stack, and the whole interrupted state, general and segment registers, eip and eflags, is in
 *   the TSS that the back link (word 0) of the current TSS names by its GDT selector. CR3 is not saved by a task
 *   switch: a guest with such a gate keeps the CR3 field of both TSSs at what CR3 is. Every task switch sets CR0.TS.
 */
struct hs_abi_exception64 {
	uint64_t vector, error_code, ip, cs, flags, sp, ss;
};
struct hs_abi_exception32 {
	uint32_t vector, error_code, ip, cs, flags, sp, ss;
};
#endif
#endif
