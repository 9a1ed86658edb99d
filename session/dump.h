/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A core of a guest: gathers what the VM knows into the plain data that debug/coredump/ writes. All memory is
 * in it as it is, so that the guest can go on from there (snapshot_file.h).
 */
#ifndef HS_SESSION_DUMP_H
#define HS_SESSION_DUMP_H

#include <hindsight/coredump.h>
#include <hindsight/error.h>
#include <hindsight/vm.h>

/**
 * Write a core of a VM that does not run. Fails as hs_core_write().
 *
 * @param command_line  what the guest was started with (command_line.h)
 * @param crash         what the core is of; NULL for a guest that was only interrupted
 * @param path          as hs_core_write(): a directory, NULL for the working directory, or the name of a new file
 * @param options       NULL for none
 */
HS_MUST_CHECK enum hs_status hs_dump_write(struct hs_vm *vm, const char *command_line, const struct hs_crash *crash,
					   const char *path, const struct hs_core_options *options,
					   struct hs_core_result *ret, struct hs_error *err);

#endif
