/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor command that stops the guest where a restore has put it, for who follows cycles of restore and call. */
#include "session/monitor.h"

#include "base/error.h"

#include <inttypes.h>

enum hs_status hs_monitor_cycle(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	uint64_t count = 1;
	enum hs_status st;

	if (*argument && !hs_monitor_number(argument, &count)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "cycle: '%s' is not a number", argument);
	}
	if (live->end != HS_LIVE_NOT_ENDED) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	st = hs_session_stop_at_restore(live->config.session, count, err);
	if (st) {
		return st;
	}
	if (count == 0) {
		hs_buf_append_string(out, "no restore stops the guest\n");
	} else if (count == 1) {
		hs_buf_append_string(out, "the guest stops behind its next restore\n");
	} else {
		hs_buf_printf(out, "the guest stops behind its restore number %" PRIu64 " from here\n", count);
	}
	return HS_OK;
}
