/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A core that is open for reading: what read.c (file, headers, segments) and read_notes.c (notes) share.
 *
 * Nothing that the file says is believed before it was checked against the file's size.
 */
#ifndef HS_COREDUMP_READ_H
#define HS_COREDUMP_READ_H

#include "coredump/fault.h"
#include "coredump/headers.h"
#include "coredump/vmnote.h"

#include <hindsight/coredump.h>

/** Bounds of what is kept of a file, whatever it claims. */
#define HS_CORE_SEGMENTS_MAX (1u << 22)
#define HS_CORE_NOTE_BYTES_MAX (64u << 20)

/** Where the registers of one CPU stand in the notes; NULL for a note that is not there. */
struct hs_core_cpu_notes {
	const uint8_t *prstatus, *fxsave, *xstate;
	size_t xstate_length;
};

struct hs_core {
	int fd;
	char *path;
	const struct hs_core_class *class;
	struct hs_core_info info;
	struct hs_core_segment *segments;
	bool ordered;        /* segments ascend and do not overlap */
	uint8_t *note_bytes; /* the PT_NOTE */
	size_t note_length;
	uint64_t note_offset; /* of it, in the file */
	struct hs_core_note *notes;
	struct hs_core_file *files;
	struct hs_core_stored *stored; /* ascending by gpa, disjoint */
	struct hs_core_space *spaces;
	struct hs_core_segment *space_segments; /* of all spaces but the one that the PT_LOADs are */
	struct hs_core_cpu_notes cpus[HS_CORE_CPUS_MAX];
	char name[32], command_line[96];
};

/** The bytes of a note's descriptor. */
struct hs_core_desc {
	const uint8_t *bytes;
	size_t length;
	uint64_t offset; /* in the file */
};

/** Take in the address spaces that the facts tell of; the PT_LOADs' segments are filled in when those are known. */
HS_MUST_CHECK enum hs_status hs_core_read_spaces(struct hs_core *core, const struct hs_core_desc *desc,
						 const struct hs_vmnote *note, struct hs_error *err);
/** All segments are known: without such a record the core has one space, if it tells its root. */
HS_MUST_CHECK enum hs_status hs_core_finish_spaces(struct hs_core *core, struct hs_error *err);

/** Take in the notes: note_bytes is filled from file_offset on. */
HS_MUST_CHECK enum hs_status hs_core_read_notes(struct hs_core *core, uint64_t file_offset, struct hs_error *err);

#endif
