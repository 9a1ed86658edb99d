/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects that clients read in parts (gdb manual, General Query Packets, qXfer): the target description, the
 * path of the guest image, the signal information of the present stop, the auxiliary vector. Each is made
 * whole for every part: they are small, and one that is kept could be out of date.
 */
#include "gdbstub/stub.h"

#include "gdbstub/text.h"

#include "arch/xml.h"
#include "base/bytes.h"

#include <elf.h>
#include <signal.h>
#include <string.h>

#define OBJECT_MAX (256u << 10)

static enum hs_reply xfer_features(struct hs_gdb *gdb, const struct hs_request *request)
{
	enum hs_reply reply;
	struct hs_buf xml;

	if (!hs_span_is(request->xfer.annex, "target.xml")) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such description");
	}
	hs_buf_init(&xml, OBJECT_MAX);
	if (hs_arch_target_xml(gdb->info.arch, &xml, &gdb->err)) {
		reply = HS_REPLY_ERROR;
	} else {
		reply = hs_reply_part(gdb, xml.data, xml.length, request->xfer.offset, request->xfer.length);
	}
	hs_buf_deinit(&xml);
	return reply;
}

/* The annex is a process number. */
static enum hs_reply xfer_exec_file(struct hs_gdb *gdb, const struct hs_request *request)
{
	const char *path = gdb->info.image_path;

	if (!path || gdb->info.image_fd < 0) {
		return HS_REPLY_UNSUPPORTED;
	}
	return hs_reply_part(gdb, path, strlen(path), request->xfer.offset, request->xfer.length);
}

/*
 * siginfo_t of the guest's width, 128 bytes: signo, errno and code, then the union; si_addr is the union's
 * first word for faults (Linux uapi asm-generic/siginfo.h). The union is aligned to the width, so it starts at
 * 16 or at 12.
 */
static enum hs_reply xfer_siginfo(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_stop stop = { .kind = HS_STOP_INTERRUPTED };
	uint8_t info[128] = { 0 };

	if (!hs_gdb_has_cpu(gdb)) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "the CPU is not in this address space");
	}
	gdb->target.ops->stop_current(gdb->target.ctx, &stop);
	switch (stop.kind) {
	case HS_STOP_SIGNAL:
	case HS_STOP_KILLED:
		hs_put_le32(info, (uint32_t)stop.signal);
		hs_put_le32(info + 8, (uint32_t)stop.code);
		if (gdb->info.arch == HS_ARCH_I686) {
			hs_put_le32(info + 12, (uint32_t)stop.fault_address);
		} else {
			hs_put_le64(info + 16, stop.fault_address);
		}
		break;
	case HS_STOP_INTERRUPTED:
		hs_put_le32(info, SIGINT);
		break;
	default:
		hs_put_le32(info, SIGTRAP);
		break;
	}
	return hs_reply_part(gdb, info, sizeof(info), request->xfer.offset, request->xfer.length);
}

/* The auxiliary vector that a process of this image would have, as far as it means something: gdb needs the entry point
 * of a position-independent image. Pairs of words of the guest's width. */
static enum hs_reply xfer_auxv(struct hs_gdb *gdb, const struct hs_request *request)
{
	const uint64_t words[] = { AT_PAGESZ, HS_PAGE_SIZE, AT_ENTRY, gdb->info.entry, AT_NULL, 0 };
	unsigned int width = gdb->info.arch == HS_ARCH_I686 ? 4 : 8;
	uint8_t vector[sizeof(words)];
	size_t count = sizeof(words) / sizeof(words[0]);

	for (size_t i = 0; i < count; i++) {
		hs_put_le(vector + i * width, words[i], width);
	}
	return hs_reply_part(gdb, vector, count * width, request->xfer.offset, request->xfer.length);
}

/* Attribute text: the five characters that XML gives a meaning. */
void hs_gdb_put_xml_text(struct hs_buf *buf, const char *text)
{
	for (const char *c = text; *c; c++) {
		if (strchr("&<>\"'", *c)) {
			hs_buf_printf(buf, "&#%d;", *c);
		} else {
			hs_buf_append_byte(buf, (uint8_t)*c);
		}
	}
}

/*
 * The loaded images, for lldb alone: its way to learn of an executable that nobody named to it is this list, which it
 * fetches when a stop reply has a "library" field (ProcessGDBRemote::LoadModules). An image is loaded where it
 * was linked for, so its offset l_addr is 0. gdb has the exec-file object for that, and would take the list
 * for shared libraries.
 *
 * Fetching the list makes lldb 14 forget where the executable is loaded, and qOffsets, which it asks next,
 * makes it know again (MaybeLoadExecutableModule). It then fetches the list once more, so from there on the
 * list says nothing new.
 */
static enum hs_reply xfer_libraries(struct hs_gdb *gdb, const struct hs_request *request)
{
	enum hs_reply reply;
	struct hs_buf xml;

	hs_buf_init(&xml, OBJECT_MAX);
	hs_buf_append_string(&xml, "<library-list-svr4 version=\"1.0\">");
	if (gdb->info.image_path && !gdb->client.image_placed) {
		hs_buf_append_string(&xml, "<library name=\"");
		hs_gdb_put_xml_text(&xml, gdb->info.image_path);
		hs_buf_append_string(&xml, "\" lm=\"0x0\" l_addr=\"0x0\" l_ld=\"0x0\"/>");
	}
	hs_buf_append_string(&xml, "</library-list-svr4>");
	if (xml.failed) {
		reply = hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the reply");
	} else {
		reply = hs_reply_part(gdb, xml.data, xml.length, request->xfer.offset, request->xfer.length);
	}
	hs_buf_deinit(&xml);
	return reply;
}

enum hs_reply hs_handle_xfer(struct hs_gdb *gdb, const struct hs_request *request)
{
	switch (request->xfer.object) {
	case HS_XFER_FEATURES:
		return xfer_features(gdb, request);
	case HS_XFER_EXEC_FILE:
		return xfer_exec_file(gdb, request);
	case HS_XFER_SIGINFO:
		return xfer_siginfo(gdb, request);
	case HS_XFER_AUXV:
		return xfer_auxv(gdb, request);
	case HS_XFER_LIBRARIES:
		return xfer_libraries(gdb, request);
	case HS_XFER_OSDATA:
		return hs_gdb_xfer_osdata(gdb, request);
	}
	return HS_REPLY_UNSUPPORTED;
}
