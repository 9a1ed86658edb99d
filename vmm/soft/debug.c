/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The debugger's breakpoints, watchpoints and steps, and the guest's own debug registers and single-step trap.
 *
 * Nothing is planted: breakpoints are compared where a page has any, and watched pages are kept out of the TLB, so that
 * what is not watched costs nothing.
 */
#include "vmm/soft/cpu.h"
#include "vmm/soft/flags.h"

#include "arch/exception.h"
#include "base/arith.h"

#include <hindsight/types.h>

#define DR6_B 0xfu
#define PAGE_OF(gva) ((gva) & ~(uint64_t)(HS_PAGE_SIZE - 1))

bool hs_soft_wants_care(const struct hs_soft_cpu *cpu)
{
	return (cpu->rflags & (HS_FLAG_TF | HS_FLAG_RF)) || (cpu->dr[7] & 0xff) || cpu->shadow;
}

bool hs_soft_page_has_breaks(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	for (size_t i = 0; i < cpu->request.break_count; i++) {
		if (PAGE_OF(cpu->request.breaks[i].gva.v) == PAGE_OF(gva)) {
			return true;
		}
	}
	return false;
}

bool hs_soft_page_is_watched(const struct hs_soft_cpu *cpu, uint64_t gva)
{
	for (size_t i = 0; i < cpu->request.watch_count; i++) {
		const struct hs_breakpoint *watch = &cpu->request.watches[i];

		if (hs_ranges_overlap(watch->gva.v, watch->length, PAGE_OF(gva), HS_PAGE_SIZE)) {
			return true;
		}
	}
	return false;
}

static bool wants(const struct hs_breakpoint *watch, int prot)
{
	return watch->kind == HS_WATCH_ACCESS || (watch->kind == HS_WATCH_WRITE && (prot & HS_PROT_WRITE)) ||
	       (watch->kind == HS_WATCH_READ && (prot & HS_PROT_READ));
}

void hs_soft_touched(struct hs_soft_cpu *cpu, uint64_t gva, uint64_t length, int prot)
{
	for (size_t i = 0; i < cpu->request.watch_count && !cpu->watch_hit; i++) {
		const struct hs_breakpoint *watch = &cpu->request.watches[i];

		if (wants(watch, prot) && hs_ranges_overlap(watch->gva.v, watch->length, gva, length)) {
			cpu->watch_hit = true;
			cpu->watch_index = i;
			hs_soft_attend(cpu, HS_SOFT_TRAP);
		}
	}
}

bool hs_soft_before(struct hs_soft_cpu *cpu)
{
	uint64_t gva = (cpu->seg_base[HS_CS] + cpu->r[HS_SOFT_RIP]) & cpu->linear_mask;

	for (size_t i = 0; i < cpu->request.break_count; i++) {
		if (cpu->request.breaks[i].gva.v == gva) {
			hs_soft_leave(cpu, HS_EXIT_BREAK);
			return false;
		}
	}
	return true;
}

void hs_soft_behind(struct hs_soft_cpu *cpu, uint64_t rflags)
{
	(void)cpu;
	(void)rflags;
}

enum hs_soft_flow hs_soft_raise_db(struct hs_soft_cpu *cpu, uint64_t dr6)
{
	/* Of what was there, B0-3 go and the rest stays (SDM vol. 3B 17.2.3); GD is cleared on the way to the handler. */
	cpu->dr[6] = (cpu->dr[6] & ~(uint64_t)DR6_B) | dr6;
	cpu->dr[7] &= ~(uint64_t)HS_DR7_GD;
	return hs_soft_raise(cpu, HS_VECTOR_DB, 0);
}

void hs_soft_debug_registers_changed(struct hs_soft_cpu *cpu)
{
	hs_soft_flush(cpu); /* pages that are watched now may be known */
	hs_soft_refresh(cpu);
}

bool hs_soft_deliver_trap(struct hs_soft_cpu *cpu)
{
	uint64_t dr6 = cpu->trap_dr6;

	cpu->trap_dr6 = 0;
	hs_soft_raise_db(cpu, dr6);
	return hs_soft_deliver(cpu);
}

enum hs_status hs_soft_set_debug(struct hs_backend *backend, const struct hs_debug_request *request,
				 struct hs_error *err)
{
	struct hs_soft_cpu *cpu = &backend->cpu;
	bool had = cpu->request.break_count || cpu->request.watch_count;

	(void)err;
	cpu->request = *request;
	if (had || request->break_count || request->watch_count) {
		hs_soft_flush(cpu);
	}
	return HS_OK;
}

enum hs_status hs_soft_inject_int3(struct hs_backend *backend, struct hs_error *err)
{
	/* Never asked for: int3 is no exit here. */
	(void)backend;
	(void)err;
	return HS_OK;
}
