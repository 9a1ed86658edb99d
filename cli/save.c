/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/save.h"

#include "base/error.h"
#include "cli/term.h"
#include "session/snapshot.h"
#include "session/snapshot_file.h"

#include <stdio.h>

enum hs_status hs_cli_save_snapshot(struct hs_vm *vm, const char *path, struct hs_error *err)
{
	static const struct hs_snapshot_spec spec = { .generation = 1 };
	struct hs_core_result result;
	struct hs_snapshot *snapshot;
	enum hs_status st = hs_snapshot_of_vm(vm, &spec, &snapshot, err);
	char size[32];

	if (st) {
		return hs_error_prefix(err, "no snapshot");
	}
	st = hs_snapshot_file_write(snapshot, path, false, &result, err);
	hs_snapshot_unref(snapshot);
	if (st) {
		return hs_error_prefix(err, "no snapshot");
	}
	hs_term_size(result.bytes, size, sizeof(size));
	fprintf(stderr, "snapshot: %s (%s)\n", result.path, size);
	return HS_OK;
}
