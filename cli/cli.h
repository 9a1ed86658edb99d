/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the commands share: exit statuses, the entry points of the commands, and the one way in which an error reaches
 * the terminal. This is the only rank that prints and chooses an exit status; below it, everything returns a status.
 */
#ifndef HS_CLI_CLI_H
#define HS_CLI_CLI_H

#include <hindsight/error.h>

/** Exit statuses of the command, besides the guest's own and 128 + signal (docs/command.md). */
enum hs_exit_status {
	HS_EXIT_OK = 0,
	HS_EXIT_NOT_ALL = 1, /**< pagetable: the list is not complete, or the address is not mapped; core verify: there
			      *   is a problem; run --call: a call had no result */
	HS_EXIT_USAGE = 2,   /**< the command line is wrong; nothing was done */
	HS_EXIT_TIMEOUT = 124, /**< --timeout passed: the number timeout(1) uses */
	HS_EXIT_FAILED = 125,  /**< hindsight itself failed */
	HS_EXIT_SIGNAL = 128,  /**< plus the signal's number */
};

/** Commands: argv[0] is the command's name, as in main(). Each returns the exit status. */
int hs_cmd_run(int argc, char **argv);
int hs_cmd_restore(int argc, char **argv);
int hs_cmd_debug(int argc, char **argv);
int hs_cmd_core(int argc, char **argv);
int hs_cmd_pagetable(int argc, char **argv);
int hs_cmd_doctor(int argc, char **argv);

/** Print "hindsight: " and the formatted sentence as one line on stderr. Never fails; keeps errno. */
__attribute__((format(printf, 1, 2))) void hs_cli_say(const char *format, ...);

/** As hs_cli_say() with the message of err, and return HS_EXIT_FAILED. */
int hs_cli_failed(const struct hs_error *err);

/** As hs_cli_say() with the message of err and where to find help, and return HS_EXIT_USAGE. */
int hs_cli_misused(const char *command, const struct hs_error *err);

#endif
