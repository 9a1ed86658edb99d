/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The separate debug file of a guest image, by the names under which gdb asks for it (gdb manual, Separate Debug
 * Files): by build-id where distributions install them, or by .gnu_debuglink beside the image, in ".debug" there, or
 * where distributions install those.
 *
 * An image may name anything, and a debugger gets to read what is found. So a file counts only if it is the image's: an
 * ELF file with the same build-id, or, of an image without one, with the checksum that the image gives. Beside the
 * image no symbolic link is followed.
 */
#ifndef HS_SESSION_DEBUG_FILE_H
#define HS_SESSION_DEBUG_FILE_H

#include <stdbool.h>

struct hs_debug_file {
	char *path; /**< absolute; NULL when there is none; owned */
	int fd;     /**< open for reading; -1 */
};

/**
 * Find it. False, with *ret empty, where there is none, or no memory to say so.
 *
 * @param image_fd    open for reading; its position may move
 * @param image_path  absolute
 * @param directory   where distributions install them; NULL: /usr/lib/debug
 */
bool hs_debug_file_find(int image_fd, const char *image_path, const char *directory, struct hs_debug_file *ret);
/** Close and free. An empty or a zeroed one is fine. */
void hs_debug_file_deinit(struct hs_debug_file *file);

#endif
