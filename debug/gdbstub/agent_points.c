/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/agent_points.h"

#include "base/bytes.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_HEAD 3u

uint8_t *hs_agent_program_put(uint8_t *to, enum hs_agent_use use, struct hs_span program)
{
	memmove(to + RECORD_HEAD, program.data, program.length);
	to[0] = use == HS_AGENT_COMMAND ? 'C' : 'X';
	hs_put_le16(to + 1, (uint16_t)program.length);
	return to + RECORD_HEAD + program.length;
}

bool hs_agent_programs_next(struct hs_span *programs, enum hs_agent_use *ret_use, struct hs_span *ret)
{
	size_t length;

	if (programs->length < RECORD_HEAD) {
		return false;
	}
	length = hs_get_le16(programs->data + 1);
	if (length > programs->length - RECORD_HEAD) {
		return false;
	}
	*ret_use = programs->data[0] == 'C' ? HS_AGENT_COMMAND : HS_AGENT_CONDITION;
	*ret = (struct hs_span){ .data = programs->data + RECORD_HEAD, .length = length };
	programs->data += RECORD_HEAD + length;
	programs->length -= RECORD_HEAD + length;
	return true;
}

enum hs_status hs_agent_programs_verify(struct hs_span programs, const struct hs_agent_cpu *cpu, struct hs_error *err)
{
	enum hs_agent_use use;
	struct hs_span program;

	while (hs_agent_programs_next(&programs, &use, &program)) {
		enum hs_status st = hs_agent_verify(program, use, cpu, err);

		if (st) {
			return st;
		}
	}
	return HS_OK;
}

static struct hs_agent_point *find(const struct hs_agent_points *points, const struct hs_breakpoint *breakpoint)
{
	for (size_t i = 0; i < points->count; i++) {
		if (points->list[i].kind == breakpoint->kind && points->list[i].gva.v == breakpoint->gva.v &&
		    points->list[i].space == breakpoint->space) {
			return &points->list[i];
		}
	}
	return NULL;
}

/* A new point at the end of the list, or NULL. */
static struct hs_agent_point *add(struct hs_agent_points *points, const struct hs_breakpoint *breakpoint)
{
	if (points->count == points->capacity) {
		size_t capacity = points->capacity ? 2 * points->capacity : 16;
		struct hs_agent_point *list = realloc(points->list, capacity * sizeof(*list));

		if (!list) {
			return NULL;
		}
		points->list = list;
		points->capacity = capacity;
	}
	points->list[points->count] = (struct hs_agent_point){
		.kind = breakpoint->kind,
		.gva = breakpoint->gva,
		.space = breakpoint->space,
	};
	points->of_spaces += breakpoint->space != 0;
	return &points->list[points->count++];
}

static void drop_programs(struct hs_agent_points *points, struct hs_agent_point *point)
{
	points->bytes -= point->length;
	points->programmed -= point->length > 0;
	free(point->programs);
	point->programs = NULL;
	point->length = 0;
}

enum hs_status hs_agent_points_set(struct hs_agent_points *points, const struct hs_breakpoint *breakpoint,
				   struct hs_span programs, struct hs_error *err)
{
	struct hs_agent_point *point = find(points, breakpoint);
	size_t bytes = points->bytes - (point ? point->length : 0);
	uint8_t *copy = NULL;

	if ((!point && points->count == HS_AGENT_POINTS_MAX) || programs.length > HS_AGENT_POINTS_BYTES_MAX - bytes) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, breakpoint->gva.v,
				    "too many breakpoints, or too many bytes of conditions and commands");
	}
	if (programs.length > 0) {
		copy = malloc(programs.length);
	}
	if (!point && (copy || programs.length == 0)) {
		point = add(points, breakpoint);
	}
	if (!point || (programs.length > 0 && !copy)) {
		free(copy);
		return hs_error_set(err, HS_ERR_NOMEM, 0, breakpoint->gva.v, "no memory for a breakpoint's conditions");
	}
	drop_programs(points, point);
	if (copy) {
		memcpy(copy, programs.data, programs.length);
		point->programs = copy;
		point->length = programs.length;
		points->bytes += programs.length;
		points->programmed++;
	}
	return HS_OK;
}

static void remove_point(struct hs_agent_points *points, struct hs_agent_point *point)
{
	drop_programs(points, point);
	points->of_spaces -= point->space != 0;
	*point = points->list[--points->count];
}

