/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers that no CPU takes are refused by each backend alike, and nothing of them goes in. */
#include "caller.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PLACE(member) offsetof(struct hs_cpu_state, member)

/* Values as they are after bits were cleared and set in what the guest has. */
struct refusal {
	const char *what; /* of it, in the refusal */
	size_t place;
	uint64_t clear, set;
	unsigned int guests; /* of which it is told: bits of enum hs_arch */
};

#define AMD64 (1u << HS_ARCH_AMD64)
#define I686 (1u << HS_ARCH_I686)
#define BOTH (AMD64 | I686)
#define ALL_BITS UINT64_MAX
#define NOT_CANONICAL UINT64_C(0x800000000000)

static const struct refusal refusals[] = {
	{ "CR0", PLACE(cr0), 1, 0, BOTH },                     /* PE: PG is set */
	{ "CR0", PLACE(cr0), UINT64_C(1) << 31 | 1, 0, I686 }, /* real-address mode */
	{ "CR0", PLACE(cr0), UINT64_C(1) << 31, 0, AMD64 },    /* PG: LMA is set */
	{ "CR0", PLACE(cr0), ALL_BITS, 0, BOTH },
	{ "CR0", PLACE(cr0), 0, UINT64_C(1) << 29, BOTH }, /* NW without CD */
	{ "CR0", PLACE(cr0), 0, UINT64_C(1) << 32, BOTH },
	{ "CR0", PLACE(cr0), 0, UINT64_C(1) << 63, BOTH },
	{ "CR0", PLACE(cr0), 0, UINT64_C(1) << 6, BOTH },
	{ "CR3", PLACE(cr3), 0, UINT64_C(1) << 52, BOTH },
	{ "CR3", PLACE(cr3), 0, UINT64_C(1) << 63, BOTH },
	{ "CR4", PLACE(cr4), 1 << 5, 0, AMD64 }, /* PAE */
	{ "CR4", PLACE(cr4), 0, 1 << 17, I686 }, /* PCIDE */
	{ "CR4", PLACE(cr4), 0, 1 << 15, BOTH },
	{ "CR4", PLACE(cr4), 0, UINT64_C(1) << 40, BOTH },
	{ "CR8", PLACE(cr8), 0, 16, BOTH },
	{ "EFER", PLACE(msr.efer), 1 << 8, 0, AMD64 },  /* LME */
	{ "EFER", PLACE(msr.efer), 1 << 10, 0, AMD64 }, /* LMA */
	{ "EFER", PLACE(msr.efer), 0, 1 << 8, I686 },
	{ "EFER", PLACE(msr.efer), 0, 1 << 10, I686 },
	{ "EFER", PLACE(msr.efer), 0, 1 << 1, BOTH },
	{ "EFER", PLACE(msr.efer), 0, UINT64_C(1) << 32, BOTH },
	{ "APIC_BASE", PLACE(msr.apic_base), 0, 1, BOTH },
	{ "APIC_BASE", PLACE(msr.apic_base), 0, UINT64_C(1) << 60, BOTH },
	{ "DR6", PLACE(dr[6]), 0, UINT64_C(1) << 32, BOTH },
	{ "DR7", PLACE(dr[7]), 0, UINT64_C(1) << 63, BOTH },
	{ "PAT", PLACE(msr.pat), 0xff, 2, BOTH },
	{ "PAT", PLACE(msr.pat), 0, UINT64_C(0x80) << 56, BOTH },
	{ "TSC_AUX", PLACE(msr.tsc_aux), 0, UINT64_C(1) << 32, BOTH },
	{ "KERNEL_GS_BASE", PLACE(msr.kernel_gs_base), ALL_BITS, NOT_CANONICAL, BOTH },
	{ "LSTAR", PLACE(msr.lstar), ALL_BITS, NOT_CANONICAL, BOTH },
	{ "CSTAR", PLACE(msr.cstar), ALL_BITS, NOT_CANONICAL, BOTH },
	{ "SYSENTER_EIP", PLACE(msr.sysenter_eip), ALL_BITS, NOT_CANONICAL, BOTH },
	{ "SYSENTER_ESP", PLACE(msr.sysenter_esp), ALL_BITS, NOT_CANONICAL, BOTH },
	{ "MXCSR", PLACE(xsave) + HS_XSAVE_MXCSR, 0, 1 << 20, BOTH },
	{ "FS", PLACE(seg[HS_FS].base), ALL_BITS, NOT_CANONICAL, BOTH },
	{ "GS", PLACE(seg[HS_GS].base), ALL_BITS, NOT_CANONICAL, BOTH },
};

/* What stays as it is but for time. */
static bool same(struct hs_cpu_state *now, const struct hs_cpu_state *before)
{
	now->msr.tsc = before->msr.tsc;
	return memcmp(now, before, sizeof(*now)) == 0;
}

static bool is_refused(struct caller *caller, const struct refusal *refusal)
{
	static struct hs_cpu_state before, wanted, now;
	uint64_t value;

	EXPECT(caller, hs_vm_cpu_get(caller->vm, &before, &caller->error) == HS_OK);
	wanted = before;
	/* Others that could go in before it. */
	wanted.gpr[HS_RBX] ^= 0x1234;
	wanted.msr.star ^= UINT64_C(0x10) << 32;
	wanted.dr[0] ^= 0x40;
	wanted.xsave[HS_XSAVE_XMM0] ^= 1;
	wanted.xsave[HS_XSAVE_XSTATE_BV] |= 2;
	memcpy(&value, (char *)&wanted + refusal->place, sizeof(value));
	value = (value & ~refusal->clear) | refusal->set;
	memcpy((char *)&wanted + refusal->place, &value, sizeof(value));
	caller->error.message[0] = '\0';
	if (hs_vm_cpu_set(caller->vm, &wanted, &caller->error) == HS_OK) {
		return caller_fail(caller, "%s = 0x%llx is not refused", refusal->what, (unsigned long long)value);
	}
	EXPECT(caller, strncmp(caller->error.message, refusal->what, strlen(refusal->what)) == 0);
	EXPECT(caller, hs_vm_cpu_get(caller->vm, &now, &caller->error) == HS_OK);
	if (!same(&now, &before)) {
		return caller_fail(caller, "%s = 0x%llx was refused, and something changed", refusal->what,
				   (unsigned long long)value);
	}
	return true;
}

static bool case_registers_refused(struct caller *caller)
{
	enum hs_arch arch = hs_vm_image(caller->vm)->arch;
	bool all = true;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		if (refusals[i].guests >> arch & 1) {
			all = is_refused(caller, &refusals[i]) && all;
		}
	}
	return all && caller_is_ready(caller);
}

const struct call_case register_cases[] = {
	{ "registers_refused", "functions", NULL, case_registers_refused },
	{ NULL, NULL, NULL, NULL },
};
