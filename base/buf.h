/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A growing byte buffer with an upper bound. Out of memory and over the bound are one sticky state, checked at the end.
 */
#ifndef HS_BASE_BUF_H
#define HS_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Caller's storage; data is owned by the buffer. */
struct hs_buf {
	uint8_t *data;
	size_t length;
	size_t capacity;
	size_t limit; /**< most bytes it may hold */
	bool failed;  /**< an append did not fit or could not be allocated; later appends do nothing */
};

/** An empty buffer that may grow to limit bytes. Allocates nothing yet. */
void hs_buf_init(struct hs_buf *buf, size_t limit);
/** Free the contents. */
void hs_buf_deinit(struct hs_buf *buf);

/** Append bytes; on failure nothing is appended and failed is set. */
bool hs_buf_append(struct hs_buf *buf, const void *bytes, size_t length);
bool hs_buf_append_byte(struct hs_buf *buf, uint8_t byte);
bool hs_buf_append_string(struct hs_buf *buf, const char *text);
bool hs_buf_append_hex(struct hs_buf *buf, const void *bytes, size_t length);
__attribute__((format(printf, 2, 3))) bool hs_buf_printf(struct hs_buf *buf, const char *format, ...);

/** Make room for length more bytes and return where they go (uninitialised, counted in length), or NULL. */
uint8_t *hs_buf_extend(struct hs_buf *buf, size_t length);
/** Drop the first length bytes (at most all of them). */
void hs_buf_consume(struct hs_buf *buf, size_t length);
/** Drop all bytes and the failed state; memory is kept. */
void hs_buf_clear(struct hs_buf *buf);

#endif
