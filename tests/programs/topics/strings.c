/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strings and blocks of memory: functions of our own, what compilers make of constant sizes, string instructions. */
#include "../program.h"

static NOINLINE int compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

static NOINLINE char *copy(char *to, const char *from)
{
	char *start = to;

	while ((*to++ = *from++)) {
	}
	return start;
}

static NOINLINE const char *find(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (; *text; text++) {
		if (memcmp(text, word, length) == 0) {
			return text;
		}
	}
	return NULL;
}

static NOINLINE void reverse(char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length / 2; i++) {
		char c = text[i];

		text[i] = text[length - 1 - i];
		text[length - 1 - i] = c;
	}
}

static NOINLINE size_t upper(char *text)
{
	size_t changed = 0;

	for (; *text; text++) {
		if (*text >= 'a' && *text <= 'z') {
			*text = (char)(*text - 'a' + 'A');
			changed++;
		}
	}
	return changed;
}

static NOINLINE uint64_t words(const char *text)
{
	uint64_t d = 0;
	size_t length = 0;

	for (;; text++) {
		bool inside = *text && *text != ' ';

		length += inside;
		if (!inside && length > 0) {
			d = mix(d, length);
			length = 0;
		}
		if (!*text) {
			return d;
		}
	}
}

void topic_strings(void)
{
	static const char text[] = "It is a truth universally acknowledged, that a single instruction in possession "
				   "of a good operand, must be in want of a flag.";
	char buffer[sizeof(text) + 8];
	uint64_t d = 0;

	for (unsigned int i = 0; i < 8; i++) {
		copy(buffer + i, text);
		d = mix(d, strlen(buffer + i));
		d = mix(d, (uint64_t)(compare(buffer + i, text + i) > 0));
		reverse(buffer + i);
		d = mix(d, words(buffer + i));
	}
	say("strings", d);
	say("found at", (uint64_t)(find(text, "flag") - text));
	say("not found", find(text, "flags") == NULL);
	copy(buffer, text);
	say("upper", upper(buffer));
	say_text("text", buffer, 60);
}

/* Sizes that are known: moves of all widths. */
#define SIZES(X) X(1) X(2) X(3) X(5) X(6) X(7) X(8) X(9) X(11) X(13) X(16) X(20) X(31) X(32) X(47) X(64) X(65) X(100)
#define BLOCK(size)                                                                                                    \
	static NOINLINE uint64_t block##size(unsigned char *to, const unsigned char *from)                             \
	{                                                                                                              \
		unsigned char zeros[size];                                                                             \
                                                                                                                       \
		__builtin_memcpy(to, from, size);                                                                      \
		__builtin_memset(to + size, 0xA5, size);                                                               \
		__builtin_memset(zeros, 0, size);                                                                      \
		__builtin_memmove(to + 1, to, size);                                                                   \
		return (uint64_t)(__builtin_memcmp(to, zeros, size) == 0) + (uint64_t)(to[0] == zeros[size - 1]) * 2;  \
	}
SIZES(BLOCK)
#define BLOCK_NAME(size) block##size,

static NOINLINE uint64_t sizes_unknown(unsigned char *at, size_t length, size_t distance)
{
	memmove(at + distance, at, length);
	memmove(at, at + 3, length);
	memset(at + length, (int)length, distance);
	return (uint64_t)(memcmp(at, at + distance, length) > 0);
}

/* Sizes that are not known at all, through the builtin: calls or inline loops, by -mstringop-strategy. */
static NOINLINE void copy_record(uint32_t *to, const uint32_t *from, size_t words)
{
	__builtin_memcpy(to, from, words * sizeof(*to));
	__builtin_memset(to + words, 0, words * sizeof(*to));
}

