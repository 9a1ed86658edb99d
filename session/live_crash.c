/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a crash, and whether the debugger has changed anything since. */
#include "session/live.h"

#include <string.h>

void hs_live_note_crash(struct hs_live *live)
{
	live->crash_pending = true;
	live->memory_changed = false;
	if (hs_vm_cpu_get(live->vm, &live->crash_cpu, NULL) != HS_OK) {
		memset(&live->crash_cpu, 0, sizeof(live->crash_cpu));
	}
}

static bool segments_equal(const struct hs_segment *a, const struct hs_segment *b)
{
	return a->base == b->base && a->limit == b->limit && a->selector == b->selector && a->type == b->type &&
	       a->present == b->present && a->dpl == b->dpl && a->db == b->db && a->s == b->s && a->l == b->l &&
	       a->g == b->g && a->avl == b->avl && a->unusable == b->unusable;
}

static bool dtables_equal(const struct hs_dtable *a, const struct hs_dtable *b)
{
	return a->base == b->base && a->limit == b->limit;
}

/* But for the time-stamp counter, which may tick on while the guest stands still. */
static bool msrs_equal(const struct hs_msrs *a, const struct hs_msrs *b)
{
	struct hs_msrs copy = *a;

	copy.tsc = b->tsc;
	return memcmp(&copy, b, sizeof(copy)) == 0;
}

static bool cpus_equal(const struct hs_cpu_state *a, const struct hs_cpu_state *b)
{
	for (size_t i = 0; i < HS_SEG_COUNT; i++) {
		if (!segments_equal(&a->seg[i], &b->seg[i])) {
			return false;
		}
	}
	return memcmp(a->gpr, b->gpr, sizeof(a->gpr)) == 0 && a->rip == b->rip && a->rflags == b->rflags &&
	       dtables_equal(&a->gdt, &b->gdt) && dtables_equal(&a->idt, &b->idt) && a->cr0 == b->cr0 &&
	       a->cr2 == b->cr2 && a->cr3 == b->cr3 && a->cr4 == b->cr4 && a->cr8 == b->cr8 &&
	       memcmp(a->dr, b->dr, sizeof(a->dr)) == 0 && a->xcr0 == b->xcr0 && msrs_equal(&a->msr, &b->msr) &&
	       memcmp(a->xsave, b->xsave, sizeof(a->xsave)) == 0;
}

bool hs_live_changed_since_crash(struct hs_live *live)
{
	struct hs_cpu_state now;

	return live->memory_changed || hs_vm_cpu_get(live->vm, &now, NULL) != HS_OK ||
	       !cpus_equal(&now, &live->crash_cpu);
}
