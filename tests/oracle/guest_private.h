/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machine around the instruction, shared by the file that makes it and the one that runs it. */
#ifndef ORACLE_GUEST_PRIVATE_H
#define ORACLE_GUEST_PRIVATE_H

#include "guest.h"

#include <hindsight/mem.h>
#include <hindsight/paging.h>

/* Guest-physical memory: the world from 0 on, then what ring 0 needs, then page tables. */
enum {
	GUEST_GDT = 0x10000,
	GUEST_IDT = 0x11000,
	GUEST_TSS = 0x12000,
	GUEST_LDT = 0x12800,
	GUEST_STUBS = 0x13000, /* one hlt a vector */
	GUEST_STACK = 0x14000, /* one page */
	GUEST_SYSTEM_END = 0x15000,
	GUEST_TABLES = 0x20000,
	GUEST_BYTES = 0x60000,
	GUEST_CS0_32 = 0x08, /* selectors of ring 0, as Linux numbers them */
	GUEST_CS0 = 0x10,
	GUEST_DS0 = 0x18,
	GUEST_TR = 0x40,
	GUEST_LDTR = 0x50,
};

struct oracle_guest {
	const struct hs_backend_ops *ops;
	struct hs_backend *backend;
	enum oracle_mode mode;
	uint8_t *ram;
	uint64_t system; /* gva of ring 0's pages, minus their gpa */
	uint64_t next_table;
	bool stepping; /* what set_debug() was told last */
	struct oracle_world world;
	struct hs_cpu_state cpu;
};

/** Fill memory with page tables and descriptor tables and guest->cpu with a state at ring 3. */
enum hs_status oracle_guest_prepare(struct oracle_guest *guest, struct hs_error *err);

/** What a register holds after the selector was loaded. */
void oracle_guest_segment(const struct oracle_guest *guest, uint16_t selector, struct hs_segment *ret);

#endif
