/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finders of page-table roots as text: what --roots says. */
#ifndef HS_CLI_ROOTS_TEXT_H
#define HS_CLI_ROOTS_TEXT_H

#include <hindsight/sandbox.h>

/** Longest name of a variable in bytes, with its NUL. */
#define HS_ROOTS_TEXT_NAME_MAX 256

/**
 * Read registered, current, symbol:NAME (one root) or symbol:NAME:STRIDE:COUNT.
 *
 * HS_ERR_INVALID: none of these; the message says what is wrong.
 *
 * @param name  room for HS_ROOTS_TEXT_NAME_MAX bytes, which *ret borrows
 * @param ret   untouched on failure
 */
HS_MUST_CHECK enum hs_status hs_roots_text_parse(const char *text, char *name, struct hs_roots_spec *ret,
						 struct hs_error *err);

#endif
