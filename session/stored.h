/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What target_stored.c and stored_monitor.c share. */
#ifndef HS_SESSION_STORED_H
#define HS_SESSION_STORED_H

#include "session/core_scene.h"
#include "session/debug_file.h"
#include "session/space_view.h"
#include "session/target_stored.h"

#include <hindsight/paging.h>

#include <stdbool.h>

struct hs_stored {
	const struct hs_core *core;
	char *path, *image;
	int image_fd;
	struct hs_debug_file debug_file;
	struct hs_stop stop;
	struct hs_core_scene from;
	uint32_t space_chosen; /* "monitor root"; 0: the one that the CPU is in */
	uint32_t space_used;   /* hs_target_ops.space_use */
};

/* The address space that it stands in; NULL where the core does not tell. */
const struct hs_root *hs_stored_root(const struct hs_stored *stored);
/* Numbers of spaces are places in the core. False where it does not tell of any. */
bool hs_stored_view(const struct hs_stored *stored, struct hs_space_view *ret);

/** hs_target_ops.monitor. */
HS_MUST_CHECK enum hs_status hs_stored_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err);

#endif
