/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that is to be told of a guest that has stopped, above all of a crash, as plain data: what happened, why the
 * address faulted, where in the source that is, who called, what the registers were, what is mapped around.
 *
 * In: a scene, which a stopped guest and a core each give. Out: a report that owns all it points to, for whoever prints
 * it: as text, JSON or HTML. It does not print.
 */
#ifndef HS_SESSION_REPORT_H
#define HS_SESSION_REPORT_H

#include "base/buf.h"
#include "session/dump.h"

#include <hindsight/coredump.h>
#include <hindsight/cpu.h>
#include <hindsight/spaces.h>
#include <hindsight/vm.h>

/** What a report is made of; all borrowed for the call. Strings may be NULL, which means empty. */
struct hs_report_scene {
	enum hs_arch arch;
	const char *name;         /**< the guest's, without directories */
	const char *command_line; /**< the image and its arguments */
	const char *reason_name;  /**< one word, docs/crashes.md; empty for a guest that goes on */
	const char *reason;       /**< one sentence */
	int signal, code;
	bool has_fault;         /**< fault_address is one that was touched, not only where the instruction is */
	uint64_t fault_address; /**< si_addr */
	bool registers_lost;    /**< cpu is not what it was at the crash (a triple fault on AMD) */
	const struct hs_cpu_state *cpu;
	const struct hs_cpu_state *before; /**< registers at the last snapshot or restore; NULL without */
	struct hs_phys phys;
	const struct hs_root *roots; /**< the address spaces, at least one */
	size_t root_count;
	size_t root_current;         /**< index of the one that the CPU is on */
	const char *image;           /**< path of the image */
	const char *debug_directory; /**< where debug files are by build-id; NULL for where distributions put them */
	const uint8_t *build_id;     /**< that the image must have */
	size_t build_id_length;      /**< bytes; 0 where it is not known */
	const char *log;             /**< last lines that the guest logged and calls that it made, oldest first */
	const char *incomplete;      /**< what a core is lacking, or what is wrong with it */
};

/** One line of a source file. */
struct hs_report_line {
	uint32_t number;
	char *text; /**< without its newline; tabs and all */
};

/** A stretch of an address space in which permissions are the same, or, in between, in which nothing is mapped. */
struct hs_report_area {
	uint64_t start, length; /**< gva, bytes */
	int prot;               /**< bits of enum hs_prot */
	bool user, cow;
	hs_gpa gpa;      /**< of its first page */
	bool contiguous; /**< its memory goes on as its addresses do */
};

/** Most address spaces that are kept. */
#define HS_REPORT_SPACES_MAX 64u
/** Most areas that are kept of one address space. */
#define HS_REPORT_AREAS_MAX 512u

struct hs_report_space {
	struct hs_root root;
	struct hs_report_area *areas; /**< ascending */
	size_t area_count;
	uint64_t omitted; /**< areas that there was no room for */
	uint64_t bytes;   /**< mapped in all */
	bool partial;     /**< the walk ran out of its budget */
};

/** Lines of source that are kept on either side of the one that matters. */
#define HS_REPORT_CONTEXT 5u
#define HS_REPORT_LINES_MAX (2u * HS_REPORT_CONTEXT + 1u)
/** Most frames of a backtrace. */
#define HS_REPORT_FRAMES_MAX 256u
/** Instructions that are kept, that of rip first. */
#define HS_REPORT_INSNS_MAX 4u

/** One function of the backtrace, innermost first. */
struct hs_report_frame {
	uint64_t pc;     /**< the instruction, or where it is returned to */
	char *function;  /**< owned; empty when none is known */
	uint64_t offset; /**< of pc in it */
	char *file;      /**< owned; as the compiler named it, empty when no line is known */
	uint32_t line;
	bool inlined;       /**< it was inlined into the next one, and shares its registers */
	bool interrupted;   /**< it did not call: an exception came */
	const char *method; /**< how it was found, static: as hs_unwind_method_text() says */
	bool guessed;       /**< by a frame pointer or a return address, not by what the image says of its frames */
};

/** One instruction. */
struct hs_report_insn {
	uint64_t address;
	char text[96];
};

/** The report. Strings are never NULL. */
struct hs_report {
	enum hs_arch arch;
	char *name, *command_line, *reason_name, *reason, *image, *log; /**< owned */
	char *symbols_missing; /**< owned; why there are no symbols, empty when there are */
	char *incomplete;      /**< owned; what the core is lacking or what is wrong with it, empty when nothing */
	int signal, code;
	bool registers_lost;
	bool has_before;
	struct hs_cpu_state *cpu, *before; /**< owned; before only with has_before */

	bool has_fault;
	uint64_t fault_address;
	struct hs_path fault_path; /**< with has_fault: the way through the page tables to fault_address */
	char fault_why[160];       /**< with has_fault: one clause, e.g. "not mapped: PTE 0 is not present" */

	struct hs_report_insn insns[HS_REPORT_INSNS_MAX];
	size_t insn_count;

	struct hs_report_frame *frames; /**< owned */
	size_t frame_count;
	char frames_end[128]; /**< why the backtrace ends where it does */

	char *source_file; /**< owned; empty when there is no source */
	uint32_t source_line;
	struct hs_report_line lines[HS_REPORT_LINES_MAX]; /**< owned texts, ascending */
	size_t line_count;

	struct hs_report_space *spaces; /**< owned, as their areas; the first is the CPU's */
	size_t space_count;
	size_t spaces_omitted; /**< that there was no room for */
};

/**
 * Make a report. What cannot be found out is left out: no image, no symbols, no source, a stack that leads nowhere.
 * HS_ERR_NOMEM is the only failure.
 *
 * @param ret  owned by the caller until hs_report_deinit()
 */
HS_MUST_CHECK enum hs_status hs_report_init(const struct hs_report_scene *scene, struct hs_report *ret,
					    struct hs_error *err);
void hs_report_deinit(struct hs_report *report);

/**
 * The report of a core.
 *
 * @param image            the path of the image, where it is not the one that the core names; NULL for that one
 * @param debug_directory  as in the scene
 *
 * HS_ERR_UNSUPPORTED: a core that does not say where its page tables are. HS_ERR_NOMEM.
 */
HS_MUST_CHECK enum hs_status hs_report_of_core(const struct hs_core *core, const char *image,
					       const char *debug_directory, struct hs_report *ret,
					       struct hs_error *err);
/**
 * The report of a guest that has stopped. Fails as hs_vm_cpu_get().
 *
 * @param spec  as for a core; path and options are not looked at
 */
HS_MUST_CHECK enum hs_status hs_report_of_vm(struct hs_vm *vm, const struct hs_dump_spec *spec, struct hs_report *ret,
					     struct hs_error *err);

/** What text is coloured with: escape sequences of a terminal, or nothing. */
struct hs_report_colours {
	const char *dim, *plain;
};
extern const struct hs_report_colours hs_report_no_colours;

/** Append the backtrace, a line a frame; of a deep recursion either end. */
void hs_report_frames_text(const struct hs_report *report, const struct hs_report_colours *colours, struct hs_buf *out);
/** Append text from a guest or a file, made printable. */
void hs_report_put_foreign(const char *string, struct hs_buf *out);

#endif
