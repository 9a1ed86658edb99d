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

static bool same(const struct hs_breakpoint *a, const struct hs_breakpoint *b)
{
	return a->kind == b->kind && a->gva.v == b->gva.v && (!is_watch(a) || a->length == b->length);
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

	if (debug->abilities.own_breakpoints || !uses_register(debug, breakpoint)) {
		return HS_OK;
	}
	for (size_t i = 0; i < debug->count; i++) {
		used += uses_register(debug, &debug->list[i]);
	}
	if (used >= debug->abilities.slots) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, breakpoint->gva.v, "all %u debug registers are in use",
				    debug->abilities.slots);
	}
	return HS_OK;
}

static bool translate(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva, hs_gpa *ret)
{
	struct hs_root root;
	struct hs_range range;

	hs_root_of_cpu(cpu, &root);
	hs_translate(phys, &root, gva, &range);
	if (range.kind != HS_RANGE_MAPPED) {
		return false;
	}
	*ret = hs_gpa_of(range.gpa.v + (gva.v - range.start.v));
	return true;
}

enum hs_status hs_debug_insert(struct hs_debug *debug, const struct hs_breakpoint *breakpoint,
			       const struct hs_phys *phys, const struct hs_cpu_state *cpu, struct hs_error *err)
{
	enum hs_status st;
	uint8_t byte;
	hs_gpa gpa;

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
	if (breakpoint->kind == HS_BREAK_SOFTWARE &&
	    (!translate(phys, cpu, breakpoint->gva, &gpa) || phys->ops->read(phys->ctx, gpa, &byte, 1, NULL))) {
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

enum hs_status hs_debug_remove(struct hs_debug *debug, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	for (size_t i = 0; i < debug->count; i++) {
		if (same(&debug->list[i], breakpoint)) {
			debug->count--;
			debug->list[i] = debug->list[debug->count];
			return HS_OK;
		}
	}
	return hs_error_set(err, HS_ERR_NOT_FOUND, 0, breakpoint->gva.v, "no such breakpoint at 0x%llx",
			    (unsigned long long)breakpoint->gva.v);
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

bool hs_debug_has_watches(const struct hs_debug *debug)
{
	for (size_t i = 0; i < debug->count; i++) {
		if (is_watch(&debug->list[i])) {
			return true;
		}
	}
	return false;
}

const struct hs_breakpoint *hs_debug_at(const struct hs_debug *debug, hs_gva gva)
{
	for (size_t i = 0; i < debug->count; i++) {
		if (!is_watch(&debug->list[i]) && debug->list[i].gva.v == gva.v) {
			return &debug->list[i];
		}
	}
	return NULL;
}

/*
 * Code that is not mapped now cannot be executed now either: nothing to plant. Two addresses of one frame share a byte.
 */
static enum hs_status plant(struct hs_debug *debug, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
			    hs_gva gva, struct hs_error *err)
{
	struct hs_planted planted = { .gva = gva };
	enum hs_status st;

	if (!translate(phys, cpu, gva, &planted.gpa) ||
	    phys->ops->read(phys->ctx, planted.gpa, &planted.original, 1, NULL)) {
		return HS_OK;
	}
	for (size_t i = 0; i < debug->planted_count; i++) {
		if (debug->planted[i].gpa.v == planted.gpa.v) {
			planted.original = debug->planted[i].original;
		}
	}
	st = phys->ops->write(phys->ctx, planted.gpa, &debug->abilities.planted_opcode, 1, err);
	if (!st) {
		debug->planted[debug->planted_count++] = planted;
	}
	return st;
}

enum hs_status hs_debug_arm(struct hs_debug *debug, const struct hs_phys *phys, const struct hs_cpu_state *cpu,
			    bool step, struct hs_debug_request *ret, struct hs_error *err)
{
	struct hs_debug_request request = { .step = step, .breaks = debug->breaks, .watches = debug->watches };

	debug->planted_count = 0;
	for (size_t i = 0; i < debug->count; i++) {
		const struct hs_breakpoint *breakpoint = &debug->list[i];
		bool to_backend = debug->abilities.own_breakpoints || uses_register(debug, breakpoint);

		if (step && (is_watch(breakpoint) || breakpoint->gva.v == cpu->rip)) {
			continue;
		}
		if (to_backend && is_watch(breakpoint)) {
			debug->watches[request.watch_count++] = *breakpoint;
		} else if (to_backend) {
			debug->breaks[request.break_count++] = *breakpoint;
		} else {
			enum hs_status st = plant(debug, phys, cpu, breakpoint->gva, err);

			if (st) {
				hs_debug_disarm(debug, phys);
				return st;
			}
		}
	}
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

bool hs_debug_was_planted(const struct hs_debug *debug, hs_gva gva)
{
	for (size_t i = 0; i < debug->planted_count; i++) {
		if (debug->planted[i].gva.v == gva.v) {
			return true;
		}
	}
	return false;
}

static bool hits(const struct hs_breakpoint *watch, const struct hs_insn_access *access, uint64_t start,
		 uint64_t length)
{
	bool wanted = (watch->kind == HS_WATCH_ACCESS) || (watch->kind == HS_WATCH_WRITE && access->write) ||
		      (watch->kind == HS_WATCH_READ && access->read);

	return wanted && hs_ranges_overlap(watch->gva.v, watch->length, start, length);
}

const struct hs_breakpoint *hs_debug_touched(const struct hs_debug *debug, const struct hs_insn *insn,
					     uint64_t iterations, bool backwards)
{
	for (size_t i = 0; i < debug->count; i++) {
		for (size_t j = 0; is_watch(&debug->list[i]) && j < insn->access_count; j++) {
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
