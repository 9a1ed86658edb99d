/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest from where it stands to its end, on the terminal or under a debugger: what run and restore do. The exit
 * status is the guest's own, or says how it ended (cli.h).
 */
#ifndef HS_CLI_GUEST_H
#define HS_CLI_GUEST_H

#include "cli/drive.h"
#include "cli/opts.h"

#include <hindsight/coredump.h>
#include <hindsight/sandbox.h>
#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

/** What both commands take. */
struct hs_guest_options {
	const char *gdb;
	const char *gdb_on_crash;
	bool gdb_allow_remote;
	const char *core;    /**< a directory, or "none" */
	uint64_t core_limit; /**< bytes, 0 for none */
	int core_compress;   /**< enum hs_core_compression */
	uint64_t timeout_ns;
	int backend; /**< enum hs_backend_choice */
	struct hs_opt_strings call;
	uint64_t cycles;
	bool json;
};

/** The words of --backend, in the order of enum hs_backend_choice. */
extern const char *const hs_guest_backends[];

/** The words of --core-compress, in the order of enum hs_core_compression. */
extern const char *const hs_guest_compressions[];

/** The rows of these options; type is the command's struct, which has them as its member guest. */
/* clang-format off */
#define HS_GUEST_ROWS(type) \
	{ "gdb", HS_OPT_ADDRESS, offsetof(type, guest.gdb), "ADDR", \
	  "wait for a debugger at ADDR before the first instruction", NULL }, \
	{ "gdb-on-crash", HS_OPT_ADDRESS, offsetof(type, guest.gdb_on_crash), "ADDR", \
	  "wait for a debugger at ADDR when the guest crashes", NULL }, \
	{ "gdb-allow-remote", HS_OPT_FLAG, offsetof(type, guest.gdb_allow_remote), NULL, \
	  "let ADDR be reachable from other hosts", NULL }, \
	{ "core", HS_OPT_STRING, offsetof(type, guest.core), "DIR|none", \
	  "where cores go [$HINDSIGHT_CORE_DIR, else .]", NULL }, \
	{ "core-limit", HS_OPT_SIZE, offsetof(type, guest.core_limit), "SIZE", \
	  "most that a core takes on disk", NULL }, \
	{ "core-compress", HS_OPT_CHOICE, offsetof(type, guest.core_compress), "KIND", \
	  "none, or zstd: a core is a file NAME.core.zst [none]", hs_guest_compressions }, \
	{ "timeout", HS_OPT_SECONDS, offsetof(type, guest.timeout_ns), "S", \
	  "end the guest after S seconds of running", NULL }, \
	{ "backend", HS_OPT_CHOICE, offsetof(type, guest.backend), "NAME", \
	  "CPU: auto, kvm or soft [auto]", hs_guest_backends }, \
	{ "call", HS_OPT_STRINGS, offsetof(type, guest.call), "NAME(VALUE,...)", \
	  "call a function of the guest; may be given again", NULL }, \
	{ "cycles", HS_OPT_NUMBER, offsetof(type, guest.cycles), "N", \
	  "put the guest back to where it was ready and call, N times [1]", NULL }, \
	{ "json", HS_OPT_FLAG, offsetof(type, guest.json), NULL, \
	  "results of calls as JSON, one object a line", NULL }
/* clang-format on */

/** What to run, and how. All pointers are borrowed. */
struct hs_guest_spec {
	const struct hs_guest_options *options;
	struct hs_vm_config vm;       /**< what the options do not say */
	const char *image;            /**< path of the image; NULL for a snapshot */
	struct hs_snapshot *snapshot; /**< to go on from; NULL for an image */
	const struct hs_event *at;    /**< the crash that it stands at: a debugger sees it first; or NULL */
	struct hs_drive_spec drive;   /**< what it does beside running to its end */
	struct hs_roots_spec roots;   /**< of snapshots */
};

/** What the help of both commands says of their values. */
#define HS_GUEST_VALUES                                                                                                \
	"ADDR is :PORT (loopback), HOST:PORT, unix:PATH or stdio. SIZE is bytes, or with K, M or G.\n"                 \
	"VALUE is 1 (int), 1u, 1L, 1UL, 1.5f, 1.5, true, \"string\" or x\"00ff\" (bytes).\n"

/** How a core is written by these options. */
struct hs_core_options hs_guest_core_options(const struct hs_guest_options *options);
/** The defaults; what core is without --core is borrowed from the environment. */
void hs_guest_options_init(struct hs_guest_options *options);
/**
 * Read the calls, and check what of the options does not go together. HS_ERR_INVALID says what.
 *
 * @param ret  zeroed before; its calls and cycles are filled. hs_call_list_free() in any case
 */
HS_MUST_CHECK enum hs_status hs_guest_check(const struct hs_guest_options *options, struct hs_drive_spec *ret,
					    struct hs_error *err);
/** Run it. The exit status. */
int hs_guest_run(const struct hs_guest_spec *spec);

#endif
