/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The debugger's breakpoints and watchpoints. What the guest sets itself is trap.c's.
 *
 * Nothing is planted: breakpoints are compared where a page has any, and watched pages are kept out of the TLB, so that
 * what is not watched costs nothing. Every run begins by saying what is armed; that costs a comparison unless it is
 * something new.
 */
#include "vmm/soft/cpu.h"

#include "base/arith.h"
#include "base/error.h"

#include <hindsight/types.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_OF(gva) ((gva) & ~(uint64_t)(HS_PAGE_SIZE - 1))

/* The index of the first breakpoint at gva or behind it. */
static size_t first_break(const struct hs_soft_debugger *debugger, uint64_t gva)
{
	size_t low = 0;
	size_t high = debugger->break_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (debugger->sorted[middle] < gva) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

bool hs_soft_page_has_breaks(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	const struct hs_soft_debugger *debugger = &cpu->debugger;
	size_t i;

	if (debugger->break_count == 0) {
		return false;
	}
	i = first_break(debugger, PAGE_OF(gva));
	return i < debugger->break_count && PAGE_OF(debugger->sorted[i]) == PAGE_OF(gva);
}

bool hs_soft_is_break(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	const struct hs_soft_debugger *debugger = &cpu->debugger;
	size_t i = first_break(debugger, gva);

	return i < debugger->break_count && debugger->sorted[i] == gva;
}

static const struct hs_breakpoint *watches(const struct hs_soft_debugger *debugger)
{
	return debugger->watch_count ? debugger->list + debugger->break_count : NULL;
}

bool hs_soft_page_is_watched(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	for (size_t i = 0; i < cpu->debugger.watch_count; i++) {
		const struct hs_breakpoint *watch = &watches(&cpu->debugger)[i];

		if (hs_ranges_overlap(watch->gva.v, watch->length, PAGE_OF(gva), HS_PAGE_SIZE)) {
			return true;
		}
	}
	return hs_soft_registers_watch(cpu, PAGE_OF(gva), HS_PAGE_SIZE, HS_PROT_READ | HS_PROT_WRITE) != 0;
}

static bool wants(const struct hs_breakpoint *watch, int prot)
{
	return watch->kind == HS_WATCH_ACCESS || (watch->kind == HS_WATCH_WRITE && (prot & HS_PROT_WRITE)) ||
	       (watch->kind == HS_WATCH_READ && (prot & HS_PROT_READ));
}

void hs_soft_touched(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t length, int prot)
{
	uint64_t dr6 = hs_soft_registers_watch(cpu, gva, length, prot);

	for (size_t i = 0; i < cpu->debugger.watch_count && !cpu->watch_hit; i++) {
		const struct hs_breakpoint *watch = &watches(&cpu->debugger)[i];

		if (wants(watch, prot) && hs_ranges_overlap(watch->gva.v, watch->length, gva, length)) {
			cpu->watch_hit = true;
			cpu->watch_index = i;
			hs_soft_attend(cpu, HS_SOFT_TRAP);
		}
	}
	if (dr6) {
		cpu->trap_dr6 |= dr6;
		hs_soft_attend(cpu, HS_SOFT_TRAP);
	}
}

static bool are_same(const struct hs_breakpoint *a, size_t a_count, const struct hs_breakpoint *b, size_t b_count)
{
	if (a_count != b_count) {
		return false;
	}
	for (size_t i = 0; i < a_count; i++) {
		if (a[i].kind != b[i].kind || a[i].gva.v != b[i].gva.v || a[i].length != b[i].length) {
			return false;
		}
	}
	return true;
}

static enum hs_status make_room(struct hs_soft_debugger *debugger, size_t count, struct hs_error *err)
{
	struct hs_breakpoint *list;
	uint64_t *sorted;

	if (count <= debugger->capacity) {
		return HS_OK;
	}
	list = reallocarray(debugger->list, count, sizeof(*list));
	if (list) {
		debugger->list = list;
	}
	sorted = reallocarray(debugger->sorted, count, sizeof(*sorted));
	if (sorted) {
		debugger->sorted = sorted;
	}
	if (!list || !sorted) {
		return hs_error_os(err, ENOMEM, "cannot allocate %zu breakpoints", count);
	}
	debugger->capacity = count;
	return HS_OK;
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static void copy_lists(struct hs_soft_debugger *debugger, const struct hs_debug_request *request)
{
	for (size_t i = 0; i < request->break_count; i++) {
		debugger->list[i] = request->breaks[i];
		debugger->sorted[i] = request->breaks[i].gva.v;
	}
	for (size_t i = 0; i < request->watch_count; i++) {
		debugger->list[request->break_count + i] = request->watches[i];
	}
	debugger->break_count = request->break_count;
	debugger->watch_count = request->watch_count;
	if (debugger->break_count > 1) {
		qsort(debugger->sorted, debugger->break_count, sizeof(*debugger->sorted), compare_addresses);
	}
}

enum hs_status hs_soft_set_debug(struct hs_backend *backend, const struct hs_debug_request *request,
				 struct hs_error *err)
{
	struct hs_soft_cpu *cpu = &backend->cpu;
	struct hs_soft_debugger *debugger = &cpu->debugger;
	bool same_breaks = are_same(debugger->list, debugger->break_count, request->breaks, request->break_count);
	bool same_watches = are_same(watches(debugger), debugger->watch_count, request->watches, request->watch_count);
	enum hs_status st;

	debugger->step = request->step;
	debugger->instructions = request->instructions;
	if (same_breaks && same_watches) {
		return HS_OK;
	}
	st = make_room(debugger, request->break_count + request->watch_count, err);
	if (st) {
		return st;
	}
	copy_lists(debugger, request);
	if (!same_watches) {
		cpu->watch_hit = false; /* of a list that is gone, if it came with a port's exit */
	}
	if (!same_watches && debugger->watch_count > 0) {
		hs_soft_flush(cpu); /* their pages may be known */
	} else {
		hs_soft_forget_jumps(cpu); /* they may lead to where a breakpoint is now */
		hs_soft_attend(cpu, HS_SOFT_LOOK_UP);
	}
	return HS_OK;
}

void hs_soft_free_debugger(struct hs_soft_cpu *cpu)
{
	free(cpu->debugger.list);
	free(cpu->debugger.sorted);
}

enum hs_status hs_soft_inject_int3(struct hs_backend *backend, struct hs_error *err)
{
	/* Never asked for: int3 is no exit here. */
	(void)backend;
	(void)err;
	return HS_OK;
}
