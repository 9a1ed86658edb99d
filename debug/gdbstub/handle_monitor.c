/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "monitor" commands (qRcmd): the target's own, and help. The text of a reply goes out as the hex digits that
 * the packet wants; a command the target does not know is answered in words, not with a protocol error.
 */
#include "gdbstub/stub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES 4096u
/* Two hex digits a byte. */
#define TEXT_MAX (HS_GDB_REPLY_MAX / 2)

static void put_text(struct hs_gdb *gdb, const char *text)
{
	static const char cut[] = "\n(the rest does not fit a packet)\n";
	size_t length = strlen(text);

	if (length <= TEXT_MAX) {
		hs_buf_append_hex(&gdb->payload, text, length);
		return;
	}
	hs_buf_append_hex(&gdb->payload, text, TEXT_MAX - (sizeof(cut) - 1));
	hs_buf_append_hex(&gdb->payload, cut, sizeof(cut) - 1);
}

enum hs_reply hs_reply_words(struct hs_gdb *gdb, const char *line)
{
	put_text(gdb, line);
	put_text(gdb, "\n");
	return HS_REPLY_PAYLOAD;
}

/* Run the line in the target; its text goes to *ret_text (heap, ours) or stays NULL. */
static enum hs_status ask_target(struct hs_gdb *gdb, const char *line, char **ret_text)
{
	if (!gdb->target.ops->monitor) {
		return HS_ERR_NOT_FOUND;
	}
	return gdb->target.ops->monitor(gdb->target.ctx, line, ret_text, &gdb->err);
}

static enum hs_reply help(struct hs_gdb *gdb)
{
	static const char own[] = "help           this list\n";
	char *text = NULL;

	hs_buf_append_hex(&gdb->payload, own, sizeof(own) - 1);
	if (ask_target(gdb, "help", &text) == HS_OK && text && strlen(text) <= TEXT_MAX - sizeof(own)) {
		hs_buf_append_hex(&gdb->payload, text, strlen(text));
	}
	free(text);
	return HS_REPLY_PAYLOAD;
}

/* Of the target's "stats" the stub knows a line, too. */
static void put_packets(struct hs_gdb *gdb, const char *line)
{
	char text[96];

	if (strcmp(line, "stats") == 0) {
		snprintf(text, sizeof(text), "%-12s%llu from this debugger, %llu to it\n", "packets",
			 (unsigned long long)gdb->client.received, (unsigned long long)gdb->client.sent);
		hs_buf_append_hex(&gdb->payload, text, strlen(text));
	}
}

static enum hs_reply command(struct hs_gdb *gdb, const char *line)
{
	char *text = NULL;
	enum hs_status st = ask_target(gdb, line, &text);

	if (st == HS_ERR_NOT_FOUND) {
		(void)hs_reply_words(gdb, "no such command; 'monitor help' lists them");
	} else if (st != HS_OK) {
		(void)hs_reply_words(gdb, gdb->err.message);
	} else if (text && *text) {
		put_text(gdb, text);
		put_packets(gdb, line);
	} else {
		free(text);
		return HS_REPLY_OK;
	}
	free(text);
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_monitor(struct hs_gdb *gdb, const struct hs_request *request)
{
	char line[LINE_MAX_BYTES];

	if (request->text.length >= sizeof(line) || memchr(request->text.data, '\0', request->text.length)) {
		return hs_reply_error(gdb, HS_ERR_RANGE, "not a command line");
	}
	memcpy(line, request->text.data, request->text.length);
	line[request->text.length] = '\0';
	return strcmp(line, "help") == 0 || line[0] == '\0' ? help(gdb) : command(gdb, line);
}
