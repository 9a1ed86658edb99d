/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The beginning of every command: its options, --help, and one line about what is wrong with them. */
#ifndef HS_CLI_PARSE_H
#define HS_CLI_PARSE_H

#include "cli/opts.h"

#include <stdbool.h>

/**
 * As hs_opts_parse(), with all that is to be printed.
 *
 * @param ret_status  filled when it returns false: how the command ends
 * @return            true when the command is to go on
 */
bool hs_cli_parse(const struct hs_opts *opts, int argc, char **argv, void *values, struct hs_opts_rest *ret,
		  int *ret_status);

/** The same for a command with one operand, *ret_file, which is borrowed from argv. */
bool hs_cli_parse_file(const struct hs_opts *opts, int argc, char **argv, void *values, const char **ret_file,
		       int *ret_status);

#endif
