/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the CPU and struct hs_cpu_state, and what the CPU is after its reset. */
#include "vmm/soft/flags.h"
#include "vmm/soft/fpu.h"

#include "arch/regs.h"

#include <string.h>

/* All but the reserved ones and VM, which has no mode here. */
#define FLAGS_KNOWN UINT64_C(0x3d7fd5)
#define FLAGS_ALWAYS 2

/* After RESET (SDM vol. 3A table 9-1), as far as there is a choice: what every boot replaces is left zero. */
void hs_soft_reset(struct hs_soft_cpu *cpu)
{
	struct hs_cpu_state state;

	hs_cpu_state_init(&state);
	memcpy(cpu->xsave, state.xsave, sizeof(cpu->xsave));
	cpu->xcr0 = state.xcr0;
	cpu->cr0 = HS_CR0_ET | HS_CR0_NW | HS_CR0_CD;
	cpu->dr[6] = 0xffff0ff0;
	cpu->dr[7] = 0x400;
	cpu->msr.pat = 0x0007040600070406;
	cpu->msr.apic_base = 0xfee00900;
	cpu->rflags = state.rflags;
	cpu->limit = UINT64_MAX;
	cpu->repeat_at = UINT64_MAX;
	hs_soft_flush(cpu);
	hs_soft_refresh(cpu);
}

static void get_core(const struct hs_soft_cpu *cpu, struct hs_cpu_state *state)
{
	memcpy(state->gpr, cpu->r, sizeof(state->gpr));
	state->rip = cpu->r[HS_SOFT_RIP];
	state->rflags = hs_soft_rflags(cpu);
	memcpy(state->seg, cpu->seg, sizeof(state->seg));
	state->gdt = cpu->gdt;
	state->idt = cpu->idt;
	state->cr0 = cpu->cr0;
	state->cr2 = cpu->cr2;
	state->cr3 = cpu->cr3;
	state->cr4 = cpu->cr4;
	state->cr8 = cpu->cr8;
	state->msr.efer = cpu->msr.efer;
	state->msr.apic_base = cpu->msr.apic_base;
}

enum hs_status hs_soft_get_state(struct hs_backend *backend, unsigned int parts, struct hs_cpu_state *state,
				 struct hs_error *err)
{
	const struct hs_soft_cpu *cpu = &backend->cpu;
	struct hs_msrs msr = cpu->msr;

	(void)err;
	if (parts & HS_STATE_CORE) {
		get_core(cpu, state);
	}
	if (parts & HS_STATE_FPU) {
		memcpy(state->xsave, cpu->xsave, sizeof(state->xsave));
		state->xcr0 = cpu->xcr0;
	}
	if (parts & HS_STATE_MSR) {
		msr.efer = state->msr.efer;
		msr.apic_base = state->msr.apic_base;
		msr.tsc += cpu->executed;
		state->msr = msr;
	}
	if (parts & HS_STATE_DEBUG) {
		memcpy(state->dr, cpu->dr, sizeof(state->dr));
	}
	return HS_OK;
}

/* Translations depend on these. */
static bool changes_translation(const struct hs_soft_cpu *cpu, const struct hs_cpu_state *state)
{
	return cpu->cr0 != state->cr0 || cpu->cr3 != state->cr3 || cpu->cr4 != state->cr4 ||
	       cpu->msr.efer != state->msr.efer;
}

/* What was under way when the CPU stopped: it goes on somewhere else, or at another time. */
static void forget_unfinished(struct hs_soft_cpu *cpu)
{
	cpu->pending_in.active = false;
	cpu->trap_dr6 = 0;
	cpu->shadow = false;
	cpu->watch_hit = false;
	cpu->repeat_at = UINT64_MAX;
}

void hs_soft_abandon(struct hs_soft_cpu *cpu)
{
	forget_unfinished(cpu);
	cpu->tf_has_told = false;
}

