/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions that compilers call without being asked to (gcc manual, "Language Standards Supported"). */
#include "program.h"

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	unsigned char *out = to;
	const unsigned char *in = from;

	for (size_t i = 0; i < length; i++) {
		out[i] = in[i];
	}
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	unsigned char *out = to;
	const unsigned char *in = from;

	if ((uintptr_t)out - (uintptr_t)in >= length) {
		return memcpy(to, from, length);
	}
	for (size_t i = length; i-- > 0;) {
		out[i] = in[i];
	}
	return to;
}

void *memset(void *to, int value, size_t length)
{
	unsigned char *out = to;

	for (size_t i = 0; i < length; i++) {
		out[i] = (unsigned char)value;
	}
	return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const unsigned char *left = a;
	const unsigned char *right = b;

	for (size_t i = 0; i < length; i++) {
		if (left[i] != right[i]) {
			return left[i] - right[i];
		}
	}
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length]) {
		length++;
	}
	return length;
}
