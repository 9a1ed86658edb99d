/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls of a guest's functions as text, both ways: add(40, 2), echo_bytes(x"00ff"). A value says its type by its form,
 * so that what is printed reads as the same value again:
 *
 *   int 1 -1 0x10, uint 1u, long 1L, ulong 1UL, float 1.5f, double 1.5 1e9, bool true false,
 *   string "with \" \\ \n \t \r \xNN", bytes x"00ff", void () as a result
 */
#ifndef HS_CLI_CALL_TEXT_H
#define HS_CLI_CALL_TEXT_H

#include "base/buf.h"

#include <hindsight/call.h>
#include <hindsight/error.h>

#include <stddef.h>

/** A call that was read. */
struct hs_call_text {
	char name[HS_CALL_NAME_MAX + 1];
	struct hs_value arguments[HS_CALL_ARGUMENTS_MAX];
	size_t count;
	char *bytes; /**< of the strings among the arguments; owned */
};

/**
 * Read NAME(VALUE, ...); the whole text must be one.
 *
 * HS_ERR_INVALID: the message names the column, from 1, the function and the argument, as far as they are known there,
 * and what was expected. HS_ERR_NOMEM.
 *
 * @param ret  filled on success; the caller's until hs_call_text_free()
 */
HS_MUST_CHECK enum hs_status hs_call_text_parse(const char *text, struct hs_call_text *ret, struct hs_error *err);
/** Free what it holds. A zeroed one is fine. */
void hs_call_text_free(struct hs_call_text *call);

/** Append NAME(VALUE, ...). */
void hs_call_text_print(const struct hs_call_text *call, struct hs_buf *out);
/** Append a value in the form in which it is read. */
void hs_call_text_print_value(const struct hs_value *value, struct hs_buf *out);
/** Append bytes as between the quotes of a string. */
void hs_call_text_escape(const void *bytes, size_t length, struct hs_buf *out);

#endif
