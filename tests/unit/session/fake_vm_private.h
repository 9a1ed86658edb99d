/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the VM's twin share. */
#ifndef TESTS_UNIT_SESSION_FAKE_VM_PRIVATE_H
#define TESTS_UNIT_SESSION_FAKE_VM_PRIVATE_H

#include "fake_vm.h"
#include "vmm/call.h"

#include <pthread.h>

#define BREAKPOINTS_MAX 8

struct hs_vm {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const struct fake_step *steps;
	size_t count, next;
	bool interrupted;
	bool at_gate, released;
	bool has_crashed; /* and nothing has been changed since */
	bool has_exited;
	bool serves_calls;
	struct hs_record record; /* the last one for the guest */
	unsigned int runs;
	struct hs_resume last_resume;
	struct hs_cpu_state cpu;
	struct hs_breakpoint breakpoints[BREAKPOINTS_MAX];
	unsigned int breakpoint_count;
	struct hs_vm_segment segment;
	struct hs_vm_image image;
	uint8_t memory[FAKE_MEMORY_BYTES];
};

#endif