void hs_agent_points_remove(struct hs_agent_points *points, const struct hs_breakpoint *breakpoint)
{
	struct hs_breakpoint of_all = *breakpoint;
	struct hs_agent_point *point = find(points, breakpoint);

	of_all.space = 0;
	if (!point) {
		point = find(points, &of_all);
	}
	if (point) {
		remove_point(points, point);
	}
}

bool hs_agent_points_has(const struct hs_agent_points *points, enum hs_break_kind kind, hs_gva gva)
{
	for (size_t i = 0; i < points->count; i++) {
		if (points->list[i].kind == kind && points->list[i].gva.v == gva.v) {
			return true;
		}
	}
	return false;
}

void hs_agent_points_clear_space(struct hs_agent_points *points, uint32_t space)
{
	for (size_t i = points->count; i > 0; i--) {
		if (points->list[i - 1].space == space) {
			remove_point(points, &points->list[i - 1]);
		}
	}
}

void hs_agent_points_clear(struct hs_agent_points *points)
{
	for (size_t i = 0; i < points->count; i++) {
		free(points->list[i].programs);
	}
	free(points->list);
	*points = (struct hs_agent_points){ 0 };
}

static void say_why(const struct hs_agent_point *point, const struct hs_agent_scene *scene, const char *what,
		    const struct hs_error *err)
{
	if (scene->text) {
		hs_buf_printf(scene->text, "the %s of the breakpoint at 0x%llx cannot be evaluated: %s\n", what,
			      (unsigned long long)point->gva.v, err->message);
	}
}

/* Run what is of one use. Conditions: up to the first that is true; *ret_any tells whether there is one, *ret_true
 * whether it is true. False: one cannot be evaluated. */
static bool run_all(const struct hs_agent_point *point, const struct hs_agent_scene *scene, enum hs_agent_use wanted,
		    bool *ret_any, bool *ret_true)
{
	struct hs_span programs = { .data = point->programs, .length = point->length };
	enum hs_agent_use use;
	struct hs_span program;

	*ret_any = false;
	*ret_true = false;
	while (!*ret_true && hs_agent_programs_next(&programs, &use, &program)) {
		struct hs_error err;
		uint64_t value = 0;

		if (use != wanted) {
			continue;
		}
		*ret_any = true;
		if (hs_agent_run(scene, program, &value, &err)) {
			say_why(point, scene, wanted == HS_AGENT_CONDITION ? "condition" : "command", &err);
			return false;
		}
		*ret_true = wanted == HS_AGENT_CONDITION && value != 0;
	}
	return true;
}

static bool point_wanted(const struct hs_agent_point *point, const struct hs_agent_scene *scene)
{
	bool any;
	bool is_true;

	if (!run_all(point, scene, HS_AGENT_CONDITION, &any, &is_true)) {
		return true;
	}
	if (any && !is_true) {
		return false;
	}
	/* A breakpoint with commands is all done by them: gdb sends them for nothing else (dprintf, style agent). */
	return !run_all(point, scene, HS_AGENT_COMMAND, &any, &is_true) || !any;
}

bool hs_agent_points_wanted(const struct hs_agent_points *points, const struct hs_agent_scene *scene, uint32_t space)
{
	const struct hs_cpu_state *cpu = scene->hit.cpu(scene->hit.ctx, false);
	bool known = false;
	bool wanted = false;

	for (size_t i = 0; cpu && i < points->count; i++) {
		const struct hs_agent_point *point = &points->list[i];

		if (point->gva.v == cpu->rip && (point->space == 0 || point->space == space)) {
			known = true;
			wanted |= point_wanted(point, scene);
		}
	}
	return wanted || !known;
}

bool hs_agent_points_passed(const struct hs_agent_points *points, const struct hs_agent_scene *scene)
{
	const struct hs_cpu_state *cpu = scene->hit.cpu(scene->hit.ctx, false);
	bool known = false;

	if (points->of_spaces > 0) {
		return false;
	}
	for (size_t i = 0; cpu && i < points->count; i++) {
		bool any;
		bool is_true;

		if (points->list[i].gva.v != cpu->rip) {
			continue;
		}
		known = true;
		if (!run_all(&points->list[i], scene, HS_AGENT_CONDITION, &any, &is_true) || !any || is_true) {
			return false;
		}
	}
	return known;
}
