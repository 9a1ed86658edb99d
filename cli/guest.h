/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One guest from where it stands to its end, on the terminal or under a debugger: what run and restore do. The exit
 * status is the guest's own, or says how it ended (cli.h).
 */
#ifndef HS_CLI_GUEST_H
#define HS_CLI_GUEST_H

#include "cli/opts.h"

#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

/** What both commands take. */
struct hs_guest_options {
	const char *gdb;
	const char *gdb_on_crash;
	bool gdb_allow_remote;
	const char *core; /**< a directory, or "none" */
	uint64_t timeout_ns;
	int backend; /**< enum hs_backend_choice */
};

/** The words of --backend, in the order of enum hs_backend_choice. */
extern const char *const hs_guest_backends[];

/** The rows of these options; type is the command's struct, which has them as its member guest. */
#define HS_GUEST_ROWS(type)                                                                                            \
	{ "gdb",                                                                                                       \
	  HS_OPT_ADDRESS,                                                                                              \
	  offsetof(type, guest.gdb),                                                                                   \
	  "ADDR",                                                                                                      \
	  "wait for a debugger at ADDR before the first instruction",                                                  \
	  NULL },                                                                                                      \
		{ "gdb-on-crash",                                                                                      \
		  HS_OPT_ADDRESS,                                                                                      \
		  offsetof(type, guest.gdb_on_crash),                                                                  \
		  "ADDR",                                                                                              \
		  "wait for a debugger at ADDR when the guest crashes",                                                \
		  NULL },                                                                                              \
		{ "gdb-allow-remote",                                                                                  \
		  HS_OPT_FLAG,                                                                                         \
		  offsetof(type, guest.gdb_allow_remote),                                                              \
		  NULL,                                                                                                \
		  "let ADDR be reachable from other hosts",                                                            \
		  NULL },                                                                                              \
		{ "core",                                                                                              \
		  HS_OPT_STRING,                                                                                       \
		  offsetof(type, guest.core),                                                                          \
		  "DIR|none",                                                                                          \
		  "where cores go [$HINDSIGHT_CORE_DIR, else .]",                                                      \
		  NULL },                                                                                              \
		{ "timeout",                                                                                           \
		  HS_OPT_SECONDS,                                                                                      \
		  offsetof(type, guest.timeout_ns),                                                                    \
		  "S",                                                                                                 \
		  "end the guest after S seconds of running",                                                          \
		  NULL },                                                                                              \
	{                                                                                                              \
		"backend", HS_OPT_CHOICE, offsetof(type, guest.backend), "NAME", "CPU: auto, kvm or soft [auto]",      \
			hs_guest_backends                                                                              \
	}

/** What to run, and how. All pointers are borrowed. */
struct hs_guest_spec {
	const struct hs_guest_options *options;
	struct hs_vm_config vm;       /**< what the options do not say */
	const char *image;            /**< path of the image; NULL for a snapshot */
	struct hs_snapshot *snapshot; /**< to go on from; NULL for an image */
	const struct hs_event *at;    /**< the crash that it stands at: a debugger sees it first; or NULL */
	const char *save;             /**< where a snapshot goes when the guest is ready; NULL for none */
};

/** What core is without --core: borrowed from the environment. */
const char *hs_guest_core_directory(void);
/** Check what of the options does not go together; HS_ERR_INVALID says what. */
HS_MUST_CHECK enum hs_status hs_guest_check(const struct hs_guest_options *options, struct hs_error *err);
/** Run it. The exit status. */
int hs_guest_run(const struct hs_guest_spec *spec);

#endif
