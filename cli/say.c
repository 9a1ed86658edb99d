/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The errors of the command: one line each, in one form. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void hs_cli_say(const char *format, ...)
{
	int saved = errno;
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* One call, so that lines of this and of other processes on the same terminal do not mix. */
	fprintf(stderr, "hindsight: %s\n", line);
	errno = saved;
}

int hs_cli_failed(const struct hs_error *err)
{
	hs_cli_say("%s", err->message);
	return HS_EXIT_FAILED;
}

int hs_cli_misused(const char *command, const struct hs_error *err)
{
	hs_cli_say("%s: %s (try 'hindsight %s --help')", command, err->message, command);
	return HS_EXIT_USAGE;
}
