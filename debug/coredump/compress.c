/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See compress.h. Source of the format: RFC 8878, 3.1.1 (frame header, blocks). */
#include "coredump/compress.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd_io.h"

#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

/** Fast enough not to be what a crash waits for; the pages of a guest shrink to about the same at higher ones. */
#define LEVEL 1

#define CHUNK_BYTES (128 * 1024u)

/** Holes shorter than this go through the compressor as zeros: a frame costs more than they do. */
#define HOLE_BYTES_MIN (256 * 1024u)

/** A frame of zeros: magic, a descriptor without any option, a window of 128 KiB (exponent 7), then blocks. */
enum { HEADER_BYTES = 6, WINDOW_128K = 7 << 3, BLOCK_BYTES_MAX = 128 * 1024, RLE_BYTES = 4, BLOCK_RLE = 1 << 1 };

struct packer {
	int from_fd, to_fd;
	const char *name;
	const struct hs_core_options *options;
	ZSTD_CCtx *context;
	bool open; /* a frame of the compressor's has been begun */
	uint64_t written, total;
	uint8_t in[CHUNK_BYTES], out[CHUNK_BYTES];
};

static enum hs_status put(struct packer *packer, const void *bytes, size_t length, struct hs_error *err)
{
	enum hs_status st = hs_fd_write(packer->to_fd, packer->name, bytes, length, err);

	packer->written += length;
	return st;
}

/** Give bytes to the compressor, and write what it gives; with ZSTD_e_end until the frame is over. */
static enum hs_status pack(struct packer *packer, const void *bytes, size_t length, ZSTD_EndDirective how,
			   struct hs_error *err)
{
	ZSTD_inBuffer in = { bytes, length, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { packer->out, sizeof(packer->out), 0 };

		left = ZSTD_compressStream2(packer->context, &out, &in, how);
		if (ZSTD_isError(left)) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "cannot compress %s: %s", packer->name,
					    ZSTD_getErrorName(left));
		}
		enum hs_status st = put(packer, out.dst, out.pos, err);

		if (st) {
			return st;
		}
	} while (in.pos < in.size || (how == ZSTD_e_end && left > 0));
	packer->open = how != ZSTD_e_end;
	return HS_OK;
}

static enum hs_status pack_data(struct packer *packer, uint64_t at, uint64_t end, struct hs_error *err)
{
	while (at < end) {
		size_t part = (size_t)hs_min_u64(sizeof(packer->in), end - at);
		enum hs_status st = hs_fd_pread(packer->from_fd, packer->name, packer->in, part, at, err);

		st = st ? st : pack(packer, packer->in, part, ZSTD_e_continue, err);
		if (st) {
			return st;
		}
		at += part;
		if (packer->options->progress) {
			packer->options->progress(packer->options->progress_ctx, at, packer->total);
		}
	}
	return HS_OK;
}

/** A frame of zeros. Its blocks are collected in the buffer for output, which is free between its runs. */
static enum hs_status pack_hole(struct packer *packer, uint64_t length, struct hs_error *err)
{
	size_t used = HEADER_BYTES;

	hs_put_le32(packer->out, HS_CORE_ZSTD_MAGIC);
	packer->out[4] = 0;
	packer->out[5] = WINDOW_128K;
	while (length > 0) {
		uint32_t part = (uint32_t)hs_min_u64(length, BLOCK_BYTES_MAX);
		uint8_t *block = packer->out + used;

		length -= part;
		/* Three bytes of header: bit 0 says that it is the last, bits 1 and 2 its kind, the rest its length.
		 * Then the byte that is repeated. */
		hs_put_le32(block, (length == 0) | BLOCK_RLE | part << 3);
		block[3] = 0;
		used += RLE_BYTES;
		if (used + RLE_BYTES > sizeof(packer->out) || length == 0) {
			enum hs_status st = put(packer, packer->out, used, err);

			if (st) {
				return st;
			}
			used = 0;
		}
	}
	return HS_OK;
}

/** A hole that is too short for a frame is read as the zeros that it is. */
static enum hs_status pack_gap(struct packer *packer, uint64_t at, uint64_t end, struct hs_error *err)
{
	if (end - at < HOLE_BYTES_MIN) {
		return pack_data(packer, at, end, err);
	}
	enum hs_status st = packer->open ? pack(packer, NULL, 0, ZSTD_e_end, err) : HS_OK;

	return st ? st : pack_hole(packer, end - at, err);
}

/** Where the next data or the next hole begins, or the end. */
static uint64_t seek(const struct packer *packer, uint64_t at, int whence, uint64_t otherwise)
{
	off_t found = lseek(packer->from_fd, (off_t)at, whence);

	return found < 0 ? otherwise : hs_min_u64((uint64_t)found, packer->total);
}

static enum hs_status pack_all(struct packer *packer, struct hs_error *err)
{
	uint64_t at = 0;

	while (at < packer->total) {
		uint64_t data = seek(packer, at, SEEK_DATA, packer->total);
		uint64_t end = data < packer->total ? seek(packer, data, SEEK_HOLE, packer->total) : data;
		enum hs_status st = data > at ? pack_gap(packer, at, data, err) : HS_OK;

		st = st ? st : pack_data(packer, data, end, err);
		if (st) {
			return st;
		}
		at = end;
	}
	return packer->open ? pack(packer, NULL, 0, ZSTD_e_end, err) : HS_OK;
}

enum hs_status hs_core_compress(int from_fd, int to_fd, const char *name, uint64_t bytes,
				const struct hs_core_options *options, uint64_t *ret_packed, struct hs_error *err)
{
	HS_FREE struct packer *packer = malloc(sizeof(*packer));
	ZSTD_CCtx *context = ZSTD_createCCtx();
	enum hs_status st;

	if (packer == NULL || context == NULL) {
		ZSTD_freeCCtx(context);
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory to compress %s", name);
	}
	packer->from_fd = from_fd;
	packer->to_fd = to_fd;
	packer->name = name;
	packer->options = options;
	packer->context = context;
	packer->open = false;
	packer->written = 0;
	packer->total = bytes;
	/* Fails for values that are out of range only. With a checksum a damaged file is told by zstd itself. */
	(void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
	(void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	st = pack_all(packer, err);
	*ret_packed = packer->written;
	ZSTD_freeCCtx(context);
	return st;
}
