/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: one for each process that the client is attached to, which is the CPU or waits for it (space.h). */
#include "gdbstub/stub.h"

#include <string.h>

enum hs_reply hs_handle_thread_select(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_thread_id id = request->select.id;

	if (!hs_gdb_names_thread(gdb, id)) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such thread");
	}
	/* "Any" is the one that it was: gdb says so between vAttach and the question for its thread. */
	if (request->select.general && id.process != HS_ID_ANY && id.process != HS_ID_ALL) {
		gdb->client.processes.general = id.process;
	}
	return HS_REPLY_OK;
}

enum hs_reply hs_handle_thread_alive(struct hs_gdb *gdb, const struct hs_request *request)
{
	return hs_gdb_names_thread(gdb, request->id) ? HS_REPLY_OK
						     : hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such thread");
}

enum hs_reply hs_handle_thread_current(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	hs_buf_append_string(&gdb->payload, "QC");
	hs_gdb_put_thread(gdb, hs_gdb_general_process(gdb));
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_threads_first(struct hs_gdb *gdb, const struct hs_request *request)
{
	/* Of a guest that has ended gdb would add a thread that it finds here, and fail to read its registers. */
	bool over = gdb->ended || gdb->killed;
	char letter = 'm';

	(void)request;
	for (uint32_t i = 1; i < HS_GDB_SPACES_MAX && !over; i++) {
		if (hs_gdb_names_process(gdb, i)) {
			hs_buf_append_byte(&gdb->payload, (uint8_t)letter);
			hs_gdb_put_thread(gdb, i);
			letter = ',';
		}
	}
	return letter == ',' ? HS_REPLY_PAYLOAD : hs_reply_text(gdb, "l");
}

enum hs_reply hs_handle_threads_next(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return hs_reply_text(gdb, "l");
}

static const char *name_of(struct hs_gdb *gdb, uint32_t process)
{
	return process == hs_gdb_cpu_process(gdb) ? "CPU 0" : "not on a CPU";
}

/* The same as an object, in one go. Identifiers are written to the payload, so it is made there. */
enum hs_reply hs_gdb_xfer_threads(struct hs_gdb *gdb, const struct hs_request *request)
{
	hs_buf_append_string(&gdb->payload, "<threads>");
	for (uint32_t i = 1; i < HS_GDB_SPACES_MAX; i++) {
		if (hs_gdb_names_process(gdb, i)) {
			hs_buf_append_string(&gdb->payload, "<thread id=\"");
			hs_gdb_put_thread(gdb, i);
			hs_buf_printf(&gdb->payload, "\" name=\"%s\"/>", name_of(gdb, i));
		}
	}
	hs_buf_append_string(&gdb->payload, "</threads>");
	hs_buf_clear(&gdb->scratch);
	hs_buf_append(&gdb->scratch, gdb->payload.data, gdb->payload.length);
	hs_buf_clear(&gdb->payload);
	if (gdb->scratch.failed) {
		return hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the reply");
	}
	return hs_reply_part(gdb, gdb->scratch.data, gdb->scratch.length, request->xfer.offset, request->xfer.length);
}

enum hs_reply hs_handle_thread_name(struct hs_gdb *gdb, const struct hs_request *request)
{
	uint32_t process = request->id.process;
	const char *name = "CPU 0";

	if (!hs_gdb_names_thread(gdb, request->id)) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such thread");
	}
	if (process != HS_ID_ANY && process != HS_ID_ALL) {
		name = name_of(gdb, process);
	}
	hs_buf_append_hex(&gdb->payload, name, strlen(name));
	return HS_REPLY_PAYLOAD;
}
