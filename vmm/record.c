/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/record.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/error.h"
#include "vmm/signature.h"

#include <inttypes.h>
#include <string.h>

#define HEADER_BYTES sizeof(struct hs_abi_record)
#define VALUE_BYTES sizeof(struct hs_abi_value)
#define ALIGNMENT 8u

/* The rules of a kind of record. */
struct rules {
	const char *name;
	uint32_t code_min, code_max;
	size_t name_min, name_max;
	size_t values_min, values_max;
};

static const struct rules rules_of_kind[] = {
	[HS_RECORD_CALL] = { "call", 0, 0, 1, HS_CALL_NAME_MAX, 0, HS_CALL_ARGUMENTS_MAX },
	[HS_RECORD_RESULT] = { "result", 0, 0, 0, 0, 1, 1 },
	[HS_RECORD_ERROR] = { "error", HS_CALL_FAILED, HS_CALL_FORMAT, 0, 0, 1, 1 },
	[HS_RECORD_LOG] = { "log", HS_LOG_ERROR, HS_LOG_TRACE, 0, 0, 1, 1 },
};

static const struct rules *find_rules(uint64_t kind)
{
	return kind >= HS_RECORD_CALL && kind <= HS_RECORD_LOG ? &rules_of_kind[kind] : NULL;
}

/* Whether a record of this kind may have a value of this type. */
static bool may_hold(uint32_t kind, enum hs_type type)
{
	switch (kind) {
	case HS_RECORD_CALL:
		return type != HS_TYPE_VOID;
	case HS_RECORD_RESULT:
		return true;
	default:
		return type == HS_TYPE_STRING;
	}
}

/* How many bytes a value of a type has; false for a type of any length, and for what is no type. */
static bool fixed_length(uint32_t type, uint32_t *ret)
{
	switch (type) {
	case HS_TYPE_VOID:
		*ret = 0;
		return true;
	case HS_TYPE_BOOL:
		*ret = 1;
		return true;
	case HS_TYPE_INT:
	case HS_TYPE_UINT:
	case HS_TYPE_FLOAT:
		*ret = 4;
		return true;
	case HS_TYPE_LONG:
	case HS_TYPE_ULONG:
	case HS_TYPE_DOUBLE:
		*ret = 8;
		return true;
	default:
		return false;
	}
}

static bool has_any_length(uint32_t type)
{
	return type == HS_TYPE_STRING || type == HS_TYPE_BYTES;
}

/* No length here is above 2^32, so this cannot overflow. */
static uint64_t padded(uint64_t length)
{
	return (length + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1);
}

/* Bytes of a record that are still to be read: never more than there are. */
struct reader {
	const uint8_t *bytes;
	size_t at, length;
	struct hs_error *err;
};

static enum hs_status broken(const struct reader *reader, const char *what)
{
	return hs_error_set(reader->err, HS_ERR_FORMAT, 0, reader->at, "the guest's record is broken at byte %zu: %s",
			    reader->at, what);
}

/* The next length bytes, and zeros behind them up to the alignment. */
static enum hs_status take(struct reader *reader, uint64_t length, const uint8_t **ret)
{
	const uint8_t *bytes = reader->bytes + reader->at;

	if (padded(length) > reader->length - reader->at) {
		return broken(reader, "more bytes than the record has");
	}
	for (uint64_t i = length; i < padded(length); i++) {
		if (bytes[i] != 0) {
			return broken(reader, "what fills it up is not zero");
		}
	}
	reader->at += padded(length);
	*ret = bytes;
	return HS_OK;
}

static enum hs_status read_payload(struct reader *reader, uint32_t length, struct hs_value *value)
{
	const uint8_t *bytes = NULL;
	enum hs_status st = take(reader, length, &bytes);

	if (st) {
		return st;
	}
	switch (value->type) {
	case HS_TYPE_VOID:
		return HS_OK;
	case HS_TYPE_BOOL:
		if (bytes[0] > 1) {
			return broken(reader, "a bool is 0 or 1");
		}
		value->b = bytes[0];
		return HS_OK;
	case HS_TYPE_STRING:
		if (length == 0 || memchr(bytes, '\0', length) != bytes + (length - 1)) {
			return broken(reader, "a string has one NUL, at its end");
		}
		value->bytes.data = bytes;
		value->bytes.length = length - 1;
		return HS_OK;
	case HS_TYPE_BYTES:
		value->bytes.data = bytes;
		value->bytes.length = length;
		return HS_OK;
	default:
		break;
	}
	/* Numbers, by their bits: what a NaN holds is not to change. */
	if (length == 4) {
		value->u = hs_get_le32(bytes);
	} else {
		value->ul = hs_get_le64(bytes);
	}
	return HS_OK;
}

