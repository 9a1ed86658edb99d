/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/monitor_words.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 20)

bool hs_monitor_take_number(const char **text, uint64_t *ret)
{
	const char *start = *text;
	char *end;

	if (*start < '0' || *start > '9') {
		return false;
	}
	errno = 0;
	*ret = strtoull(start, &end, 0);
	*text = end;
	return errno == 0 && (*end == '\0' || *end == ' ' || *end == '\t');
}

bool hs_monitor_number(const char *text, uint64_t *ret)
{
	return hs_monitor_take_number(&text, ret) && *text == '\0';
}

/* The stub lists help itself, in this form. */
static void put_help(const struct hs_monitor_command *commands, size_t count, struct hs_buf *out)
{
	for (size_t i = 0; i < count; i++) {
		const char *argument = commands[i].argument;
		char left[32];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, argument ? argument : "");
		hs_buf_printf(out, "%-14s %s\n", left, commands[i].help);
	}
}

/* Split off the first word: *ret_argument is what follows it, without blanks around. */
static void split(char *line, const char **ret_word, const char **ret_argument)
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

/* HS_ERR_NOT_FOUND for a word that is none of them; what a command fails with is its answer. */
static enum hs_status answer(const struct hs_monitor_command *commands, size_t count, void *ctx, const char *refusal,
			     char *line, struct hs_buf *out, struct hs_error *err)
{
	const char *argument;
	const char *word;
	struct hs_error failure;
	bool help;
	size_t i = 0;

	split(line, &word, &argument);
	help = word[0] == '\0' || strcmp(word, "help") == 0;
	while (i < count && strcmp(word, commands[i].name) != 0) {
		i++;
	}
	if (i == count && !help) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no command '%s' (try 'monitor help')", word);
	}
	if (refusal) {
		hs_buf_printf(out, "%s\n", refusal);
	} else if (argument[0] && (help || !commands[i].argument)) {
		hs_buf_printf(out, "%s takes no argument\n", word);
	} else if (!help && !argument[0] && commands[i].argument && commands[i].argument[0] != '[') {
		hs_buf_printf(out, "%s wants an argument: %s %s\n", word, word, commands[i].argument);
	} else if (help) {
		put_help(commands, count, out);
	} else if (commands[i].run(ctx, argument, out, &failure)) {
		hs_buf_printf(out, "%s\n", failure.message);
	}
	return HS_OK;
}

enum hs_status hs_monitor_answer(const struct hs_monitor_command *commands, size_t count, void *ctx,
				 const char *refusal, const char *line, char **ret_text, struct hs_error *err)
{
	HS_FREE char *copy = strdup(line);
	struct hs_buf out;
	enum hs_status st;

	if (!copy) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a command");
	}
	hs_buf_init(&out, TEXT_MAX);
	st = answer(commands, count, ctx, refusal, copy, &out, err);
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
