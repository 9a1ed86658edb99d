/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tests of the guest's own debugging share: machines of all kinds, setting DR0-3, what a #DB must look like. */
#ifndef HS_TESTS_SOFT_TRAP_SCENE_H
#define HS_TESTS_SOFT_TRAP_SCENE_H

#include "machine.h"

#define VECTOR_DB 1
#define TF (1u << 8)
#define RF (1u << 16)
#define CR4_DE (1u << 3)
#define DR6_BD (1u << 13)
#define DR6_BS (1u << 14)
#define DR7_GD (1u << 13)
#define ON_EXECUTION 0u
#define ON_WRITE 1u
#define ON_PORT 2u
#define ON_ACCESS 3u

/** Check on one machine of each kind. */
void each_config(void (*check)(struct machine *machine));

/** DR7 with one of DR0-3 enabled. */
uint64_t dr7_of(unsigned int i, unsigned int condition, unsigned int length);
/** Set one of DR0-3 and no other. */
void set_register(struct machine *machine, unsigned int i, uint64_t address, unsigned int condition,
		  unsigned int length);
/** The stop is a #DB with these bits of DR6. */
void expect_trap(const struct machine_stop *stop, uint64_t rip, uint64_t dr6);
/** Go on with the interrupted code, as its handler's iret would. */
void go_on(struct machine *machine, struct machine_stop *stop, uint64_t set_flags, uint64_t clear_flags);

#endif
