/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kvm_run says after an exit, as struct hs_exit. */
#include "vmm/kvm/kvm.h"

#include "base/bytes.h"
#include "base/error.h"

#include <string.h>

/* DR6 (SDM vol. 3B 17.2.3). */
#define DR6_HIT_MASK 0xF

/* One access of a port exit; a string instruction's further ones are handed out by the next calls of run(). */
static void decode_io(struct hs_backend *backend, struct hs_exit *ret)
{
	struct kvm_run *run = backend->run;
	const uint8_t *data = (const uint8_t *)run + run->io.data_offset;

	if (backend->io_left == 0) {
		backend->io_left = run->io.count;
		backend->io_index = 0;
		backend->io_pending = true;
	}
	ret->port = run->io.port;
	ret->size = run->io.size;
	if (run->io.direction == KVM_EXIT_IO_OUT) {
		ret->kind = HS_EXIT_PORT_OUT;
		ret->data = (uint32_t)hs_get_le(data + (size_t)backend->io_index * run->io.size, run->io.size);
	} else {
		ret->kind = HS_EXIT_PORT_IN;
		/* KVM moves rip over an in when the next run completes it. */
		ret->insn_rip_known = true;
		ret->insn_rip = backend->regs.rip;
	}
	backend->io_index++;
	backend->io_left--;
	ret->left = backend->io_left;
}

void hs_kvm_port_in(struct hs_backend *backend, uint32_t value)
{
	struct kvm_run *run = backend->run;

	if (run->exit_reason != KVM_EXIT_IO || backend->io_index == 0) {
		return;
	}
	hs_put_le((uint8_t *)run + run->io.data_offset + (size_t)(backend->io_index - 1) * run->io.size, value,
		  run->io.size);
}

static void decode_mmio(struct hs_backend *backend, struct hs_exit *ret)
{
	struct kvm_run *run = backend->run;

	ret->kind = HS_EXIT_UNMAPPED;
	ret->gpa = run->mmio.phys_addr;
	ret->size = (uint8_t)run->mmio.len;
	ret->is_write = run->mmio.is_write;
	ret->written = hs_get_le64(run->mmio.data);
	backend->io_pending = true;
	for (size_t i = 0; i < backend->slot_count; i++) {
		const struct hs_kvm_slot *slot = &backend->slots[i];

		if (slot->read_only && ret->gpa >= slot->gpa && ret->gpa - slot->gpa < slot->length) {
			ret->kind = HS_EXIT_READ_ONLY;
		}
	}
	if (!ret->is_write) {
		ret->insn_rip_known = true;
		ret->insn_rip = backend->regs.rip;
	}
}

static void decode_debug(struct hs_backend *backend, struct hs_exit *ret)
{
	const struct kvm_debug_exit_arch *arch = &backend->run->debug.arch;

	if (arch->exception == 3) {
		ret->kind = HS_EXIT_INT3;
		return;
	}
	for (size_t slot = 0; slot < 4; slot++) {
		if (!(arch->dr6 & DR6_HIT_MASK & (1u << slot)) ||
		    !(backend->debug.arch.debugreg[7] & (3u << (2 * slot)))) {
			continue;
		}
		if (((backend->debug.arch.debugreg[7] >> (16 + 4 * slot)) & 3) == 0) {
			ret->kind = HS_EXIT_BREAK;
			return;
		}
		ret->kind = HS_EXIT_WATCH;
		ret->watch = backend->watch_of_slot[slot];
		return;
	}
	ret->kind = HS_EXIT_STEPPED;
}

/* What KVM means by its internal errors (api.rst 5, kvm_run.internal). */
static const char *failure_of(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "KVM cannot execute an instruction";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "two exceptions came at once";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an exception could not be delivered to the guest";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "the CPU left the guest for a reason that KVM does not know";
	default:
		return "an internal error of KVM";
	}
}

static void decode_internal(struct hs_backend *backend, struct hs_exit *ret)
{
	const struct kvm_run *run = backend->run;

	ret->kind = HS_EXIT_INTERNAL;
	ret->failure = failure_of(run->internal.suberror);
	ret->code = run->internal.suberror;
	ret->detail = run->internal.ndata > 0 ? run->internal.data[0] : 0;
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		ret->kind = HS_EXIT_EMULATION;
	}
}

enum hs_status hs_kvm_decode_exit(struct hs_backend *backend, struct hs_exit *ret, struct hs_error *err)
{
	const struct kvm_run *run = backend->run;
	struct hs_exit exit = { .kind = HS_EXIT_INTERNAL };
	enum hs_status st = hs_kvm_pull_registers(backend, err);

	if (st) {
		return st;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		decode_io(backend, &exit);
		break;
	case KVM_EXIT_MMIO:
		decode_mmio(backend, &exit);
		break;
	case KVM_EXIT_HLT:
		exit.kind = HS_EXIT_HLT;
		break;
	case KVM_EXIT_SHUTDOWN:
		exit.kind = HS_EXIT_SHUTDOWN;
		/* AMD resets the CPU at a shutdown (APM vol. 2, 14.1.3): CR0 then has its reset value. */
		exit.registers_lost = !(backend->sregs.cr0 & 1);
		break;
	case KVM_EXIT_DEBUG:
		decode_debug(backend, &exit);
		break;
	case KVM_EXIT_INTR:
		exit.kind = HS_EXIT_INTERRUPTED;
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		decode_internal(backend, &exit);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		exit.failure = "the CPU does not take the guest's state";
		exit.code = KVM_EXIT_FAIL_ENTRY;
		exit.detail = run->fail_entry.hardware_entry_failure_reason;
		break;
	default:
		exit.failure = "KVM gave the guest up";
		exit.code = run->exit_reason;
		break;
	}
	*ret = exit;
	return HS_OK;
}
