/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a snapshot is, as one number: docs/snapshot.md says what goes into it, and what does not. */
#ifndef HS_SNAPSHOT_HASH_H
#define HS_SNAPSHOT_HASH_H

#include <hindsight/snapshot.h>

/** Compute it. Reads all of the memory that is no hole of its file. */
void hs_snapshot_digest(const struct hs_snapshot_info *info, const struct hs_cpu_state *cpu,
			uint8_t ret[HS_SNAPSHOT_HASH_BYTES]);

#endif
