/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One instruction on one machine with some of its pages obstructed: where its next fault must come, and what state and
 * memory must look like then. A model of which bytes are touched when, and of nothing else.
 */
#ifndef HS_TESTS_SOFT_RESTART_TRIAL_H
#define HS_TESTS_SOFT_RESTART_TRIAL_H

#include "machine.h"
#include "restart_rows.h"

enum {
	TRIAL_TARGET = 0x8800, /* a hlt on a user page */
	TRIAL_CODE = 0xA000,   /* the border that the instruction lies across */
	TRIAL_SRC = 0x12000,
	TRIAL_DST = 0x15000,
	TRIAL_STK = 0x26000,
	TRIAL_STACK = 0x2C000, /* a stack that is always there */
	TRIAL_VARIANTS = 5,
	TRIAL_PAGES = 8, /* of the four places, the one below the border and the one above */
};

enum obstacle { NOT_PRESENT, READ_ONLY, SUPERVISOR, NO_EXECUTE, OBSTACLES };

struct trial {
	struct machine *machine;
	const struct row *row;
	struct code code;
	unsigned int variant;
	enum obstacle obstacle;
	unsigned int pages; /* bits of those that are obstructed */
	unsigned int used;  /* bits of those that the instruction touches */
	unsigned int word, cpu_word;
	uint64_t at[PLACES];
	uint64_t entries[TRIAL_PAGES]; /* as they were */
	uint8_t *before;               /* memory */
	unsigned int rounds;           /* of a repeated instruction that have been done */
};

/** A fault that must come. */
struct trial_fault {
	unsigned int page;
	unsigned int rounds;
	uint64_t address;
	uint32_t error_code;
};

/** Put the trial's code and data into memory and registers; `before` is memory as it was when the machine was new. */
void trial_init(struct trial *trial, struct machine *machine, const struct row *row, unsigned int variant,
		const uint8_t *fresh);
void trial_deinit(struct trial *trial);

/** Obstruct pages, and let one through again. */
void trial_obstruct(struct trial *trial, unsigned int pages, enum obstacle obstacle);
void trial_let_through(struct trial *trial, unsigned int page);

/** The next fault; false when none is left. */
bool trial_next_fault(const struct trial *trial, struct trial_fault *ret);
/**
 * The same, where the order of the accesses is open: the one with this address, if there is such. The pushes of the CPU
 * itself, through a gate, have no order either.
 */
bool trial_next_fault_at(const struct trial *trial, uint64_t address, struct trial_fault *ret);
/** Whether a page that is obstructed would stop the CPU's own write to [gva, gva + length) at ring 0. */
bool trial_blocks_ring_0(const struct trial *trial, uint64_t gva, uint64_t length);
/** Do `rounds` in all of a repeated instruction to a state and memory. */
void trial_do_rounds(const struct trial *trial, unsigned int rounds, struct hs_cpu_state *cpu, uint8_t *memory);

#endif