void topic_memory(void)
{
	static uint64_t (*const blocks[])(unsigned char *, const unsigned char *) = { SIZES(BLOCK_NAME) };
	struct source s = source(0x3E3047);
	unsigned char from[128];
	unsigned char to[256];
	uint32_t records[64];
	uint64_t d = 0;

	for (size_t i = 0; i < sizeof(from); i++) {
		from[i] = (unsigned char)next(&s);
	}
	memset(to, 0x11, sizeof(to));
	memset(records, 1, sizeof(records));
	for (size_t i = 0; i < COUNT(blocks); i++) {
		d = mix(d, blocks[i](to + i, from + i));
	}
	say("known sizes", mix_bytes(d, to, sizeof(to)));
	d = 0;
	for (size_t i = 0; i < 24; i++) {
		d = mix(d, sizes_unknown(to + i, (size_t)(next(&s) >> 8) % 70, (size_t)(next(&s) >> 8) % 70));
		copy_record(records + i / 2, (const uint32_t *)(const void *)from, i);
	}
	say("unknown sizes", mix_bytes(d, to, sizeof(to)));
	say("records", mix_bytes(0, records, sizeof(records)));
}

/* The instructions themselves, forwards and backwards. count is that of elements. */
static NOINLINE size_t scan(const unsigned char *from, unsigned char what, size_t count)
{
	const unsigned char *at = from;
	size_t left = count;

	__asm__ volatile("repne scasb" : "+D"(at), "+c"(left) : "a"(what) : "cc", "memory");
	return left + (size_t)(at - from) * 1000;
}

static NOINLINE size_t compare_words(const uint16_t *a, const uint16_t *b, size_t count)
{
	unsigned char above;

	__asm__ volatile("cmp %%eax, %%eax; repe cmpsw; seta %b3"
			 : "+S"(a), "+D"(b), "+c"(count), "=a"(above)
			 :
			 : "cc", "memory");
	return count * 2 + above;
}

static NOINLINE void copy_back(unsigned char *to, const unsigned char *from, size_t count)
{
	to += count - 1;
	from += count - 1;
	__asm__ volatile("std; rep movsb; cld" : "+S"(from), "+D"(to), "+c"(count) : : "cc", "memory");
}

static NOINLINE void fill(uint32_t *to, uint32_t value, size_t count)
{
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(value) : "cc", "memory");
}

static NOINLINE void copy_longs(unsigned long *to, const unsigned long *from, size_t count)
{
#ifdef __x86_64__
	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "cc", "memory");
#else
	__asm__ volatile("rep movsl" : "+S"(from), "+D"(to), "+c"(count) : : "cc", "memory");
#endif
}

static NOINLINE uint32_t sum(const uint16_t *from, size_t count)
{
	uint32_t sum = 0;

	while (count-- > 0) {
		uint32_t value = 0;

		__asm__ volatile("lodsw" : "+S"(from), "+a"(value) : : "cc", "memory");
		sum += value;
	}
	return sum;
}

void topic_string_instructions(void)
{
	struct source s = source(0x57121165);
	union {
		unsigned char bytes[256];
		uint16_t shorts[128];
		uint32_t ints[64];
		unsigned long longs[256 / sizeof(unsigned long)];
	} a, b;
	uint64_t d = 0;

	for (size_t i = 0; i < sizeof(a); i++) {
		a.bytes[i] = (unsigned char)(next(&s) >> 4);
	}
	memset(&b, 0, sizeof(b));
	for (size_t i = 0; i < 16; i++) {
		size_t count = (size_t)(next(&s) >> 3) % 60;

		d = mix(d, scan(a.bytes + i, a.bytes[count + 3], count));
		copy_back(b.bytes + i, a.bytes + 2 * i, count);
		copy_back(b.bytes + i + 5, b.bytes + i, count);
		d = mix(d, compare_words(a.shorts + i, b.shorts + i / 2, count));
		d = mix(d, compare_words(a.shorts + i, a.shorts + i, count));
		fill(b.ints + i, (uint32_t)next(&s), count % 12);
		copy_longs(a.longs + i % 8, b.longs + i % 4, count % 16);
		d = mix(d, sum(b.shorts, count));
	}
	say("results", d);
	say("memory", mix_bytes(mix_bytes(0, &a, sizeof(a)), &b, sizeof(b)));
}
