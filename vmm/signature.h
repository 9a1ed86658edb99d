/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signatures and names of functions, as <hindsight/call.h> describes them: text in, plain data out. */
#ifndef HS_VMM_SIGNATURE_H
#define HS_VMM_SIGNATURE_H

#include <hindsight/call.h>
#include <hindsight/error.h>

#include <stdbool.h>
#include <stddef.h>

/** A signature. Plain data. */
struct hs_signature {
	enum hs_type result;
	size_t count;
	enum hs_type arguments[HS_CALL_ARGUMENTS_MAX];
};

/** Read a signature. HS_ERR_INVALID: it is none; the message says where. */
HS_MUST_CHECK enum hs_status hs_signature_parse(const char *text, struct hs_signature *ret, struct hs_error *err);
/** HS_OK if these are arguments of the signature; else HS_ERR_INVALID and a message that says which is not. */
HS_MUST_CHECK enum hs_status hs_signature_check(const struct hs_signature *signature, const struct hs_value *arguments,
						size_t count, struct hs_error *err);

/** "int", "string", ...: static; "no type" for what is none. */
const char *hs_type_name(enum hs_type type);
/** Whether length bytes are a name that a function may have. */
bool hs_call_name_ok(const char *name, size_t length);

#endif
