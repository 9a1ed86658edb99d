/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request, one reply: the table of what each request needs and who handles it, and the only place that
 * makes a reply packet of what a handler returned.
 */
#include "gdbstub/stub.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The rules of the protocol for one kind of request. */
struct row {
	enum hs_reply (*handle)(struct hs_gdb *gdb, const struct hs_request *request);
	bool needs_stopped; /* an attached client, and a target that stands still and has not ended */
	bool outlives_end;  /* but may have */
	bool in_words;      /* is refused in a text for the user: of an error gdb says "Protocol error" alone */
	bool resumes;       /* may be answered by a stop, later */
	bool may_be_silent; /* the protocol has no reply */
};

static const struct row rows[HS_REQUEST_KIND_COUNT] = {
	[HS_REQUEST_SUPPORTED] = { .handle = hs_handle_supported },
	[HS_REQUEST_NO_ACK] = { .handle = hs_handle_no_ack },
	[HS_REQUEST_EXTENDED] = { .handle = hs_handle_extended },
	[HS_REQUEST_ATTACHED] = { .handle = hs_handle_attached },
	[HS_REQUEST_ATTACH] = { .handle = hs_handle_attach, .resumes = true },
	[HS_REQUEST_DETACH] = { .handle = hs_handle_detach },
	[HS_REQUEST_KILL] = { .handle = hs_handle_kill },
	[HS_REQUEST_KILL_SILENTLY] = { .handle = hs_handle_kill_silently, .may_be_silent = true },
	[HS_REQUEST_RUN] = { .handle = hs_handle_run, .may_be_silent = true },
	[HS_REQUEST_RESTART] = { .handle = hs_handle_restart, .may_be_silent = true },
	[HS_REQUEST_SYMBOL] = { .handle = hs_handle_symbol },
	[HS_REQUEST_NON_STOP] = { .handle = hs_handle_non_stop },
	[HS_REQUEST_TRACE_STATUS] = { .handle = hs_handle_trace_status },
	[HS_REQUEST_TRACE_LIST] = { .handle = hs_handle_trace_list },
	[HS_REQUEST_THREAD_SELECT] = { .handle = hs_handle_thread_select },
	[HS_REQUEST_THREAD_ALIVE] = { .handle = hs_handle_thread_alive },
	[HS_REQUEST_THREAD_CURRENT] = { .handle = hs_handle_thread_current },
	[HS_REQUEST_THREADS_FIRST] = { .handle = hs_handle_threads_first },
	[HS_REQUEST_THREADS_NEXT] = { .handle = hs_handle_threads_next },
	[HS_REQUEST_THREAD_NAME] = { .handle = hs_handle_thread_name },
	[HS_REQUEST_STOP_REASON] = { .handle = hs_handle_stop_reason, .needs_stopped = true, .outlives_end = true },
	[HS_REQUEST_THREAD_STOP] = { .handle = hs_handle_thread_stop, .needs_stopped = true },
	[HS_REQUEST_RESUME_KINDS] = { .handle = hs_handle_resume_kinds },
	[HS_REQUEST_RESUME] = { .handle = hs_handle_resume, .needs_stopped = true, .resumes = true },
	[HS_REQUEST_INTERRUPT] = { .handle = hs_handle_interrupt },
	[HS_REQUEST_REGS_READ] = { .handle = hs_handle_regs_read, .needs_stopped = true },
	[HS_REQUEST_REGS_WRITE] = { .handle = hs_handle_regs_write, .needs_stopped = true },
	[HS_REQUEST_REG_READ] = { .handle = hs_handle_reg_read, .needs_stopped = true },
	[HS_REQUEST_REG_WRITE] = { .handle = hs_handle_reg_write, .needs_stopped = true },
	[HS_REQUEST_MEM_READ] = { .handle = hs_handle_mem_read, .needs_stopped = true },
	[HS_REQUEST_MEM_READ_BINARY] = { .handle = hs_handle_mem_read_binary, .needs_stopped = true },
	[HS_REQUEST_MEM_WRITE] = { .handle = hs_handle_mem_write, .needs_stopped = true },
	[HS_REQUEST_SEARCH] = { .handle = hs_handle_search, .needs_stopped = true },
	[HS_REQUEST_CRC] = { .handle = hs_handle_crc, .needs_stopped = true },
	[HS_REQUEST_QEMU_FEATURES] = { .handle = hs_handle_qemu_features },
	[HS_REQUEST_PHYS_MODE] = { .handle = hs_handle_phys_mode },
	[HS_REQUEST_PHYS_MODE_SET] = { .handle = hs_handle_phys_mode_set },
	[HS_REQUEST_BREAK_INSERT] = { .handle = hs_handle_break_insert, .needs_stopped = true },
	[HS_REQUEST_BREAK_REMOVE] = { .handle = hs_handle_break_remove, .needs_stopped = true },
	[HS_REQUEST_XFER] = { .handle = hs_handle_xfer, .needs_stopped = true },
	[HS_REQUEST_OFFSETS] = { .handle = hs_handle_offsets },
	[HS_REQUEST_FILE_SETFS] = { .handle = hs_handle_file_setfs },
	[HS_REQUEST_FILE_OPEN] = { .handle = hs_handle_file_open },
	[HS_REQUEST_FILE_PREAD] = { .handle = hs_handle_file_pread },
	[HS_REQUEST_FILE_FSTAT] = { .handle = hs_handle_file_fstat },
	[HS_REQUEST_FILE_CLOSE] = { .handle = hs_handle_file_close },
	[HS_REQUEST_FILE_READLINK] = { .handle = hs_handle_file_readlink },
	[HS_REQUEST_MONITOR] = { .handle = hs_handle_monitor,
				 .needs_stopped = true,
				 .outlives_end = true,
				 .in_words = true },
	[HS_REQUEST_THREAD_SUFFIX] = { .handle = hs_handle_thread_suffix },
	[HS_REQUEST_LIST_THREADS] = { .handle = hs_handle_list_threads },
	[HS_REQUEST_ERROR_STRINGS] = { .handle = hs_handle_error_strings },
	[HS_REQUEST_HOST_INFO] = { .handle = hs_handle_host_info },
	[HS_REQUEST_PROCESS_INFO] = { .handle = hs_handle_process_info },
	[HS_REQUEST_SERVER_VERSION] = { .handle = hs_handle_server_version },
	[HS_REQUEST_REGISTER_INFO] = { .handle = hs_handle_register_info },
	[HS_REQUEST_ALLOCATE] = { .handle = hs_handle_allocate },
	[HS_REQUEST_MEM_REGION] = { .handle = hs_handle_mem_region, .needs_stopped = true },
	[HS_REQUEST_THREADS_JSON] = { .handle = hs_handle_threads_json, .needs_stopped = true },
};

