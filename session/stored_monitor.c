/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor commands of a core or a snapshot that a debugger looks at: those of monitor.c that only read. */
#include "session/stored.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "session/monitor.h"

#include <stdio.h>
#include <string.h>

#define TEXT_MAX (1u << 17)

static void put_info(const struct hs_stored *stored, struct hs_buf *out)
{
	const struct hs_core_info *info = hs_core_info(stored->core);
	const struct hs_root *root = hs_stored_root(stored);

	hs_buf_printf(out, "file      %s\n", stored->path);
	hs_buf_printf(out, "image     %s (%s)\n", stored->image ? stored->image : "not known",
		      hs_arch_name(info->arch));
	hs_buf_printf(out, "state     %s\n", info->reason[0] ? info->reason : "as it was when the file was written");
	if (root) {
		hs_buf_printf(out, "paging    %s, root at gpa 0x%llx\n", hs_paging_format_name(root->format),
			      (unsigned long long)root->base.v);
	}
}

/* A monitor command. The view is there for those that need one. */
struct command {
	const char *name;
	const char *argument; /* as help shows it; NULL: takes none */
	const char *help;
	bool needs_view;
	enum hs_status (*run)(struct hs_stored *stored, const struct hs_space_view *view, const char *argument,
			      struct hs_buf *out, struct hs_error *err);
};

static enum hs_status run_info(struct hs_stored *stored, const struct hs_space_view *view, const char *argument,
			       struct hs_buf *out, struct hs_error *err)
{
	(void)view;
	(void)argument;
	(void)err;
	put_info(stored, out);
	return HS_OK;
}

static enum hs_status run_phys(struct hs_stored *stored, const struct hs_space_view *view, const char *argument,
			       struct hs_buf *out, struct hs_error *err)
{
	(void)view;
	return hs_monitor_phys_text(&stored->from.scene.phys, argument, out, err);
}

static enum hs_status run_roots(struct hs_stored *stored, const struct hs_space_view *view, const char *argument,
				struct hs_buf *out, struct hs_error *err)
{
	(void)stored;
	(void)argument;
	(void)err;
	hs_space_put_roots(view, out);
	return HS_OK;
}

static enum hs_status run_root(struct hs_stored *stored, const struct hs_space_view *view, const char *argument,
			       struct hs_buf *out, struct hs_error *err)
{
	return hs_space_choose(view, argument, out, &stored->space_chosen, err);
}

static enum hs_status run_walk(struct hs_stored *stored, const struct hs_space_view *view, const char *argument,
			       struct hs_buf *out, struct hs_error *err)
{
	(void)stored;
	return hs_space_put_walk(view, argument, out, err);
}

static enum hs_status run_maps(struct hs_stored *stored, const struct hs_space_view *view, const char *argument,
			       struct hs_buf *out, struct hs_error *err)
{
	(void)stored;
	return hs_space_put_maps(view, argument, out, err);
}

static const struct command commands[] = {
	{ "info", NULL, "the file: image, state, paging", false, run_info },
	{ "phys", "ADDR [N]", "N bytes (64) of guest-physical memory", false, run_phys },
	{ "roots", NULL, "the address spaces, and which one is current", true, run_roots },
	{ "root", "N|current", "addresses are from now on those of space N, or of the CPU's", true, run_root },
	{ "walk", "ADDR", "the page-table entries on the way to an address", true, run_walk },
	{ "maps", "[N]", "what the space, or space N, maps, and with which rights", true, run_maps },
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void put_help(struct hs_buf *out)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const char *argument = commands[i].argument;
		char left[32];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, argument ? argument : "");
		hs_buf_printf(out, "%-14s %s\n", left, commands[i].help);
	}
}

/* HS_ERR_NOT_FOUND for one that there is not; what one fails with is its answer. */
static enum hs_status run_command(struct hs_stored *stored, const char *word, const char *argument, struct hs_buf *out,
				  struct hs_error *err)
{
	struct hs_space_view view;
	struct hs_error failure;
	size_t i = 0;

	if (word[0] == '\0' || strcmp(word, "help") == 0) {
		put_help(out);
		return HS_OK;
	}
	while (i < COMMANDS && strcmp(word, commands[i].name) != 0) {
		i++;
	}
	if (i == COMMANDS) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no command '%s' (try 'monitor help')", word);
	}
	if (argument[0] && !commands[i].argument) {
		hs_buf_printf(out, "%s takes no argument\n", word);
	} else if (!hs_stored_view(stored, &view) && commands[i].needs_view) {
		hs_buf_append_string(out, "the core does not tell its page tables\n");
	} else if (commands[i].run(stored, &view, argument, out, &failure)) {
		hs_buf_printf(out, "%s\n", failure.message);
	}
	return HS_OK;
}

enum hs_status hs_stored_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err)
{
	HS_FREE char *copy = strdup(line);
	const char *argument;
	const char *word;
	struct hs_buf out;
	enum hs_status st;

	if (!copy) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a command");
	}
	hs_buf_init(&out, TEXT_MAX);
	hs_monitor_split(copy, &word, &argument);
	st = run_command(ctx, word, argument, &out, err);
	hs_buf_append_byte(&out, 0);
	if (!st && out.failed) {
		st = hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the answer");
	}
	if (st) {
		hs_buf_deinit(&out);
		return st;
	}
	*ret_text = (char *)out.data;
	return HS_OK;
}
