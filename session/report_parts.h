/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of a report, each found by itself: what report.c puts together. */
#ifndef HS_SESSION_REPORT_PARTS_H
#define HS_SESSION_REPORT_PARTS_H

#include "session/report.h"
#include "symbols/build_id.h"
#include "symbols/symbols.h"

/** What root maps. HS_ERR_NOMEM. ret->areas is the caller's to free. */
HS_MUST_CHECK enum hs_status hs_report_space_init(const struct hs_phys *phys, const struct hs_root *root,
						  struct hs_report_space *ret, struct hs_error *err);

/** What the page tables say about an address, as one clause; path is the way to it. */
void hs_report_why(const struct hs_phys *phys, const struct hs_root *root, const struct hs_path *path, uint64_t address,
		   char *ret, size_t size);

/**
 * Read the lines around one of a source file, as far as there are any: none when the file is not a regular one, not
 * readable, or has no such line. What is longer than a screen is wide is cut.
 *
 * @param lines  HS_REPORT_LINES_MAX of them; texts are the caller's to free
 * @return how many
 */
size_t hs_report_lines_read(const char *path, uint32_t line, struct hs_report_line *lines);

/** The backtrace, and why it ends: fills frames, frame_count and frames_end. HS_ERR_NOMEM. symbols may be NULL. */
HS_MUST_CHECK enum hs_status hs_report_frames(const struct hs_report_scene *scene, struct hs_symbols *symbols,
					      struct hs_report *report, struct hs_error *err);

/** Whether si_addr is an address that was touched, be it to fetch, and not only where the instruction is
 *  (docs/crashes.md). */
bool hs_report_is_touched(int signal, int code, uint64_t address, uint64_t rip);
/** Put what a crash says into a scene, which borrows from it. */
void hs_report_scene_crash(const struct hs_crash *crash, struct hs_report_scene *scene);

/**
 * Open the image that a core, or somebody, names: a regular ELF file.
 *
 * HS_ERR_NOT_FOUND: no name, or no such file. HS_ERR_INVALID: another build. HS_ERR_FORMAT: not a regular ELF file.
 * HS_ERR_PERMISSION, HS_ERR_IO. The message names the file.
 *
 * @param path    may be NULL
 * @param length  of the build-id that it must have; 0 takes any
 * @param ret     a descriptor, owned by the caller
 */
HS_MUST_CHECK enum hs_status hs_report_image_open(const char *path, const uint8_t *build_id, size_t length, int *ret,
						  struct hs_error *err);

/**
 * The GNU build-id of the image, which a core has in memory where the program headers say.
 *
 * @return its bytes; 0 when there is none, or a longer one
 */
size_t hs_report_core_build_id(const struct hs_core *core, uint8_t ret[HS_BUILD_ID_MAX]);

#endif
