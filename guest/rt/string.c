/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory and string functions of the C library, by the CPU's string instructions: where every instruction goes through
 * an emulator, one rep instruction costs a hundredth of the loop it replaces.
 *
 * Built so that the compiler does not turn these loops into calls of themselves (-fno-builtin and
 * -fno-tree-loop-distribute-patterns).
 */
#include "rt.h"

#include <limits.h>

/* The CPU's word, the most that a string instruction moves at once: an emulator takes as long for a byte. */
#ifdef __x86_64__
#define WORD_SUFFIX "q"
#else
#define WORD_SUFFIX "l"
#endif
#define WORD_BYTES sizeof(uintptr_t)

void *memcpy(void *restrict to, const void *restrict from, size_t length)
{
	void *next = to;
	size_t count = length / WORD_BYTES;
	__asm__ volatile("rep movs" WORD_SUFFIX : "+D"(next), "+S"(from), "+c"(count) : : "memory");
	count = length % WORD_BYTES;
	__asm__ volatile("rep movsb" : "+D"(next), "+S"(from), "+c"(count) : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t length)
{
	/* Backwards only where the target starts within the source. */
	if ((uintptr_t)to - (uintptr_t)from >= length) {
		return memcpy(to, from, length);
	}
	/* The bytes behind the last whole word first; then down from that word, which begins a word less one byte below
	 * the last byte that is left. */
	const char *next = (const char *)from + length - 1;
	char *to_next = (char *)to + length - 1;
	size_t bytes = length % WORD_BYTES;
	size_t words = length / WORD_BYTES;
	__asm__ volatile("std\n\t"
			 "rep movsb\n\t"
			 "mov %[words], %[count]\n\t"
			 "lea %c[back](%[next]), %[next]\n\t"
			 "lea %c[back](%[to]), %[to]\n\t"
			 "rep movs" WORD_SUFFIX "\n\t"
			 "cld"
			 : [to] "+&D"(to_next), [next] "+&S"(next), [count] "+&c"(bytes)
			 : [words] "r"(words), [back] "i"(1 - (int)WORD_BYTES)
			 : "memory", "cc");
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	void *next = to;
	size_t count = length / WORD_BYTES;
	uintptr_t word = (unsigned char)byte * (UINTPTR_MAX / UCHAR_MAX);
	__asm__ volatile("rep stos" WORD_SUFFIX : "+D"(next), "+c"(count) : "a"(word) : "memory");
	count = length % WORD_BYTES;
	__asm__ volatile("rep stosb" : "+D"(next), "+c"(count) : "a"(word) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t length)
{
	const unsigned char *next_a = a;
	const unsigned char *next_b = b;
	size_t words = length / WORD_BYTES;
	size_t bytes = length % WORD_BYTES;
	if (words > 0) {
		bool equal;
		__asm__ volatile("repe cmps" WORD_SUFFIX
				 : "+S"(next_a), "+D"(next_b), "+c"(words), "=@ccz"(equal)
				 :
				 : "memory");
		if (!equal) {
			/* Within the last word. */
			next_a -= WORD_BYTES;
			next_b -= WORD_BYTES;
			bytes = WORD_BYTES;
		}
	}
	if (bytes == 0) {
		return 0;
	}
	__asm__ volatile("repe cmpsb" : "+S"(next_a), "+D"(next_b), "+c"(bytes) : : "memory", "cc");
	/* Both stand behind the last pair compared, which is the first that differs or the last of all. */
	return next_a[-1] - next_b[-1];
}

void *memchr(const void *bytes, int byte, size_t length)
{
	if (length == 0) {
		return NULL;
	}
	const unsigned char *next = bytes;
	__asm__ volatile("repne scasb" : "+D"(next), "+c"(length) : "a"(byte) : "memory", "cc");
	return next[-1] == (unsigned char)byte ? (void *)(uintptr_t)(next - 1) : NULL;
}

size_t strlen(const char *string)
{
	return (size_t)((const char *)memchr(string, 0, SIZE_MAX) - string);
}

size_t strnlen(const char *string, size_t limit)
{
	const char *end = memchr(string, 0, limit);
	return end != NULL ? (size_t)(end - string) : limit;
}

int strncmp(const char *a, const char *b, size_t limit)
{
	for (size_t i = 0; i < limit; i++) {
		int difference = (unsigned char)a[i] - (unsigned char)b[i];
		if (difference != 0 || a[i] == 0) {
			return difference;
		}
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *string, int character)
{
	return memchr(string, character, strlen(string) + 1);
}

char *strrchr(const char *string, int character)
{
	char *found = NULL;
	for (const char *next = string; (next = strchr(next, character)) != NULL; next++) {
		found = (char *)(uintptr_t)next;
		if (*next == 0) {
			break;
		}
	}
	return found;
}

char *strstr(const char *string, const char *part)
{
	size_t length = strlen(part);
	if (length == 0) {
		return (char *)(uintptr_t)string;
	}
	for (const char *next = string; (next = strchr(next, *part)) != NULL; next++) {
		if (strncmp(next, part, length) == 0) {
			return (char *)(uintptr_t)next;
		}
	}
	return NULL;
}

char *strcpy(char *restrict to, const char *restrict from)
{
	return memcpy(to, from, strlen(from) + 1);
}

/* The value of a digit in any base up to 36, or 36. */
static unsigned int digit_of(char character)
{
	if (character >= '0' && character <= '9') {
		return (unsigned int)(character - '0');
	}
	char lower = (char)(character | 0x20);
	return lower >= 'a' && lower <= 'z' ? (unsigned int)(lower - 'a') + 10 : 36;
}

static bool is_hex_prefix(const char *string)
{
	return string[0] == '0' && (string[1] | 0x20) == 'x' && digit_of(string[2]) < 16;
}

unsigned long strtoul(const char *string, char **end, int base)
{
	const char *next = string;
	while (*next == ' ' || (*next >= '\t' && *next <= '\r')) {
		next++;
	}
	bool negative = *next == '-';
	if (*next == '-' || *next == '+') {
		next++;
	}
	if ((base == 0 || base == 16) && is_hex_prefix(next)) {
		next += 2;
		base = 16;
	} else if (base == 0) {
		base = *next == '0' ? 8 : 10;
	}
	const char *first = next;
	unsigned long value = 0;
	bool overflow = false;
	for (; digit_of(*next) < (unsigned int)base; next++) {
		overflow |= __builtin_mul_overflow(value, (unsigned long)base, &value);
		overflow |= __builtin_add_overflow(value, (unsigned long)digit_of(*next), &value);
	}
	if (end != NULL) {
		*end = (char *)(uintptr_t)(next == first ? string : next);
	}
	if (overflow) {
		return ULONG_MAX;
	}
	return negative ? -value : value;
}
