/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a debugger, as the commands that serve one say it. */
#ifndef HS_CLI_LISTEN_H
#define HS_CLI_LISTEN_H

#include <hindsight/gdb.h>

#include <stdbool.h>

/** As hs_gdb_listen(); the message for a refused address names the option that allows it. */
HS_MUST_CHECK enum hs_status hs_cli_listen(const char *address, bool allow_remote, struct hs_gdb_listener **ret,
					   struct hs_error *err);

/** The line that tells how to connect; on stderr, because stdout is the guest's. */
void hs_cli_say_waiting(const char *address);

#endif
