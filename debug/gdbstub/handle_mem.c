/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory by guest-virtual address, or by guest-physical one where the client chose that. A read goes as far as it can:
 * to the first hole, or to what a packet holds.
 */
#include "gdbstub/stub.h"

#include "base/hex.h"

#include <ctype.h>
#include <string.h>

enum hs_status hs_gdb_mem_read(struct hs_gdb *gdb, uint64_t address, void *buffer, size_t length, size_t *ret_length)
{
	const struct hs_target_ops *ops = gdb->target.ops;

	if (gdb->client.physical) {
		return ops->phys_read(gdb->target.ctx, hs_gpa_of(address), buffer, length, ret_length, &gdb->err);
	}
	return ops->mem_read(gdb->target.ctx, hs_gva_of(address), buffer, length, ret_length, &gdb->err);
}

enum hs_status hs_gdb_mem_region(struct hs_gdb *gdb, uint64_t address, struct hs_target_region *ret)
{
	const struct hs_target_ops *ops = gdb->target.ops;

	if (gdb->client.physical ? !ops->phys_region : !ops->mem_region) {
		return HS_ERR_UNSUPPORTED;
	}
	if (gdb->client.physical) {
		return ops->phys_region(gdb->target.ctx, hs_gpa_of(address), ret, &gdb->err);
	}
	return ops->mem_region(gdb->target.ctx, hs_gva_of(address), ret, &gdb->err);
}

uint64_t hs_gdb_mem_after_hole(struct hs_gdb *gdb, uint64_t address)
{
	struct hs_target_region region;

	if (hs_gdb_mem_region(gdb, address, &region) == HS_OK && !region.mapped &&
	    address - region.start.v < region.length) {
		return region.start.v + region.length; /* 0 where that is behind all addresses */
	}
	return (address | (HS_PAGE_SIZE - 1)) + 1;
}

/* Read up to length bytes, and no more than `most`, behind what is in to. HS_REPLY_OK: they are there. */
static enum hs_reply read_into(struct hs_gdb *gdb, struct hs_buf *to, hs_gva gva, uint64_t length, size_t most)
{
	size_t wanted = length < most ? (size_t)length : most;
	size_t start = to->length;
	size_t got = 0;
	enum hs_status st;
	uint8_t *bytes;

	if (wanted == 0) {
		return HS_REPLY_OK;
	}
	bytes = hs_buf_extend(to, wanted);
	if (!bytes) {
		return hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the reply");
	}
	st = hs_gdb_mem_read(gdb, gva.v, bytes, wanted, &got);
	if (st) {
		return hs_reply_status(gdb, st);
	}
	if (got == 0) {
		return hs_reply_error(gdb, HS_ERR_UNREADABLE, "nothing can be read at 0x%llx",
				      (unsigned long long)gva.v);
	}
	to->length = start + (got < wanted ? got : wanted);
	return HS_REPLY_OK;
}

enum hs_reply hs_handle_mem_read(struct hs_gdb *gdb, const struct hs_request *request)
{
	enum hs_reply reply;

	hs_buf_clear(&gdb->scratch);
	reply = read_into(gdb, &gdb->scratch, request->mem.gva, request->mem.length, HS_GDB_REPLY_MAX / 2);
	return reply == HS_REPLY_OK ? HS_REPLY_HEX : reply;
}

/*
 * How many of these bytes lldb's form of the reply can carry: it is the bare bytes, and some would be taken for a
 * status, "OK" or "Enn" (lldb's StringExtractorGDBRemote::GetResponseType). One byte never is: lldb asks for the rest.
 */
static size_t bare_length(const uint8_t *bytes, size_t length)
{
	bool error = length >= 3 && bytes[0] == 'E' && isxdigit(bytes[1]) && isxdigit(bytes[2]);
	bool ok = length == 2 && memcmp(bytes, "OK", 2) == 0;

	return error || ok ? 1 : length;
}

enum hs_reply hs_handle_mem_read_binary(struct hs_gdb *gdb, const struct hs_request *request)
{
	enum hs_reply reply;

	/* lldb's question whether there are binary reads at all is a read of nothing, answered "OK". */
	if (request->mem.length == 0 && !gdb->client.binary_upload) {
		return HS_REPLY_OK;
	}
	if (gdb->client.binary_upload) {
		hs_buf_append_byte(&gdb->payload, 'b');
	}
	reply = read_into(gdb, &gdb->payload, request->mem.gva, request->mem.length, HS_GDB_REPLY_MAX - 1);
	if (reply != HS_REPLY_OK) {
		return reply;
	}
	if (!gdb->client.binary_upload) {
		gdb->payload.length = bare_length(gdb->payload.data, gdb->payload.length);
	}
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_mem_write(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct hs_target_ops *ops = gdb->target.ops;
	struct hs_span data = request->mem.data;

	/* A write of nothing is the client's question whether there are binary writes (X addr,0:). */
	if (request->mem.length == 0) {
		return HS_REPLY_OK;
	}
	if (gdb->client.physical && !ops->phys_write) {
		return hs_reply_error(gdb, HS_ERR_UNSUPPORTED, "the target's physical memory is not written to");
	}
	if (gdb->client.physical) {
		return hs_reply_status(gdb, ops->phys_write(gdb->target.ctx, hs_gpa_of(request->mem.gva.v), data.data,
							    data.length, &gdb->err));
	}
	return hs_reply_status(gdb,
			       ops->mem_write(gdb->target.ctx, request->mem.gva, data.data, data.length, &gdb->err));
}
