/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ELF cores of guests: write one from plain data, and look into one.
 *
 * A core is ET_CORE in the guest's own ELF class, so gdb, lldb and elfutils take it for a core of the guest image. The
 * guest's virtual address space is its PT_LOADs. Each physical page is stored once, in gpa order; two virtual addresses
 * of one page are two PT_LOADs that share the file offset. Pages that are all zero are holes of the file.
 *
 * Sources: System V gABI chapters 4 and 5; Linux 6.x fs/binfmt_elf.c (notes and their order).
 */
#ifndef HINDSIGHT_COREDUMP_H
#define HINDSIGHT_COREDUMP_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A file that is mapped in the guest: its image, and what was mapped beside it (NT_FILE). */
struct hs_core_file {
	hs_gva start;         /**< page-aligned */
	uint64_t length;      /**< bytes, page-aligned */
	uint64_t file_offset; /**< bytes, page-aligned */
	const char *path;     /**< absolute */
};

/** What the auxiliary vector says of the image (NT_AUXV): debuggers find the executable by it. */
struct hs_core_auxv {
	uint64_t entry; /**< AT_ENTRY, gva */
	uint64_t phdr;  /**< AT_PHDR, gva; 0 when the headers are not in memory: then phent and phnum are left out */
	uint64_t phent; /**< AT_PHENT, bytes */
	uint64_t phnum; /**< AT_PHNUM */
	uint64_t base;  /**< AT_BASE, gva of an interpreter, 0 for a static image */
	uint64_t page_bytes; /**< AT_PAGESZ, 0 for 4096 */
};

/** Physical memory that a core is to have whole, in one piece of the file, whatever the address space has of it. */
struct hs_core_range {
	hs_gpa gpa;      /**< page-aligned */
	uint64_t length; /**< bytes, a multiple of the page size */
};

/** A note of the caller's, under the name HINDSIGHT. */
struct hs_core_extra {
	uint32_t type;
	const void *bytes; /**< its descriptor, length bytes */
	size_t length;
};

/** How the file of a core is packed. */
enum hs_core_compression {
	HS_CORE_PLAIN,
	HS_CORE_ZSTD, /**< the whole file as zstd frames (RFC 8878), under its name with .zst behind it */
};

/** Told now and then while a core is written: done of total bytes have been looked at. */
typedef void hs_core_progress_fn(void *ctx, uint64_t done, uint64_t total);

/** How a core is written, whatever is in it. All zero is fine. */
struct hs_core_options {
	/**
	 * Most bytes that it may take, holes not counted and before it is packed; 0 for no limit. What does not fit is
	 * left out in this order: what no address space maps (it cannot be gone on from then), all other address spaces
	 * (their roots stay), and all but 64 KiB around the fault, each CPU's instruction and its stack pointer.
	 */
	uint64_t limit_bytes;
	enum hs_core_compression compression;
	hs_core_progress_fn *progress; /**< NULL for none */
	void *progress_ctx;            /**< borrowed */
};

/** Most CPUs a core can have. */
#define HS_CORE_CPUS_MAX 256u
/** Most address spaces a core can have. */
#define HS_CORE_SPACES_MAX 4097u

/** All that a core is made of. Every pointer is borrowed for the call. Strings may be NULL, which means empty. */
struct hs_core_input {
	enum hs_arch arch;
	const struct hs_cpu_state *cpus; /**< the CPU the signal is about comes first */
	size_t cpu_count;                /**< 1..HS_CORE_CPUS_MAX */
	uint32_t xsave_bytes;            /**< size of the XSAVE area for the CPUs' XCR0 where the state was taken
					  *   (CPUID.(0DH,0).EBX); 0 for Intel's layout */
	struct hs_phys phys;
	struct hs_root root;          /**< the address space that becomes the PT_LOADs */
	const struct hs_root *spaces; /**< all address spaces of the guest, whose memory is in the core as well; NULL
				       *   for only the one */
	size_t space_count;           /**< up to HS_CORE_SPACES_MAX */
	size_t space_index;           /**< which of them root is; what debuggers show as the thread's id, less 1 */
	struct hs_budget budget;  /**< of the walk; all zero for hs_budget_default(). The other spaces together have as
				   *   much again */
	int signal;               /**< Linux number; 0 for a core of a guest that did not crash */
	int code;                 /**< si_code */
	uint64_t fault_address;   /**< si_addr */
	const char *name;         /**< the guest's, without directories */
	const char *command_line; /**< the image and its arguments, separated by spaces */
	int pid;                  /**< of the process that runs the guest, for the file name; 0 for the caller's own */
	struct hs_core_auxv auxv;
	const struct hs_core_file *files;
	size_t file_count;
	const char *reason_name; /**< one word for programs: "exception", "abort" */
	const char *reason;      /**< one sentence for people */
	const struct hs_core_range *ranges;
	size_t range_count;
	const struct hs_core_extra *notes;
	size_t note_count;
	bool replace; /**< a regular file that has the name already gives way to the core, once that is whole */
	struct hs_core_options options;
};

