/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arguments of the packets that move registers, memory, objects and files. */
#include "gdbstub/decode_parts.h"

#include "gdbstub/packet.h"

bool hs_parse_regs_read(struct hs_text *text, struct hs_request *ret)
{
	(void)ret;
	return hs_text_take_thread_suffix(text);
}

bool hs_parse_regs_write(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_hex(text, ';', &ret->reg.value) && hs_text_take_thread_suffix(text);
}

bool hs_parse_reg_read(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_number(text, &ret->reg.number) && hs_text_take_thread_suffix(text);
}

bool hs_parse_reg_write(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_number(text, &ret->reg.number) && hs_text_take_char(text, '=') &&
	       hs_text_take_hex(text, ';', &ret->reg.value) && hs_text_take_thread_suffix(text);
}

static bool take_address_length(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_number(text, &ret->mem.gva.v) && hs_text_take_char(text, ',') &&
	       hs_text_take_number(text, &ret->mem.length);
}

bool hs_parse_mem_read(struct hs_text *text, struct hs_request *ret)
{
	return take_address_length(text, ret) && hs_text_done(text);
}

bool hs_parse_mem_write(struct hs_text *text, struct hs_request *ret)
{
	return take_address_length(text, ret) && hs_text_take_char(text, ':') &&
	       hs_text_take_hex(text, '\0', &ret->mem.data) && ret->mem.data.length == ret->mem.length &&
	       hs_text_done(text);
}

bool hs_parse_mem_write_binary(struct hs_text *text, struct hs_request *ret)
{
	if (!take_address_length(text, ret) || !hs_text_take_char(text, ':')) {
		return false;
	}
	ret->mem.data.data = text->at;
	return hs_packet_unescape(text->at, hs_text_left(text), &ret->mem.data.length) &&
	       ret->mem.data.length == ret->mem.length;
}

/* "address;length;pattern" */
bool hs_parse_search(struct hs_text *text, struct hs_request *ret)
{
	if (!hs_text_take_number(text, &ret->mem.gva.v) || !hs_text_take_char(text, ';') ||
	    !hs_text_take_number(text, &ret->mem.length) || !hs_text_take_char(text, ';')) {
		return false;
	}
	ret->mem.data.data = text->at;
	return hs_packet_unescape(text->at, hs_text_left(text), &ret->mem.data.length) && ret->mem.data.length > 0;
}

/* "object:read:annex:offset,length". An object or operation that is not served is an unknown packet. */
bool hs_parse_xfer(struct hs_text *text, struct hs_request *ret)
{
	static const char *const names[] = {
		[HS_XFER_FEATURES] = "features",
		[HS_XFER_EXEC_FILE] = "exec-file",
		[HS_XFER_SIGINFO] = "siginfo",
		[HS_XFER_AUXV] = "auxv",
		[HS_XFER_LIBRARIES_SVR4] = "libraries-svr4",
		[HS_XFER_LIBRARIES] = "libraries",
		[HS_XFER_MEMORY_MAP] = "memory-map",
		[HS_XFER_THREADS] = "threads",
		[HS_XFER_OSDATA] = "osdata",
	};
	struct hs_span object = hs_text_take_until(text, ':');
	size_t i = 0;

	while (i < sizeof(names) / sizeof(names[0]) && !hs_span_is(object, names[i])) {
		i++;
	}
	if (i == sizeof(names) / sizeof(names[0]) || !hs_text_take_word(text, ":read:")) {
		ret->kind = HS_REQUEST_UNKNOWN;
		return true;
	}
	ret->xfer.object = (enum hs_xfer_object)i;
	ret->xfer.annex = hs_text_take_until(text, ':');
	return hs_text_take_char(text, ':') && hs_text_take_number(text, &ret->xfer.offset) &&
	       hs_text_take_char(text, ',') && hs_text_take_number(text, &ret->xfer.length) && hs_text_done(text);
}

bool hs_parse_hex_text(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_hex(text, '\0', &ret->text) && hs_text_done(text);
}

/* "path,flags,mode" */
bool hs_parse_file_open(struct hs_text *text, struct hs_request *ret)
{
	uint64_t mode;

	return hs_text_take_hex(text, ',', &ret->open.path) && hs_text_take_char(text, ',') &&
	       hs_text_take_number(text, &ret->open.flags) && hs_text_take_char(text, ',') &&
	       hs_text_take_number(text, &mode) && hs_text_done(text);
}

bool hs_parse_file_pread(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_number(text, &ret->file.handle) && hs_text_take_char(text, ',') &&
	       hs_text_take_number(text, &ret->file.count) && hs_text_take_char(text, ',') &&
	       hs_text_take_number(text, &ret->file.offset) && hs_text_done(text);
}

bool hs_parse_file_handle(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_number(text, &ret->file.handle) && hs_text_done(text);
}
