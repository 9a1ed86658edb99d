/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tests of protection share: descriptors and gates of every kind, good and bad, and rows that say for one of them
 * what is to come, run on every machine that the backend has.
 */
#ifndef HS_TESTS_SOFT_PROTECTION_SCENE_H
#define HS_TESTS_SOFT_PROTECTION_SCENE_H

#include "machine.h"

/** Byte 5 of a descriptor (SDM vol. 3A figure 3-8): P, DPL, S, type. */
#define ACCESS(dpl, type) ((uint8_t)(0x80 | (dpl) << 5 | 0x10 | (type)))
#define SYSTEM(dpl, type) ((uint8_t)(0x80 | (dpl) << 5 | (type)))
#define ABSENT(access) ((uint8_t)((access) & ~0x80))

/** Types, not yet accessed. */
enum scene_type {
	DATA_RO = 0,
	DATA_RW = 2,
	DATA_DOWN = 6,
	CODE_X = 8,
	CODE_RX = 10,
	CONFORMING_X = 12,
	CONFORMING_RX = 14,
};

/** Modes as bits. */
enum scene_modes { IN_64 = 1, IN_COMPAT = 2, IN_32 = 4, IN_LONG = 3, IN_LEGACY = 6, EVERYWHERE = 7 };

/** What is to come: vector -1 is no fault. */
struct expected {
	int vector;
	uint32_t error;
};

/** One machine by mode; the 32-bit one has PAE paging. */
struct machine_config scene_config(enum machine_mode mode, unsigned int cpl);

/** A segment of 4 GiB with that access byte; code is 64-bit code if wide. */
void scene_put_segment(struct machine *machine, uint16_t selector, uint8_t access, bool wide);
/** The same with a base and a limit in bytes. */
void scene_put_small(struct machine *machine, uint16_t selector, uint8_t access, uint32_t base, uint32_t limit);
/** A gate's 8 or, in long mode, 16 bytes at an address; access is its byte 5, count its parameters or IST. */
void scene_put_gate(struct machine *machine, uint64_t at, uint16_t selector, uint64_t offset, uint8_t access,
		    uint8_t count);
/** Where the IDT has a vector's gate. */
uint64_t scene_gate_of(const struct machine *machine, unsigned int vector);
/** Byte 5 of a descriptor of the GDT. */
uint8_t *scene_access(struct machine *machine, uint16_t selector);

/**
 * Start the machine and expect a fault at the first instruction that leaves state and memory as they are, or none.
 * CR2 behind a page fault or a double fault is for the caller to look at.
 * Ends the test with a message that names `what` otherwise.
 */
void scene_expect(struct machine *machine, const char *what, const struct expected *expected, struct machine_stop *ret);

#endif
