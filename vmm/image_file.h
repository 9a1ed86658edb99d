/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the loader share; for loader.c, image_notes.c and image_check.c only. */
#ifndef HS_VMM_IMAGE_FILE_H
#define HS_VMM_IMAGE_FILE_H

#include "vmm/loader.h"

#include <gelf.h>
#include <libelf.h>

/** The image while it is read: the file, libelf's handle on it, and what is being filled. */
struct hs_image_file {
	struct hs_image *image;
	Elf *elf;
	uint64_t bytes; /* size of the file */
	GElf_Ehdr header;
};

/** Fill *err with "file: problem"; returns status. A long path is cut in front, so that the problem always fits. */
__attribute__((format(printf, 5, 6))) enum hs_status
hs_image_fail(const char *path, enum hs_status status, uint64_t where, struct hs_error *err, const char *format, ...);

#ifdef __clang_analyzer__ /* it never returns HS_OK: see base/error.h */
#define hs_image_fail(path, status, ...) (hs_image_fail((path), (status), __VA_ARGS__), (status))
#endif

/** The problem with range [offset, offset + length) of the file, if it is not all there. */
HS_MUST_CHECK enum hs_status hs_image_check_in_file(const struct hs_image_file *file, size_t index, uint64_t offset,
						    uint64_t length, struct hs_error *err);

/** Take build-id, features and PVH entry from all PT_NOTE segments; sets image->kind. */
HS_MUST_CHECK enum hs_status hs_image_read_notes(const struct hs_image_file *file, struct hs_error *err);

/** Refuse an image that needs a dynamic linker or relocations. */
HS_MUST_CHECK enum hs_status hs_image_check_static(const struct hs_image_file *file, struct hs_error *err);

#endif
