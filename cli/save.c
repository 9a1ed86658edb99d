/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/save.h"

#include "base/error.h"
#include "cli/term.h"
#include "session/snapshot_file.h"

#include <stdio.h>

enum hs_status hs_cli_save_snapshot(const struct hs_snapshot *snapshot, const char *path, struct hs_error *err)
{
	struct hs_core_result result;
	enum hs_status st = hs_snapshot_file_write(snapshot, path, false, &result, err);
	char size[32];

	if (st) {
		return hs_error_prefix(err, "no snapshot");
	}
	hs_term_size(result.bytes, size, sizeof(size));
	fprintf(stderr, "snapshot: %s (%s)\n", result.path, size);
	return HS_OK;
}
