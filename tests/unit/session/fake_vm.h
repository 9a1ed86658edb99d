/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VM's twin for tests of what stands above it: it keeps the promises of <hindsight/vm.h> and plays a script where a
 * CPU would be. Memory is 64 KiB at gpa 0, and the CPU has paging off, so that gva = gpa.
 */
#ifndef TESTS_UNIT_SESSION_FAKE_VM_H
#define TESTS_UNIT_SESSION_FAKE_VM_H

#include <hindsight/vm.h>

#define FAKE_MEMORY_BYTES 0x10000u
#define FAKE_ENTRY 0x1000u
#define FAKE_MAPPING 0x400000
#define FAKE_LAST_ROOT 0x4000u /* of page tables that map nothing */

/** What one hs_vm_run() does. */
struct fake_step {
	enum hs_status fail;   /* not HS_OK: hs_vm_run() fails so */
	bool spin;             /* run until interrupted; event is ignored */
	bool gate;             /* announce on the gate and wait for fake_vm_release() before the event */
	struct hs_event event; /* after HS_EVENT_CRASHED an unchanged VM crashes again and the script stands still */
};

/** The script, borrowed. Beyond its end, runs fail with HS_ERR_BACKEND. */
void fake_vm_script(struct hs_vm *vm, const struct fake_step *steps, size_t count);
/** Wait until a run stands at a gate. */
void fake_vm_wait_gate(struct hs_vm *vm);
/** Let the run at the gate go on. */
void fake_vm_release(struct hs_vm *vm);
/** Calls of hs_vm_run() so far, failed ones included. */
unsigned int fake_vm_runs(struct hs_vm *vm);
/** What hs_vm_run() was given last. */
struct hs_resume fake_vm_last_resume(struct hs_vm *vm);
/** Breakpoints that are set. */
unsigned int fake_vm_breakpoints(struct hs_vm *vm);
/** Whether calls are served. */
bool fake_vm_serves_calls(const struct hs_vm *vm);

#endif
