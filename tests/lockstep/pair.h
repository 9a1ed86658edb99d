/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One guest in two VMs, on KVM and on the software CPU. */
#ifndef HS_TESTS_LOCKSTEP_PAIR_H
#define HS_TESTS_LOCKSTEP_PAIR_H

#include "rules.h"
#include "side.h"

#include <stdbool.h>
#include <stddef.h>

struct pair {
	struct side kvm, soft;
	char difference[400]; /* of the last comparison that found one */
};

/** HS_OK, or why a guest does not run on KVM here. The pair is the caller's, zero before. */
enum hs_status pair_init(struct pair *pair, const char *image, const char *const *args, size_t args_count,
			 struct hs_error *err);
void pair_deinit(struct pair *pair);

/** Run both to their next exits and handle those. False: pair->difference says how the exits differ. */
bool pair_run_to_exit(struct pair *pair);
/** Execute one instruction on both. False: they differ. */
bool pair_step(struct pair *pair);

/** Registers; false: pair->difference. */
bool pair_compare_registers(struct pair *pair);
/** All memory but the A and D bits of the page tables: KVM's may be set before they have to be. */
bool pair_compare_memory(struct pair *pair);
/** What the guests have written, and how they have ended. */
bool pair_compare_ends(struct pair *pair);

#endif
