/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what the CPU reported to a crash that a person and a core can read: reason, signal, address, one sentence. */
#ifndef HS_VMM_CRASH_H
#define HS_VMM_CRASH_H

#include "vmm/backend.h"
#include "vmm/exception_frame.h"

#include <hindsight/cpu.h>
#include <hindsight/mem.h>
#include <hindsight/vm.h>

#include <stdbool.h>

/** What a crash is judged by; all borrowed. cpu stands at the faulting instruction. */
struct hs_crash_scene {
	const struct hs_phys *phys;
	const struct hs_cpu_state *cpu;
	uint64_t guard, guard_bytes; /* gva below the stack that the boot provided; a fault there has run out of it */
	bool (*executes)(unsigned int set); /* of the backend */
};

/** An exception that nobody handled. */
void hs_crash_of_exception(const struct hs_crash_scene *scene, const struct hs_exception_frame *frame,
			   struct hs_crash *ret);
/** An exit that is a crash by itself: shutdown, unknown port, unmapped or read-only memory, the backend's failures. */
void hs_crash_of_exit(const struct hs_crash_scene *scene, const struct hs_exit *exit, struct hs_crash *ret);
/** The guest's own abort. */
void hs_crash_of_abort(const struct hs_crash_scene *scene, const char *message, struct hs_crash *ret);
/** HS_PORT_EXCEPTION or HS_PORT_PRINT with a frame or buffer at address that is none; `what` completes the sentence. */
void hs_crash_of_bad_call(const struct hs_crash_scene *scene, uint16_t port, uint64_t address, const char *what,
			  struct hs_crash *ret);

#endif