static void set_core(struct hs_soft_cpu *cpu, const struct hs_cpu_state *state)
{
	bool flush = changes_translation(cpu, state);

	if (cpu->r[HS_SOFT_RIP] != state->rip) {
		forget_unfinished(cpu);
	}
	memcpy(cpu->r, state->gpr, sizeof(state->gpr));
	cpu->r[HS_SOFT_RIP] = state->rip;
	hs_soft_set_rflags(cpu, (state->rflags & FLAGS_KNOWN) | FLAGS_ALWAYS);
	memcpy(cpu->seg, state->seg, sizeof(state->seg));
	cpu->cpl = state->seg[HS_SS].dpl & 3;
	cpu->gdt = state->gdt;
	cpu->idt = state->idt;
	cpu->cr0 = state->cr0;
	cpu->cr2 = state->cr2;
	cpu->cr3 = state->cr3;
	cpu->cr4 = state->cr4;
	cpu->cr8 = state->cr8;
	cpu->msr.efer = state->msr.efer;
	cpu->msr.apic_base = state->msr.apic_base;
	if (flush) {
		hs_soft_flush(cpu);
	}
}

static void set_msrs(struct hs_soft_cpu *cpu, const struct hs_cpu_state *state)
{
	struct hs_msrs msr = state->msr;

	msr.efer = cpu->msr.efer;
	msr.apic_base = cpu->msr.apic_base;
	msr.tsc -= cpu->executed;
	cpu->msr = msr;
}

/* The components that are given, or more. */
static void set_components(struct hs_soft_cpu *cpu, const struct hs_cpu_state *state, unsigned int components)
{
	size_t length = HS_XSAVE_YMMH0;

	if (components == 0) {
		return;
	}
	if (components == HS_SOFT_ALL_COMPONENTS) {
		length = sizeof(cpu->xsave);
	} else if (components & HS_SOFT_AVX) {
		length = HS_XSAVE_YMMH0 + HS_SOFT_REGISTERS_BYTES;
	}
	memcpy(cpu->xsave, state->xsave, length);
	hs_soft_settle_components(cpu, components);
}

static void set_debug_registers(struct hs_soft_cpu *cpu, const struct hs_cpu_state *state)
{
	bool changed = memcmp(cpu->dr, state->dr, sizeof(cpu->dr)) != 0;

	memcpy(cpu->dr, state->dr, sizeof(cpu->dr));
	if (changed) {
		hs_soft_debug_registers_changed(cpu);
	}
}

enum hs_status hs_soft_set_state(struct hs_backend *backend, unsigned int parts, const struct hs_cpu_state *state,
				 struct hs_error *err)
{
	struct hs_soft_cpu *cpu = &backend->cpu;

	(void)err;
	if (parts == HS_STATE_ALL) {
		forget_unfinished(cpu);
	}
	if (parts & HS_STATE_CORE) {
		set_core(cpu, state);
	}
	if (parts & HS_STATE_FPU) {
		set_components(cpu, state, HS_SOFT_ALL_COMPONENTS);
		cpu->xcr0 = state->xcr0;
		cpu->xsave_changed = HS_SOFT_ALL_COMPONENTS;
	}
	if (parts & HS_STATE_MSR) {
		set_msrs(cpu, state);
	}
	if (parts & HS_STATE_DEBUG) {
		set_debug_registers(cpu, state);
	}
	hs_soft_refresh(cpu);
	return HS_OK;
}

/* Mostly an earlier run has changed the general registers and little else: what is derived was not worked out again. */
enum hs_status hs_soft_restore(struct hs_backend *backend, const struct hs_cpu_state *state, bool again,
			       struct hs_error *err)
{
	struct hs_soft_cpu *cpu = &backend->cpu;
	bool derived = again && cpu->refreshes == cpu->restored_refreshes;

	(void)err;
	set_core(cpu, state);
	set_components(cpu, state, again ? cpu->xsave_changed : HS_SOFT_ALL_COMPONENTS);
	cpu->xsave_changed = 0;
	cpu->xcr0 = state->xcr0;
	set_msrs(cpu, state);
	if (derived) {
		memcpy(cpu->dr, state->dr, sizeof(cpu->dr));
	} else {
		set_debug_registers(cpu, state);
		hs_soft_refresh(cpu);
	}
	cpu->restored_refreshes = cpu->refreshes;
	return HS_OK;
}
