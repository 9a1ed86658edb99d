/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor commands of a core or a snapshot that a debugger looks at: those of monitor.c that only read. */
#include "session/stored.h"

#include "base/error.h"
#include "session/monitor.h"

static void put_info(const struct hs_stored *stored, struct hs_buf *out)
{
	const struct hs_core_info *info = hs_core_info(stored->core);
	const struct hs_root *root = hs_stored_root(stored);

	hs_buf_printf(out, "file      %s\n", stored->path);
	hs_buf_printf(out, "image     %s (%s)\n", stored->image ? stored->image : "not known",
		      hs_arch_name(info->arch));
	hs_buf_printf(out, "state     %s\n", info->reason[0] ? info->reason : "as it was when the file was written");
	if (root) {
		hs_buf_printf(out, "paging    %s, root at gpa 0x%llx\n", hs_paging_format_name(root->format),
			      (unsigned long long)root->base.v);
	}
}

/* For commands that need one. */
static enum hs_status view_of(const struct hs_stored *stored, struct hs_space_view *ret, struct hs_error *err)
{
	if (!hs_stored_view(stored, ret)) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0, "the core does not tell its page tables");
	}
	return HS_OK;
}

static enum hs_status run_info(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	(void)argument;
	(void)err;
	put_info(ctx, out);
	return HS_OK;
}

static enum hs_status run_phys(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	const struct hs_stored *stored = ctx;

	return hs_monitor_phys_text(&stored->from.scene.phys, argument, out, err);
}

static enum hs_status run_roots(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_space_view view;
	enum hs_status st = view_of(ctx, &view, err);

	(void)argument;
	if (!st) {
		hs_space_put_roots(&view, out);
	}
	return st;
}

static enum hs_status run_root(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_stored *stored = ctx;
	struct hs_space_view view;
	enum hs_status st = view_of(stored, &view, err);

	return st ? st : hs_space_choose(&view, argument, out, &stored->space_chosen, err);
}

static enum hs_status run_walk(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_space_view view;
	enum hs_status st = view_of(ctx, &view, err);

	return st ? st : hs_space_put_walk(&view, argument, out, err);
}

static enum hs_status run_maps(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_space_view view;
	enum hs_status st = view_of(ctx, &view, err);

	return st ? st : hs_space_put_maps(&view, argument, out, err);
}

static const struct hs_monitor_command commands[] = {
	{ "info", NULL, "the file: image, state, paging", run_info },
	{ "phys", "ADDR [N]", "N bytes (64) of guest-physical memory", run_phys },
	{ "roots", NULL, "the address spaces, and which one is current", run_roots },
	{ "root", "N|current", "addresses are from now on those of space N, or of the CPU's", run_root },
	{ "walk", "ADDR", "the page-table entries on the way to an address", run_walk },
	{ "maps", "[N]", "what the space, or space N, maps, and with which rights", run_maps },
};

enum hs_status hs_stored_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err)
{
	return hs_monitor_answer(commands, sizeof(commands) / sizeof(commands[0]), ctx, NULL, line, ret_text, err);
}
