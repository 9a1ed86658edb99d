/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine of 64 KiB for the probe, on any backend: a few bytes of code in one of three paging modes, run until its
 * first exit.
 */
#ifndef HS_VMM_MACHINE_H
#define HS_VMM_MACHINE_H

#include "vmm/backend.h"
#include "vmm/probe.h"

#include <hindsight/paging.h>

/** Where the code starts and where it may write, in guest-virtual = guest-physical addresses. */
#define HS_MACHINE_CODE 0x8000u
#define HS_MACHINE_DATA 0x9000u
#define HS_MACHINE_BYTES 0x10000u

struct hs_machine {
	const struct hs_backend_ops *ops;
	struct hs_backend *backend;
	uint8_t *memory; /* HS_MACHINE_BYTES at gpa 0 */
};

/** A CPU in the given mode (4-level, PAE or 32-bit) with all of memory mapped and no IDT, at the first byte of code. */
HS_MUST_CHECK enum hs_status hs_machine_init(struct hs_machine *machine, const struct hs_backend_ops *ops,
					     enum hs_paging_format format, const uint8_t *code, size_t length,
					     struct hs_error *err);
void hs_machine_deinit(struct hs_machine *machine);
/** Run to the next exit and read the core registers. */
HS_MUST_CHECK enum hs_status hs_machine_run(struct hs_machine *machine, struct hs_exit *ret_exit,
					    struct hs_cpu_state *ret_cpu, struct hs_error *err);

/** What decides whether a backend is good for guests of one paging mode. Unknown and 0 where it was not found out. */
struct hs_trial {
	enum hs_answer paging;     /* code runs with paging on */
	enum hs_answer vectors;    /* pxor, as compilers emit it to clear memory, is executed at CPL 0 */
	double ns_per_instruction; /* at CPL 0, of a loop of dec and jnz; 0.1 when too quick to tell */
};

/**
 * Find it out with one machine.
 *
 * @param enough_ns  an instruction that takes longer decides already: then nothing further is asked
 */
void hs_machine_try(const struct hs_backend_ops *ops, enum hs_paging_format format, double enough_ns,
		    struct hs_trial *ret);

#endif