/** What hs_core_write() made. */
struct hs_core_result {
	char path[4096];       /**< where the core is, NUL-terminated */
	uint64_t bytes;        /**< size of the file */
	uint64_t stored_bytes; /**< of these, written: the rest are holes */
	uint64_t packed_bytes; /**< size of the file where it is compressed, else 0 */
	uint64_t segments;     /**< PT_LOADs */
	bool reduced;          /**< the limit left no room for what no address space maps, or for more than that */
	bool partial;          /**< an address space was not walked to its end, memory could not be read, or the limit
				*   left no room for it */
};

/**
 * Write a core.
 *
 * The file appears under its name complete and synced to disk, or not at all: it is written under a temporary name in
 * the same directory first. A file or symbolic link that has the name already is left alone, unless input->replace is
 * set and it is a regular file: readers of that one keep it as it was. Its mode is 0600. The memory
 * needed grows with the number of segments, not with the guest's size. SIGXFSZ is held back for the calling thread.
 *
 * @param path  a directory (NULL for the working directory), which gets a file named as hs_core_default_path() says,
 *              with the first sequence number that is free; or the name of a file that does not exist
 * @param ret   untouched on failure
 *
 * HS_ERR_BUSY: the name exists. HS_ERR_NOT_FOUND, HS_ERR_PERMISSION, HS_ERR_IO: the directory or the writing (a full
 * disk); the temporary file has been removed. HS_ERR_NOMEM: no memory for the plan. HS_ERR_INVALID: the input is
 * contradictory. HS_ERR_RANGE: too much for the file's ELF class (input->ranges above all) or for the
 * limit, or the name is too long.
 * A page-table walk that runs out of its budget is not a failure: the core has what was found, and says so (partial).
 */
HS_MUST_CHECK enum hs_status hs_core_write(const struct hs_core_input *input, const char *path,
					   struct hs_core_result *ret, struct hs_error *err);

/**
 * The default name of a core: DIRECTORY/GUEST.PID.SEQUENCE.core. Characters of the guest's name that do not belong
 * into a file name become '_', and it is cut to 100 bytes.
 *
 * @param ret  caller's storage of size bytes; HS_ERR_RANGE when the name does not fit, and ret is untouched
 */
HS_MUST_CHECK enum hs_status hs_core_default_path(const char *directory, const char *guest, int pid,
						  unsigned int sequence, char *ret, size_t size, struct hs_error *err);

/** A core that is open for reading. It need not be one of ours: any ET_CORE of the two machines will do. */
struct hs_core;

/** A PT_LOAD. */
struct hs_core_segment {
	hs_gva start;
	uint64_t length;        /**< bytes in memory */
	hs_gpa gpa;             /**< p_paddr */
	uint64_t offset;        /**< in the file */
	uint64_t stored_length; /**< bytes in the file, holes included */
	int prot;               /**< bits of enum hs_prot */
};

/** A note, as it stands in the file. */
struct hs_core_note {
	char name[16]; /**< cut to 15 bytes, bytes that do not print are '?' */
	uint32_t type;
	uint32_t length;   /**< bytes of the descriptor */
	uint64_t offset;   /**< of the descriptor, in the file */
	const char *title; /**< "NT_PRSTATUS"; NULL for a type that is not known. Static */
};

/** Physical memory that the core has in one piece: what input->ranges asked for, and what it lies next to. */
struct hs_core_stored {
	hs_gpa gpa;
	uint64_t length; /**< bytes */
	uint64_t offset; /**< in the file; all of it is within the file, unless that was cut off */
	uint32_t sum;    /**< see hs_core_verify() */
};

/** One of the address spaces that a core knows of. */
struct hs_core_space {
	struct hs_root root;
	bool partial;                           /**< not all of it is in the core */
	uint64_t reached;                       /**< gva at which its walk stopped, when that is why */
	const struct hs_core_segment *segments; /**< what it maps, ascending; borrowed from the core */
	size_t segment_count;
};

/** Whether the notes are what was written. */
enum hs_core_sum {
	HS_CORE_SUM_NONE, /**< no checksum: not a core of ours, or an old one */
	HS_CORE_SUM_GOOD,
	HS_CORE_SUM_BAD,
};

