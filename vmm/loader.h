/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading a guest image: an ELF file becomes one checked struct. Everything the file says is validated here, once; what
 * comes out can be trusted by layout.c and boot.c. Nothing is loaded yet. docs/loader.md lists every refusal.
 *
 * Sources: System V ABI (gABI), chapters 4 and 5; psABI for AMD64 and i386.
 */
#ifndef HS_VMM_LOADER_H
#define HS_VMM_LOADER_H

#include <hindsight/error.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most PT_LOAD segments of an image; linkers make two to six. */
#define HS_IMAGE_SEGMENTS_MAX 64

/** A PT_LOAD exactly as the file has it: no rounding. Sorted by gva, none empty. */
struct hs_image_segment {
	hs_gva gva;
	uint64_t length;      /* bytes in memory, at least 1; what the file does not fill is zero */
	uint64_t file_offset; /* of the byte at gva */
	uint64_t file_length; /* bytes in the file, at most length, all within the file */
	hs_gpa paddr;         /* p_paddr: where a PVH image wants it; meaningless otherwise */
	int prot;             /* bits of enum hs_prot; 0 is a segment that nobody may touch */
};

/** How an image wants to be entered, by its notes (docs/guest-abi.md). */
enum hs_image_kind {
	HS_IMAGE_BARE,   /* no note that hindsight knows */
	HS_IMAGE_NATIVE, /* has the note "Hindsight" */
	HS_IMAGE_PVH,    /* has XEN_ELFNOTE_PHYS32_ENTRY and not the note "Hindsight" */
};

/** A guest image. Read-only for everybody but the loader. */
struct hs_image {
	enum hs_image_kind kind;
	enum hs_arch arch;
	char *path; /* absolute, symbolic links resolved; owned by the image */
	int fd;     /* open for reading; owned by the image */
	uint64_t entry;
	struct hs_image_segment segments[HS_IMAGE_SEGMENTS_MAX];
	size_t segment_count;     /* at least 1 */
	uint64_t lowest, highest; /* gva of the first and of the last byte of all segments */
	uint64_t phdr;            /* gva of the program headers, 0 when they are not in a loaded segment */
	uint16_t phentsize, phnum;
	uint64_t features;  /* HS_FEATURE_*; 0 unless native */
	uint32_t pvh_entry; /* gpa; for HS_IMAGE_PVH */
	uint8_t build_id[32];
	uint32_t build_id_length; /* bytes, 0 when there is none; a longer one is cut to 32 */
};

/**
 * Open and check an image.
 *
 * HS_ERR_NOT_FOUND, HS_ERR_PERMISSION, HS_ERR_IO: the file. HS_ERR_FORMAT: not an ELF or a broken one.
 * HS_ERR_UNSUPPORTED: a sound ELF that is no guest (another machine, dynamic, an object file). HS_ERR_RANGE: segments
 * that overlap or lie where they cannot. HS_ERR_NOMEM. The message names the file and the problem. On failure nothing
 * is left open.
 *
 * @param path  copied
 * @param ret   the image, owned by the caller until hs_image_close()
 */
HS_MUST_CHECK enum hs_status hs_image_open(const char *path, struct hs_image **ret, struct hs_error *err);
/** Close the file and free the image. NULL is fine. */
void hs_image_close(struct hs_image *image);

/**
 * The rules on virtual addresses: canonical, not in page 0, no overlap, entry in an executable segment.
 *
 * hs_image_open() has applied them to every image but those of kind HS_IMAGE_PVH, whose virtual addresses are the
 * guest's own business until somebody wants to enter it in another way. HS_ERR_RANGE or HS_ERR_FORMAT.
 */
HS_MUST_CHECK enum hs_status hs_image_check(const struct hs_image *image, struct hs_error *err);

#endif
