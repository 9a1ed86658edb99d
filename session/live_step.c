/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A step through a copy-on-write fault is one step: what the instruction is about to write has its copies made first,
 * as for a write of the debugger's own, so that no fault comes and the step does not end in the guest's handler.
 */
#include "base/arith.h"
#include "session/cow.h"
#include "session/live.h"
#include "vmm/insn.h"
#include "vmm/peek.h"

#include <hindsight/spaces.h>

#define RFLAGS_DF (1ull << 10)
/* Of one string instruction; behind that the guest's handler makes the copies, as it does when no page is left. */
#define STRING_MAX (1u << 20)

static void break_for(struct hs_vm *vm, const struct hs_cpu_state *cpu, const struct hs_insn *insn,
		      const struct hs_insn_access *access)
{
	uint64_t start = access->address;
	uint64_t length = access->bytes;
	struct hs_root root;

	if (insn->repeats) {
		length = hs_min_u64(cpu->gpr[HS_RCX], STRING_MAX / (length + 1)) * length;
		if ((cpu->rflags & RFLAGS_DF) && length > 0) {
			start -= length - access->bytes;
		}
	}
	if (length > 0) {
		hs_root_of_cpu(cpu, &root);
		(void)!hs_cow_break(vm, &root, hs_gva_of(start), length, NULL);
	}
}

void hs_live_before_step(struct hs_live *live)
{
	struct hs_phys phys = hs_vm_phys(live->vm);
	const struct hs_cpu_state *peeked = hs_vm_peek(live->vm, false, NULL);
	struct hs_cpu_state cpu;
	struct hs_insn insn;

	if (!peeked || hs_insn_decode(&phys, peeked, hs_gva_of(peeked->rip), &insn, NULL)) {
		return;
	}
	cpu = *peeked;
	for (size_t i = 0; i < insn.access_count; i++) {
		if (insn.accesses[i].write) {
			break_for(live->vm, &cpu, &insn, &insn.accesses[i]);
		}
	}
}
