/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's memory and string functions against the C library's, on random and on awkward input. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* guest/rt/string.c as this folder's meson.build renames it. */
void *guest_memcpy(void *to, const void *from, size_t length);
void *guest_memmove(void *to, const void *from, size_t length);
void *guest_memset(void *to, int byte, size_t length);
int guest_memcmp(const void *a, const void *b, size_t length);
void *guest_memchr(const void *bytes, int byte, size_t length);
size_t guest_strlen(const char *string);
size_t guest_strnlen(const char *string, size_t limit);
int guest_strcmp(const char *a, const char *b);
int guest_strncmp(const char *a, const char *b, size_t limit);
char *guest_strchr(const char *string, int character);
char *guest_strrchr(const char *string, int character);
char *guest_strstr(const char *string, const char *part);
char *guest_strcpy(char *to, const char *from);
unsigned long guest_strtoul(const char *string, char **end, int base);

#define ROUNDS 2000
#define SIZE 80

/* The same numbers in every run: a failure can be repeated. */
static uint32_t random_below(uint32_t *state, uint32_t limit)
{
	*state = *state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*state * limit >> 32);
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

/* Few letters, so that matches are frequent; 0x80 and above, so that signedness shows. */
static void fill(uint32_t *state, char *buffer, size_t length)
{
	static const char letters[] = { 'a', 'b', 'a', 'b', '\x80', '\xff' };

	for (size_t i = 0; i < length; i++) {
		buffer[i] = letters[random_below(state, sizeof(letters))];
	}
}

static void test_copies_any_overlap_as_libc(void **context)
{
	(void)context;
	uint32_t state = 1;

	for (int i = 0; i < ROUNDS; i++) {
		char ours[SIZE];
		fill(&state, ours, SIZE);
		char theirs[SIZE];
		memcpy(theirs, ours, SIZE);
		uint32_t length = random_below(&state, SIZE / 2);
		uint32_t from = random_below(&state, SIZE - length);
		uint32_t to = random_below(&state, SIZE - length);
		assert_ptr_equal(guest_memmove(ours + to, ours + from, length), ours + to);
		memmove(theirs + to, theirs + from, length);
		assert_memory_equal(ours, theirs, SIZE);
	}
}

static void test_copy_and_set_touch_their_range_only(void **context)
{
	(void)context;
	uint32_t state = 2;

	for (int i = 0; i < ROUNDS; i++) {
		char source[SIZE];
		char ours[SIZE] = { 0 };
		char theirs[SIZE] = { 0 };
		fill(&state, source, SIZE);
		uint32_t length = random_below(&state, SIZE / 2);
		uint32_t at = random_below(&state, SIZE - length);
		assert_ptr_equal(guest_memcpy(ours + at, source, length), ours + at);
		memcpy(theirs + at, source, length);
		assert_memory_equal(ours, theirs, SIZE);
		/* Only the low byte counts. */
		assert_ptr_equal(guest_memset(ours + at, 0x1234, length), ours + at);
		memset(theirs + at, 0x34, length);
		assert_memory_equal(ours, theirs, SIZE);
	}
}

static void test_compares_of_several_words_as_libc(void **context)
{
	(void)context;
	uint32_t state = 5;

	for (int i = 0; i < ROUNDS; i++) {
		char a[SIZE];
		char b[SIZE];
		fill(&state, a, SIZE);
		memcpy(b, a, SIZE);
		/* Two differences, of which the first counts, and perhaps none. */
		for (int j = 0; j < 2; j++) {
			b[random_below(&state, SIZE)] = (char)random_below(&state, 256);
		}
		uint32_t at = random_below(&state, SIZE / 2);
		uint32_t length = random_below(&state, SIZE - at + 1);
		assert_int_equal(sign(guest_memcmp(a + at, b + at, length)), sign(memcmp(a + at, b + at, length)));
	}
}