enum hs_reply hs_reply_error(struct hs_gdb *gdb, enum hs_status status, const char *format, ...)
{
	char text[HS_ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)hs_error_set(&gdb->err, status, 0, 0, "%s", text);
	return HS_REPLY_ERROR;
}

enum hs_reply hs_reply_status(struct hs_gdb *gdb, enum hs_status status)
{
	if (status == HS_OK) {
		return HS_REPLY_OK;
	}
	if (gdb->err.status != status) {
		(void)hs_error_set(&gdb->err, status, 0, 0, "%s", hs_status_name(status));
	}
	return HS_REPLY_ERROR;
}

enum hs_reply hs_reply_text(struct hs_gdb *gdb, const char *text)
{
	hs_buf_append_string(&gdb->payload, text);
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_reply_part(struct hs_gdb *gdb, const void *object, size_t size, uint64_t offset, uint64_t length)
{
	uint64_t left;

	if (offset > size) {
		return hs_reply_error(gdb, HS_ERR_RANGE, "offset 0x%llx is behind the end of the object",
				      (unsigned long long)offset);
	}
	/* One byte of the reply is the letter; the client may ask for more than a reply holds. */
	left = size - offset;
	if (length > HS_GDB_REPLY_MAX - 1) {
		length = HS_GDB_REPLY_MAX - 1;
	}
	hs_buf_append_byte(&gdb->payload, length < left ? 'm' : 'l');
	hs_buf_append(&gdb->payload, (const uint8_t *)object + offset, length < left ? length : left);
	return HS_REPLY_PAYLOAD;
}

/* The number in "Enn": an errno where there is a fitting one, as gdb's own stubs do. Never 0. */
static unsigned int error_number(enum hs_status status)
{
	switch (status) {
	case HS_ERR_NOMEM:
		return 12; /* ENOMEM */
	case HS_ERR_IO:
	case HS_ERR_BACKEND:
		return 5; /* EIO */
	case HS_ERR_UNSUPPORTED:
		return 95; /* EOPNOTSUPP */
	case HS_ERR_NOT_FOUND:
		return 2; /* ENOENT */
	case HS_ERR_UNREADABLE:
		return 14; /* EFAULT */
	case HS_ERR_EXHAUSTED:
		return 28; /* ENOSPC */
	case HS_ERR_BUSY:
	case HS_ERR_STATE:
		return 16; /* EBUSY */
	case HS_ERR_PERMISSION:
		return 13; /* EACCES */
	default:
		return 22; /* EINVAL */
	}
}

void hs_gdb_put_error(struct hs_gdb *gdb, bool words)
{
	hs_buf_clear(&gdb->payload);
	if (words && gdb->err.message[0]) {
		hs_buf_printf(&gdb->payload, "E.%s", gdb->err.message);
		return;
	}
	hs_buf_printf(&gdb->payload, "E%02x", error_number(gdb->err.status));
	if (gdb->client.error_strings && gdb->err.message[0]) {
		hs_buf_append_byte(&gdb->payload, ';');
		hs_buf_append_hex(&gdb->payload, gdb->err.message, strlen(gdb->err.message));
	}
}

/* A payload that ran out of its buffer becomes an error: half a reply would be taken for a whole one. */
static void check_payload(struct hs_gdb *gdb)
{
	if (gdb->payload.failed) {
		(void)hs_reply_error(gdb, HS_ERR_NOMEM, "no memory for the reply");
		hs_gdb_put_error(gdb, gdb->client.error_message);
	}
}

/* The packet behind `start` of the output goes to the client; if there is one. */
static void finish_packet(struct hs_gdb *gdb, size_t start, bool encoded)
{
	if (!encoded) {
		gdb->out.failed = true;
		return;
	}
	gdb->client.sent++;
	/* Nobody asks for it again where nothing is acknowledged. */
	if (!gdb->client.no_ack) {
		hs_buf_clear(&gdb->last);
		hs_buf_append(&gdb->last, gdb->out.data + start, gdb->out.length - start);
	}
}

void hs_gdb_send_payload(struct hs_gdb *gdb)
{
	size_t start = gdb->out.length;

	check_payload(gdb);
	finish_packet(gdb, start, hs_packet_encode(&gdb->out, gdb->payload.data, gdb->payload.length));
}

static void send_hex(struct hs_gdb *gdb)
{
	size_t start = gdb->out.length;

	finish_packet(gdb, start, hs_packet_encode_hex(&gdb->out, gdb->scratch.data, gdb->scratch.length));
}

static void send_reply(struct hs_gdb *gdb, enum hs_reply reply)
{
	switch (reply) {
	case HS_REPLY_UNSUPPORTED:
		hs_buf_clear(&gdb->payload);
		break;
	case HS_REPLY_OK:
		hs_buf_clear(&gdb->payload);
		hs_buf_append_string(&gdb->payload, "OK");
		break;
	case HS_REPLY_PAYLOAD:
		break;
	case HS_REPLY_HEX:
		send_hex(gdb);
		return;
	case HS_REPLY_ERROR:
		hs_gdb_put_error(gdb, gdb->client.error_message);
		break;
	case HS_REPLY_STOP:
	case HS_REPLY_SILENCE:
		return;
	}
	hs_gdb_send_payload(gdb);
}

/* Why a request of this row cannot be served now; NULL when it can. */
static const char *refusal(const struct hs_gdb *gdb, const struct row *row)
{
	if (!row->needs_stopped) {
		return NULL;
	}
	if (gdb->client.detached) {
		return "detached from the guest";
	}
	if (gdb->running) {
		return "the guest is running";
	}
	return !row->outlives_end && (gdb->ended || gdb->killed) ? "the guest has ended" : NULL;
}

static enum hs_reply handle(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct row *row = &rows[request->kind];
	enum hs_reply reply;
	const char *why;

	if (request->kind == HS_REQUEST_MALFORMED) {
		return hs_reply_error(gdb, HS_ERR_FORMAT, "the packet's arguments make no sense");
	}
	if (!row->handle) {
		return HS_REPLY_UNSUPPORTED;
	}
	why = refusal(gdb, row);
	if (why) {
		return row->in_words ? hs_reply_words(gdb, why) : hs_reply_error(gdb, HS_ERR_STATE, "%s", why);
	}
	if (row->needs_stopped && gdb->target.ops->space_use) {
		gdb->target.ops->space_use(gdb->target.ctx, hs_gdb_general_space(gdb));
	}
	reply = row->handle(gdb, request);
	/* A handler that wants what its row does not allow has a bug; the client still gets its one reply. */
	if ((reply == HS_REPLY_STOP && !row->resumes) || (reply == HS_REPLY_SILENCE && !row->may_be_silent)) {
		return hs_reply_error(gdb, HS_ERR_STATE, "no reply was made");
	}
	return reply;
}

static void begin_reply(struct hs_gdb *gdb)
{
	hs_buf_clear(&gdb->payload);
	gdb->err = (struct hs_error){ 0 };
}

void hs_gdb_dispatch(struct hs_gdb *gdb, uint8_t *payload, size_t length)
{
	struct hs_request request;

	begin_reply(gdb);
	hs_request_decode(payload, length, &request);
	send_reply(gdb, handle(gdb, &request));
}

void hs_gdb_refuse_packet(struct hs_gdb *gdb, enum hs_status status, const char *why)
{
	begin_reply(gdb);
	send_reply(gdb, hs_reply_error(gdb, status, "%s", why));
}
