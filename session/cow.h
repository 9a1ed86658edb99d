/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes of a debugger to copy-on-write pages (docs/guest-abi.md, "Copy on write"): the page is copied first, as the
 * guest's own handler would do it, so that other mappings of the frame do not see what is written.
 */
#ifndef HS_SESSION_COW_H
#define HS_SESSION_COW_H

#include <hindsight/paging.h>
#include <hindsight/vm.h>

/**
 * Give each page of [gva, gva + length) that is copy-on-write in the space of root a frame of its own, from the guest's
 * free scratch memory. Others, and addresses that are not mapped, are left alone; so is a guest that has no handler
 * for it, whose bits mean something else.
 *
 * HS_ERR_EXHAUSTED: scratch memory has no page left. HS_ERR_BACKEND. The pages before are copied by then.
 */
HS_MUST_CHECK enum hs_status hs_cow_break(struct hs_vm *vm, const struct hs_root *root, hs_gva gva, size_t length,
					  struct hs_error *err);

#endif
