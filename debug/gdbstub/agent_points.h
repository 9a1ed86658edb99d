/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which breakpoints the client has set with which conditions and commands. The target keeps breakpoints themselves, and
 * hears of no condition: the stub asks here whether a hit is one that the client wants to know of.
 *
 * The programs of one breakpoint are one string of bytes, a record each: 'X' for a condition or 'C' for a command, the
 * length in two bytes, the program. The decoder makes it where the packet lies.
 */
#ifndef HS_GDBSTUB_AGENT_POINTS_H
#define HS_GDBSTUB_AGENT_POINTS_H

#include "gdbstub/agent.h"

/* Longest program that a record holds: the verifier takes less, and says so. */
#define HS_AGENT_PROGRAM_MAX UINT16_MAX
/* Most breakpoints that are known, and most bytes of programs of all of them. */
#define HS_AGENT_POINTS_MAX 4096u
#define HS_AGENT_POINTS_BYTES_MAX (1u << 20)

/* Write a record to a place that may overlap with its bytes, as long as it lies three bytes or more before them.
 * Returns its end. */
uint8_t *hs_agent_program_put(uint8_t *to, enum hs_agent_use use, struct hs_span program);
/* Take the first record from programs; false when there is none. */
bool hs_agent_programs_next(struct hs_span *programs, enum hs_agent_use *ret_use, struct hs_span *ret);

struct hs_agent_point {
	enum hs_break_kind kind; /* HS_BREAK_SOFTWARE or HS_BREAK_HARDWARE */
	hs_gva gva;
	uint32_t space;    /* as in struct hs_breakpoint */
	uint8_t *programs; /* owned; NULL for none: every hit counts */
	size_t length;
};

/* Caller's storage; zero is the empty list. */
struct hs_agent_points {
	struct hs_agent_point *list; /* owned */
	size_t count;
	size_t capacity;
	size_t bytes;      /* of programs */
	size_t programmed; /* points that have any */
	size_t of_spaces;  /* points of one address space */
};

/* Check what came with a breakpoint. */
HS_MUST_CHECK enum hs_status hs_agent_programs_verify(struct hs_span programs, const struct hs_agent_cpu *cpu,
						      struct hs_error *err);

/* Note a breakpoint; the programs, copied, replace those that it had. HS_ERR_EXHAUSTED or HS_ERR_NOMEM: nothing
 * changed. */
HS_MUST_CHECK enum hs_status hs_agent_points_set(struct hs_agent_points *points, const struct hs_breakpoint *breakpoint,
						 struct hs_span programs, struct hs_error *err);
/* Forget one; nothing when it is not known. A space that has none of its own takes away the one of every space, as with
 * break_remove() of the target. */
void hs_agent_points_remove(struct hs_agent_points *points, const struct hs_breakpoint *breakpoint);
/* Whether one of a kind is there, in whichever space. */
bool hs_agent_points_has(const struct hs_agent_points *points, enum hs_break_kind kind, hs_gva gva);
/* Forget those of one space, or (0) those of every space. */
void hs_agent_points_clear_space(struct hs_agent_points *points, uint32_t space);
/* Forget all and free them. */
void hs_agent_points_clear(struct hs_agent_points *points);

/*
 * The guest stands at a breakpoint, at scene->hit's instruction pointer, in a space (0: unknown, if none matters). Does
 * the client want to know? Yes where no breakpoint is known, where one without conditions or with one that is true has
 * no commands, and where a program cannot be evaluated. Commands of breakpoints that are hit are run. Text of theirs,
 * and why a program could not be evaluated, is appended to scene->text.
 */
bool hs_agent_points_wanted(const struct hs_agent_points *points, const struct hs_agent_scene *scene, uint32_t space);
/*
 * The same question where nothing may be done but to look, as in the middle of a run: true for a hit that the client
 * surely does not want to know of, as all conditions there are false. False leaves it to hs_agent_points_wanted().
 */
bool hs_agent_points_passed(const struct hs_agent_points *points, const struct hs_agent_scene *scene);

#endif
