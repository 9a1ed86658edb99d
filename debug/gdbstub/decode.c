/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From packet text to typed requests. One table says how each packet begins; one small function per shape of arguments
 * parses the rest and fails on anything it does not understand to the last byte. Numbers are hex and bounded
 * to 64 bits; bounds that depend on the target are the handlers' business.
 */
#include "gdbstub/decode_parts.h"

static bool parse_nothing(struct hs_text *text, struct hs_request *ret)
{
	(void)ret;
	return hs_text_done(text);
}

/* Arguments that do not matter to us. */
static bool parse_anything(struct hs_text *text, struct hs_request *ret)
{
	(void)text;
	(void)ret;
	return true;
}

static bool parse_features(struct hs_text *text, struct hs_request *ret)
{
	if (hs_text_done(text)) {
		ret->text = (struct hs_span){ .data = text->at };
		return true;
	}
	if (!hs_text_take_char(text, ':')) {
		return false;
	}
	ret->text = (struct hs_span){ .data = text->at, .length = hs_text_left(text) };
	return true;
}

static bool parse_thread(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_thread(text, &ret->id) && hs_text_done(text);
}

/* H op thread-id: op is 'g' for everything but running, 'c' for that. */
static bool parse_select(struct hs_text *text, struct hs_request *ret)
{
	ret->select.general = hs_text_take_char(text, 'g');
	return (ret->select.general || hs_text_take_char(text, 'c')) && hs_text_take_thread(text, &ret->select.id) &&
	       hs_text_done(text);
}

static bool parse_process(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_char(text, ';') && hs_text_take_process(text, &ret->id) && hs_text_done(text);
}

/* "D" or "D;PID" */
static bool parse_detach(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_done(text) || parse_process(text, ret);
}

static bool parse_number(struct hs_text *text, struct hs_request *ret)
{
	return hs_text_take_number(text, &ret->number) && hs_text_done(text);
}

/* What may stand behind a packet's name for the row to be the right one. */
enum follow {
	FOLLOW_END, /* nothing */
	FOLLOW_SEP, /* nothing, or one of ":;," with more behind it */
	FOLLOW_ANY, /* the arguments, at once */
};