static void test_compares_as_libc(void **context)
{
	(void)context;
	uint32_t state = 3;

	for (int i = 0; i < ROUNDS; i++) {
		char a[8];
		char b[8];
		fill(&state, a, 7);
		memcpy(b, a, 7);
		fill(&state, b + random_below(&state, 7), 1);
		a[random_below(&state, 8)] = 0;
		b[random_below(&state, 8)] = 0;
		a[7] = b[7] = 0;
		uint32_t length = random_below(&state, 9);
		assert_int_equal(sign(guest_memcmp(a, b, length)), sign(memcmp(a, b, length)));
		assert_int_equal(sign(guest_strcmp(a, b)), sign(strcmp(a, b)));
		assert_int_equal(sign(guest_strncmp(a, b, length)), sign(strncmp(a, b, length)));
	}
}

static void test_searches_as_libc(void **context)
{
	(void)context;
	static const int letters[] = { 'a', 'b', 'c', 0, 0x80, -1 };
	uint32_t state = 4;

	for (int i = 0; i < ROUNDS; i++) {
		char text[12];
		char part[4];
		fill(&state, text, sizeof(text));
		fill(&state, part, sizeof(part));
		text[random_below(&state, sizeof(text))] = 0;
		text[sizeof(text) - 1] = 0;
		part[random_below(&state, sizeof(part))] = 0;
		int letter = letters[random_below(&state, sizeof(letters) / sizeof(letters[0]))];
		uint32_t limit = random_below(&state, sizeof(text) + 1);
		assert_int_equal(guest_strlen(text), strlen(text));
		assert_int_equal(guest_strnlen(text, limit), strnlen(text, limit));
		assert_ptr_equal(guest_memchr(text, letter, limit), memchr(text, letter, limit));
		assert_ptr_equal(guest_strchr(text, letter), strchr(text, letter));
		assert_ptr_equal(guest_strrchr(text, letter), strrchr(text, letter));
		assert_ptr_equal(guest_strstr(text, part), strstr(text, part));
	}
}

static void test_strcpy_copies_the_nul_and_no_more(void **context)
{
	(void)context;
	char ours[8] = "#######";

	assert_ptr_equal(guest_strcpy(ours, "abc"), ours);
	assert_memory_equal(ours, "abc\0###", 8);
}

static void check_number(const char *text, int base)
{
	char *our_end;
	char *their_end;
	unsigned long ours = guest_strtoul(text, &our_end, base);
	unsigned long theirs = strtoul(text, &their_end, base);

	if (ours != theirs || our_end != their_end) {
		fail_msg("\"%s\" in base %d: %lu, rest \"%s\"; libc: %lu, rest \"%s\"", text, base, ours, our_end,
			 theirs, their_end);
	}
}

static void test_numbers_as_libc(void **context)
{
	(void)context;
	/* Separated by bars. */
	static const char texts[] = "0|7|42|  \t\n42x|-1|+5|- 5||x|0x|0x1F|0X1fz|0xg|010|08|zZ|\v9|+-3|1_0|00x1|"
				    "18446744073709551615|18446744073709551616|-18446744073709551616|"
				    "99999999999999999999999|0x10000000000000000";
	static const int bases[] = { 0, 2, 8, 10, 16, 36 };
	char copy[sizeof(texts)];
	char *rest = copy;

	memcpy(copy, texts, sizeof(texts));
	while (rest != NULL) {
		const char *text = strsep(&rest, "|");
		for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
			check_number(text, bases[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies_any_overlap_as_libc),
		cmocka_unit_test(test_copy_and_set_touch_their_range_only),
		cmocka_unit_test(test_compares_as_libc),
		cmocka_unit_test(test_compares_of_several_words_as_libc),
		cmocka_unit_test(test_searches_as_libc),
		cmocka_unit_test(test_strcpy_copies_the_nul_and_no_more),
		cmocka_unit_test(test_numbers_as_libc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
