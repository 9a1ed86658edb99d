/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the program touch and the host that runs it write for each other. The program offers (struct touch_offer, in the
 * output buffer) and says HS_PORT_READY; the host answers with a struct touch_list in the input buffer, and finds a
 * struct touch_found for each of its items in the output buffer when the program has ended.
 */
#ifndef HS_GUEST_PROGRAMS_TOUCH_H
#define HS_GUEST_PROGRAMS_TOUCH_H

#include <stdint.h>

enum touch_way {
	TOUCH_READ,
	TOUCH_WRITE, /* of the byte that is there */
	TOUCH_FETCH, /* a jump */
	TOUCH_USER_READ,
	TOUCH_USER_WRITE,
	TOUCH_USER_FETCH,
	TOUCH_WAYS,
};

struct touch_offer {
	uint64_t code;          /* gva of a page that a user page is to show */
	uint64_t physical_bits; /* what CPUID says: the width of physical addresses */
	uint64_t large_1g;      /* and whether there are pages of 1 GiB */
};

struct touch_list {
	uint64_t count;
	uint64_t user_code; /* gva of the user page */
	uint64_t items[];   /* each the address of a page; its low bits: */
};

/* Of an item: these ways are left out, because code would run on from there. */
#define TOUCH_NO_FETCH 1u
#define TOUCH_NO_USER_FETCH 2u
#define TOUCH_FLAGS 0xFFFu

/* Of a way. A fetch has worked when the ud2 at the address was reached. */
#define TOUCH_NOT_TRIED 0u
#define TOUCH_WORKED 1u
#define TOUCH_FAULT(vector, error_code) (1u << 31 | (uint32_t)(vector) << 16 | (error_code))
#define TOUCH_OTHER_ADDRESS (1u << 30) /* with a fault: CR2 was not the address touched */

struct touch_found {
	uint32_t word; /* what the supervisor's read gave */
	uint32_t result[TOUCH_WAYS];
};

#endif
