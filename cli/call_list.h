/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls of a command line: what --call says, and what each has come to, as text or as JSON. */
#ifndef HS_CLI_CALL_LIST_H
#define HS_CLI_CALL_LIST_H

#include "cli/call_text.h"
#include "cli/opts.h"

#include <stdbool.h>

/** The calls of a command line. Caller's storage, zeroed before. */
struct hs_call_list {
	struct hs_call_text calls[HS_OPT_VALUES_MAX];
	size_t count;
};

/** Read the values of --call. HS_ERR_INVALID: the message names which, where in it, and why. Free it in any case. */
HS_MUST_CHECK enum hs_status hs_call_list_parse(const struct hs_opt_strings *values, struct hs_call_list *ret,
						struct hs_error *err);
void hs_call_list_free(struct hs_call_list *list);

/**
 * Append what a call has come to, without a newline. As text: NAME(VALUE, ...) = VALUE, or why it has no result. As
 * JSON: one object on one line (docs/command.md, "Calls").
 *
 * @param result  NULL when it has none
 * @param why     then: the reason
 */
void hs_call_list_print(const struct hs_call_text *call, const struct hs_value *result, const char *why, bool json,
			struct hs_buf *out);

#endif
