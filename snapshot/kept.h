/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages of a guest the CPU writes to by itself: the tables that it marks, and the stacks that it delivers
 * exceptions on. They cannot be copy-on-write, because the page fault that would copy them could not be delivered.
 */
#ifndef HS_SNAPSHOT_KEPT_H
#define HS_SNAPSHOT_KEPT_H

#include "snapshot/snapshot.h"

/** Most ranges that hs_kept_find() gives. */
#define HS_KEPT_MAX 256

/**
 * Find them for a guest that is on this root: GDT, LDT, TSSs, and some pages of the current stack and of each that
 * those name. In long mode an exception that comes on the interrupted stack may fault on its way there, and comes again
 * when the page fault has been handled; but not where KVM has a part in it: kvm_pvm makes it a double fault, and under
 * QEMU 7.2's own SVM it is lost. A guest knows more of its stacks, and marks their pages itself (abi.h, HS_ENTRY_KEPT).
 *
 * @param ret  HS_KEPT_MAX ranges
 * @return how many; of a guest with more TSSs than fit, those of the first ones
 */
size_t hs_kept_find(const struct hs_snapshot_input *input, const struct hs_root *root, struct hs_plan_kept *ret);

/** The 32-bit TSS of the descriptor at an offset in the GDT, available or busy; false when it is none. */
bool hs_kept_tss32(const struct hs_snapshot_input *input, const struct hs_root *root, uint32_t offset,
		   uint32_t *ret_base);

#endif
