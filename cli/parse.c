/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/parse.h"

#include "cli/cli.h"

#include <stdio.h>

bool hs_cli_parse(const struct hs_opts *opts, int argc, char **argv, void *values, struct hs_opts_rest *ret,
		  int *ret_status)
{
	struct hs_error err;

	if (hs_opts_parse(opts, argc, argv, values, ret, &err)) {
		*ret_status = hs_cli_misused(opts->command, &err);
		return false;
	}
	if (ret->help) {
		hs_opts_help(opts, stdout);
		*ret_status = HS_EXIT_OK;
		return false;
	}
	return true;
}

bool hs_cli_parse_file(const struct hs_opts *opts, int argc, char **argv, void *values, const char **ret_file,
		       int *ret_status)
{
	struct hs_opts_rest rest;
	struct hs_error err;

	if (!hs_cli_parse(opts, argc, argv, values, &rest, ret_status)) {
		return false;
	}
	if (hs_opts_operands(&rest, 1, "FILE", &err)) {
		*ret_status = hs_cli_misused(opts->command, &err);
		return false;
	}
	*ret_file = rest.operands[0];
	return true;
}
