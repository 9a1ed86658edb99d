/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/debug.h"

#include "base/arith.h"
#include "base/error.h"

#include <hindsight/paging.h>

static bool is_watch(const struct hs_breakpoint *breakpoint)
{
	return breakpoint->kind == HS_WATCH_WRITE || breakpoint->kind == HS_WATCH_READ ||
	       breakpoint->kind == HS_WATCH_ACCESS;
}

/* At the same place, of whatever space. */
static bool same_place(const struct hs_breakpoint *a, const struct hs_breakpoint *b)
{
	return a->kind == b->kind && a->gva.v == b->gva.v && (!is_watch(a) || a->length == b->length);
}

static bool same(const struct hs_breakpoint *a, const struct hs_breakpoint *b)
{
	return same_place(a, b) && a->space == b->space;
}

static bool has_place(const struct hs_breakpoint *list, size_t count, const struct hs_breakpoint *breakpoint)
{
	for (size_t i = 0; i < count; i++) {
		if (same_place(&list[i], breakpoint)) {
			return true;
		}
	}
	return false;
}

/* A debug register watches 1, 2, 4 or 8 aligned bytes and cannot watch reads alone (SDM vol. 3B 17.2.4, 17.2.5). */
static bool fits_data_register(const struct hs_breakpoint *watch)
{
	uint64_t length = watch->length;

	return (length == 1 || length == 2 || length == 4 || length == 8) && watch->gva.v % length == 0 &&
	       watch->kind != HS_WATCH_READ;
}

static bool uses_register(const struct hs_debug *debug, const struct hs_breakpoint *breakpoint)
{
	if (breakpoint->kind == HS_BREAK_HARDWARE) {
		return debug->abilities.execute_slots > 0;
	}
	return is_watch(breakpoint) && debug->abilities.data_slots > 0 && fits_data_register(breakpoint);
}

static enum hs_status check_registers_left(const struct hs_debug *debug, const struct hs_breakpoint *breakpoint,
					   struct hs_error *err)
{
	unsigned int used = 0;

	if (debug->abilities.own_breakpoints || !uses_register(debug, breakpoint) ||
	    has_place(debug->list, debug->count, breakpoint)) {
		return HS_OK;
	}
	for (size_t i = 0; i < debug->count; i++) {
		used += uses_register(debug, &debug->list[i]) && !has_place(debug->list, i, &debug->list[i]);
	}
	if (used >= debug->abilities.slots) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, breakpoint->gva.v, "all %u debug registers are in use",
				    debug->abilities.slots);
	}
	return HS_OK;
}

static bool translate(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, hs_gpa *ret)
{
	struct hs_range range;

	hs_translate(phys, root, gva, &range);
	if (range.kind != HS_RANGE_MAPPED) {
		return false;
	}
	*ret = hs_gpa_of(range.gpa.v + (gva.v - range.start.v));
	return true;
}

/* Where the CPU itself has gva. */
static bool translate_here(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva, hs_gpa *ret)
{
	struct hs_root root;

	hs_root_of_cpu(cpu, &root);
	return translate(phys, &root, gva, ret);
}

static bool is_mapped(const struct hs_debug *debug, const struct hs_breakpoint *breakpoint, const struct hs_phys *phys,
		      const struct hs_cpu_state *cpu)
{
	struct hs_root roots[2];
	size_t count = hs_debug_spaces_roots(&debug->spaces, breakpoint->space, cpu, roots);
	uint8_t byte;
	hs_gpa gpa;

	for (size_t i = 0; i < count; i++) {
		if (translate(phys, &roots[i], breakpoint->gva, &gpa) &&
		    phys->ops->read(phys->ctx, gpa, &byte, 1, NULL) == HS_OK) {
			return true;
		}
	}
	return false;
}

