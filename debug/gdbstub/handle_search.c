/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory that is looked at here and not sent: gdb's `find` (qSearch:memory) and `compare-sections` (qCRC).
 *
 * A search passes over holes, as nothing can be found there, and nothing is found across one. Both are bounded by how
 * much is read, because the client waits meanwhile, and nothing else is done for it.
 */
#include "gdbstub/stub.h"

#include "base/clock.h"

#include <string.h>

/* Bytes read at a time; the pattern may be as long. */
#define CHUNK (HS_GDB_REPLY_MAX / 2)
/* Bytes that one search reads: 4 GiB, about a second. */
#define SEARCH_MAX (UINT64_C(4) << 30)
/* How long it takes at most, as between holes it reads little: gdb waits three times 2 s ("set remotetimeout"). */
#define SEARCH_NS (4 * HS_NS_PER_SECOND)
/* Bytes of one checksum. */
#define CRC_MAX (UINT64_C(256) << 20)

struct search {
	uint64_t at;    /* the next byte to read */
	uint64_t left;  /* bytes from it on that belong to the search */
	size_t carried; /* bytes in the buffer that come right before `at` */
	uint64_t bytes_read, until_ns;
};

/* Go on behind the hole at search->at; false when that is the end. */
static bool pass_hole(struct hs_gdb *gdb, struct search *search)
{
	uint64_t next = hs_gdb_mem_after_hole(gdb, search->at);
	uint64_t length = next - search->at;

	search->carried = 0;
	if (next == 0 || length >= search->left) {
		return false;
	}
	search->at = next;
	search->left -= length;
	return true;
}

/* Read on behind what is carried; the bytes that are new, 0 for a hole. */
static size_t read_on(struct hs_gdb *gdb, struct search *search, uint8_t *buffer)
{
	size_t wanted = search->left < CHUNK ? (size_t)search->left : CHUNK;
	size_t got = 0;

	if (hs_gdb_mem_read(gdb, search->at, buffer + search->carried, wanted, &got)) {
		return 0;
	}
	search->at += got;
	search->left -= got;
	search->bytes_read += got;
	return got;
}

/* Where the pattern is, or NULL; what was read and may be the beginning of it is carried over. */
static const uint8_t *look(struct search *search, uint8_t *buffer, size_t got, struct hs_span pattern)
{
	size_t filled = search->carried + got;
	const uint8_t *found = memmem(buffer, filled, pattern.data, pattern.length);

	search->carried = filled;
	if (!found) {
		search->carried = filled < pattern.length - 1 ? filled : pattern.length - 1;
		memmove(buffer, buffer + filled - search->carried, search->carried);
	}
	return found;
}

static enum hs_reply find(struct hs_gdb *gdb, struct search *search, uint8_t *buffer, struct hs_span pattern)
{
	while (search->left > 0) {
		size_t got = read_on(gdb, search, buffer);
		const uint8_t *found = got > 0 ? look(search, buffer, got, pattern) : NULL;

		if (found) {
			hs_buf_printf(&gdb->payload, "1,%llx",
				      (unsigned long long)(search->at - search->carried + (uint64_t)(found - buffer)));
			return HS_REPLY_PAYLOAD;
		}
		if (got == 0 && !pass_hole(gdb, search)) {
			break;
		}
		if (search->bytes_read > SEARCH_MAX || hs_now_ns() > search->until_ns) {
			return hs_reply_error(gdb, HS_ERR_RANGE,
					      "not found below 0x%llx, which is as far as one search goes",
					      (unsigned long long)search->at);
		}
	}
	return hs_reply_text(gdb, "0");
}

/* "0", or "1," and the address of the first place in [address, address + length) that has all of the pattern. */
enum hs_reply hs_handle_search(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_span pattern = request->mem.data;
	struct search search = { .at = request->mem.gva.v,
				 .left = request->mem.length,
				 .until_ns = hs_now_ns() + SEARCH_NS };
	uint8_t *buffer;

	if (pattern.length > CHUNK) {
		return hs_reply_error(gdb, HS_ERR_RANGE, "the pattern is longer than %u bytes", CHUNK);
	}
	if (search.left > 0 && search.left - 1 > UINT64_MAX - search.at) {
		search.left = UINT64_MAX - search.at + 1;
	}
	hs_buf_clear(&gdb->scratch);
	buffer = hs_buf_extend(&gdb->scratch, pattern.length + CHUNK);
	if (!buffer) {
		return hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for a search");
	}
	return find(gdb, &search, buffer, pattern);
}

/* The CRC of the protocol (gdb manual, qCRC): polynomial 0x04c11db7, most significant bit first, from 0xffffffff. */
static void make_crc_table(uint32_t ret[256])
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i << 24;

		for (unsigned int bit = 0; bit < 8; bit++) {
			value = value & 0x80000000u ? value << 1 ^ 0x04c11db7u : value << 1;
		}
		ret[i] = value;
	}
}

enum hs_reply hs_handle_crc(struct hs_gdb *gdb, const struct hs_request *request)
{
	uint64_t at = request->mem.gva.v;
	uint64_t left = request->mem.length;
	uint32_t crc = UINT32_MAX;
	uint32_t table[256];
	uint8_t *buffer;

	if (left > CRC_MAX) {
		return hs_reply_error(gdb, HS_ERR_RANGE, "one checksum is of %llu bytes at most",
				      (unsigned long long)CRC_MAX);
	}
	hs_buf_clear(&gdb->scratch);
	buffer = hs_buf_extend(&gdb->scratch, CHUNK);
	if (!buffer) {
		return hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for a checksum");
	}
	make_crc_table(table);
	while (left > 0) {
		size_t got = 0;
		enum hs_status st = hs_gdb_mem_read(gdb, at, buffer, left < CHUNK ? (size_t)left : CHUNK, &got);

		if (st) {
			return hs_reply_status(gdb, st);
		}
		if (got == 0) {
			return hs_reply_error(gdb, HS_ERR_UNREADABLE, "nothing can be read at 0x%llx",
					      (unsigned long long)at);
		}
		for (size_t i = 0; i < got; i++) {
			crc = crc << 8 ^ table[crc >> 24 ^ buffer[i]];
		}
		at += got;
		left -= got;
	}
	hs_buf_printf(&gdb->payload, "C%x", (unsigned int)crc);
	return HS_REPLY_PAYLOAD;
}
