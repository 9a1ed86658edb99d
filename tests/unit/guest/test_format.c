/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's formatted output against the C library's. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Not guest.h, which declares the functions of the C library under their own names, and main(). */
int hs_snprintf(char *buffer, size_t size, const char *format, ...);

struct hs_format_out {
	char *buffer;
	size_t size;
	size_t used;
	size_t total;
	void (*flush)(const void *bytes, size_t length);
};
void hs_format(struct hs_format_out *out, const char *format, va_list args);

/* One format and its arguments through both. Formats are not literals here: that is what a table is for. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#define CHECK(...)                                                                                                     \
	do {                                                                                                           \
		char ours[256];                                                                                        \
		char theirs[256];                                                                                      \
		int our_length = hs_snprintf(ours, sizeof(ours), __VA_ARGS__);                                         \
		int their_length = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                      \
		assert_string_equal(ours, theirs);                                                                     \
		assert_int_equal(our_length, their_length);                                                            \
	} while (0)

static void test_integers_as_libc(void **context)
{
	(void)context;
	static const char *const formats[] = { "%d",    "%i",     "%u",    "%x",      "%X",   "%1d",
					       "%12d",  "%-12d|", "%012d", "%-012d|", "%12x", "%012X",
					       "%-3u|", "%hd",    "%hhd",  "%hu",     "%hhx" };
	static const int values[] = {
		0, 1, -1, 9, 10, 99, 100, -100, 65535, 65536, -32769, 255, 256, INT_MAX, INT_MIN
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			CHECK(formats[i], values[j]);
		}
	}
}

static void test_wide_integers_as_libc(void **context)
{
	(void)context;
	static const char *const formats[] = { "%lld", "%llu", "%llx", "%llX", "%25lld", "%-25llu|", "%025lld" };
	static const long long values[] = { 0,          1,          -1,          4294967295,
					    4294967296, 4294967299, 42949672960, 999999999999999999,
					    LLONG_MAX,  LLONG_MIN };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
			CHECK(formats[i], values[j]);
		}
	}
	CHECK("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
	CHECK("%zu %zx", SIZE_MAX, SIZE_MAX);
}

static void test_text_as_libc(void **context)
{
	(void)context;
	CHECK("plain");
	CHECK("%s", "");
	CHECK("<%s> <%5s> <%-5s> <%2s>", "abc", "abc", "abc", "abc");
	CHECK("<%.2s> <%5.2s> <%.0s> <%.9s>", "abc", "abc", "abc", "abc");
	CHECK("%c%c<%3c><%-3c>", 'a', 'b', 'c', 'd');
	CHECK("100%% of %s is %d%%", "it", 7);
	CHECK("%p %20p", (void *)0x1234, (void *)UINTPTR_MAX);
	/* A string that is not terminated, as far as the precision goes. */
	char letters[] = { 'x', 'y', 'z' };
	CHECK("%.3s", letters);
}

static void test_short_buffers_as_libc(void **context)
{
	(void)context;
	for (size_t size = 0; size < 20; size++) {
		char ours[24];
		char theirs[24];
		memset(ours, '#', sizeof(ours));
		memset(theirs, '#', sizeof(theirs));
		int our_length = hs_snprintf(ours, size, "%s=%d;%4x", "number", 12345, 0xAB);
		int their_length = snprintf(theirs, size, "%s=%d;%4x", "number", 12345, 0xAB);
		assert_int_equal(our_length, their_length);
		assert_memory_equal(ours, theirs, sizeof(ours));
	}
}

/* There is no libc to agree with here: what is not known is printed as it stands, and takes no argument. */
static void test_unknown_conversions_stay_as_they_are(void **context)
{
	(void)context;
	char ours[64];

	hs_snprintf(ours, sizeof(ours), "%q %d %5.2f %", 7);
	assert_string_equal(ours, "%q 7 %5.2f %");
	hs_snprintf(ours, sizeof(ours), "%s %p", (char *)NULL, (void *)NULL);
	assert_string_equal(ours, "(null) 0x0");
}

static char flushed[64];
static size_t flushed_length;

static void collect(const void *bytes, size_t length)
{
	assert_true(length <= sizeof(flushed) - flushed_length);
	memcpy(flushed + flushed_length, bytes, length);
	flushed_length += length;
}

static void format_to(struct hs_format_out *out, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	hs_format(out, format, args);
	va_end(args);
}

static void test_full_buffer_is_flushed_and_used_again(void **context)
{
	(void)context;
	for (size_t size = 1; size < 20; size++) {
		char buffer[20];
		struct hs_format_out out = { .buffer = buffer, .size = size, .flush = collect };
		flushed_length = 0;
		format_to(&out, "%s-%05d-%s", "one", 42, "three");
		collect(buffer, out.used);
		assert_int_equal(flushed_length, 15);
		assert_int_equal(out.total, 15);
		assert_memory_equal(flushed, "one-00042-three", 15);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_integers_as_libc),
		cmocka_unit_test(test_wide_integers_as_libc),
		cmocka_unit_test(test_text_as_libc),
		cmocka_unit_test(test_short_buffers_as_libc),
		cmocka_unit_test(test_unknown_conversions_stay_as_they_are),
		cmocka_unit_test(test_full_buffer_is_flushed_and_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