static enum hs_status read_value(struct reader *reader, uint32_t kind, struct hs_value *ret)
{
	struct hs_value value = { .ul = 0 };
	const uint8_t *head = NULL;
	uint32_t type, length, wanted = 0;
	enum hs_status st = take(reader, VALUE_BYTES, &head);

	if (st) {
		return st;
	}
	type = hs_get_le32(head);
	length = hs_get_le32(head + 4);
	if (!has_any_length(type) && !fixed_length(type, &wanted)) {
		return broken(reader, "a value of no type");
	}
	if (!has_any_length(type) && length != wanted) {
		return broken(reader, "a value is not as long as its type");
	}
	value.type = (enum hs_type)type;
	if (!may_hold(kind, value.type)) {
		return broken(reader, "a value of a type that does not belong there");
	}
	st = read_payload(reader, length, &value);
	if (!st) {
		*ret = value;
	}
	return st;
}

/* Everything before the values; *ret_count is how many there are. */
static enum hs_status read_head(struct reader *reader, struct hs_record *ret, size_t *ret_count)
{
	const struct rules *rules;
	const uint8_t *head = NULL;
	const uint8_t *name = NULL;
	uint64_t kind, bytes, code, name_length, count;
	enum hs_status st = take(reader, HEADER_BYTES, &head);

	if (st) {
		return st;
	}
	kind = hs_get_le64(head);
	bytes = hs_get_le64(head + 8);
	code = hs_get_le64(head + 16);
	name_length = hs_get_le64(head + 24);
	count = hs_get_le64(head + 32);
	rules = find_rules(kind);
	if (!rules) {
		return broken(reader, "it is of no known kind");
	}
	if (bytes < HEADER_BYTES || bytes > reader->length || bytes % ALIGNMENT != 0) {
		return broken(reader, "its size cannot be");
	}
	if (code < rules->code_min || code > rules->code_max) {
		return broken(reader, "its code cannot be");
	}
	if (name_length < rules->name_min || name_length > rules->name_max) {
		return broken(reader, "its name is too short or too long");
	}
	if (count < rules->values_min || count > rules->values_max) {
		return broken(reader, "it has too few or too many values");
	}
	reader->length = bytes;
	ret->kind = (uint32_t)kind;
	ret->code = (uint32_t)code;
	*ret_count = count;
	st = take(reader, name_length, &name);
	if (!st && name_length > 0 && !hs_call_name_ok((const char *)name, name_length)) {
		st = broken(reader, "its name has characters that no name has");
	}
	if (!st) {
		memcpy(ret->name, name, name_length);
		ret->name[name_length] = '\0';
	}
	return st;
}

enum hs_status hs_record_decode(const uint8_t *bytes, size_t length, struct hs_record *ret, struct hs_error *err)
{
	struct reader reader = { .bytes = bytes, .length = length, .err = err };
	struct hs_record record = { .kind = 0 };
	enum hs_status st = read_head(&reader, &record, &record.count);

	for (size_t i = 0; !st && i < record.count; i++) {
		st = read_value(&reader, record.kind, &record.values[i]);
	}
	if (!st && reader.at != reader.length) {
		st = broken(&reader, "it goes on behind its values");
	}
	if (!st) {
		*ret = record;
	}
	return st;
}

/* Bytes of a value in a record, without what fills it up. */
static enum hs_status payload_of(const struct hs_record *record, size_t index, uint32_t *ret, struct hs_error *err)
{
	const struct hs_value *value = &record->values[index];
	size_t most = value->type == HS_TYPE_STRING ? UINT32_MAX - 1 : UINT32_MAX;

