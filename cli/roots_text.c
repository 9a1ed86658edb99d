/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/roots_text.h"

#include "base/error.h"
#include "cli/opts.h"

#include <stdio.h>
#include <string.h>

/* STRIDE:COUNT */
static bool read_numbers(const char *text, struct hs_roots_spec *ret)
{
	char stride[32];
	const char *colon = strchr(text, ':');

	if (!colon || (size_t)(colon - text) >= sizeof(stride)) {
		return false;
	}
	memcpy(stride, text, (size_t)(colon - text));
	stride[colon - text] = '\0';
	return hs_opts_number(stride, &ret->stride) && hs_opts_number(colon + 1, &ret->count);
}

enum hs_status hs_roots_text_parse(const char *text, char *name, struct hs_roots_spec *ret, struct hs_error *err)
{
	static const char prefix[] = "symbol:";
	struct hs_roots_spec spec = { .kind = HS_ROOTS_SYMBOL, .symbol = name, .count = 1 };
	size_t length;

	if (strcmp(text, "registered") == 0 || strcmp(text, "current") == 0) {
		*ret = (struct hs_roots_spec){ .kind = text[0] == 'r' ? HS_ROOTS_REGISTERED : HS_ROOTS_CURRENT };
		return HS_OK;
	}
	if (strncmp(text, prefix, strlen(prefix)) != 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "--roots: '%s' is not registered, current or symbol:NAME[:STRIDE:COUNT]", text);
	}
	text += strlen(prefix);
	length = strcspn(text, ":");
	if (length == 0 || length >= HS_ROOTS_TEXT_NAME_MAX) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--roots: symbol: wants the name of a variable");
	}
	if (text[length] == ':' && !read_numbers(text + length + 1, &spec)) {
		return hs_error_set(
			err, HS_ERR_INVALID, 0, 0,
			"--roots: '%s' is not STRIDE:COUNT, two numbers (bytes from one root to the next, and "
			"how many)",
			text + length + 1);
	}
	memcpy(name, text, length);
	name[length] = '\0';
	*ret = spec;
	return HS_OK;
}
