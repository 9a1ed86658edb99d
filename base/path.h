/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of files. */
#ifndef HS_BASE_PATH_H
#define HS_BASE_PATH_H

#include <string.h>

/** The last component of a path: within it, and empty where it ends in a slash. */
static inline const char *hs_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

#endif
