/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/call_list.h"

#include "base/error.h"
#include "base/json.h"
#include "vmm/signature.h"

#include <inttypes.h>
#include <math.h>

enum hs_status hs_call_list_parse(const struct hs_opt_strings *values, struct hs_call_list *ret, struct hs_error *err)
{
	for (size_t i = 0; i < values->count; i++) {
		struct hs_error why;
		enum hs_status st = hs_call_text_parse(values->values[i], &ret->calls[i], &why);

		if (st) {
			return hs_error_set(err, st, 0, 0, "--call (number %zu): %s", i + 1, why.message);
		}
		ret->count++;
	}
	return HS_OK;
}

void hs_call_list_free(struct hs_call_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		hs_call_text_free(&list->calls[i]);
	}
	list->count = 0;
}

/* JSON has no infinities and no NaN (RFC 8259, 6): those are strings. 17 digits bring any double back. */
static void put_floating(double number, int digits, struct hs_buf *out)
{
	if (isnan(number)) {
		hs_buf_append_string(out, "\"nan\"");
	} else if (isinf(number)) {
		hs_buf_append_string(out, number < 0 ? "\"-inf\"" : "\"inf\"");
	} else {
		hs_buf_printf(out, "%.*g", digits, number);
	}
}

/* Integers of 64 bits are strings: readers that have only doubles would round them (RFC 8259, 6). */
static void put_value(const struct hs_value *value, struct hs_buf *out)
{
	switch (value->type) {
	case HS_TYPE_VOID:
		hs_buf_append_string(out, "null");
		break;
	case HS_TYPE_INT:
		hs_buf_printf(out, "%" PRId32, value->i);
		break;
	case HS_TYPE_UINT:
		hs_buf_printf(out, "%" PRIu32, value->u);
		break;
	case HS_TYPE_LONG:
		hs_buf_printf(out, "\"%" PRId64 "\"", value->l);
		break;
	case HS_TYPE_ULONG:
		hs_buf_printf(out, "\"%" PRIu64 "\"", value->ul);
		break;
	case HS_TYPE_FLOAT:
		put_floating((double)value->f, 9, out);
		break;
	case HS_TYPE_DOUBLE:
		put_floating(value->d, 17, out);
		break;
	case HS_TYPE_BOOL:
		hs_buf_append_string(out, value->b ? "true" : "false");
		break;
	case HS_TYPE_STRING:
		hs_json_string(out, value->bytes.data);
		break;
	case HS_TYPE_BYTES:
		hs_buf_append_byte(out, '"');
		hs_buf_append_hex(out, value->bytes.data, value->bytes.length);
		hs_buf_append_byte(out, '"');
		break;
	}
}

static void put_typed(const struct hs_value *value, struct hs_buf *out)
{
	hs_buf_printf(out, "{\"type\":\"%s\",\"value\":", hs_type_name(value->type));
	put_value(value, out);
	hs_buf_append_byte(out, '}');
}

static void print_json(const struct hs_call_text *call, const struct hs_value *result, const char *why,
		       struct hs_buf *out)
{
	hs_buf_append_string(out, "{\"call\":");
	hs_json_string(out, call->name);
	hs_buf_append_string(out, ",\"arguments\":[");
	for (size_t i = 0; i < call->count; i++) {
		hs_buf_append_string(out, i > 0 ? "," : "");
		put_typed(&call->arguments[i], out);
	}
	hs_buf_append_string(out, result ? "],\"result\":" : "],\"error\":");
	if (result) {
		put_typed(result, out);
	} else {
		hs_json_string(out, why);
	}
	hs_buf_append_byte(out, '}');
}

void hs_call_list_print(const struct hs_call_text *call, const struct hs_value *result, const char *why, bool json,
			struct hs_buf *out)
{
	if (json) {
		print_json(call, result, why, out);
	} else if (result) {
		hs_call_text_print(call, out);
		hs_buf_append_string(out, " = ");
		hs_call_text_print_value(result, out);
	} else {
		hs_buf_append_string(out, why);
	}
}
