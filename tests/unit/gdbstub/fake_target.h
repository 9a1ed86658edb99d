/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A target without a CPU: registers and memory that are plain arrays, stops that a test scripts. It counts
 * what the stub does to it, and above all what the stub must never do: call it while it runs.
 */
#ifndef FAKE_TARGET_H
#define FAKE_TARGET_H

#include <hindsight/target.h>

#define FAKE_SEGMENTS 16
#define FAKE_BREAKS 32
#define FAKE_STOPS 32
#define FAKE_HARDWARE_SLOTS 4
#define FAKE_PHYSICAL 0x100000u

struct fake_segment {
	uint64_t start;
	size_t length;
	uint8_t *bytes; /* owned by the fake */
};

struct fake_target {
	struct hs_target target; /* what the stub gets */
	struct hs_target_info info;
	struct hs_cpu_state cpu;
	struct fake_segment segments[FAKE_SEGMENTS];
	size_t segment_count;
	struct hs_breakpoint breaks[FAKE_BREAKS];
	size_t break_count;

	bool running;
	bool ended;
	struct hs_stop current;
	bool announced; /* current has not been taken yet */

	/* What the next resumes end in, in turn; when there is none the target runs until interrupted. */
	struct hs_stop script[FAKE_STOPS];
	size_t script_length, script_next;
	/* Instead: run to breakpoints, as far as that goes without executing anything (see fake_target.c). */
	bool simulate;
	void (*on_run)(void); /* called when that finds nothing to stop at; may be NULL */

	hs_break_filter_fn *filter; /* what the stub has asked to be called at hits; the fake never does */
	void *filter_ctx;

	struct hs_resume last_resume;
	unsigned int resumes, interrupts, kills, clears, restarts;
	enum hs_status restart_fails; /* not HS_OK: how */
	unsigned int misuses;         /* operations that need a stopped target, on a running one */
};

void fake_init(struct fake_target *fake, enum hs_arch arch);
void fake_deinit(struct fake_target *fake);
/* Memory [start, start + length), zeroed; returns the bytes. */
uint8_t *fake_add_memory(struct fake_target *fake, uint64_t start, size_t length);
/* Load the PT_LOAD segments of a static ELF, a stack, and registers as at its entry; serve it as the image. */
bool fake_load(struct fake_target *fake, const char *path);
/* Append to the script. */
void fake_script(struct fake_target *fake, struct hs_stop stop);
/* A running target stops now. */
void fake_stop(struct fake_target *fake, struct hs_stop stop);

#endif
