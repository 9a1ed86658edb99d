/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/signature.h"

#include "base/error.h"

#include <string.h>

/* Where the letters of the arguments begin. */
#define ARGUMENTS 2u

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

static enum hs_status refuse(const char *signature, size_t at, const char *why, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_INVALID, 0, at, "the signature \"%.64s\" is broken at character %zu: %s",
			    signature, at + 1, why);
}

enum hs_status hs_signature_check(const char *signature, struct hs_error *err)
{
	size_t at = ARGUMENTS;

	if (!is_type(signature[0])) {
		return refuse(signature, 0, "the result has a type of viuIUfdbsy", err);
	}
	if (signature[1] != '(') {
		return refuse(signature, 1, "the arguments are in parentheses", err);
	}
	for (; signature[at] != ')'; at++) {
		if (!is_type(signature[at]) || signature[at] == HS_TYPE_VOID) {
			return refuse(signature, at, "an argument has a type of iuIUfdbsy", err);
		}
		if (at == ARGUMENTS + HS_CALL_ARGUMENTS_MAX) {
			return refuse(signature, at, "there are more than 16 arguments", err);
		}
	}
	return signature[at + 1] ? refuse(signature, at + 1, "it ends with the parenthesis", err) : HS_OK;
}

enum hs_status hs_signature_takes(const char *signature, const char *name, const struct hs_value *arguments,
				  size_t count, struct hs_error *err)
{
	size_t wanted = strlen(signature) - (ARGUMENTS + 1);

	if (count != wanted) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s() takes %zu argument%s, not %zu", name, wanted,
				    wanted == 1 ? "" : "s", count);
	}
	for (size_t i = 0; i < count; i++) {
		enum hs_type type = (enum hs_type)signature[ARGUMENTS + i];

		if (arguments[i].type != type) {
			return hs_error_set(err, HS_ERR_INVALID, 0, i, "argument %zu of %s() is of type %s, not %s",
					    i + 1, name, hs_type_name(type), hs_type_name(arguments[i].type));
		}
	}
	return HS_OK;
}

enum hs_status hs_signature_gives(const char *signature, const char *name, const struct hs_value *result,
				  struct hs_error *err)
{
	enum hs_type type = (enum hs_type)signature[0];

	if (result->type != type) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "the result of %s() is of type %s, not %s", name,
				    hs_type_name(type), hs_type_name(result->type));
	}
	return HS_OK;
}