enum hs_status hs_debug_insert(struct hs_debug *debug, const struct hs_breakpoint *breakpoint,
			       const struct hs_phys *phys, const struct hs_cpu_state *cpu, struct hs_error *err)
{
	enum hs_status st;

	if (is_watch(breakpoint) &&
	    (breakpoint->length == 0 || breakpoint->length - 1 > UINT64_MAX - breakpoint->gva.v)) {
		return hs_error_set(err, HS_ERR_RANGE, 0, breakpoint->gva.v, "watchpoint at 0x%llx: bad length %llu",
				    (unsigned long long)breakpoint->gva.v, (unsigned long long)breakpoint->length);
	}
	for (size_t i = 0; i < debug->count; i++) {
		if (same(&debug->list[i], breakpoint)) {
			return HS_OK;
		}
	}
	if (debug->count == HS_DEBUG_MAX) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "more than %d breakpoints", HS_DEBUG_MAX);
	}
	if (breakpoint->kind == HS_BREAK_SOFTWARE && !is_mapped(debug, breakpoint, phys, cpu)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, breakpoint->gva.v, "nothing is mapped at 0x%llx",
				    (unsigned long long)breakpoint->gva.v);
	}
	st = check_registers_left(debug, breakpoint, err);
	if (st) {
		return st;
	}
	debug->list[debug->count] = *breakpoint;
	if (!is_watch(breakpoint)) {
		debug->list[debug->count].length = 1;
	}
	debug->count++;
	return HS_OK;
}

static void remove_at(struct hs_debug *debug, size_t index)
{
	debug->count--;
	debug->list[index] = debug->list[debug->count];
}

/* Remove what is at the place of a breakpoint in one space, or (0) every space's; whether there was one. */
static bool remove_place(struct hs_debug *debug, const struct hs_breakpoint *breakpoint, bool all)
{
	bool found = false;

	for (size_t i = debug->count; i > 0; i--) {
		if (all ? same_place(&debug->list[i - 1], breakpoint) : same(&debug->list[i - 1], breakpoint)) {
			remove_at(debug, i - 1);
			found = true;
		}
	}
	return found;
}

enum hs_status hs_debug_remove(struct hs_debug *debug, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct hs_breakpoint every = *breakpoint;

	every.space = 0;
	if (remove_place(debug, breakpoint, breakpoint->space == 0) || remove_place(debug, &every, false)) {
		return HS_OK;
	}
	return hs_error_set(err, HS_ERR_NOT_FOUND, 0, breakpoint->gva.v, "no such breakpoint at 0x%llx",
			    (unsigned long long)breakpoint->gva.v);
}

void hs_debug_clear_space(struct hs_debug *debug, uint32_t space)
{
	for (size_t i = debug->count; i > 0; i--) {
		if (debug->list[i - 1].space == space) {
			remove_at(debug, i - 1);
		}
	}
}

bool hs_debug_needs_steps(const struct hs_debug *debug)
{
	if (debug->abilities.own_breakpoints) {
		return false;
	}
	for (size_t i = 0; i < debug->count; i++) {
		const struct hs_breakpoint *breakpoint = &debug->list[i];

		if (!uses_register(debug, breakpoint) && (is_watch(breakpoint) || !debug->abilities.planted_opcode)) {
			return true;
		}
	}
	return false;
}

void hs_debug_count(const struct hs_debug *debug, struct hs_debug_counts *ret)
{
	bool registers = debug->abilities_known && !debug->abilities.own_breakpoints;

	*ret = (struct hs_debug_counts){ .slots = registers ? debug->abilities.slots : 0 };
	for (size_t i = 0; i < debug->count; i++) {
		const struct hs_breakpoint *breakpoint = &debug->list[i];

		ret->watchpoints += is_watch(breakpoint);
		ret->breakpoints += !is_watch(breakpoint);
		ret->slots_used += registers && uses_register(debug, breakpoint);
	}
}

bool hs_debug_has_watches(const struct hs_debug *debug)
{
	for (size_t i = 0; i < debug->count; i++) {
		if (is_watch(&debug->list[i])) {
			return true;
		}
	}
	return false;
}

