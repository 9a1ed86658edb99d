/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/record: records come out as they went in, and a guest's broken ones are refused, each for its reason. */
#include "vmm/record.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 4096u
/* Offsets in a record with a name of up to 8 bytes and one value. */
enum { AT_KIND = 0, AT_BYTES = 8, AT_CODE = 16, AT_NAME_LENGTH = 24, AT_COUNT = 32, AT_NAME = 40, AT_VALUE = 48 };

static struct hs_record call_of(const char *name, const struct hs_value *values, size_t count)
{
	struct hs_record record = { .kind = HS_RECORD_CALL, .count = count };

	strcpy(record.name, name);
	for (size_t i = 0; i < count; i++) {
		record.values[i] = values[i];
	}
	return record;
}

static struct hs_value string_of(const char *text)
{
	return (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { text, strlen(text) } };
}

/* On the heap, as long as it is, so that the sanitizers see who reads on. */
static enum hs_status decode_exactly(const uint8_t *bytes, size_t length, struct hs_record *ret, struct hs_error *err)
{
	uint8_t *exact = malloc(length ? length : 1);
	enum hs_status st;

	assert_non_null(exact);
	memcpy(exact, bytes, length);
	st = hs_record_decode(exact, length, ret, err);
	free(exact);
	return st;
}

static void test_record_of_every_type_comes_back_as_it_was(void **state)
{
	static const uint8_t bytes[] = { 0, 1, 0xFF, 0, 0 };
	/* A NaN with a payload, signalling: it must not pass through a register of the FPU. */
	const struct hs_value values[] = {
		{ .type = HS_TYPE_INT, .i = INT32_MIN },
		{ .type = HS_TYPE_UINT, .u = UINT32_MAX },
		{ .type = HS_TYPE_LONG, .l = INT64_MIN },
		{ .type = HS_TYPE_ULONG, .ul = UINT64_MAX },
		{ .type = HS_TYPE_FLOAT, .u = 0x7F800001 },
		{ .type = HS_TYPE_DOUBLE, .ul = 0xFFF0000000000001 },
		{ .type = HS_TYPE_BOOL, .b = true },
		{ .type = HS_TYPE_BOOL, .b = false },
		string_of(""),
		string_of("seven b"),
		string_of("eight by"),
		{ .type = HS_TYPE_BYTES, .bytes = { bytes, sizeof(bytes) } },
		{ .type = HS_TYPE_BYTES, .bytes = { NULL, 0 } },
	};
	const size_t count = sizeof(values) / sizeof(values[0]);
	struct hs_record record = call_of("f", values, count);
	struct hs_record back;
	uint8_t buffer[ROOM];
	size_t length;

	(void)state;
	assert_int_equal(hs_record_encode(&record, buffer, sizeof(buffer), &length, NULL), HS_OK);
	assert_int_equal(hs_record_decode(buffer, length, &back, NULL), HS_OK);
	assert_string_equal(back.name, "f");
	assert_int_equal(back.count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(back.values[i].type, values[i].type);
	}
	assert_int_equal(back.values[0].i, INT32_MIN);
	assert_int_equal(back.values[1].u, UINT32_MAX);
	assert_true(back.values[2].l == INT64_MIN);
	assert_true(back.values[3].ul == UINT64_MAX);
	assert_int_equal(back.values[4].u, 0x7F800001);
	assert_true(back.values[5].ul == 0xFFF0000000000001);
	assert_true(back.values[6].b);
	assert_false(back.values[7].b);
	for (size_t i = 8; i < count; i++) {
		assert_int_equal(back.values[i].bytes.length, values[i].bytes.length);
		assert_memory_equal(back.values[i].bytes.data, values[i].bytes.data ? values[i].bytes.data : "",
				    values[i].bytes.length);
	}
	for (size_t i = 8; i < 11; i++) {
		assert_int_equal(((const char *)back.values[i].bytes.data)[back.values[i].bytes.length], '\0');
	}
}

