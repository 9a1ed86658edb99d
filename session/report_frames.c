/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backtrace of a report: as it is unwound, with strings of its own. */
#include "session/report_parts.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "symbols/unwind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_memory(void *context, hs_gva gva, void *ret, size_t length)
{
	const struct hs_report_scene *scene = context;
	size_t got;

	return hs_vmem_read(&scene->phys, &scene->roots[scene->root_current], gva, ret, length, &got, NULL) == HS_OK &&
	       got == length;
}

static bool take_frame(const struct hs_unwind_frame *frame, bool interrupted, struct hs_report_frame *ret)
{
	*ret = (struct hs_report_frame){
		.pc = frame->pc,
		.function = strdup(frame->symbol.function),
		.offset = frame->symbol.offset,
		.file = strdup(frame->symbol.file),
		.line = frame->symbol.line,
		.inlined = frame->is_inlined,
		.interrupted = interrupted,
		.method = hs_unwind_method_text(frame->method),
		.guessed = frame->method == HS_UNWIND_FRAME_POINTER || frame->method == HS_UNWIND_RETURN_ADDRESS,
	};
	return ret->function && ret->file;
}

static void describe_end(const struct hs_unwind_result *result, char *ret, size_t size)
{
	if (result->end == HS_UNWIND_END_OUTERMOST) {
		ret[0] = '\0';
	} else if (result->where != 0) {
		snprintf(ret, size, "%s: 0x%" PRIx64, hs_unwind_end_text(result->end), result->where);
	} else {
		snprintf(ret, size, "%s", hs_unwind_end_text(result->end));
	}
}

enum hs_status hs_report_frames(const struct hs_report_scene *scene, struct hs_symbols *symbols,
				struct hs_report *report, struct hs_error *err)
{
	HS_FREE struct hs_unwind_frame *frames = calloc(HS_REPORT_FRAMES_MAX, sizeof(*frames));
	struct hs_unwind_input input = {
		.arch = scene->arch,
		.cpu = scene->cpu,
		.symbols = symbols,
		.memory = { .read = read_memory, .context = (void *)(uintptr_t)scene },
	};
	struct hs_unwind_result result;

	report->frames = calloc(HS_REPORT_FRAMES_MAX, sizeof(*report->frames));
	if (!frames || !report->frames) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a backtrace");
	}
	hs_unwind(&input, frames, HS_REPORT_FRAMES_MAX, &result);
	for (size_t i = 0; i < result.count; i++) {
		bool interrupted = i > 0 && frames[i - 1].is_signal_frame;

		report->frame_count++;
		if (!take_frame(&frames[i], interrupted, &report->frames[i])) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a backtrace");
		}
	}
	describe_end(&result, report->frames_end, sizeof(report->frames_end));
	return HS_OK;
}
