/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool hs_term_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fd) && !(no_color && no_color[0] != '\0');
}

void hs_term_size(uint64_t bytes, char *ret, size_t size)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(ret, size, "%u bytes", (unsigned int)bytes);
		return;
	}
	/* 1023.95 is where one decimal would round up to 1024.0. */
	for (; value >= 1023.95 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++) {
		value /= 1024;
	}
	snprintf(ret, size, "%.1f %s", value, units[unit]);
}
