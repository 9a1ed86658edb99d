/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A core or a snapshot as a debugger sees it: struct hs_target_ops over a file. It stands where it was written, for as
 * long as anybody looks: everything can be read, nothing runs, and nothing can be changed. No CPU is needed, and no
 * architecture of the host's own.
 */
#ifndef HS_SESSION_TARGET_STORED_H
#define HS_SESSION_TARGET_STORED_H

#include <hindsight/coredump.h>
#include <hindsight/error.h>
#include <hindsight/target.h>

struct hs_stored;

/**
 * Make a target of a core, ours or any other of the two machines.
 *
 * @param core   borrowed until hs_stored_destroy()
 * @param path   of the core, for messages; copied
 * @param image  path of the image where it is not the one that the core names; NULL for that one
 * @param ret    owned by the caller until hs_stored_destroy()
 *
 * HS_ERR_FORMAT: there are no registers in it. HS_ERR_NOT_FOUND and the like: `image` cannot be opened;
 * HS_ERR_INVALID: it is another build. An image that only the core names need not be there. HS_ERR_NOMEM.
 */
HS_MUST_CHECK enum hs_status hs_stored_create(const struct hs_core *core, const char *path, const char *image,
					      struct hs_stored **ret, struct hs_error *err);
/** Free it. NULL is fine. */
void hs_stored_destroy(struct hs_stored *stored);

/** The target, for a stub; borrows from stored. */
struct hs_target hs_stored_target(struct hs_stored *stored);

#endif
