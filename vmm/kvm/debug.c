/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Breakpoints, watchpoints and steps through KVM_SET_GUEST_DEBUG (api.rst 4.87). */
#include "vmm/kvm/kvm.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

/* DR7 (SDM vol. 3B 17.2.4): the local enable bit of slot n, its R/W and LEN fields, and bit 10 that is always set. */
#define DR7_FIXED (1u << 10)
/* DR6 (SDM vol. 3B 17.2.3): a single step. */
#define DR6_BS (1u << 14)
#define RFLAGS_TF 0x100u
#define VECTOR_DB 1u
#define VECTOR_BP 3u

static uint64_t dr7_bits(unsigned int slot, const struct hs_breakpoint *breakpoint)
{
	uint64_t condition = 0;
	uint64_t length = 0;

	if (breakpoint->kind != HS_BREAK_HARDWARE && breakpoint->kind != HS_BREAK_SOFTWARE) {
		/* There is no read-only condition: 3 is read or write. */
		condition = breakpoint->kind == HS_WATCH_WRITE ? 1 : 3;
		length = breakpoint->length == 8 ? 2 : breakpoint->length - 1;
	}
	return (2ull << (2 * slot)) | condition << (16 + 4 * slot) | length << (18 + 4 * slot);
}

enum hs_status hs_kvm_set_debug(struct hs_backend *backend, const struct hs_debug_request *request,
				struct hs_error *err)
{
	struct kvm_guest_debug debug = { 0 };
	unsigned int slot = 0;
	enum hs_status st;

	if (request->break_count + request->watch_count > 4) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "more than 4 hardware breakpoints and watchpoints");
	}
	for (size_t i = 0; i < request->break_count; i++, slot++) {
		debug.arch.debugreg[slot] = request->breaks[i].gva.v;
		debug.arch.debugreg[7] |= dr7_bits(slot, &request->breaks[i]);
	}
	for (size_t i = 0; i < request->watch_count; i++, slot++) {
		debug.arch.debugreg[slot] = request->watches[i].gva.v;
		debug.arch.debugreg[7] |= dr7_bits(slot, &request->watches[i]);
		backend->watch_of_slot[slot] = i;
	}
	if (slot > 0) {
		debug.arch.debugreg[7] |= DR7_FIXED;
		debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	}
	if (request->planted) {
		debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
	}
	if (request->step) {
		debug.control |= KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	}
	/* A step is armed by TF in the CPU's flags, which popf, iret and KVM's own emulator load without it. */
	if (!request->step && memcmp(&debug, &backend->debug, sizeof(debug)) == 0) {
		return HS_OK;
	}
	/* KVM keeps TF only at the rip that it saw here, so the CPU must have its registers first. */
	st = hs_kvm_push_registers(backend, err);
	if (st) {
		return st;
	}
	if (ioctl(backend->vcpu_fd, KVM_SET_GUEST_DEBUG, &debug)) {
		return hs_error_os(err, errno, "KVM refused to debug the guest");
	}
	/* Behind a step KVM takes TF away, the guest's own too (kvm_get_rflags()). */
	if ((backend->debug.control & KVM_GUESTDBG_SINGLESTEP) && !backend->stale &&
	    (backend->regs.rflags & RFLAGS_TF)) {
		backend->newer |= KVM_SYNC_X86_REGS;
	}
	backend->debug = debug;
	return HS_OK;
}

static enum hs_status inject(struct hs_backend *backend, uint8_t vector, struct hs_error *err)
{
	struct kvm_vcpu_events events;

	if (ioctl(backend->vcpu_fd, KVM_GET_VCPU_EVENTS, &events)) {
		return hs_error_os(err, errno, "KVM cannot read pending events");
	}
	events.exception.injected = 1;
	events.exception.nr = vector;
	events.exception.has_error_code = 0;
	if (ioctl(backend->vcpu_fd, KVM_SET_VCPU_EVENTS, &events)) {
		return hs_error_os(err, errno, "KVM refused to inject exception %u", vector);
	}
	return HS_OK;
}

enum hs_status hs_kvm_inject_int3(struct hs_backend *backend, struct hs_error *err)
{
	enum hs_status st = hs_kvm_pull_registers(backend, err);

	if (st) {
		return st;
	}
	/* int3 is one byte, and #BP is a trap. A CPU whose int3 KVM has intercepted moves rip itself when it injects
	 * the exception (svm.c and vmx.c, *_inject_exception(): soft exceptions come with the length of their
	 * instruction). */
	if (backend->run->exit_reason != KVM_EXIT_DEBUG) {
		backend->regs.rip += 1;
		backend->newer |= KVM_SYNC_X86_REGS;
	}
	st = hs_kvm_push_registers(backend, err);
	if (st) {
		return st;
	}
	return inject(backend, VECTOR_BP, err);
}

bool hs_kvm_is_guests_debug(const struct hs_backend *backend)
{
	return backend->run->exit_reason == KVM_EXIT_DEBUG && backend->run->debug.arch.exception == VECTOR_DB &&
	       (backend->run->debug.arch.dr6 & DR6_BS) && !(backend->debug.control & KVM_GUESTDBG_SINGLESTEP);
}

enum hs_status hs_kvm_give_debug(struct hs_backend *backend, struct hs_error *err)
{
	struct kvm_debugregs regs;

	if (ioctl(backend->vcpu_fd, KVM_GET_DEBUGREGS, &regs)) {
		return hs_error_os(err, errno, "KVM cannot read the debug registers");
	}
	regs.dr6 |= DR6_BS;
	if (ioctl(backend->vcpu_fd, KVM_SET_DEBUGREGS, &regs)) {
		return hs_error_os(err, errno, "KVM refused the debug registers");
	}
	return inject(backend, VECTOR_DB, err);
}
