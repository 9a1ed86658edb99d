/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lldb asks and gdb does not (lldb's docs/lldb-gdb-remote.txt). */
#include "gdbstub/stub.h"

#include <string.h>

/* Register packets will end in ";thread:TID;" (text.c takes that off). */
enum hs_reply hs_handle_thread_suffix(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)gdb;
	(void)request;
	return HS_REPLY_OK;
}

enum hs_reply hs_handle_list_threads(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	gdb->client.lists_threads = true;
	gdb->client.libraries_due = gdb->info.image_path != NULL;
	return HS_REPLY_OK;
}

enum hs_reply hs_handle_error_strings(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	gdb->client.error_strings = true;
	return HS_REPLY_OK;
}

/*
 * "unknown" for the system makes lldb load images where they were linked for (its static loader); with "linux" its
 * loader for dynamic executables takes over, which wants a process of the host. "i386" is what it calls an ELF32
 * image: with "i686" it refuses the image as not matching.
 */
static void put_triple(struct hs_gdb *gdb)
{
	const char *triple = gdb->info.arch == HS_ARCH_I686 ? "i386-unknown-unknown" : "x86_64-unknown-unknown";

	hs_buf_append_string(&gdb->payload, "triple:");
	hs_buf_append_hex(&gdb->payload, triple, strlen(triple));
	hs_buf_printf(&gdb->payload, ";endian:little;ptrsize:%d;", gdb->info.arch == HS_ARCH_I686 ? 4 : 8);
}

enum hs_reply hs_handle_host_info(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	put_triple(gdb);
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_process_info(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	hs_buf_append_string(&gdb->payload, "pid:1;");
	put_triple(gdb);
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_server_version(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return hs_reply_text(gdb, "name:hindsight;version:1;");
}

/* Memory of the guest is the guest's: none is given out. An error, as the empty reply makes lldb call mmap in it. */
enum hs_reply hs_handle_allocate(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return hs_reply_error(gdb, HS_ERR_UNSUPPORTED, "the stub allocates no guest memory");
}

/* "" for a page that the guest may only know of: it has no rights, and is there nevertheless. */
static void put_permissions(struct hs_gdb *gdb, int prot)
{
	hs_buf_printf(&gdb->payload, "permissions:%s%s%s;", prot & HS_PROT_READ ? "r" : "",
		      prot & HS_PROT_WRITE ? "w" : "", prot & HS_PROT_EXEC ? "x" : "");
}

/*
 * What is at an address, and how far that goes: a hole has no permissions. The last piece ends a byte early, because
 * its end is where lldb asks next, until that is the highest address.
 */
enum hs_reply hs_handle_mem_region(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_target_region region;
	enum hs_status st;
	uint64_t length;

	if (!gdb->target.ops->mem_region) {
		return HS_REPLY_UNSUPPORTED;
	}
	st = hs_gdb_mem_region(gdb, request->number, &region);
	if (st) {
		return hs_reply_status(gdb, st);
	}
	length = region.length;
	if (length > UINT64_MAX - region.start.v) {
		length = UINT64_MAX - region.start.v;
	}
	hs_buf_printf(&gdb->payload, "start:%llx;size:%llx;", (unsigned long long)region.start.v,
		      (unsigned long long)length);
	if (region.mapped) {
		put_permissions(gdb, region.prot);
	}
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_threads_json(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_stop stop = { .kind = HS_STOP_INTERRUPTED };

	(void)request;
	gdb->control.ops->stop_current(gdb->control.ctx, &stop);
	hs_gdb_put_threads(gdb, &stop);
	return HS_REPLY_PAYLOAD;
}

/* lldb's names for what a register is for. */
static const char *generic_of(const struct hs_reg *reg)
{
	static const struct {
		const char *name;
		const char *generic;
	} rows[] = {
		{ "rip", "pc" },  { "eip", "pc" },   { "rsp", "sp" },       { "esp", "sp" },   { "rbp", "fp" },
		{ "ebp", "fp" },  { "rdi", "arg1" }, { "rsi", "arg2" },     { "rdx", "arg3" }, { "rcx", "arg4" },
		{ "r8", "arg5" }, { "r9", "arg6" },  { "eflags", "flags" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, reg->name) == 0) {
			return rows[i].generic;
		}
	}
	return NULL;
}

static const char *set_of(const struct hs_reg *reg)
{
	switch (reg->feature) {
	case HS_REG_SSE:
	case HS_REG_AVX:
	case HS_REG_AVX512:
		return "Vector Registers";
	case HS_REG_SEGMENTS:
	case HS_REG_LINUX:
	case HS_REG_CONTROL:
	case HS_REG_PKEYS:
		return "System Registers";
	default:
		return reg->bytes == 10 ? "Floating Point Registers" : "General Purpose Registers";
	}
}

/* One row of the table as lldb's text. The list ends with the first error, which has to be E45. */
enum hs_reply hs_handle_register_info(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct hs_reg *reg;
	const char *generic;
	size_t offset = 0;

	gdb->client.knows_registers = true;
	if (request->number >= gdb->reg_count) {
		return hs_reply_text(gdb, "E45");
	}
	for (size_t i = 0; i < request->number; i++) {
		offset += gdb->regs[i]->bytes;
	}
	reg = gdb->regs[request->number];
	generic = generic_of(reg);
	hs_buf_printf(&gdb->payload, "name:%s;bitsize:%u;offset:%zu;", reg->name, 8u * reg->bytes, offset);
	if (reg->bytes > 8) { /* x87 and vectors */
		hs_buf_append_string(&gdb->payload, "encoding:vector;format:vector-uint8;");
	} else {
		hs_buf_append_string(&gdb->payload, "encoding:uint;format:hex;");
	}
	hs_buf_printf(&gdb->payload, "set:%s;", set_of(reg));
	if (reg->dwarf >= 0) {
		hs_buf_printf(&gdb->payload, "ehframe:%d;dwarf:%d;", reg->dwarf, reg->dwarf);
	}
	if (generic) {
		hs_buf_printf(&gdb->payload, "generic:%s;", generic);
	}
	return HS_REPLY_PAYLOAD;
}
