/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What client and stub tell each other about themselves. */
#include "gdbstub/stub.h"

#include "gdbstub/text.h"

#include <string.h>

/* Features of the client that change our replies. The ones that are not here do not. */
static void note_feature(struct hs_gdb *gdb, struct hs_span feature)
{
	struct hs_gdb_client *client = &gdb->client;

	if (hs_span_is(feature, "swbreak+")) {
		client->swbreak = true;
	} else if (hs_span_is(feature, "hwbreak+")) {
		client->hwbreak = true;
	} else if (hs_span_is(feature, "binary-upload+")) {
		client->binary_upload = true;
	} else if (hs_span_is(feature, "error-message+")) {
		client->error_message = true;
	} else if (hs_span_is(feature, "multiprocess+")) {
		client->multiprocess = true;
	}
}

static void note_features(struct hs_gdb *gdb, struct hs_span text)
{
	size_t start = 0;

	for (size_t i = 0; i <= text.length; i++) {
		if (i == text.length || text.data[i] == ';') {
			note_feature(gdb, (struct hs_span){ .data = text.data + start, .length = i - start });
			start = i + 1;
		}
	}
}

enum hs_reply hs_handle_supported(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_buf *payload = &gdb->payload;

	note_features(gdb, request->text);
	hs_buf_printf(payload, "PacketSize=%x;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+", HS_GDB_PACKET_SIZE);
	hs_buf_append_string(payload, ";ConditionalBreakpoints+;BreakpointCommands+");
	hs_buf_append_string(payload, ";qXfer:features:read+;qXfer:siginfo:read+;qXfer:auxv:read+");
	hs_buf_append_string(payload, ";qXfer:threads:read+;qXfer:memory-map:read+");
	if (gdb->info.image_path && gdb->info.image_fd >= 0) {
		hs_buf_append_string(payload, ";qXfer:exec-file:read+");
	}
	/* lldb offers multiprocess too, and makes nothing of a second process. */
	if (gdb->client.multiprocess && gdb->client.swbreak) {
		hs_gdb_name_processes(gdb);
	}
	if (gdb->client.processes.named) {
		hs_buf_append_string(payload, ";multiprocess+");
	}
	if (gdb->target.ops->spaces) {
		hs_buf_append_string(payload, ";qXfer:osdata:read+");
	}
	/* Every gdb since 7.9 offers swbreak; lldb does not. See handle_image.c. */
	if (!gdb->client.swbreak && gdb->info.image_path) {
		hs_buf_append_string(payload, ";qXfer:libraries-svr4:read+;qXfer:libraries:read+");
	}
	if (gdb->client.binary_upload) {
		hs_buf_append_string(payload, ";binary-upload+");
	}
	if (gdb->client.error_message) {
		hs_buf_append_string(payload, ";error-message+");
	}
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_no_ack(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	gdb->client.no_ack = true;
	return HS_REPLY_OK;
}

enum hs_reply hs_handle_extended(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	gdb->client.extended = true;
	return HS_REPLY_OK;
}

/* "1": attached to something that was there before, so that a client that quits detaches and does not kill. */
enum hs_reply hs_handle_attached(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return hs_reply_text(gdb, "1");
}

/* The client offers to look up symbols; none are needed. */
enum hs_reply hs_handle_symbol(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)gdb;
	(void)request;
	return HS_REPLY_OK;
}

/* There is one CPU, so stopping it stops all: "0" is how it is, and "1" is not to be had (it is not announced). */
enum hs_reply hs_handle_non_stop(struct hs_gdb *gdb, const struct hs_request *request)
{
	return request->number == 0
		       ? HS_REPLY_OK
		       : hs_reply_error(gdb, HS_ERR_UNSUPPORTED, "the guest has one CPU: no non-stop mode");
}

/* No trace experiment runs, because there are none (gdb manual, Tracepoint Packets). */
enum hs_reply hs_handle_trace_status(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return hs_reply_text(gdb, "T0;tnotrun:0");
}

/* The end of the list of tracepoints, or of their variables. */
enum hs_reply hs_handle_trace_list(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return hs_reply_text(gdb, "l");
}

/* Images run at the addresses they were linked for. */
enum hs_reply hs_handle_offsets(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	gdb->client.image_placed = true;
	return hs_reply_text(gdb, "Text=0;Data=0;Bss=0");
}
