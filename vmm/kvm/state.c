/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct hs_cpu_state to and from KVM's structures. */
#include "vmm/kvm/kvm.h"

#include "base/error.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

/* Numbers: SDM vol. 4, table 2-2. IA32_EFER and IA32_APIC_BASE travel in kvm_sregs. */
static const struct {
	uint32_t index;
	uint32_t offset;
} msr_table[] = {
	{ 0xC0000081, offsetof(struct hs_msrs, star) },
	{ 0xC0000082, offsetof(struct hs_msrs, lstar) },
	{ 0xC0000083, offsetof(struct hs_msrs, cstar) },
	{ 0xC0000084, offsetof(struct hs_msrs, fmask) },
	{ 0xC0000102, offsetof(struct hs_msrs, kernel_gs_base) },
	{ 0x174, offsetof(struct hs_msrs, sysenter_cs) },
	{ 0x175, offsetof(struct hs_msrs, sysenter_esp) },
	{ 0x176, offsetof(struct hs_msrs, sysenter_eip) },
	{ 0x277, offsetof(struct hs_msrs, pat) },
	{ 0x10, offsetof(struct hs_msrs, tsc) },
	{ 0xC0000103, offsetof(struct hs_msrs, tsc_aux) },
};
#define MSR_COUNT (sizeof(msr_table) / sizeof(msr_table[0]))

/* struct kvm_msrs, which ends in an array without a length. */
struct msr_list {
	uint32_t nmsrs;
	uint32_t pad;
	struct kvm_msr_entry entries[MSR_COUNT];
};
_Static_assert(offsetof(struct msr_list, entries) == sizeof(struct kvm_msrs), "laid out as struct kvm_msrs");

/* kvm_regs has the general registers in an order of its own. */
static const size_t gpr_offset[HS_GPR_COUNT] = {
	[HS_RAX] = offsetof(struct kvm_regs, rax), [HS_RCX] = offsetof(struct kvm_regs, rcx),
	[HS_RDX] = offsetof(struct kvm_regs, rdx), [HS_RBX] = offsetof(struct kvm_regs, rbx),
	[HS_RSP] = offsetof(struct kvm_regs, rsp), [HS_RBP] = offsetof(struct kvm_regs, rbp),
	[HS_RSI] = offsetof(struct kvm_regs, rsi), [HS_RDI] = offsetof(struct kvm_regs, rdi),
	[HS_R8] = offsetof(struct kvm_regs, r8),   [HS_R9] = offsetof(struct kvm_regs, r9),
	[HS_R10] = offsetof(struct kvm_regs, r10), [HS_R11] = offsetof(struct kvm_regs, r11),
	[HS_R12] = offsetof(struct kvm_regs, r12), [HS_R13] = offsetof(struct kvm_regs, r13),
	[HS_R14] = offsetof(struct kvm_regs, r14), [HS_R15] = offsetof(struct kvm_regs, r15),
};

static struct kvm_segment *segment_of(struct kvm_sregs *sregs, enum hs_seg index)
{
	struct kvm_segment *const segments[HS_SEG_COUNT] = {
		[HS_ES] = &sregs->es, [HS_CS] = &sregs->cs, [HS_SS] = &sregs->ss, [HS_DS] = &sregs->ds,
		[HS_FS] = &sregs->fs, [HS_GS] = &sregs->gs, [HS_TR] = &sregs->tr, [HS_LDTR] = &sregs->ldt,
	};

	return segments[index];
}

enum hs_status hs_kvm_pull_registers(struct hs_backend *backend, struct hs_error *err)
{
	if (!backend->stale) {
		return HS_OK;
	}
	if (ioctl(backend->vcpu_fd, KVM_GET_REGS, &backend->regs) ||
	    ioctl(backend->vcpu_fd, KVM_GET_SREGS, &backend->sregs)) {
		return hs_error_os(err, errno, "KVM cannot read the registers");
	}
	backend->stale = false;
	return HS_OK;
}

enum hs_status hs_kvm_push_registers(struct hs_backend *backend, struct hs_error *err)
{
	if ((backend->newer & KVM_SYNC_X86_SREGS) && ioctl(backend->vcpu_fd, KVM_SET_SREGS, &backend->sregs)) {
		return hs_error_os(err, errno, "KVM refused the segment and control registers");
	}
	if ((backend->newer & KVM_SYNC_X86_REGS) && ioctl(backend->vcpu_fd, KVM_SET_REGS, &backend->regs)) {
		return hs_error_os(err, errno, "KVM refused the general registers");
	}
	if ((backend->newer & KVM_SYNC_X86_EVENTS) && ioctl(backend->vcpu_fd, KVM_SET_VCPU_EVENTS, &backend->events)) {
		return hs_error_os(err, errno, "KVM refused the events that wait");
	}
	backend->newer = 0;
	return HS_OK;
}

