/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots as files: cores that have the note of snapshot_note.h and all memory whole. A core of a crash is one too:
 * its memory is not made dense, and the guest stands at the crash.
 */
#ifndef HS_SESSION_SNAPSHOT_FILE_H
#define HS_SESSION_SNAPSHOT_FILE_H

#include "base/buf.h"
#include "session/snapshot_note.h"

#include <hindsight/coredump.h>
#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

#include <stdbool.h>

/** hs_snapshot_save(), which also says what it made. */
HS_MUST_CHECK enum hs_status hs_snapshot_file_write(const struct hs_snapshot *snapshot, const char *path, bool replace,
						    struct hs_core_result *ret, struct hs_error *err);

/**
 * The note of a core whose notes are what was written, by their checksum. HS_ERR_FORMAT: it has none, or is damaged.
 *
 * @param path  for messages
 * @param ret   owned by the caller until hs_snapshot_note_free()
 */
HS_MUST_CHECK enum hs_status hs_snapshot_file_note(const struct hs_core *core, const char *path,
						   struct hs_snapshot_note **ret, struct hs_error *err);

/** What makes a core of a VM one that can be gone on from. Caller's storage. */
struct hs_snapshot_image {
	struct hs_core_range ranges[HS_MEMORY_PARTS_MAX];
	struct hs_core_extra note;
	struct hs_buf buf;
};

/**
 * Add to the input of a core all memory of the VM as it is, and the note. The input borrows from *image, which is to be
 * given to hs_snapshot_image_deinit(). When there is no room for it, the input stays as it was.
 *
 * @param crash  NULL for a guest that goes on
 */
void hs_snapshot_image_init(struct hs_vm *vm, const struct hs_crash *crash, struct hs_core_input *input,
			    struct hs_snapshot_image *image);
void hs_snapshot_image_deinit(struct hs_snapshot_image *image);

#endif
