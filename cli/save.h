/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots that the command takes. */
#ifndef HS_CLI_SAVE_H
#define HS_CLI_SAVE_H

#include <hindsight/error.h>
#include <hindsight/vm.h>

/** Take a snapshot of a VM that does not run, write it to a file and print "snapshot: PATH (SIZE)" on stderr. */
HS_MUST_CHECK enum hs_status hs_cli_save_snapshot(struct hs_vm *vm, const char *path, struct hs_error *err);

#endif
