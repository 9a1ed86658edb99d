/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/signature.h"

#include "base/error.h"

const char *hs_type_name(enum hs_type type)
{
	switch (type) {
	case HS_TYPE_VOID:
		return "void";
	case HS_TYPE_INT:
		return "int";
	case HS_TYPE_UINT:
		return "uint";
	case HS_TYPE_LONG:
		return "long";
	case HS_TYPE_ULONG:
		return "ulong";
	case HS_TYPE_FLOAT:
		return "float";
	case HS_TYPE_DOUBLE:
		return "double";
	case HS_TYPE_BOOL:
		return "bool";
	case HS_TYPE_STRING:
		return "string";
	case HS_TYPE_BYTES:
		return "bytes";
	default:
		return "no type";
	}
}

static bool is_type(char letter)
{
	static const char letters[] = { HS_TYPE_VOID,  HS_TYPE_INT,    HS_TYPE_UINT, HS_TYPE_LONG,   HS_TYPE_ULONG,
					HS_TYPE_FLOAT, HS_TYPE_DOUBLE, HS_TYPE_BOOL, HS_TYPE_STRING, HS_TYPE_BYTES };

	for (size_t i = 0; i < sizeof(letters); i++) {
		if (letters[i] == letter) {
			return true;
		}
	}
	return false;
}

bool hs_call_name_ok(const char *name, size_t length)
{
	if (length == 0 || length > HS_CALL_NAME_MAX) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (name[i] <= ' ' || name[i] > '~') {
			return false;
		}
	}
	return true;
}

static enum hs_status refuse(const char *text, size_t at, const char *why, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_INVALID, 0, at, "the signature \"%.64s\" is broken at character %zu: %s", text,
			    at + 1, why);
}

enum hs_status hs_signature_parse(const char *text, struct hs_signature *ret, struct hs_error *err)
{
	struct hs_signature signature = { .count = 0 };
	size_t at = 2;

	if (!is_type(text[0])) {
		return refuse(text, 0, "the result has a type of viuIUfdbsy", err);
	}
	signature.result = (enum hs_type)text[0];
	if (text[1] != '(') {
		return refuse(text, 1, "the arguments are in parentheses", err);
	}
	for (; text[at] != ')'; at++) {
		if (!is_type(text[at]) || text[at] == HS_TYPE_VOID) {
			return refuse(text, at, "an argument has a type of iuIUfdbsy", err);
		}
		if (signature.count == HS_CALL_ARGUMENTS_MAX) {
			return refuse(text, at, "there are more than 16 arguments", err);
		}
		signature.arguments[signature.count++] = (enum hs_type)text[at];
	}
	if (text[at + 1] != '\0') {
		return refuse(text, at + 1, "it ends with the parenthesis", err);
	}
	*ret = signature;
	return HS_OK;
}

enum hs_status hs_signature_check(const struct hs_signature *signature, const struct hs_value *arguments, size_t count,
				  struct hs_error *err)
{
	if (count != signature->count) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "the function takes %zu arguments, not %zu",
				    signature->count, count);
	}
	for (size_t i = 0; i < count; i++) {
		if (arguments[i].type != signature->arguments[i]) {
			return hs_error_set(err, HS_ERR_INVALID, 0, i, "argument %zu is of type %s and not %s", i + 1,
					    hs_type_name(signature->arguments[i]), hs_type_name(arguments[i].type));
		}
	}
	return HS_OK;
}
