/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Crashes as the session sees them: their names, and the one that only a session can make, the hang. */
#ifndef HS_SESSION_CRASH_H
#define HS_SESSION_CRASH_H

#include <hindsight/coredump.h>
#include <hindsight/vm.h>

#include <stdint.h>

/** One word for programs: "exception", "triple-fault", "abort", ...; static. */
const char *hs_crash_reason_name(enum hs_crash_reason reason);

/** What a core says of a crash. The input borrows from it. */
void hs_crash_describe(const struct hs_crash *crash, struct hs_core_input *input);

/** The crash of a stopped VM that has run for limit_ns without coming to an end: SIGXCPU, as a process that has used up
 *  its limit gets (setrlimit(2), RLIMIT_CPU). */
void hs_crash_of_hang(struct hs_vm *vm, uint64_t limit_ns, struct hs_crash *ret);

/** The crash of a stopped VM whose guest has handed over a record that breaks the format: SIGSYS, as for a bad call of
 *  another kind. what: a sentence. */
void hs_crash_of_call(struct hs_vm *vm, const char *what, struct hs_crash *ret);

#endif
