/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_SECOND 1e9

const char *hs_crash_reason_name(enum hs_crash_reason reason)
{
	switch (reason) {
	case HS_CRASH_EXCEPTION:
		return "exception";
	case HS_CRASH_TRIPLE_FAULT:
		return "triple-fault";
	case HS_CRASH_ABORT:
		return "abort";
	case HS_CRASH_UNKNOWN_PORT:
		return "unknown-port";
	case HS_CRASH_UNMAPPED:
		return "unmapped";
	case HS_CRASH_READ_ONLY:
		return "read-only";
	case HS_CRASH_BACKEND:
		return "backend";
	case HS_CRASH_HANG:
		return "hang";
	case HS_CRASH_CALL:
		return "call";
	}
	return "unknown";
}

void hs_crash_describe(const struct hs_crash *crash, struct hs_core_input *input)
{
	input->signal = crash->signal;
	input->code = crash->code;
	input->fault_address = crash->fault_address;
	input->reason_name = hs_crash_reason_name(crash->reason);
	input->reason = crash->text;
}

/* A crash at the instruction that the VM stands at. */
static void crash_here(struct hs_vm *vm, enum hs_crash_reason reason, int signal, struct hs_crash *ret)
{
	struct hs_cpu_state cpu;

	memset(ret, 0, sizeof(*ret));
	ret->reason = reason;
	ret->signal = signal;
	ret->code = SI_KERNEL;
	if (hs_vm_cpu_get(vm, &cpu, NULL) == HS_OK) {
		ret->rip = cpu.rip;
	}
	ret->fault_address = ret->rip;
}

void hs_crash_of_call(struct hs_vm *vm, const char *what, struct hs_crash *ret)
{
	crash_here(vm, HS_CRASH_CALL, SIGSYS, ret);
	snprintf(ret->text, sizeof(ret->text), "refused call: %s", what);
}

void hs_crash_of_hang(struct hs_vm *vm, uint64_t limit_ns, struct hs_crash *ret)
{
	/* The code is what the kernel's own limit timers send (kernel/time/posix-cpu-timers.c). */
	crash_here(vm, HS_CRASH_HANG, SIGXCPU, ret);
	snprintf(ret->text, sizeof(ret->text), "time limit: the guest had not ended after %g s",
		 (double)limit_ns / NS_PER_SECOND);
}
