/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands that a debugger passes through ("monitor" in gdb, "process plugin packet monitor" in lldb): one
 * table, one function a command. A command that fails says so in its text, because text is all that a debugger
 * shows.
 */
#include "session/monitor.h"

#include "base/error.h"
#include "session/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 20)

struct command {
	const char *name;
	const char *argument; /* as help shows it; NULL: takes none */
	const char *help;
	enum hs_status (*run)(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
};

static const struct command commands[];

static enum hs_status run_help(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	(void)live;
	(void)argument;
	(void)err;
	/* The stub lists help itself, in this form: the first row. */
	for (const struct command *c = commands + 1; c->name; c++) {
		char left[32];

		snprintf(left, sizeof(left), "%s %s", c->name, c->argument ? c->argument : "");
		hs_buf_printf(out, "%-14s %s\n", left, c->help);
	}
	return HS_OK;
}

static enum hs_status run_doctor(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_probe probe;

	(void)live;
	(void)argument;
	(void)err;
	hs_probe(&probe);
	hs_doctor_text(&probe, false, out);
	return HS_OK;
}

static const struct command commands[] = {
	{ "help", NULL, "this list", run_help },
	{ "info", NULL, "the guest: image, state, paging, segments", hs_monitor_info },
	{ "regs", NULL, "all registers", hs_monitor_regs },
	{ "core", "[FILE]", "write a core of the guest as it stands", hs_monitor_core },
	{ "snapshot", "NAME", "keep the guest as it stands: a checkpoint", hs_monitor_snapshot },
	{ "restore", "[NAME]", "put the guest back to a checkpoint, or to the snapshot that it stands on",
	  hs_monitor_restore },
	{ "snapshots", NULL, "list the checkpoints", hs_monitor_snapshots },
	{ "forget", "NAME", "drop a checkpoint", hs_monitor_forget },
	{ "cycle", "[N]", "stop where the guest begins again: next, or the Nth time; 0: never", hs_monitor_cycle },
	{ "phys", "ADDR [N]", "N bytes (64) of guest-physical memory", hs_monitor_phys },
	{ "roots", NULL, "the address spaces, and which one is current", hs_monitor_roots },
	{ "root", "N|current", "addresses are from now on those of space N, or of the CPU's", hs_monitor_root },
	{ "walk", "ADDR", "the page-table entries on the way to an address", hs_monitor_walk },
	{ "maps", "[N]", "what the space, or space N, maps, and with which rights", hs_monitor_maps },
	{ "backtrace", NULL, "the calls that have come here, as reports show them", hs_monitor_backtrace },
	{ "stats", NULL, "runs, stops, breakpoints, pages written, restores, checkpoints", hs_monitor_stats },
	{ "doctor", NULL, "what this host can do, and what the debugger makes of it", run_doctor },
	{ NULL, NULL, NULL, NULL },
};

void hs_monitor_split(char *line, const char **ret_word, const char **ret_argument)
{
	size_t length;

	line += strspn(line, " \t");
	*ret_word = line;
	line += strcspn(line, " \t\r\n");
	if (*line) {
		*line++ = '\0';
	}
	line += strspn(line, " \t");
	*ret_argument = line;
	for (length = strlen(line); length > 0 && strchr(" \t\r\n", line[length - 1]); length--) {
		line[length - 1] = '\0';
	}
}

static const struct command *find(const char *word)
{
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, word) == 0) {
			return c;
		}
	}
	return NULL;
}

/* A failure within a command becomes its text; what is returned is whether there was such a command. */
static void run(struct hs_live *live, const struct command *command, const char *argument, struct hs_buf *out)
{
	struct hs_error err;

	if (live->running) {
		hs_buf_append_string(out, "the guest is running\n");
	} else if (argument[0] && !command->argument) {
		hs_buf_printf(out, "%s takes no argument\n", command->name);
	} else if (command->run(live, argument, out, &err)) {
		hs_buf_printf(out, "%s\n", err.message);
	}
}

enum hs_status hs_live_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err)
{
	struct hs_live *live = ctx;
	char *copy = strdup(line);
	const struct command *command;
	const char *argument;
	const char *word;
	struct hs_buf out;

	if (!copy) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a command");
	}
	hs_monitor_split(copy, &word, &argument);
	command = find(word[0] ? word : "help");
	if (!command) {
		enum hs_status st =
			hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no command '%s' (try 'monitor help')", word);

		free(copy);
		return st;
	}
	hs_buf_init(&out, TEXT_MAX);
	run(live, command, argument, &out);
	free(copy);
	hs_buf_append_byte(&out, 0);
	if (out.failed) {
		hs_buf_deinit(&out);
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the answer");
	}
	*ret_text = (char *)out.data;
	return HS_OK;
}
