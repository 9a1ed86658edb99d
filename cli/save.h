/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A snapshot to a file, and a line that says so. */
#ifndef HS_CLI_SAVE_H
#define HS_CLI_SAVE_H

#include <hindsight/snapshot.h>

/** Write it to path, which must not exist. Fails as hs_snapshot_save(); the message begins with "no snapshot". */
HS_MUST_CHECK enum hs_status hs_cli_save_snapshot(const struct hs_snapshot *snapshot, const char *path,
						  struct hs_error *err);

#endif