/** What a core says of itself. Strings are never NULL, borrowed from the core, and may hold any byte but NUL. */
struct hs_core_info {
	enum hs_arch arch;
	int signal;
	int code;
	uint64_t fault_address;
	bool has_siginfo; /**< code and fault_address are known */
	const char *name;
	const char *command_line;
	const char *producer; /**< the program that wrote it, empty when it was not hindsight */
	const char *reason_name;
	const char *reason;
	bool partial;            /**< the writer says that parts of the address space are missing */
	uint64_t reached;        /**< gva at which a partial walk stopped */
	uint64_t bad_tables;     /**< page tables that could not be read or had reserved bits set */
	uint64_t unbacked_bytes; /**< bytes mapped to where there is no physical memory */
	bool has_root;
	struct hs_root root;
	struct hs_core_auxv auxv;
	size_t cpu_count, segment_count, note_count, file_count, stored_count;
	size_t space_count; /**< 0 where the core does not tell its root */
	size_t space_index; /**< the one that the PT_LOADs are */
	enum hs_core_sum notes_sum;
	uint64_t file_bytes;    /**< size of the file */
	uint64_t disk_bytes;    /**< what it takes on disk */
	uint64_t missing_bytes; /**< how much of what the headers promise lies behind the file's end; 0 when whole */
};

/**
 * Open a core. Headers and notes are checked whole and copied; memory contents are read when asked for.
 *
 * A file that ends within its memory contents opens (missing_bytes says so); one that ends within headers or notes
 * does not.
 *
 * @param ret  owned by the caller until hs_core_close()
 *
 * HS_ERR_NOT_FOUND, HS_ERR_PERMISSION, HS_ERR_IO: the file. HS_ERR_FORMAT: not an ELF core, or a broken one;
 * err->where is the file offset. HS_ERR_UNSUPPORTED: an ELF core of another machine. HS_ERR_NOMEM.
 */
HS_MUST_CHECK enum hs_status hs_core_open(const char *path, struct hs_core **ret, struct hs_error *err);
/** Close a core. NULL is fine. */
void hs_core_close(struct hs_core *core);

/** Its facts; valid until the core is closed. */
const struct hs_core_info *hs_core_info(const struct hs_core *core);
/** Segment, note, file or stored memory number index, below the count of hs_core_info(); borrowed from the core, as are
 *  paths. */
const struct hs_core_segment *hs_core_segment(const struct hs_core *core, size_t index);
const struct hs_core_note *hs_core_note(const struct hs_core *core, size_t index);
const struct hs_core_file *hs_core_file(const struct hs_core *core, size_t index);
const struct hs_core_stored *hs_core_stored(const struct hs_core *core, size_t index);
/** Address space number index, below the count of hs_core_info(); borrowed from the core. */
const struct hs_core_space *hs_core_space(const struct hs_core *core, size_t index);
/** The descriptor of note number index; borrowed from the core. */
const uint8_t *hs_core_note_bytes(const struct hs_core *core, size_t index);
/** The file, open for reading; borrowed from the core. */
int hs_core_fd(const struct hs_core *core);
/**
 * Read all stored memory and compare it with its checksums: CRC-32C over every page that is not all zero, the page's
 * number (gpa / 4096) as eight little-endian bytes before its contents.
 *
 * HS_ERR_FORMAT: bytes were changed, or are missing; err->where is the file offset of the piece that they are in.
 * HS_ERR_IO. A core without stored memory has nothing to compare.
 */
HS_MUST_CHECK enum hs_status hs_core_verify(const struct hs_core *core, struct hs_error *err);
/** The same of one piece, number index. */
HS_MUST_CHECK enum hs_status hs_core_verify_stored(const struct hs_core *core, size_t index, struct hs_error *err);
/**
 * Write what one address space of a core maps as a core of its own: the PT_LOADs are that space, everything else is
 * said as the core says it. The CPU was in one space only; its registers are in each of these cores. Data is shared
 * with the core's file where the file system can (a reflink), and copied otherwise; holes stay holes.
 *
 * HS_ERR_NOT_FOUND: it has no such space. HS_ERR_FORMAT: it does not tell its address spaces. Others as
 * hs_core_write().
 *
 * @param space    number of the space
 * @param path     as for hs_core_write()
 * @param options  NULL for none
 */
HS_MUST_CHECK enum hs_status hs_core_extract(const struct hs_core *core, size_t space, const char *path,
					     const struct hs_core_options *options, struct hs_core_result *ret,
					     struct hs_error *err);
/** The registers of CPU number index: those that the notes hold, the others as after hs_cpu_state_init(). */
void hs_core_cpu(const struct hs_core *core, size_t index, struct hs_cpu_state *ret);
/**
 * Read up to length bytes at gva, up to the first byte that the core does not hold; *ret_length is how many.
 * HS_ERR_UNREADABLE when the first byte is not there, HS_ERR_IO.
 */
HS_MUST_CHECK enum hs_status hs_core_read(const struct hs_core *core, hs_gva gva, void *buffer, size_t length,
					  size_t *ret_length, struct hs_error *err);

#ifdef __cplusplus
}
#endif
#endif
