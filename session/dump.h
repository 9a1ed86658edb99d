/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A core of a guest: gathers what the VM knows into the plain data that debug/coredump/ writes. All memory is
 * in it as it is, so that the guest can go on from there (snapshot_file.h).
 */
#ifndef HS_SESSION_DUMP_H
#define HS_SESSION_DUMP_H

#include "base/buf.h"
#include "session/roots.h"

#include <hindsight/coredump.h>
#include <hindsight/error.h>
#include <hindsight/sandbox.h>
#include <hindsight/vm.h>

/** What the VM does not know of its core. All pointers are borrowed for the call. */
struct hs_dump_spec {
	const char *command_line;              /* what the guest was started with (command_line.h) */
	const struct hs_crash *crash;          /* what the core is of; NULL for a guest that was only interrupted */
	const char *path;                      /* a directory, NULL for the working directory, or a new file's name */
	const struct hs_core_options *options; /* NULL for none */
	const struct hs_roots_spec *roots; /* what names the address spaces; NULL for what the guest has registered */
	const struct hs_cpu_state *before; /* registers at the last snapshot or restore; NULL without */
	const char *log;                   /* lines of what it logged and called last; NULL for none */
};

/**
 * Fill a spec with what a sandbox knows, all but path and options.
 *
 * @param log  gets the text of spec->log; the caller's to hs_buf_deinit(). A failed one only leaves the log out
 */
void hs_dump_describe(const struct hs_sandbox *sandbox, struct hs_dump_spec *ret, struct hs_buf *log);

/**
 * The root that the CPU of a VM that does not run is on, and the address spaces that it is one of: what a core and a
 * report are of. A list of them that cannot be read any more, or that does not have the root, as after a reset, is left
 * out (count 0): a crash is no time to insist.
 *
 * @param spec  of which roots and crash count
 * @param cpu   of the VM
 * @param ret   the caller's to hs_roots_deinit()
 */
void hs_dump_roots(struct hs_vm *vm, const struct hs_dump_spec *spec, const struct hs_cpu_state *cpu,
		   struct hs_root *ret_root, struct hs_roots *ret);

/** Write a core of a VM that does not run. Fails as hs_core_write(). */
HS_MUST_CHECK enum hs_status hs_dump_write(struct hs_vm *vm, const struct hs_dump_spec *spec,
					   struct hs_core_result *ret, struct hs_error *err);
/** The same of a sandbox's guest, with what the sandbox knows of it. crash, path, options: as in the spec. */
HS_MUST_CHECK enum hs_status hs_dump_sandbox(const struct hs_sandbox *sandbox, const struct hs_crash *crash,
					     const char *path, const struct hs_core_options *options,
					     struct hs_core_result *ret, struct hs_error *err);

#endif
