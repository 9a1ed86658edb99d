/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Monitor commands about the address spaces of a live guest; what they say is space_view.c's. */
#include "session/monitor.h"

enum hs_status hs_monitor_roots(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_live_spaces spaces;
	enum hs_status st = hs_live_spaces_init(live, &spaces, err);

	(void)argument;
	if (!st) {
		hs_space_put_roots(&spaces.view, out);
		hs_live_spaces_deinit(&spaces);
	}
	return st;
}

enum hs_status hs_monitor_root(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_live_spaces spaces;
	enum hs_status st = hs_live_spaces_init(live, &spaces, err);

	if (!st) {
		st = hs_space_choose(&spaces.view, argument, out, &live->space_chosen, err);
		hs_live_spaces_deinit(&spaces);
	}
	return st;
}

enum hs_status hs_monitor_walk(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_live_spaces spaces;
	enum hs_status st = hs_live_spaces_init(live, &spaces, err);

	if (!st) {
		st = hs_space_put_walk(&spaces.view, argument, out, err);
		hs_live_spaces_deinit(&spaces);
	}
	return st;
}

enum hs_status hs_monitor_maps(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_live_spaces spaces;
	enum hs_status st = hs_live_spaces_init(live, &spaces, err);

	if (!st) {
		st = hs_space_put_maps(&spaces.view, argument, out, err);
		hs_live_spaces_deinit(&spaces);
	}
	return st;
}
