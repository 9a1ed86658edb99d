/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command says of a crash: the line that names it, the signal, the core. All of it goes to stderr. */
#ifndef HS_CLI_REPORT_H
#define HS_CLI_REPORT_H

#include "session/session.h"

#include <hindsight/coredump.h>
#include <hindsight/vm.h>

/**
 * Print what happened and where, e.g.
 *
 *   hindsight: a.elf: page fault (#PF): write to 0x8, not mapped, at 0x401136 f+0x1c (a.c:12): mov dword ptr [rax], 1
 *   signal: SIGSEGV (11)
 *
 * and behind that, between blank lines, the report: source, backtrace, registers, memory.
 *
 * @param session  stopped at the crash
 */
void hs_report_crash(struct hs_session *session, const struct hs_crash *crash);

/**
 * Write a core and print "core: PATH (SIZE)", or one line that says why there is none.
 *
 * @param crash         NULL for a guest that goes on
 * @param directory     where it goes, under its default name
 * @param how           its progress is shown on the terminal, whatever this says
 */
void hs_report_core(struct hs_session *session, const struct hs_crash *crash, const char *directory,
		    const struct hs_core_options *how);

#endif
