/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is wrong with the file of a core or a snapshot, in one sentence each, which is the same whoever comes upon it:
 * "FILE: broken core: what (at file offset 0x1234)", or "FILE: not a core...: why". Some of it keeps a core from being
 * opened; with the rest it opens, and hs_core_fault() tells.
 */
#ifndef HS_COREDUMP_FAULT_H
#define HS_COREDUMP_FAULT_H

#include <hindsight/coredump.h>

#include <stdbool.h>

/** How many faults a core that is open can have at the most. */
#define HS_CORE_FAULTS_MAX 3u

/** Fill err: "FILE: broken core: ..." with the file offset; returns HS_ERR_FORMAT. */
__attribute__((format(printf, 4, 5))) enum hs_status hs_core_broken(const struct hs_core *core, struct hs_error *err,
								    uint64_t offset, const char *format, ...);

/** What a decoder that does not know the file has said of the note at offset, its status st: put the file before it and
 *  the offset behind it. */
void hs_core_broken_note(const struct hs_core *core, uint64_t offset, enum hs_status st, struct hs_error *err);

/** Fill err: nothing tells what address spaces it has, as hindsight's own do. Returns HS_ERR_FORMAT. */
enum hs_status hs_core_foreign(const struct hs_core *core, struct hs_error *err);

#ifdef __clang_analyzer__ /* they never return HS_OK: see base/error.h */
#define hs_core_broken(core, err, ...) (hs_core_broken((core), (err), __VA_ARGS__), HS_ERR_FORMAT)
#define hs_core_foreign(core, err) (hs_core_foreign((core), (err)), HS_ERR_FORMAT)
#endif

/** HS_ERR_FORMAT: there are no registers of any CPU. */
HS_MUST_CHECK enum hs_status hs_core_check_registers(const struct hs_core *core, struct hs_error *err);

/**
 * Fault number index of a core that is open, HS_ERR_FORMAT; HS_OK: it has no such. The first is the one that says most:
 * of the notes, which tell where everything is, then what is missing at the end of the file. Memory is not read:
 * hs_core_verify().
 */
HS_MUST_CHECK enum hs_status hs_core_fault(const struct hs_core *core, size_t index, struct hs_error *err);

#endif
