/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as what somebody has typed behind --call. What must hold: it is refused with a message that names a column of
 * the text and nothing else happens, or what was read is a call, prints, and what was printed reads as the same call.
 *
 * Input: one byte of control (bit 0: the rest is the text; else it is a number of pieces that texts are made of, so
 * that most are nearly right).
 */
#include "driver.h"

#include "cli/call_list.h"
#include "vmm/signature.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 1024u
#define PRINTED_MAX (1u << 16)

static const char *const pieces[] = {
	"f",          "add",   "(",  ")",   ",",    " ",    "1",      "-",    "0x",   "u",   "L",     "UL",    ".",
	"e",          "9",     "\"", "\\",  "x",    "n",    "00",     "ff",   "true", "inf", "nan",   "-inff", "1.5f",
	"4294967295", "x\"00", "\t", "1e3", "\x7f", "\xff", "false)", "\\\"", "0.1",  "(1,", "\")\"", "1u",
};

/* The text, with its NUL. */
static void make_text(const uint8_t *data, size_t size, char *ret)
{
	size_t used = 0;

	if (data[0] & 1) {
		used = size - 1 < TEXT_MAX - 1 ? size - 1 : TEXT_MAX - 1;
		memcpy(ret, data + 1, used);
	}
	for (size_t i = 1; i < size && !(data[0] & 1); i++) {
		const char *piece = pieces[data[i] % (sizeof(pieces) / sizeof(pieces[0]))];

		if (used + strlen(piece) < TEXT_MAX) {
			memcpy(ret + used, piece, strlen(piece));
			used += strlen(piece);
		}
	}
	ret[used] = '\0';
}

static void check_call(const struct hs_call_text *call)
{
	CHECK(hs_call_name_ok(call->name, strlen(call->name)));
	CHECK(call->count <= HS_CALL_ARGUMENTS_MAX);
	for (size_t i = 0; i < call->count; i++) {
		const struct hs_value *value = &call->arguments[i];

		CHECK(value->type != HS_TYPE_VOID && strcmp(hs_type_name(value->type), "no type") != 0);
		CHECK(value->type != HS_TYPE_STRING || strlen(value->bytes.data) == value->bytes.length);
	}
}

static void print(const struct hs_call_text *call, struct hs_buf *out)
{
	hs_buf_init(out, PRINTED_MAX);
	hs_call_text_print(call, out);
	hs_buf_append_byte(out, 0);
	CHECK(!out->failed);
}

/* Nothing of it is to move a cursor. */
static void check_printed(const struct hs_buf *line)
{
	for (size_t i = 0; i + 1 < line->length; i++) {
		CHECK(line->data[i] >= ' ' && line->data[i] < 0x7F);
	}
}

static void check_again(const struct hs_call_text *call)
{
	struct hs_call_text again;
	struct hs_buf first;
	struct hs_buf second;

	print(call, &first);
	check_printed(&first);
	CHECK(hs_call_text_parse((const char *)first.data, &again, NULL) == HS_OK);
	print(&again, &second);
	CHECK(again.count == call->count && strcmp((const char *)first.data, (const char *)second.data) == 0);
	for (size_t i = 0; i < again.count; i++) {
		CHECK(again.arguments[i].type == call->arguments[i].type);
	}
	hs_call_text_free(&again);
	hs_buf_deinit(&first);
	hs_buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char made[TEXT_MAX];
	char *text;
	struct hs_call_text call = { .count = 99 };
	struct hs_error err = { 0 };

	if (size == 0) {
		return 0;
	}
	make_text(data, size, made);
	/* Exactly as long as it is: the sanitizers see who reads on. */
	text = strdup(made);
	CHECK(text != NULL);
	if (hs_call_text_parse(text, &call, &err)) {
		size_t column = 0;

		CHECK(err.status == HS_ERR_INVALID && sscanf(err.message, "column %zu: ", &column) == 1);
		CHECK(column > 0 && column <= strlen(text) + 1 && call.count == 99);
	} else {
		check_call(&call);
		check_again(&call);
		hs_call_text_free(&call);
	}
	free(text);
	return 0;
}