bool hs_debug_has_spaces(const struct hs_debug *debug)
{
	for (size_t i = 0; i < debug->count; i++) {
		if (debug->list[i].space != 0) {
			return true;
		}
	}
	return false;
}

static bool is_here(const struct hs_debug *debug, const struct hs_breakpoint *breakpoint,
		    const struct hs_cpu_state *cpu)
{
	return hs_debug_spaces_has_cpu(&debug->spaces, breakpoint->space, cpu);
}

const struct hs_breakpoint *hs_debug_at(const struct hs_debug *debug, const struct hs_cpu_state *cpu)
{
	for (size_t i = 0; i < debug->count; i++) {
		const struct hs_breakpoint *breakpoint = &debug->list[i];

		if (!is_watch(breakpoint) && breakpoint->gva.v == cpu->rip && is_here(debug, breakpoint, cpu)) {
			return breakpoint;
		}
	}
	return NULL;
}

const struct hs_breakpoint *hs_debug_watch_of(const struct hs_debug *debug, const struct hs_breakpoint *armed,
					      const struct hs_cpu_state *cpu)
{
	for (size_t i = 0; i < debug->count; i++) {
		if (same_place(&debug->list[i], armed) && is_here(debug, &debug->list[i], cpu)) {
			return &debug->list[i];
		}
	}
	return NULL;
}

static bool is_planted(const struct hs_debug *debug, hs_gpa gpa)
{
	for (size_t i = 0; i < debug->planted_count; i++) {
		if (debug->planted[i].gpa.v == gpa.v) {
			return true;
		}
	}
	return false;
}

/*
 * Code that is not mapped now cannot be executed now either: nothing to plant. Addresses of one frame, in whatever
 * spaces, share a byte.
 */
static enum hs_status plant(struct hs_debug *debug, const struct hs_phys *phys, hs_gpa gpa, struct hs_error *err)
{
	struct hs_planted planted = { .gpa = gpa };
	enum hs_status st;

	if (is_planted(debug, gpa) || phys->ops->read(phys->ctx, gpa, &planted.original, 1, NULL)) {
		return HS_OK;
	}
	st = phys->ops->write(phys->ctx, gpa, &debug->abilities.planted_opcode, 1, err);
	if (!st) {
		debug->planted[debug->planted_count++] = planted;
	}
	return st;
}

/* What a run is armed for. */
struct arming {
	const struct hs_phys *phys;
	const struct hs_cpu_state *cpu;
	bool step;
	bool spaces; /* what is in the list may be at one place, for several spaces */
	bool has_left_out;
	hs_gpa left_out; /* the frame's byte that the CPU is to execute */
};

static enum hs_status plant_in_root(struct hs_debug *debug, const struct arming *arming, const struct hs_root *root,
				    hs_gva gva, struct hs_error *err)
{
	hs_gpa gpa;

	if (!translate(arming->phys, root, gva, &gpa) || (arming->has_left_out && gpa.v == arming->left_out.v)) {
		return HS_OK;
	}
	return plant(debug, arming->phys, gpa, err);
}

static enum hs_status plant_in_space(struct hs_debug *debug, const struct arming *arming,
				     const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct hs_root roots[2];
	size_t count = hs_debug_spaces_roots(&debug->spaces, breakpoint->space, arming->cpu, roots);
	enum hs_status st = HS_OK;

	for (size_t i = 0; i < count && !st; i++) {
		st = plant_in_root(debug, arming, &roots[i], breakpoint->gva, err);
	}
	return st;
}

static void plant_stops(struct hs_debug *debug, const struct arming *arming)
{
	struct hs_root root;

	hs_root_of_cpu(arming->cpu, &root);
	for (size_t i = 0; i < debug->stop_count; i++) {
		(void)!plant_in_root(debug, arming, &root, debug->stops[i], NULL);
	}
}

