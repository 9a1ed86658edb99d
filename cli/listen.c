/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/listen.h"

#include "base/error.h"
#include "cli/cli.h"

#include <string.h>

enum hs_status hs_cli_listen(const char *address, bool allow_remote, struct hs_gdb_listener **ret, struct hs_error *err)
{
	enum hs_status st = hs_gdb_listen(address, allow_remote, ret, err);

	if (st == HS_ERR_PERMISSION && err->os_errno == 0 && !allow_remote) {
		return hs_error_set(err, st, 0, 0,
				    "%s: reachable from other hosts, and whoever connects controls the guest "
				    "(--gdb-allow-remote allows it)",
				    address);
	}
	return st;
}

void hs_cli_say_waiting(const char *address)
{
	static const char loopback[] = "127.0.0.1:";
	const char *target = address;

	if (strcmp(address, "stdio") == 0) {
		return;
	}
	if (strncmp(address, "unix:", 5) == 0) {
		target = address + 5;
	} else if (strncmp(address, loopback, strlen(loopback)) == 0) {
		target = address + strlen(loopback) - 1;
	} else if (strncmp(address, "127.", 4) != 0 && strncmp(address, "[::1]", 5) != 0) {
		hs_cli_say("warning: whoever reaches %s controls the guest", address);
	}
	hs_cli_say("waiting for a debugger on %s (gdb -ex 'target remote %s')", address, target);
}
