/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as a record that a guest has left in its output buffer. What must hold: it is refused with a message and
 * nothing else happens, or what was read lies within the bytes and makes the same bytes when it is written again.
 *
 * Input: one byte of control (bit 0: the rest is the record; else it spoils a good one), then the record, or one byte
 * that chooses the good one and a number of {where (u8), how (u8), value (u16)}.
 */
#include "driver.h"

#include "base/bytes.h"
#include "vmm/record.h"
#include "vmm/signature.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 1024u
#define CHANGE_BYTES 4

/* A record of kind and values that the input chooses. */
static size_t make_good(uint8_t choice, uint8_t *ret)
{
	static const struct hs_value all[] = {
		{ .type = HS_TYPE_INT, .i = -1 },
		{ .type = HS_TYPE_STRING, .bytes = { "some text", 9 } },
		{ .type = HS_TYPE_DOUBLE, .d = 1.5 },
		{ .type = HS_TYPE_BOOL, .b = true },
		{ .type = HS_TYPE_BYTES, .bytes = { "\0\1\2", 3 } },
		{ .type = HS_TYPE_STRING, .bytes = { "", 0 } },
		{ .type = HS_TYPE_ULONG, .ul = 1 },
	};
	struct hs_record record = { .kind = HS_RECORD_CALL, .name = "function" };
	size_t length;

	if (choice & 1) {
		record = (struct hs_record){ .kind = HS_RECORD_LOG, .code = HS_LOG_INFO };
		record.values[record.count++] = all[1];
	} else if (choice & 2) {
		record = (struct hs_record){ .kind = HS_RECORD_RESULT };
		record.values[record.count++] = all[(choice >> 2) % 7];
	} else {
		for (size_t i = 0; i < (size_t)(choice >> 4); i++) {
			record.values[record.count++] = all[(choice / 4 + i) % 7];
		}
	}
	CHECK(hs_record_encode(&record, ret, BYTES_MAX, &length, NULL) == HS_OK);
	return length;
}

static void spoil(uint8_t *bytes, size_t length, const uint8_t *change)
{
	size_t at = change[0] % length;
	uint16_t value = hs_get_le16(change + 2);

	switch (change[1] % 4) {
	case 0:
		bytes[at] = (uint8_t)value;
		break;
	case 1: /* a word of the header or of a value */
		at &= ~(size_t)3;
		hs_put_le32(bytes + at, value);
		break;
	case 2:
		bytes[at] ^= (uint8_t)(1u << (value & 7));
		break;
	default: /* a size that is near the right one */
		at = at % 5 * 8;
		hs_put_le64(bytes + at, hs_get_le64(bytes + at) + (uint64_t)(int64_t)(int8_t)value);
		break;
	}
}

static size_t make_record(const uint8_t *data, size_t size, uint8_t *ret)
{
	size_t length;

	if (data[0] & 1) {
		length = size - 1 < BYTES_MAX ? size - 1 : BYTES_MAX;
		memcpy(ret, data + 1, length);
		return length;
	}
	length = make_good(size > 1 ? data[1] : 0, ret);
	for (size_t at = 2; at + CHANGE_BYTES <= size; at += CHANGE_BYTES) {
		spoil(ret, length, data + at);
	}
	return length;
}

static void check_value(const struct hs_value *value, const uint8_t *bytes, size_t length)
{
	const uint8_t *data = value->bytes.data;
	bool is_string = value->type == HS_TYPE_STRING;

	CHECK(strcmp(hs_type_name(value->type), "no type") != 0);
	if (is_string || value->type == HS_TYPE_BYTES) {
		CHECK(data >= bytes && value->bytes.length <= length - (size_t)(data - bytes));
		CHECK(!is_string || strlen((const char *)data) == value->bytes.length);
	}
}

static void check_record(const struct hs_record *record, const uint8_t *bytes, size_t length)
{
	uint8_t again[BYTES_MAX];
	size_t again_length;

	CHECK(record->count <= HS_CALL_ARGUMENTS_MAX);
	CHECK((record->kind == HS_RECORD_CALL) == hs_call_name_ok(record->name, strlen(record->name)));
	for (size_t i = 0; i < record->count; i++) {
		check_value(&record->values[i], bytes, length);
	}
	CHECK(hs_record_encode(record, again, sizeof(again), &again_length, NULL) == HS_OK);
	CHECK(again_length <= length && memcmp(again, bytes, again_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t made[BYTES_MAX];
	uint8_t *bytes;
	struct hs_record record = { .kind = 99 };
	struct hs_error err = { 0 };
	size_t length;

	if (size == 0) {
		return 0;
	}
	length = make_record(data, size, made);
	/* Exactly as long as it is: the sanitizers see who reads on. */
	bytes = malloc(length ? length : 1);
	CHECK(bytes != NULL);
	memcpy(bytes, made, length);
	if (hs_record_decode(bytes, length, &record, &err)) {
		CHECK(err.status == HS_ERR_FORMAT && strstr(err.message, "record is broken at byte"));
		CHECK(record.kind == 99 && err.where <= length);
	} else {
		check_record(&record, bytes, length);
	}
	free(bytes);
	return 0;
}
