/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine of 64 KiB for the probe: a few bytes of code in one of three paging modes, run until its first exit. */
#ifndef HS_VMM_KVM_MACHINE_H
#define HS_VMM_KVM_MACHINE_H

#include "vmm/kvm/kvm.h"

#include <hindsight/paging.h>

/** Where the code starts and where it may write, in guest-virtual = guest-physical addresses. */
#define HS_MACHINE_CODE 0x8000u
#define HS_MACHINE_DATA 0x9000u
#define HS_MACHINE_BYTES 0x10000u

struct hs_machine {
	struct hs_backend *backend;
	uint8_t *memory; /* HS_MACHINE_BYTES at gpa 0 */
};

/** A CPU in the given mode (4-level, PAE or 32-bit) with all of memory mapped and no IDT, at the first byte of code. */
HS_MUST_CHECK enum hs_status hs_machine_init(struct hs_machine *machine, enum hs_paging_format format,
					     const uint8_t *code, size_t length, struct hs_error *err);
void hs_machine_deinit(struct hs_machine *machine);
/** Run to the next exit and read the core registers. */
HS_MUST_CHECK enum hs_status hs_machine_run(struct hs_machine *machine, struct hs_exit *ret_exit,
					    struct hs_cpu_state *ret_cpu, struct hs_error *err);

#endif