static void test_record_of_every_kind_comes_back_as_it_was(void **state)
{
	const struct hs_record records[] = {
		{ .kind = HS_RECORD_RESULT, .count = 1, .values = { { .type = HS_TYPE_VOID } } },
		{ .kind = HS_RECORD_ERROR, .code = HS_CALL_FORMAT, .count = 1, .values = { string_of("why") } },
		{ .kind = HS_RECORD_LOG, .code = HS_LOG_TRACE, .count = 1, .values = { string_of("what") } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		struct hs_record back;
		uint8_t buffer[ROOM];
		size_t length;

		assert_int_equal(hs_record_encode(&records[i], buffer, sizeof(buffer), &length, NULL), HS_OK);
		assert_int_equal(hs_record_decode(buffer, sizeof(buffer), &back, NULL), HS_OK);
		assert_int_equal(back.kind, records[i].kind);
		assert_int_equal(back.code, records[i].code);
		assert_int_equal(back.values[0].type, records[i].values[0].type);
	}
}

/* The bytes as docs/guest-abi.md has them: a guest that knows nothing of this code makes the same. */
static void test_record_of_a_call_has_the_documented_bytes(void **state)
{
	static const uint8_t wanted[] = {
		1,   0, 0, 0, 0, 0, 0, 0, 72,  0,   0,   0,   0,   0,   0,   0,   0,   0,   0,   0, 0, 0, 0, 0,
		3,   0, 0, 0, 0, 0, 0, 0, 1,   0,   0,   0,   0,   0,   0,   0,   'a', 'd', 'd', 0, 0, 0, 0, 0,
		's', 0, 0, 0, 9, 0, 0, 0, 'e', 'i', 'g', 'h', 't', ' ', 'b', 'y', 0,   0,   0,   0, 0, 0, 0, 0,
	};
	const struct hs_value text = string_of("eight by");
	struct hs_record record = call_of("add", &text, 1);
	uint8_t buffer[ROOM];
	size_t length;

	(void)state;
	memset(buffer, 0xAA, sizeof(buffer));
	assert_int_equal(hs_record_encode(&record, buffer, sizeof(buffer), &length, NULL), HS_OK);
	assert_int_equal(length, sizeof(wanted));
	assert_memory_equal(buffer, wanted, sizeof(wanted));
	assert_int_equal(buffer[length], 0xAA);
}

static void test_record_that_does_not_fit_by_a_byte_is_refused_untouched(void **state)
{
	struct hs_value value = { .type = HS_TYPE_BYTES, .bytes = { "0123456", 7 } };
	struct hs_record record = call_of("f", &value, 1);
	uint8_t buffer[64] = { 0x55 };
	struct hs_error err;
	size_t length = 1;

	(void)state;
	assert_int_equal(hs_record_encode(&record, buffer, sizeof(buffer), &length, NULL), HS_OK);
	assert_int_equal(length, sizeof(buffer));
	buffer[0] = 0x55;
	assert_int_equal(hs_record_encode(&record, buffer, sizeof(buffer) - 1, &length, &err), HS_ERR_RANGE);
	assert_string_equal(err.message, "the call takes 64 bytes of a buffer of 63");
	assert_int_equal(buffer[0], 0x55);
}

static void test_record_that_is_none_is_not_encoded(void **state)
{
	const struct hs_value nul = { .type = HS_TYPE_STRING, .bytes = { "a\0b", 3 } };
	const struct hs_value nothing = { .type = HS_TYPE_VOID };
	const struct hs_value no_type = { .type = (enum hs_type)'q' };
	struct hs_record records[] = {
		call_of("f", &nul, 1),
		call_of("f", &nothing, 1),
		call_of("f", &no_type, 1),
		call_of("", &nul, 0),
		call_of("a b", &nul, 0),
		{ .kind = 0 },
		{ .kind = 5 },
		{ .kind = HS_RECORD_RESULT, .count = 0 },
		{ .kind = HS_RECORD_RESULT, .code = 1, .count = 1, .values = { { .type = HS_TYPE_INT } } },
		{ .kind = HS_RECORD_ERROR, .code = 0, .count = 1, .values = { string_of("x") } },
		{ .kind = HS_RECORD_ERROR, .code = 1, .count = 1, .values = { { .type = HS_TYPE_INT } } },
		{ .kind = HS_RECORD_LOG, .code = 6, .count = 1, .values = { string_of("x") } },
	};
	uint8_t buffer[ROOM];
	size_t length;

	(void)state;
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		assert_int_equal(hs_record_encode(&records[i], buffer, sizeof(buffer), &length, NULL), HS_ERR_INVALID);
	}
}

/* One field of a good call, "f" with one value, put to something else. */
struct spoilt {
	size_t at, bytes;
	uint64_t value;
	const char *why;
};

static void check_spoilt(const struct hs_value *value, const struct spoilt *spoilt)
{
	struct hs_record record = call_of("f", value, 1);
	struct hs_record back = { .kind = 77 };
	struct hs_error err = { 0 };
	uint8_t buffer[ROOM];
	size_t length;

	assert_int_equal(hs_record_encode(&record, buffer, sizeof(buffer), &length, NULL), HS_OK);
	assert_int_equal(decode_exactly(buffer, length, &back, NULL), HS_OK);
	back.kind = 77;
	hs_put_le(buffer + spoilt->at, spoilt->value, (unsigned int)spoilt->bytes);
	assert_int_equal(decode_exactly(buffer, length, &back, &err), HS_ERR_FORMAT);
	assert_non_null(strstr(err.message, spoilt->why));
	assert_int_equal(back.kind, 77);
}