static enum hs_status arm_one(struct hs_debug *debug, const struct arming *arming,
			      const struct hs_breakpoint *breakpoint, struct hs_debug_request *request,
			      struct hs_error *err)
{
	bool to_backend = debug->abilities.own_breakpoints || uses_register(debug, breakpoint);

	if (arming->step && is_watch(breakpoint)) {
		return HS_OK;
	}
	if (!to_backend) {
		return plant_in_space(debug, arming, breakpoint, err);
	}
	if (is_watch(breakpoint)) {
		if (!arming->spaces || !has_place(debug->watches, request->watch_count, breakpoint)) {
			debug->watches[request->watch_count++] = *breakpoint;
		}
	} else if (!(arming->step && breakpoint->gva.v == arming->cpu->rip) &&
		   (!arming->spaces || !has_place(debug->breaks, request->break_count, breakpoint))) {
		debug->breaks[request->break_count++] = *breakpoint;
	}
	return HS_OK;
}

enum hs_status hs_debug_arm(struct hs_debug *debug, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
			    bool step, struct hs_debug_request *ret, struct hs_error *err)
{
	struct hs_debug_request request = { .step = step, .breaks = debug->breaks, .watches = debug->watches };
	struct arming arming = { .phys = phys, .cpu = cpu, .step = step, .spaces = hs_debug_has_spaces(debug) };

	debug->planted_count = 0;
	if (step && debug->count + debug->stop_count > 0) {
		arming.has_left_out = translate_here(phys, cpu, hs_gva_of(cpu->rip), &arming.left_out);
	}
	for (size_t i = 0; i < debug->count; i++) {
		enum hs_status st = arm_one(debug, &arming, &debug->list[i], &request, err);

		if (st) {
			hs_debug_disarm(debug, phys);
			return st;
		}
	}
	plant_stops(debug, &arming);
	request.planted = debug->planted_count > 0;
	*ret = request;
	return HS_OK;
}

void hs_debug_disarm(struct hs_debug *debug, const struct hs_phys *phys)
{
	for (size_t i = debug->planted_count; i > 0; i--) {
		const struct hs_planted *planted = &debug->planted[i - 1];
		uint8_t now;

		if (phys->ops->read(phys->ctx, planted->gpa, &now, 1, NULL) == HS_OK &&
		    now == debug->abilities.planted_opcode) {
			/* It was written a moment ago, so it can be written again. */
			(void)!phys->ops->write(phys->ctx, planted->gpa, &planted->original, 1, NULL);
		}
	}
}

bool hs_debug_was_planted(const struct hs_debug *debug, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
			  hs_gva gva)
{
	hs_gpa gpa;

	return debug->planted_count > 0 && translate_here(phys, cpu, gva, &gpa) && is_planted(debug, gpa);
}

static bool hits(const struct hs_breakpoint *watch, const struct hs_insn_access *access, uint64_t start,
		 uint64_t length)
{
	bool wanted = (watch->kind == HS_WATCH_ACCESS) || (watch->kind == HS_WATCH_WRITE && access->write) ||
		      (watch->kind == HS_WATCH_READ && access->read);

	return wanted && hs_ranges_overlap(watch->gva.v, watch->length, start, length);
}

const struct hs_breakpoint *hs_debug_touched(const struct hs_debug *debug, const struct hs_insn *insn,
					     const struct hs_cpu_state *cpu, uint64_t iterations, bool backwards)
{
	for (size_t i = 0; i < debug->count; i++) {
		bool counts = is_watch(&debug->list[i]) && is_here(debug, &debug->list[i], cpu);

		for (size_t j = 0; counts && j < insn->access_count; j++) {
			const struct hs_insn_access *access = &insn->accesses[j];
			uint64_t length = insn->repeats ? access->bytes * iterations : access->bytes;
			uint64_t start = access->address;

			if (insn->repeats && backwards && iterations > 0) {
				start -= access->bytes * (iterations - 1);
			}
			if (hits(&debug->list[i], access, start, length)) {
				return &debug->list[i];
			}
		}
	}
	return NULL;
}
