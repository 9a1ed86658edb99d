/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "monitor" commands, whatever they are about: a table of them, and how a line becomes an answer. A command that fails
 * says so in its text, because text is all that a debugger shows.
 */
#ifndef HS_SESSION_MONITOR_WORDS_H
#define HS_SESSION_MONITOR_WORDS_H

#include "base/buf.h"

#include <hindsight/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Append the answer to out; what it fails with becomes the answer. */
typedef enum hs_status hs_monitor_fn(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err);

struct hs_monitor_command {
	const char *name;
	const char *argument; /* as help shows it, in [] if it may be left out; NULL: takes none, and is given "" */
	const char *help;
	hs_monitor_fn *run;
};

/**
 * hs_target_ops.monitor of a table of commands; "help", and an empty line, list them.
 *
 * @param refusal  the answer instead of any command's; NULL for none
 */
HS_MUST_CHECK enum hs_status hs_monitor_answer(const struct hs_monitor_command *commands, size_t count, void *ctx,
					       const char *refusal, const char *line, char **ret_text,
					       struct hs_error *err);

/** A whole number, decimal or hexadecimal with 0x, up to the end; false for anything else, more than 64 bits too. */
bool hs_monitor_number(const char *text, uint64_t *ret);
/** The same up to a blank or the end, to which *text moves. */
bool hs_monitor_take_number(const char **text, uint64_t *ret);

#endif
