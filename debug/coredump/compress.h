/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A sparse file as zstd frames. Data goes through libzstd; a hole becomes a frame of our own that says "zeros" for
 * 128 KiB in four bytes, so that it costs next to nothing on either side. Every decompressor takes frames one behind
 * the other for one file (RFC 8878, 3.1).
 */
#ifndef HS_COREDUMP_COMPRESS_H
#define HS_COREDUMP_COMPRESS_H

#include <hindsight/coredump.h>

/** The first four bytes of a frame, little-endian. */
#define HS_CORE_ZSTD_MAGIC 0xFD2FB528u

/**
 * Write all of one file into another.
 *
 * @param name        of the file, for messages
 * @param bytes       length of from_fd, whose position is moved
 * @param options     whose progress is told
 * @param ret_packed  bytes that were written
 */
HS_MUST_CHECK enum hs_status hs_core_compress(int from_fd, int to_fd, const char *name, uint64_t bytes,
					      const struct hs_core_options *options, uint64_t *ret_packed,
					      struct hs_error *err);

#endif