static void core_from_kvm(struct hs_backend *backend, struct hs_cpu_state *state)
{
	struct kvm_sregs *sregs = &backend->sregs;

	for (int i = 0; i < HS_GPR_COUNT; i++) {
		memcpy(&state->gpr[i], (const char *)&backend->regs + gpr_offset[i], sizeof(state->gpr[i]));
	}
	state->rip = backend->regs.rip;
	state->rflags = backend->regs.rflags;
	for (int i = 0; i < HS_SEG_COUNT; i++) {
		const struct kvm_segment *from = segment_of(sregs, i);

		state->seg[i] = (struct hs_segment){
			.base = from->base,
			.limit = from->limit,
			.selector = from->selector,
			.type = from->type,
			.present = from->present,
			.dpl = from->dpl,
			.db = from->db,
			.s = from->s,
			.l = from->l,
			.g = from->g,
			.avl = from->avl,
			.unusable = from->unusable,
		};
	}
	state->gdt = (struct hs_dtable){ sregs->gdt.base, sregs->gdt.limit };
	state->idt = (struct hs_dtable){ sregs->idt.base, sregs->idt.limit };
	state->cr0 = sregs->cr0;
	state->cr2 = sregs->cr2;
	state->cr3 = sregs->cr3;
	state->cr4 = sregs->cr4;
	state->cr8 = sregs->cr8;
	state->msr.efer = sregs->efer;
	state->msr.apic_base = sregs->apic_base;
}

static enum hs_status core_to_kvm(struct hs_backend *backend, const struct hs_cpu_state *state, struct hs_error *err)
{
	struct kvm_sregs sregs = backend->sregs;

	for (int i = 0; i < HS_SEG_COUNT; i++) {
		const struct hs_segment *from = &state->seg[i];

		*segment_of(&sregs, i) = (struct kvm_segment){
			.base = from->base,
			.limit = from->limit,
			.selector = from->selector,
			.type = from->type,
			.present = from->present,
			.dpl = from->dpl,
			.db = from->db,
			.s = from->s,
			.l = from->l,
			.g = from->g,
			.avl = from->avl,
			.unusable = from->unusable,
		};
	}
	sregs.gdt = (struct kvm_dtable){ .base = state->gdt.base, .limit = state->gdt.limit };
	sregs.idt = (struct kvm_dtable){ .base = state->idt.base, .limit = state->idt.limit };
	sregs.cr0 = state->cr0;
	sregs.cr2 = state->cr2;
	sregs.cr3 = state->cr3;
	sregs.cr4 = state->cr4;
	sregs.cr8 = state->cr8;
	sregs.efer = state->msr.efer;
	if (state->msr.apic_base) {
		sregs.apic_base = state->msr.apic_base;
	}
	/* The usual change is one of general registers alone; it must not pay for the segments. */
	if (memcmp(&sregs, &backend->sregs, sizeof(sregs)) != 0) {
		/* A restore goes back to the same ones again and again; others may be refused, which has to come out
		 * here. */
		bool known = memcmp(&sregs, &backend->accepted, sizeof(sregs)) == 0;

		if (!known && ioctl(backend->vcpu_fd, KVM_SET_SREGS, &sregs)) {
			return hs_error_os(err, errno, "KVM refused the segment and control registers");
		}
		backend->newer &= ~(uint32_t)KVM_SYNC_X86_SREGS;
		backend->newer |= known ? KVM_SYNC_X86_SREGS : 0;
		backend->sregs = backend->accepted = sregs;
	}
	for (int i = 0; i < HS_GPR_COUNT; i++) {
		memcpy((char *)&backend->regs + gpr_offset[i], &state->gpr[i], sizeof(state->gpr[i]));
	}
	backend->regs.rip = state->rip;
	backend->regs.rflags = state->rflags;
	backend->newer |= KVM_SYNC_X86_REGS;
	return HS_OK;
}

