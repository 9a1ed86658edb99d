/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backtrace of a report as text. Whatever comes out of a guest or a file is made printable first. */
#include "session/report.h"

#include "base/path.h"
#include "base/utf8.h"

#include <inttypes.h>

/* Frames of a deep recursion that are shown from either end. */
#define FRAMES_HEAD 24u
#define FRAMES_TAIL 8u

const struct hs_report_colours hs_report_no_colours = { "", "" };

void hs_report_put_foreign(const char *string, struct hs_buf *out)
{
	const unsigned char *at = (const unsigned char *)string;

	while (*at) {
		size_t length = hs_utf8_printable_length(at);

		if (length > 0) {
			hs_buf_append(out, at, length);
		} else {
			hs_buf_append_byte(out, *at == '\t' ? '\t' : '?');
		}
		at += length > 0 ? length : 1;
	}
}

static void put_frame_place(const struct hs_report_frame *frame, const struct hs_report_colours *colours,
			    struct hs_buf *out)
{
	if (frame->function[0]) {
		hs_report_put_foreign(frame->function, out);
		if (!frame->inlined) {
			hs_buf_printf(out, "+0x%" PRIx64, frame->offset);
		}
	} else {
		hs_buf_append_string(out, "??");
	}
	if (frame->line) {
		hs_buf_append_string(out, "  ");
		hs_report_put_foreign(hs_base_name(frame->file), out);
		hs_buf_printf(out, ":%" PRIu32, frame->line);
	}
	if (frame->inlined) {
		hs_buf_printf(out, "  %s(inlined)%s", colours->dim, colours->plain);
	}
	if (frame->interrupted) {
		hs_buf_printf(out, "  %s(interrupted)%s", colours->dim, colours->plain);
	}
	if (frame->guessed) {
		hs_buf_printf(out, "  %s(by %s)%s", colours->dim, frame->method, colours->plain);
	}
}

void hs_report_frames_text(const struct hs_report *report, const struct hs_report_colours *colours, struct hs_buf *out)
{
	const int digits = report->arch == HS_ARCH_AMD64 ? 16 : 8;
	size_t count = report->frame_count;

	for (size_t i = 0; i < count; i++) {
		const struct hs_report_frame *frame = &report->frames[i];

		if (i == FRAMES_HEAD && count > FRAMES_HEAD + FRAMES_TAIL) {
			hs_buf_printf(out, "  ... %zu more\n", count - FRAMES_HEAD - FRAMES_TAIL);
			i = count - FRAMES_TAIL - 1;
			continue;
		}
		hs_buf_printf(out, "  #%-3zu 0x%0*" PRIx64 "  ", i, digits, frame->pc);
		put_frame_place(frame, colours, out);
		hs_buf_append_byte(out, '\n');
	}
	if (report->frames_end[0]) {
		hs_buf_printf(out, "  %s", colours->dim);
		hs_report_put_foreign(report->frames_end, out);
		hs_buf_printf(out, "%s\n", colours->plain);
	}
}
