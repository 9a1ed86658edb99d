/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest image in the two forms of a list of loaded images (gdb manual, Library List Format). They are for clients
 * other than gdb, which has the exec-file object for it and would take what is listed for shared libraries.
 */
#include "gdbstub/stub.h"

#include "base/bytes.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#define OBJECT_MAX (256u << 10)
/* Program headers that are looked at. */
#define HEADERS_MAX 256u

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

static enum hs_reply reply_xml(struct hs_gdb *gdb, const struct hs_request *request, struct hs_buf *xml)
{
	enum hs_reply reply;

	if (xml->failed) {
		reply = hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the reply");
	} else {
		reply = hs_reply_part(gdb, xml->data, xml->length, request->xfer.offset, request->xfer.length);
	}
	hs_buf_deinit(xml);
	return reply;
}

/*
 * lldb's way to learn of an executable that nobody named to it is this list, which it fetches when a stop reply has a
 * "library" field (ProcessGDBRemote::LoadModules). An image is loaded where it was linked for, so its offset l_addr
 * is 0.
 *
 * Fetching the list makes lldb 14 forget where the executable is loaded, and qOffsets, which it asks next,
 * makes it know again (MaybeLoadExecutableModule). It then fetches the list once more, so from there on the
 * list says nothing new.
 */
enum hs_reply hs_xfer_libraries_svr4(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_buf xml;

	hs_buf_init(&xml, OBJECT_MAX);
	hs_buf_append_string(&xml, "<library-list-svr4 version=\"1.0\">");
	if (gdb->info.image_path && !gdb->client.image_placed) {
		hs_buf_append_string(&xml, "<library name=\"");
		hs_gdb_put_xml_text(&xml, gdb->info.image_path);
		hs_buf_append_string(&xml, "\" lm=\"0x0\" l_addr=\"0x0\" l_ld=\"0x0\"/>");
	}
	hs_buf_append_string(&xml, "</library-list-svr4>");
	return reply_xml(gdb, request, &xml);
}

/* The address of the segment that a program header loads; false for a header of another type. */
static bool segment_of(bool wide, const uint8_t *header, uint64_t *ret)
{
	*ret = wide ? hs_get_le64(header + offsetof(Elf64_Phdr, p_vaddr))
		    : hs_get_le32(header + offsetof(Elf32_Phdr, p_vaddr));
	return hs_get_le32(header) == PT_LOAD;
}

/* The file may have changed since the target loaded it; what is there is read and not trusted. */
static void put_segments(struct hs_gdb *gdb, struct hs_buf *xml)
{
	size_t header_bytes;
	bool wide;
	uint8_t elf[sizeof(Elf64_Ehdr)] = { 0 };
	uint64_t start;
	unsigned int count;

	if (pread(gdb->info.image_fd, elf, sizeof(elf), 0) != (ssize_t)sizeof(elf)) {
		return;
	}
	/* The CPU may have left the mode that the image is of. */
	wide = elf[EI_CLASS] == ELFCLASS64;
	header_bytes = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	start = wide ? hs_get_le64(elf + offsetof(Elf64_Ehdr, e_phoff))
		     : hs_get_le32(elf + offsetof(Elf32_Ehdr, e_phoff));
	count = hs_get_le16(elf + (wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum)));
	for (unsigned int i = 0; i < count && i < HEADERS_MAX && start <= INT32_MAX; i++) {
		uint8_t header[sizeof(Elf64_Phdr)];
		uint64_t gva;

		if (pread(gdb->info.image_fd, header, header_bytes, (off_t)(start + i * header_bytes)) !=
		    (ssize_t)header_bytes) {
			return;
		}
		if (segment_of(wide, header, &gva)) {
			hs_buf_printf(xml, "<segment address=\"0x%llx\"/>", (unsigned long long)gva);
		}
	}
}

enum hs_reply hs_xfer_libraries(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_buf xml;

	hs_buf_init(&xml, OBJECT_MAX);
	hs_buf_append_string(&xml, "<library-list>");
	if (gdb->info.image_path && gdb->info.image_fd >= 0) {
		hs_buf_append_string(&xml, "<library name=\"");
		hs_gdb_put_xml_text(&xml, gdb->info.image_path);
		hs_buf_append_string(&xml, "\">");
		put_segments(gdb, &xml);
		hs_buf_append_string(&xml, "</library>");
	}
	hs_buf_append_string(&xml, "</library-list>");
	return reply_xml(gdb, request, &xml);
}
