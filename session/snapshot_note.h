/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The note that makes a core a snapshot: all that hindsight needs to go on from it and that the core's other notes do
 * not have. docs/cores.md has its layout. In and out: plain data, and bytes that are little-endian on every host.
 */
#ifndef HS_SESSION_SNAPSHOT_NOTE_H
#define HS_SESSION_SNAPSHOT_NOTE_H

#include "base/buf.h"

#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

#include <stdbool.h>

#define HS_SNAPSHOT_NOTE_VERSION 2
/** Most host functions, so that a file cannot ask for all memory. */
#define HS_SNAPSHOT_FUNCTIONS_MAX 4096u

/** What is in it. Registers are aligned to 64 bytes, so an allocated one is, too. */
struct hs_snapshot_note {
	struct hs_cpu_state cpu;
	struct hs_snapshot_info info; /* but memory.fd, memory.bytes and the parts' offsets */
};

/** Append the descriptor. Failing to grow is the buffer's sticky state. */
void hs_snapshot_note_put(struct hs_buf *buf, const struct hs_snapshot_info *info, const struct hs_cpu_state *cpu);

/**
 * Read a descriptor. The values are of the right kind and within bounds, but nothing says that they fit together.
 *
 * HS_ERR_FORMAT: a broken one. HS_ERR_UNSUPPORTED: another version. HS_ERR_NOMEM. err->where is the file offset.
 *
 * @param offset  of the descriptor in the file, for messages
 * @param ret     owned by the caller until hs_snapshot_note_free(): info.roots and info.functions are allocated
 */
HS_MUST_CHECK enum hs_status hs_snapshot_note_get(const uint8_t *desc, size_t length, uint64_t offset,
						  struct hs_snapshot_note **ret, struct hs_error *err);
/** NULL is fine. */
void hs_snapshot_note_free(struct hs_snapshot_note *note);

#endif
