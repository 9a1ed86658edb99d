/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest in a VM, from exit to exit of its backend or from instruction to instruction. */
#ifndef HS_TESTS_LOCKSTEP_SIDE_H
#define HS_TESTS_LOCKSTEP_SIDE_H

#include "vmm/backend.h"

#include <hindsight/vm.h>

#include <stdbool.h>
#include <stddef.h>

struct side_console {
	size_t length;
	char text[1 << 16]; /* what does not fit is dropped */
};

struct side {
	struct hs_vm *vm;
	struct side_console console;
	struct hs_cpu_state cpu; /* the user's */
	struct hs_event event;
	bool ended; /* event is one that ends the guest */
};

/** HS_OK, or why the guest does not run here. The side is the caller's, zero before; seed and console are ours. */
enum hs_status side_init(struct side *side, const char *image, const struct hs_vm_config *config, struct hs_error *err);
void side_deinit(struct side *side);

/** Run to the next exit and handle it; behind the instruction that made it, where it is one. */
enum hs_status side_run_to_exit(struct side *side, struct hs_exit *exit, struct hs_error *err);
/** Execute one instruction. */
enum hs_status side_step(struct side *side, struct hs_error *err);

#endif
