/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/buf.h"

#include "base/arith.h"
#include "base/hex.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hs_buf_init(struct hs_buf *buf, size_t limit)
{
	*buf = (struct hs_buf){ .limit = limit };
}

void hs_buf_deinit(struct hs_buf *buf)
{
	free(buf->data);
	*buf = (struct hs_buf){ .limit = buf->limit };
}

static bool reserve(struct hs_buf *buf, size_t more)
{
	size_t wanted = buf->capacity ? buf->capacity : 64;
	uint8_t *data;

	if (buf->failed || more > buf->limit || buf->length > buf->limit - more) {
		buf->failed = true;
		return false;
	}
	if (buf->length + more <= buf->capacity) {
		return true;
	}
	while (wanted < buf->length + more) {
		wanted *= 2;
	}
	wanted = hs_min_u64(wanted, buf->limit);
	data = realloc(buf->data, wanted);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->capacity = wanted;
	return true;
}

uint8_t *hs_buf_extend(struct hs_buf *buf, size_t length)
{
	uint8_t *at;

	if (!reserve(buf, length)) {
		return NULL;
	}
	at = buf->data + buf->length;
	buf->length += length;
	return at;
}

bool hs_buf_append(struct hs_buf *buf, const void *bytes, size_t length)
{
	uint8_t *at;

	if (length == 0) {
		return !buf->failed;
	}
	at = hs_buf_extend(buf, length);
	if (!at) {
		return false;
	}
	memcpy(at, bytes, length);
	return true;
}

bool hs_buf_append_byte(struct hs_buf *buf, uint8_t byte)
{
	return hs_buf_append(buf, &byte, 1);
}

bool hs_buf_append_string(struct hs_buf *buf, const char *text)
{
	return hs_buf_append(buf, text, strlen(text));
}

bool hs_buf_append_hex(struct hs_buf *buf, const void *bytes, size_t length)
{
	uint8_t *at;

	if (length == 0) {
		return !buf->failed;
	}
	if (length > SIZE_MAX / 2) {
		buf->failed = true;
		return false;
	}
	at = hs_buf_extend(buf, 2 * length);
	if (!at) {
		return false;
	}
	hs_hex_encode(bytes, length, (char *)at);
	return true;
}

bool hs_buf_printf(struct hs_buf *buf, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	/* vsnprintf writes a NUL as well: reserve it, do not count it. */
	if (length < 0 || !reserve(buf, (size_t)length + 1)) {
		buf->failed = true;
		return false;
	}
	va_start(args, format);
	vsnprintf((char *)buf->data + buf->length, (size_t)length + 1, format, args);
	va_end(args);
	buf->length += (size_t)length;
	return true;
}

void hs_buf_consume(struct hs_buf *buf, size_t length)
{
	length = hs_min_u64(length, buf->length);
	if (length > 0) {
		memmove(buf->data, buf->data + length, buf->length - length);
		buf->length -= length;
	}
}

void hs_buf_clear(struct hs_buf *buf)
{
	buf->length = 0;
	buf->failed = false;
}