/* KVM reads up to the first MSR that the CPU lacks (tsc_aux may be one), which must not hide the others. */
static void get_msrs(struct hs_backend *backend, struct hs_cpu_state *state)
{
	size_t next = 0;

	backend->msrs_known = true;
	backend->lacking_msrs = 0;
	while (next < MSR_COUNT) {
		struct msr_list list = { .nmsrs = (uint32_t)(MSR_COUNT - next) };
		int got;

		for (size_t i = 0; next + i < MSR_COUNT; i++) {
			list.entries[i].index = msr_table[next + i].index;
		}
		got = ioctl(backend->vcpu_fd, KVM_GET_MSRS, &list);
		if (got < 0) {
			got = 0;
		}
		for (int i = 0; i < got; i++) {
			memcpy((char *)&state->msr + msr_table[next + (size_t)i].offset, &list.entries[i].data,
			       sizeof(list.entries[i].data));
		}
		next += (size_t)got;
		if (next < MSR_COUNT) {
			backend->lacking_msrs |= 1u << next++;
		}
	}
}

/* All at once: to compare them with those that the CPU has would be another ioctl. */
static enum hs_status set_msrs(struct hs_backend *backend, const struct hs_cpu_state *state, struct hs_error *err)
{
	struct msr_list list = { .nmsrs = 0 };
	struct hs_cpu_state now;
	int set;

	if (!backend->msrs_known) {
		get_msrs(backend, &now);
	}
	for (size_t i = 0; i < MSR_COUNT; i++) {
		struct kvm_msr_entry *entry = &list.entries[list.nmsrs];

		entry->index = msr_table[i].index;
		memcpy(&entry->data, (const char *)&state->msr + msr_table[i].offset, sizeof(entry->data));
		if (!(backend->lacking_msrs & 1u << i) || entry->data != 0) {
			list.nmsrs++;
		}
	}
	set = ioctl(backend->vcpu_fd, KVM_SET_MSRS, &list);
	if (set != (int)list.nmsrs) {
		const struct kvm_msr_entry *refused = &list.entries[set > 0 ? set : 0];

		return hs_error_set(err, HS_ERR_BACKEND, 0, refused->data, "KVM refused MSR 0x%x = 0x%llx",
				    refused->index, (unsigned long long)refused->data);
	}
	return HS_OK;
}

static enum hs_status get_debug(struct hs_backend *backend, struct hs_cpu_state *state, struct hs_error *err)
{
	struct kvm_debugregs regs;

	if (ioctl(backend->vcpu_fd, KVM_GET_DEBUGREGS, &regs)) {
		return hs_error_os(err, errno, "KVM cannot read the debug registers");
	}
	memset(state->dr, 0, sizeof(state->dr));
	memcpy(state->dr, regs.db, sizeof(regs.db));
	state->dr[6] = regs.dr6;
	state->dr[7] = regs.dr7;
	return HS_OK;
}

static enum hs_status set_debug_registers(struct hs_backend *backend, const struct hs_cpu_state *state,
					  struct hs_error *err)
{
	struct kvm_debugregs regs = { .dr6 = state->dr[6], .dr7 = state->dr[7] };

	memcpy(regs.db, state->dr, sizeof(regs.db));
	if (ioctl(backend->vcpu_fd, KVM_SET_DEBUGREGS, &regs)) {
		return hs_error_os(err, errno, "KVM refused the debug registers");
	}
	return HS_OK;
}

enum hs_status hs_kvm_get_state(struct hs_backend *backend, unsigned int parts, struct hs_cpu_state *state,
				struct hs_error *err)
{
	enum hs_status st = HS_OK;

	if (parts & HS_STATE_CORE) {
		st = hs_kvm_pull_registers(backend, err);
		if (st) {
			return st;
		}
		core_from_kvm(backend, state);
	}
	if (parts & HS_STATE_FPU) {
		st = hs_kvm_get_fpu(backend, state, err);
	}
	if (!st && (parts & HS_STATE_DEBUG)) {
		st = get_debug(backend, state, err);
	}
	if (!st && (parts & HS_STATE_MSR)) {
		get_msrs(backend, state);
	}
	return st;
}

enum hs_status hs_kvm_set_state(struct hs_backend *backend, unsigned int parts, const struct hs_cpu_state *state,
				struct hs_error *err)
{
	enum hs_status st = HS_OK;

	if (parts & HS_STATE_CORE) {
		st = hs_kvm_pull_registers(backend, err);
		if (!st) {
			st = core_to_kvm(backend, state, err);
		}
	}
	if (!st && (parts & HS_STATE_MSR)) {
		st = set_msrs(backend, state, err);
	}
	if (!st && (parts & HS_STATE_FPU)) {
		st = hs_kvm_set_fpu(backend, state, err);
	}
	if (!st && (parts & HS_STATE_DEBUG)) {
		st = set_debug_registers(backend, state, err);
	}
	return st;
}
