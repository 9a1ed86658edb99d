/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What target_live.c, live_space.c and the monitor commands share. */
#ifndef HS_SESSION_LIVE_H
#define HS_SESSION_LIVE_H

#include "session/debug_file.h"
#include "session/roots.h"
#include "session/space_view.h"
#include "session/target_live.h"

struct hs_live_kept;

/* What has happened since the debugger's target was made. */
struct hs_live_stats {
	uint64_t resumes;
	uint64_t stops[HS_STOP_KILLED + 1]; /* by kind */
	uint64_t restores;                  /* that the debugger has asked for */
};

struct hs_live {
	struct hs_live_config config;
	struct hs_vm *vm;
	bool running; /* resumed, and the result has not been taken */
	bool final;   /* the last resume gave in to the crash */
	enum hs_live_end end;
	struct hs_stop stop;             /* where it stands */
	struct hs_session_result result; /* and why */
	bool crash_pending;              /* it stands at a crash: result.event.crash */
	bool memory_changed;             /* since that crash, by the debugger */
	struct hs_cpu_state crash_cpu;   /* registers at that crash */
	uint32_t space_chosen;           /* "monitor root"; 0: the one that the CPU is in */
	uint32_t space_used;             /* hs_target_ops.space_use */
	struct hs_debug_file debug_file; /* of the image */
	struct hs_live_kept *kept[64];   /* checkpoints (live_kept.h), owned */
	size_t kept_count;
	struct hs_live_stats stats;
	hs_break_filter_fn *filter; /* of the session's filter: see hs_live_break_filter() */
	void *filter_ctx;
};

/* The guest was put back to where its session began: stand there. */
void hs_live_begin_again(struct hs_live *live);
/* It stands at a crash: from now on what the debugger changes counts. */
void hs_live_note_crash(struct hs_live *live);
/* Whether the debugger has changed memory or registers since. */
bool hs_live_changed_since_crash(struct hs_live *live);

/* The guest's address spaces as it stands; live_space.c. */
struct hs_live_spaces {
	struct hs_roots roots;
	struct hs_space_view view; /* borrows from roots and from the VM */
};

/* HS_ERR_NOMEM, HS_ERR_BACKEND. */
HS_MUST_CHECK enum hs_status hs_live_spaces_init(struct hs_live *live, struct hs_live_spaces *ret,
						 struct hs_error *err);
void hs_live_spaces_deinit(struct hs_live_spaces *spaces);
HS_MUST_CHECK enum hs_status hs_live_list_spaces(struct hs_live *live, struct hs_target_space *items, uint32_t max,
						 uint32_t *ret_count, struct hs_error *err);
/* The page tables of the space that is used or chosen. HS_ERR_NOT_FOUND: it is gone. */
HS_MUST_CHECK enum hs_status hs_live_root(struct hs_live *live, struct hs_root *ret, struct hs_error *err);
/* Memory, and breakpoints that say none, of the space that is used or chosen. HS_ERR_NOT_FOUND: it is gone. */
HS_MUST_CHECK enum hs_status hs_live_mem_read(struct hs_live *live, hs_gva gva, void *buffer, size_t length,
					      size_t *ret_length, struct hs_error *err);
HS_MUST_CHECK enum hs_status hs_live_mem_write(struct hs_live *live, hs_gva gva, const void *buffer, size_t length,
					       struct hs_error *err);
HS_MUST_CHECK enum hs_status hs_live_break_insert(struct hs_live *live, const struct hs_breakpoint *breakpoint,
						  struct hs_error *err);

/* The next thing is a step: make the copies of copy-on-write pages that it writes. (live_step.c) */
void hs_live_before_step(struct hs_live *live);

/** hs_target_ops.break_filter. */
void hs_live_break_filter(void *ctx, hs_break_filter_fn *filter, void *filter_ctx);

/** hs_target_ops.monitor. */
HS_MUST_CHECK enum hs_status hs_live_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err);

#endif
