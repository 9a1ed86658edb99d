/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signatures and names of functions, as <hindsight/call.h> describes them, and what belongs to them. */
#ifndef HS_VMM_SIGNATURE_H
#define HS_VMM_SIGNATURE_H

#include <hindsight/call.h>
#include <hindsight/error.h>

#include <stdbool.h>
#include <stddef.h>

/** HS_OK if the text is a signature; else HS_ERR_INVALID, the message says where and err->where is the offset. */
HS_MUST_CHECK enum hs_status hs_signature_check(const char *signature, struct hs_error *err);

/**
 * HS_OK if these are arguments that a function takes; else HS_ERR_INVALID and a message that says which is not.
 *
 * @param signature  one that hs_signature_check() has let pass; so below
 * @param name       of the function, for the message
 */
HS_MUST_CHECK enum hs_status hs_signature_takes(const char *signature, const char *name,
						const struct hs_value *arguments, size_t count, struct hs_error *err);
/** The same of its result, which may be of type void. */
HS_MUST_CHECK enum hs_status hs_signature_gives(const char *signature, const char *name, const struct hs_value *result,
						struct hs_error *err);

/** "int", "string", ...: static; "no type" for what is none. */
const char *hs_type_name(enum hs_type type);
/** Whether length bytes are a name that a function may have. */
bool hs_call_name_ok(const char *name, size_t length);

#endif