static const struct pattern {
	const char *name;
	enum follow follow;
	enum hs_request_kind kind;
	bool (*parse)(struct hs_text *text, struct hs_request *ret);
} patterns[] = {
	/* The ones that matter for speed first: the first row that fits is taken. */
	{ "m", FOLLOW_ANY, HS_REQUEST_MEM_READ, hs_parse_mem_read },
	{ "x", FOLLOW_ANY, HS_REQUEST_MEM_READ_BINARY, hs_parse_mem_read },
	{ "M", FOLLOW_ANY, HS_REQUEST_MEM_WRITE, hs_parse_mem_write },
	{ "X", FOLLOW_ANY, HS_REQUEST_MEM_WRITE, hs_parse_mem_write_binary },
	{ "g", FOLLOW_SEP, HS_REQUEST_REGS_READ, hs_parse_regs_read },
	{ "G", FOLLOW_ANY, HS_REQUEST_REGS_WRITE, hs_parse_regs_write },
	{ "p", FOLLOW_ANY, HS_REQUEST_REG_READ, hs_parse_reg_read },
	{ "P", FOLLOW_ANY, HS_REQUEST_REG_WRITE, hs_parse_reg_write },
	{ "vCont?", FOLLOW_END, HS_REQUEST_RESUME_KINDS, parse_nothing },
	{ "vCont", FOLLOW_SEP, HS_REQUEST_RESUME, hs_parse_vcont },
	{ "c", FOLLOW_ANY, HS_REQUEST_RESUME, hs_parse_continue },
	{ "s", FOLLOW_ANY, HS_REQUEST_RESUME, hs_parse_step },
	{ "C", FOLLOW_ANY, HS_REQUEST_RESUME, hs_parse_continue_signal },
	{ "S", FOLLOW_ANY, HS_REQUEST_RESUME, hs_parse_step_signal },
	{ "Z", FOLLOW_ANY, HS_REQUEST_BREAK_INSERT, hs_parse_breakpoint },
	{ "z", FOLLOW_ANY, HS_REQUEST_BREAK_REMOVE, hs_parse_breakpoint },
	{ "?", FOLLOW_END, HS_REQUEST_STOP_REASON, parse_nothing },
	{ "!", FOLLOW_END, HS_REQUEST_EXTENDED, parse_nothing },
	{ "D", FOLLOW_SEP, HS_REQUEST_DETACH, parse_detach },
	{ "H", FOLLOW_ANY, HS_REQUEST_THREAD_SELECT, parse_select },
	{ "T", FOLLOW_ANY, HS_REQUEST_THREAD_ALIVE, parse_thread },
	{ "R", FOLLOW_ANY, HS_REQUEST_RESTART, parse_anything },
	{ "k", FOLLOW_END, HS_REQUEST_KILL_SILENTLY, parse_nothing },
	{ "vKill", FOLLOW_SEP, HS_REQUEST_KILL, parse_process },
	{ "vAttach", FOLLOW_SEP, HS_REQUEST_ATTACH, parse_process },
	{ "vRun", FOLLOW_SEP, HS_REQUEST_RUN, hs_parse_run },
	{ "vCtrlC", FOLLOW_END, HS_REQUEST_INTERRUPT, parse_nothing },
	{ "qSearch:memory:", FOLLOW_ANY, HS_REQUEST_SEARCH, hs_parse_search },
	{ "qCRC:", FOLLOW_ANY, HS_REQUEST_CRC, hs_parse_mem_read },
	{ "qqemu.Supported", FOLLOW_END, HS_REQUEST_QEMU_FEATURES, parse_nothing },
	{ "qqemu.PhyMemMode", FOLLOW_END, HS_REQUEST_PHYS_MODE, parse_nothing },
	{ "Qqemu.PhyMemMode:", FOLLOW_ANY, HS_REQUEST_PHYS_MODE_SET, parse_number },
	{ "vFile:setfs:", FOLLOW_ANY, HS_REQUEST_FILE_SETFS, parse_anything },
	{ "vFile:open:", FOLLOW_ANY, HS_REQUEST_FILE_OPEN, hs_parse_file_open },
	{ "vFile:pread:", FOLLOW_ANY, HS_REQUEST_FILE_PREAD, hs_parse_file_pread },
	{ "vFile:fstat:", FOLLOW_ANY, HS_REQUEST_FILE_FSTAT, hs_parse_file_handle },
	{ "vFile:close:", FOLLOW_ANY, HS_REQUEST_FILE_CLOSE, hs_parse_file_handle },
	{ "vFile:readlink:", FOLLOW_ANY, HS_REQUEST_FILE_READLINK, hs_parse_hex_text },
	{ "qSupported", FOLLOW_SEP, HS_REQUEST_SUPPORTED, parse_features },
	{ "QStartNoAckMode", FOLLOW_END, HS_REQUEST_NO_ACK, parse_nothing },
	{ "qAttached", FOLLOW_SEP, HS_REQUEST_ATTACHED, parse_anything },
	{ "qC", FOLLOW_END, HS_REQUEST_THREAD_CURRENT, parse_nothing },
	{ "qfThreadInfo", FOLLOW_END, HS_REQUEST_THREADS_FIRST, parse_nothing },
	{ "qsThreadInfo", FOLLOW_END, HS_REQUEST_THREADS_NEXT, parse_nothing },
	{ "qThreadExtraInfo,", FOLLOW_ANY, HS_REQUEST_THREAD_NAME, parse_thread },
	{ "qXfer:", FOLLOW_ANY, HS_REQUEST_XFER, hs_parse_xfer },
	{ "qSymbol:", FOLLOW_ANY, HS_REQUEST_SYMBOL, parse_anything },
	{ "qOffsets", FOLLOW_END, HS_REQUEST_OFFSETS, parse_nothing },
	{ "QNonStop:", FOLLOW_ANY, HS_REQUEST_NON_STOP, parse_number },
	{ "qTStatus", FOLLOW_END, HS_REQUEST_TRACE_STATUS, parse_nothing },
	{ "qTfP", FOLLOW_END, HS_REQUEST_TRACE_LIST, parse_nothing },
	{ "qTsP", FOLLOW_END, HS_REQUEST_TRACE_LIST, parse_nothing },
	{ "qTfV", FOLLOW_END, HS_REQUEST_TRACE_LIST, parse_nothing },
	{ "qTsV", FOLLOW_END, HS_REQUEST_TRACE_LIST, parse_nothing },
	{ "qRcmd,", FOLLOW_ANY, HS_REQUEST_MONITOR, hs_parse_hex_text },
	{ "QThreadSuffixSupported", FOLLOW_END, HS_REQUEST_THREAD_SUFFIX, parse_nothing },
	{ "QListThreadsInStopReply", FOLLOW_END, HS_REQUEST_LIST_THREADS, parse_nothing },
	{ "QEnableErrorStrings", FOLLOW_END, HS_REQUEST_ERROR_STRINGS, parse_nothing },
	{ "qHostInfo", FOLLOW_END, HS_REQUEST_HOST_INFO, parse_nothing },
	{ "qProcessInfo", FOLLOW_END, HS_REQUEST_PROCESS_INFO, parse_nothing },
	{ "qGDBServerVersion", FOLLOW_END, HS_REQUEST_SERVER_VERSION, parse_nothing },
	{ "qRegisterInfo", FOLLOW_ANY, HS_REQUEST_REGISTER_INFO, parse_number },
	{ "qThreadStopInfo", FOLLOW_ANY, HS_REQUEST_THREAD_STOP, parse_thread },
	{ "qMemoryRegionInfo:", FOLLOW_ANY, HS_REQUEST_MEM_REGION, parse_number },
	{ "jThreadsInfo", FOLLOW_END, HS_REQUEST_THREADS_JSON, parse_nothing },
	{ "_M", FOLLOW_ANY, HS_REQUEST_ALLOCATE, parse_anything },
	{ "_m", FOLLOW_ANY, HS_REQUEST_ALLOCATE, parse_anything },
};

static bool follows(enum follow follow, const struct hs_text *text)
{
	switch (follow) {
	case FOLLOW_END:
		return hs_text_done(text);
	case FOLLOW_SEP:
		return hs_text_done(text) || *text->at == ':' || *text->at == ';' || *text->at == ',';
	case FOLLOW_ANY:
		break;
	}
	return true;
}

void hs_request_decode(uint8_t *payload, size_t length, struct hs_request *ret)
{
	*ret = (struct hs_request){ .kind = HS_REQUEST_UNKNOWN };
	if (length == 0) {
		return; /* no name, and perhaps no payload to point at */
	}
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		const struct pattern *pattern = &patterns[i];
		struct hs_text text = { .at = payload, .end = payload + length };

		if (!hs_text_take_word(&text, pattern->name) || !follows(pattern->follow, &text)) {
			continue;
		}
		ret->kind = pattern->kind;
		if (!pattern->parse(&text, ret)) {
			*ret = (struct hs_request){ .kind = HS_REQUEST_MALFORMED };
		}
		return;
	}
}