	if (fixed_length(value->type, ret)) {
		if (may_hold(record->kind, value->type)) {
			return HS_OK;
		}
	} else if (has_any_length(value->type) && may_hold(record->kind, value->type)) {
		if (value->bytes.length > most) {
			return hs_error_set(err, HS_ERR_RANGE, 0, index, "value %zu has %zu bytes, more than 4 GiB",
					    index + 1, value->bytes.length);
		}
		if (value->type == HS_TYPE_STRING && value->bytes.length > 0 &&
		    memchr(value->bytes.data, '\0', value->bytes.length)) {
			return hs_error_set(err, HS_ERR_INVALID, 0, index,
					    "value %zu is a string with a NUL in it (bytes may have them)", index + 1);
		}
		*ret = (uint32_t)value->bytes.length + (value->type == HS_TYPE_STRING ? 1 : 0);
		return HS_OK;
	}
	return hs_error_set(err, HS_ERR_INVALID, 0, index, "value %zu is of type %s, which does not belong there",
			    index + 1, hs_type_name(value->type));
}

/* What a record comes to. */
struct measures {
	uint64_t bytes;
	size_t name_length;
	uint32_t payloads[HS_CALL_ARGUMENTS_MAX];
};

/* Check it all and say how long it gets. 16 values of 4 GiB do not overflow. */
static enum hs_status measure(const struct hs_record *record, struct measures *ret, struct hs_error *err)
{
	const struct rules *rules = find_rules(record->kind);

	if (!rules || record->code < rules->code_min || record->code > rules->code_max) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "there is no record of kind %" PRIu32 " and code %" PRIu32, record->kind,
				    record->code);
	}
	ret->name_length = rules->name_max > 0 ? strnlen(record->name, sizeof(record->name)) : 0;
	if (rules->name_max > 0 && !hs_call_name_ok(record->name, ret->name_length)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "\"%.64s\" is no name of a function", record->name);
	}
	if (record->count < rules->values_min || record->count > rules->values_max) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "a %s has %zu to %zu values, not %zu", rules->name,
				    rules->values_min, rules->values_max, record->count);
	}
	ret->bytes = HEADER_BYTES + padded(ret->name_length);
	for (size_t i = 0; i < record->count; i++) {
		enum hs_status st = payload_of(record, i, &ret->payloads[i], err);

		if (st) {
			return st;
		}
		ret->bytes += VALUE_BYTES + padded(ret->payloads[i]);
	}
	return HS_OK;
}

/* The payload begins as zeros. */
static void write_payload(const struct hs_value *value, uint32_t length, uint8_t *ret)
{
	switch (value->type) {
	case HS_TYPE_VOID:
		break;
	case HS_TYPE_BOOL:
		ret[0] = value->b;
		break;
	case HS_TYPE_STRING:
	case HS_TYPE_BYTES:
		if (value->bytes.length > 0) {
			memcpy(ret, value->bytes.data, value->bytes.length);
		}
		break;
	default:
		if (length == 4) {
			hs_put_le32(ret, value->u);
		} else {
			hs_put_le64(ret, value->ul);
		}
		break;
	}
}

enum hs_status hs_record_encode(const struct hs_record *record, uint8_t *buffer, size_t capacity, size_t *ret_length,
				struct hs_error *err)
{
	struct measures measures = { 0 };
	uint8_t *next = buffer + HEADER_BYTES;
	enum hs_status st = measure(record, &measures, err);

	if (st) {
		return st;
	}
	if (measures.bytes > capacity) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0, "the %s takes %" PRIu64 " bytes of a buffer of %zu",
				    rules_of_kind[record->kind].name, measures.bytes, capacity);
	}
	memset(buffer, 0, measures.bytes);
	hs_put_le64(buffer, record->kind);
	hs_put_le64(buffer + 8, measures.bytes);
	hs_put_le64(buffer + 16, record->code);
	hs_put_le64(buffer + 24, measures.name_length);
	hs_put_le64(buffer + 32, record->count);
	memcpy(next, record->name, measures.name_length);
	next += padded(measures.name_length);
	for (size_t i = 0; i < record->count; i++) {
		uint32_t length = measures.payloads[i];

		hs_put_le32(next, (uint32_t)record->values[i].type);
		hs_put_le32(next + 4, length);
		write_payload(&record->values[i], length, next + VALUE_BYTES);
		next += VALUE_BYTES + padded(length);
	}
	*ret_length = measures.bytes;
	return HS_OK;
}
