/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects that clients read in parts (gdb manual, General Query Packets, qXfer): the target description, the path of
 * the guest image, the signal information of the present stop, the auxiliary vector, the map of memory. Lists of
 * images, threads and processes are in handle_image.c, handle_space.c and handle_space_list.c. Each object is made
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
	gdb->client.knows_registers = true;
	hs_buf_init(&xml, OBJECT_MAX);
	if (hs_arch_target_xml(gdb->info.arch, gdb->info.xcr0, &xml, &gdb->err)) {
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
	gdb->control.ops->stop_current(gdb->control.ctx, &stop);
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

/* The auxiliary vector that a process of this image would have, as far as it means something: gdb
 * needs the entry point of a position-independent image. Pairs of words of the guest's width. */
static enum hs_reply xfer_auxv(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct hs_target_info *info = &gdb->info;
	const uint64_t words[] = {
		AT_PAGESZ,  HS_PAGE_SIZE, AT_ENTRY,    info->entry, AT_PHDR,
		info->phdr, AT_PHENT,     info->phent, AT_PHNUM,    info->phnum,
	};
	unsigned int width = info->arch == HS_ARCH_I686 ? 4 : 8;
	size_t count = info->phdr != 0 ? 10 : 4;
	uint8_t vector[sizeof(words) + 2 * sizeof(words[0])] = { AT_NULL };

	for (size_t i = 0; i < count; i++) {
		hs_put_le(vector + i * width, words[i], width);
	}
	return hs_reply_part(gdb, vector, (count + 2) * width, request->xfer.offset, request->xfer.length);
}

/*
 * All addresses, as memory that can be written: a guest's page tables say what is there now, and a client keeps the map
 * for the whole session and refuses what lies outside of it (gdb: "set mem inaccessible-by-default"). So nothing does,
 * and nothing is ROM or flash. Two halves, because the length of all has no 64 bits.
 */
static enum hs_reply xfer_memory_map(struct hs_gdb *gdb, const struct hs_request *request)
{
	static const char wide[] = "<memory-map>"
				   "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>"
				   "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/>"
				   "</memory-map>";
	static const char narrow[] =
		"<memory-map><memory type=\"ram\" start=\"0x0\" length=\"0x100000000\"/></memory-map>";
	const char *text = gdb->info.arch == HS_ARCH_I686 ? narrow : wide;

	return hs_reply_part(gdb, text, strlen(text), request->xfer.offset, request->xfer.length);
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
	case HS_XFER_LIBRARIES_SVR4:
		return hs_xfer_libraries_svr4(gdb, request);
	case HS_XFER_LIBRARIES:
		return hs_xfer_libraries(gdb, request);
	case HS_XFER_MEMORY_MAP:
		return xfer_memory_map(gdb, request);
	case HS_XFER_THREADS:
		return hs_gdb_xfer_threads(gdb, request);
	case HS_XFER_OSDATA:
		return hs_gdb_xfer_osdata(gdb, request);
	}
	return HS_REPLY_UNSUPPORTED;
}
