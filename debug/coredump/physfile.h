/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Physical memory out of a file: a raw image (byte n of the file is byte base + n of the memory) or a core, whose
 * segments say at which physical address each of their bytes was (p_paddr).
 *
 * In: a file. Out: a struct hs_phys, read-only, that cannot be pointed at: a file may shrink while it is looked at, and
 * of memory that was mapped from it only a SIGBUS would be left. What is not in the file is not there, never zero.
 */
#ifndef HS_COREDUMP_PHYSFILE_H
#define HS_COREDUMP_PHYSFILE_H

#include <hindsight/coredump.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>

struct hs_physfile;

/**
 * A raw image.
 *
 * @param base  physical address of its first byte
 * @param ret   owned by the caller until hs_physfile_close()
 *
 * HS_ERR_NOT_FOUND, HS_ERR_PERMISSION, HS_ERR_IO: the file. HS_ERR_FORMAT: not a regular file, or an empty one.
 * HS_ERR_RANGE: it does not end within 64-bit addresses. HS_ERR_NOMEM.
 */
HS_MUST_CHECK enum hs_status hs_physfile_open(const char *path, hs_gpa base, struct hs_physfile **ret,
					      struct hs_error *err);
/**
 * The physical memory that a core has: what it stores whole, and what the segments of its spaces have. Of two
 * segments that hold one physical address it is the one whose bytes stand first in the file: in a core of ours they
 * are the same bytes, except on ELF32, where pages above 4 GiB claim to be at 0.
 *
 * @param core  borrowed until hs_physfile_close()
 * @param ret   owned by the caller until hs_physfile_close()
 *
 * HS_ERR_NOMEM is the only failure; a core without memory is an image without any.
 */
HS_MUST_CHECK enum hs_status hs_physfile_of_core(const struct hs_core *core, struct hs_physfile **ret,
						 struct hs_error *err);
/** Close it. NULL is fine. */
void hs_physfile_close(struct hs_physfile *file);

/**
 * Where memory from gpa on stands in the file in one piece: up to length bytes of it. False where it is not in it.
 *
 * @param ret_fd  borrowed from the image
 */
bool hs_physfile_find(const struct hs_physfile *file, hs_gpa gpa, uint64_t length, int *ret_fd, uint64_t *ret_offset,
		      uint64_t *ret_length);

/** The memory itself, borrowed from the image. */
void hs_physfile_phys(struct hs_physfile *file, struct hs_phys *ret);

#endif
