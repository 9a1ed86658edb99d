/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a core goes: its name, and the file that appears under that name whole or not at all.
 *
 * In: a path. Out: a descriptor of a temporary file in the directory that was named; then, once it is written, its
 * final name. It knows nothing of what is in the file.
 */
#ifndef HS_COREDUMP_PLACE_H
#define HS_COREDUMP_PLACE_H

#include <hindsight/error.h>

#include <limits.h>
#include <stdbool.h>

/** A file on its way to its name. Fields are private but for fd and path. */
struct hs_core_place {
	int fd;              /* of the temporary file, for writing; owned by the place */
	char path[PATH_MAX]; /* the final name; a numbered one becomes another if that is taken when it is published */
	int directory_fd;
	char directory[PATH_MAX];
	char guest[NAME_MAX + 1];
	char temporary[64];
	const char *suffix;
	int pid;
	unsigned int sequence;
	bool numbered, replace;
};

/** What the file is to be called, and how it comes by its name. */
struct hs_core_name {
	const char *guest;  /* for the default name, as is pid; borrowed for the call */
	const char *suffix; /* behind every name, "" for none; static */
	int pid;
	bool replace; /* a regular file may have that name: it gives way when this one is published */
};

/**
 * Create the temporary file.
 *
 * @param path   a directory, or the name of a file that does not exist; NULL for the working directory
 * @param ret    to be given to hs_core_place_deinit()
 */
HS_MUST_CHECK enum hs_status hs_core_place_init(const char *path, const struct hs_core_name *name,
						struct hs_core_place *ret, struct hs_error *err);
/** A file without a name in the same directory, for what is on its way into the place's own. The caller closes it. */
HS_MUST_CHECK enum hs_status hs_core_place_scratch(const struct hs_core_place *place, int *ret_fd,
						   struct hs_error *err);
/** Sync the file and give it its name; place->path is then what it is called. HS_ERR_BUSY: something has it. */
HS_MUST_CHECK enum hs_status hs_core_place_publish(struct hs_core_place *place, struct hs_error *err);
/** Close the file; one that was not published is removed. */
void hs_core_place_deinit(struct hs_core_place *place);

#endif