static void test_record_with_a_spoilt_field_is_refused_for_its_reason(void **state)
{
	static const struct spoilt cases[] = {
		{ AT_KIND, 8, 0, "no known kind" },
		{ AT_KIND, 8, 5, "no known kind" },
		{ AT_KIND, 8, UINT64_MAX, "no known kind" },
		{ AT_KIND, 8, 1ull << 32 | HS_RECORD_CALL, "no known kind" },
		{ AT_KIND, 8, HS_RECORD_RESULT, "its name" },
		{ AT_KIND, 8, HS_RECORD_LOG, "its code" },
		{ AT_BYTES, 8, 0, "its size" },
		{ AT_BYTES, 8, 39, "its size" },
		{ AT_BYTES, 8, 63, "its size" },
		{ AT_BYTES, 8, 72, "its size" },
		{ AT_BYTES, 8, UINT64_MAX & ~7ull, "its size" },
		{ AT_BYTES, 8, 1ull << 63, "its size" },
		{ AT_BYTES, 8, 40, "more bytes" },
		{ AT_BYTES, 8, 48, "more bytes" },
		{ AT_BYTES, 8, 56, "more bytes" },
		{ AT_CODE, 8, 1, "its code" },
		{ AT_CODE, 8, 1ull << 32, "its code" },
		{ AT_NAME_LENGTH, 8, 0, "its name" },
		{ AT_NAME_LENGTH, 8, 64, "its name" },
		{ AT_NAME_LENGTH, 8, UINT64_MAX, "its name" },
		{ AT_NAME_LENGTH, 8, 2, "characters" },
		{ AT_NAME_LENGTH, 8, 25, "more bytes" },
		{ AT_COUNT, 8, 17, "values" },
		{ AT_COUNT, 8, UINT64_MAX, "values" },
		{ AT_COUNT, 8, 0, "goes on" },
		{ AT_COUNT, 8, 2, "more bytes" },
		{ AT_NAME, 1, ' ', "characters" },
		{ AT_NAME + 1, 1, 'x', "not zero" },
		{ AT_NAME + 7, 1, 1, "not zero" },
		{ AT_VALUE, 4, 0, "no type" },
		{ AT_VALUE, 4, 'a', "no type" },
		{ AT_VALUE, 4, 0x100 | 's', "no type" },
		{ AT_VALUE, 4, 'v', "not as long" },
		{ AT_VALUE, 4, 'U', "not as long" },
		{ AT_VALUE + 4, 4, 0, "one NUL" },
		{ AT_VALUE + 4, 4, 3, "one NUL" },
		{ AT_VALUE + 4, 4, 2, "not zero" },
		{ AT_VALUE + 4, 4, 8, "one NUL" },
		{ AT_VALUE + 4, 4, 9, "more bytes" },
		{ AT_VALUE + 4, 4, UINT32_MAX, "more bytes" },
		{ AT_VALUE + 8, 1, 0, "one NUL" },
		{ AT_VALUE + 11, 1, 'x', "one NUL" },
		{ AT_VALUE + 12, 1, 'x', "not zero" },
	};
	const struct hs_value text = string_of("abc");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_spoilt(&text, &cases[i]);
	}
}

static void test_record_with_a_void_argument_or_a_bool_of_two_is_refused(void **state)
{
	static const struct spoilt two = { AT_VALUE + 8, 1, 2, "a bool is 0 or 1" };
	static const struct spoilt nothing = { AT_VALUE, 4, 'v', "does not belong" };
	const struct hs_value yes = { .type = HS_TYPE_BOOL, .b = true };
	const struct hs_value empty = { .type = HS_TYPE_BYTES };

	(void)state;
	check_spoilt(&yes, &two);
	check_spoilt(&empty, &nothing);
}

static void test_record_cut_anywhere_is_refused(void **state)
{
	const struct hs_value values[] = { string_of("some text"), { .type = HS_TYPE_ULONG, .ul = 5 } };
	struct hs_record record = call_of("function", values, 2);
	struct hs_record back;
	uint8_t buffer[ROOM];
	size_t length;

	(void)state;
	assert_int_equal(hs_record_encode(&record, buffer, sizeof(buffer), &length, NULL), HS_OK);
	for (size_t cut = 0; cut < length; cut++) {
		assert_int_equal(decode_exactly(buffer, cut, &back, NULL), HS_ERR_FORMAT);
		/* And with a header that says so. */
		hs_put_le64(buffer + AT_BYTES, cut);
		assert_int_equal(decode_exactly(buffer, length, &back, NULL), HS_ERR_FORMAT);
		hs_put_le64(buffer + AT_BYTES, length);
	}
	assert_int_equal(decode_exactly(buffer, length, &back, NULL), HS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_of_every_type_comes_back_as_it_was),
		cmocka_unit_test(test_record_of_every_kind_comes_back_as_it_was),
		cmocka_unit_test(test_record_of_a_call_has_the_documented_bytes),
		cmocka_unit_test(test_record_that_does_not_fit_by_a_byte_is_refused_untouched),
		cmocka_unit_test(test_record_that_is_none_is_not_encoded),
		cmocka_unit_test(test_record_with_a_spoilt_field_is_refused_for_its_reason),
		cmocka_unit_test(test_record_with_a_void_argument_or_a_bool_of_two_is_refused),
		cmocka_unit_test(test_record_cut_anywhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
