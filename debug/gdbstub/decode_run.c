/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arguments of the packets that resume the target or plant a breakpoint. */
#include "gdbstub/agent_points.h"
#include "gdbstub/decode_parts.h"

/* "c", "s": an address may follow. */
static bool parse_resume_at(struct hs_text *text, struct hs_request *ret)
{
	if (hs_text_done(text)) {
		return true;
	}
	ret->resume.at_given = true;
	return hs_text_take_number(text, &ret->resume.at.v) && hs_text_done(text);
}

/* The one action of whatever runs. */
static struct hs_action *only_action(struct hs_request *ret, enum hs_resume_kind kind)
{
	ret->resume.count = 1;
	ret->resume.actions[0].how.kind = kind;
	return &ret->resume.actions[0];
}

bool hs_parse_continue(struct hs_text *text, struct hs_request *ret)
{
	(void)only_action(ret, HS_RESUME_CONTINUE);
	return parse_resume_at(text, ret);
}

bool hs_parse_step(struct hs_text *text, struct hs_request *ret)
{
	(void)only_action(ret, HS_RESUME_STEP);
	return parse_resume_at(text, ret);
}

/* "C sig" and "S sig": ";address" may follow. */
static bool parse_resume_signal(struct hs_text *text, struct hs_request *ret, enum hs_resume_kind kind)
{
	if (!hs_text_take_signal(text, &only_action(ret, kind)->how.signal)) {
		return false;
	}
	if (hs_text_done(text)) {
		return true;
	}
	return hs_text_take_char(text, ';') && !hs_text_done(text) && parse_resume_at(text, ret);
}

bool hs_parse_continue_signal(struct hs_text *text, struct hs_request *ret)
{
	return parse_resume_signal(text, ret, HS_RESUME_CONTINUE);
}

bool hs_parse_step_signal(struct hs_text *text, struct hs_request *ret)
{
	return parse_resume_signal(text, ret, HS_RESUME_STEP);
}

/* "start,end" of vCont;r: the range excludes end, and an empty one is a plain step (gdb manual, vCont). */
static bool take_range(struct hs_text *text, struct hs_resume *ret)
{
	uint64_t start;
	uint64_t end;

	if (!hs_text_take_number(text, &start) || !hs_text_take_char(text, ',') || !hs_text_take_number(text, &end) ||
	    end < start) {
		return false;
	}
	ret->kind = end == start ? HS_RESUME_STEP : HS_RESUME_RANGE;
	ret->range_start = hs_gva_of(start);
	ret->range_length = end - start;
	return true;
}

static bool take_action(struct hs_text *text, struct hs_action *ret)
{
	if (hs_text_take_char(text, 'c')) {
		ret->how.kind = HS_RESUME_CONTINUE;
		return true;
	}
	if (hs_text_take_char(text, 's')) {
		ret->how.kind = HS_RESUME_STEP;
		return true;
	}
	if (hs_text_take_char(text, 'C')) {
		ret->how.kind = HS_RESUME_CONTINUE;
		return hs_text_take_signal(text, &ret->how.signal);
	}
	if (hs_text_take_char(text, 'S')) {
		ret->how.kind = HS_RESUME_STEP;
		return hs_text_take_signal(text, &ret->how.signal);
	}
	if (hs_text_take_char(text, 't')) {
		ret->nothing = true;
		return true;
	}
	return hs_text_take_char(text, 'r') && take_range(text, &ret->how);
}

/* vCont;action[:thread-id]...: all must make sense, also those that do not count. */
bool hs_parse_vcont(struct hs_text *text, struct hs_request *ret)
{
	while (hs_text_take_char(text, ';')) {
		struct hs_action one = { .id = { .thread = HS_ID_ALL } };

		if (!take_action(text, &one)) {
			return false;
		}
		if (hs_text_take_char(text, ':') && !hs_text_take_thread(text, &one.id)) {
			return false;
		}
		if (ret->resume.count < HS_ACTIONS_MAX) {
			ret->resume.actions[ret->resume.count++] = one;
		}
	}
	return ret->resume.count > 0 && hs_text_done(text);
}

/* "Xlen,bytes": a program, moved to *to in the form of agent_points.h. The text is longer than that. */
static bool take_program(struct hs_text *text, enum hs_agent_use use, uint8_t **to)
{
	uint64_t length;
	struct hs_span bytes;

	if (!hs_text_take_char(text, 'X') || !hs_text_take_number(text, &length) || !hs_text_take_char(text, ',') ||
	    length > hs_text_left(text) / 2 || length > HS_AGENT_PROGRAM_MAX) {
		return false;
	}
	/* Nothing tells where the digits end but the length: what comes next may be one. */
	if (!hs_text_take_hex_bytes(text, (size_t)length, &bytes)) {
		return false;
	}
	*to = hs_agent_program_put(*to, use, bytes);
	return true;
}

/* ";Xlen,bytes..." and ";cmds:persist,Xlen,bytes...": gdb puts nothing between the programs of one list. */
static bool take_programs(struct hs_text *text, struct hs_span *ret)
{
	enum hs_agent_use use = HS_AGENT_CONDITION;
	uint8_t *start = text->at;
	uint8_t *to = start;

	while (!hs_text_done(text)) {
		if (hs_text_take_char(text, ';') && hs_text_take_word(text, "cmds:")) {
			uint64_t persist; /* whether they are to outlive the client: none does */

			use = HS_AGENT_COMMAND;
			if (!hs_text_take_number(text, &persist) || !hs_text_take_char(text, ',')) {
				return false;
			}
		}
		if (!take_program(text, use, &to)) {
			return false;
		}
	}
	*ret = (struct hs_span){ .data = start, .length = (size_t)(to - start) };
	return true;
}

/* vRun;FILE[;ARGUMENT]...: the file is that of the guest in any case, and arguments it has already. */
bool hs_parse_run(struct hs_text *text, struct hs_request *ret)
{
	if (hs_text_take_char(text, ';')) {
		(void)hs_text_take_until(text, ';');
	}
	ret->run.has_arguments = !hs_text_done(text);
	return true;
}

/* "type,address,kind", and for execution conditions and commands (gdb manual, Packets, "Z0"). */
bool hs_parse_breakpoint(struct hs_text *text, struct hs_request *ret)
{
	uint64_t type;

	/* A type that is not known is a packet that is not known (gdb manual, Packets, "z type,addr,kind"). */
	if (!hs_text_take_number(text, &type) || type > HS_WATCH_ACCESS) {
		ret->kind = HS_REQUEST_UNKNOWN;
		return true;
	}
	if (!hs_text_take_char(text, ',') || !hs_text_take_number(text, &ret->breakpoint.gva.v) ||
	    !hs_text_take_char(text, ',') || !hs_text_take_number(text, &ret->breakpoint.length)) {
		return false;
	}
	ret->breakpoint.kind = (enum hs_break_kind)type;
	if (type > HS_BREAK_HARDWARE || ret->kind != HS_REQUEST_BREAK_INSERT) {
		if (!hs_text_done(text)) {
			return false;
		}
	} else if (!hs_text_done(text) && (*text->at != ';' || !take_programs(text, &ret->programs))) {
		return false;
	}
	/* For execution the "kind" tells the breakpoint instruction; x86 has one. */
	if (type <= HS_BREAK_HARDWARE) {
		ret->breakpoint.length = 1;
	}
	return true;
}
