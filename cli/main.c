/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command: finds the command word in a table and hands over. What a command does is in its own cmd_NAME.c. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
	const char *name;
	const char *summary;
	int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "run", "run a guest", hs_cmd_run },
	{ "restore", "go on from a snapshot or a core", hs_cmd_restore },
	{ "debug", "show a core or a snapshot to a debugger", hs_cmd_debug },
	{ "core", "look into a core", hs_cmd_core },
	{ "pagetable", "read the page tables in a core or a memory image", hs_cmd_pagetable },
	{ "doctor", "show what this host can do, and what to do about what is missing", hs_cmd_doctor },
	{ NULL, NULL, NULL },
};

static int print_help(FILE *out)
{
	fprintf(out, "Usage: hindsight COMMAND [OPTIONS] ...\n"
		     "\n"
		     "A debugging micro-VMM: runs x86 guests, serves them to gdb and lldb, and writes a core\n"
		     "when one crashes.\n"
		     "\n"
		     "Commands:\n");
	for (const struct command *c = commands; c->name; c++) {
		fprintf(out, "  %-10s %s\n", c->name, c->summary);
	}
	fprintf(out, "\n"
		     "Options:\n"
		     "  --help     show this help and exit; after a command, the command's\n"
		     "  --version  show the version and exit\n"
		     "\n"
		     "Exit status: the guest's own; 128 + signal after a crash; 124 after the time limit;\n"
		     "125 when hindsight itself failed; 2 for a wrong command line.\n");
	return HS_EXIT_OK;
}

static int print_version(void)
{
	printf("hindsight %s\n", HS_VERSION);
	return HS_EXIT_OK;
}

static int misused(const char *what, const char *word)
{
	hs_cli_say("%s%s%s%s (try 'hindsight --help')", what, word ? " '" : "", word ? word : "", word ? "'" : "");
	return HS_EXIT_USAGE;
}

/* What was printed on stdout may still fail to reach it (a full disk), and the caller would take it for success. */
static int finish(int status)
{
	/* What is longer than a buffer was written before, and failed then: the stream knows that it did, not why. */
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == HS_EXIT_OK) {
		hs_cli_say("cannot write the output%s%s", errno ? ": " : "", errno ? strerror(errno) : "");
		return HS_EXIT_FAILED;
	}
	return status;
}

/*
 * A standard descriptor that is closed would be given to the next file opened, and what is meant for a terminal would
 * go there. What takes its place fails as it would: it is open for the other direction only.
 */
static void fill_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			/* The lowest that is free, which is this one. */
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
		}
	}
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	fill_standard_descriptors();
	if (!word) {
		return misused("no command given", NULL);
	}
	if (strcmp(word, "--help") == 0) {
		return finish(print_help(stdout));
	}
	if (strcmp(word, "--version") == 0) {
		return finish(print_version());
	}
	if (word[0] == '-') {
		return misused("unknown option", word);
	}
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, word) == 0) {
			return finish(c->main(argc - 1, argv + 1));
		}
	}
	return misused("unknown command", word);
}
