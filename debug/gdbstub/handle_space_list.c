/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "info os" shows: the address spaces of the guest as a table of processes. */
#include "gdbstub/stub.h"

#include "gdbstub/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row of the longest of each column, its tags and its file name is below 640 bytes. */
#define OSDATA_MAX (640u * HS_GDB_SPACES_MAX)

/* A table of rows of columns (gdb manual, Operating System Information), for "info os". */
static void put_column(struct hs_buf *xml, const char *name, const char *value)
{
	hs_buf_printf(xml, "<column name=\"%s\">", name);
	hs_gdb_put_xml_text(xml, value);
	hs_buf_append_string(xml, "</column>");
}

static void put_types(struct hs_buf *xml)
{
	hs_buf_append_string(xml, "<osdata type=\"types\"><item>");
	put_column(xml, "Type", "processes");
	put_column(xml, "Description", "The address spaces of the guest");
	put_column(xml, "Title", "Address spaces");
	hs_buf_append_string(xml, "</item></osdata>");
}

static void put_process(const struct hs_gdb *gdb, const struct hs_target_space *space, struct hs_buf *xml)
{
	const char *path = gdb->info.image_path ? gdb->info.image_path : "guest";
	const char *slash = strrchr(path, '/');
	char text[32];

	hs_buf_append_string(xml, "<item>");
	snprintf(text, sizeof(text), "%u", (unsigned int)space->number);
	put_column(xml, "pid", text);
	put_column(xml, "command", slash ? slash + 1 : path);
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)space->root.v);
	put_column(xml, "root", text);
	put_column(xml, "paging", space->format);
	put_column(xml, "cores", space->current ? "0" : "");
	hs_buf_append_string(xml, "</item>");
}

static void put_processes(const struct hs_gdb *gdb, struct hs_buf *xml)
{
	struct hs_target_space *items;
	uint32_t count = hs_gdb_list_spaces(gdb, &items);

	hs_buf_append_string(xml, "<osdata type=\"processes\">");
	for (uint32_t i = 0; i < count; i++) {
		put_process(gdb, &items[i], xml);
	}
	hs_buf_append_string(xml, "</osdata>");
	free(items);
}

enum hs_reply hs_gdb_xfer_osdata(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_span annex = request->xfer.annex;
	enum hs_reply reply;
	struct hs_buf xml;

	if (!gdb->target.ops->spaces) {
		return HS_REPLY_UNSUPPORTED;
	}
	hs_buf_init(&xml, OSDATA_MAX);
	hs_buf_append_string(&xml, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"osdata.dtd\">");
	if (annex.length == 0) {
		put_types(&xml);
	} else if (hs_span_is(annex, "processes")) {
		put_processes(gdb, &xml);
	} else {
		hs_buf_deinit(&xml);
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such table");
	}
	if (xml.failed) {
		reply = hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the reply");
	} else {
		reply = hs_reply_part(gdb, xml.data, xml.length, request->xfer.offset, request->xfer.length);
	}
	hs_buf_deinit(&xml);
	return reply;
}
