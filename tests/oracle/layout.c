/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of what both CPUs have: pages, and an LDT. */
#include "layout.h"

#include <hindsight/types.h>

#include <sys/mman.h>

const struct oracle_area oracle_areas[ORACLE_AREAS] = {
	{ ORACLE_LOW, 0, 1, HS_PROT_READ | HS_PROT_WRITE },
	{ ORACLE_CODE, 1, 2, HS_PROT_READ | HS_PROT_EXEC },
	{ ORACLE_CODE + 2 * ORACLE_PAGE, 3, 1, HS_PROT_READ | HS_PROT_WRITE },
	{ ORACLE_DATA, 4, 2, HS_PROT_READ | HS_PROT_WRITE },
	{ ORACLE_DATA + 2 * ORACLE_PAGE, 6, 1, HS_PROT_READ },
	{ ORACLE_STACK, 7, 2, HS_PROT_READ | HS_PROT_WRITE },
	{ ORACLE_FAR, 9, 1, HS_PROT_READ | HS_PROT_WRITE },
};

const struct oracle_descriptor oracle_descriptors[ORACLE_DESCRIPTORS] = {
	{ .base = ORACLE_GS_BASE, .limit = 0xfffff, .in_pages = true },
	{ .limit = ORACLE_DATA >> 12, .in_pages = true }, /* ends with the first page of data */
	{ .limit = 0xfffff, .in_pages = true, .fixed = true },
	{ .limit = ORACLE_DATA >> 12, .in_pages = true, .contents = 1 }, /* begins behind the first page of data */
	{ .limit = 0xfffff, .in_pages = true, .contents = 2 },
	{ .limit = 0xfffff, .in_pages = true, .contents = 2, .fixed = true },
	{ .limit = 0xfffff, .in_pages = true, .contents = 3, .not_present = true }, /* Linux allows no other */
	{ .limit = 0xfffff, .in_pages = true, .not_present = true },
	{ .base = ORACLE_DATA, .limit = 0x7ff },
};

bool oracle_area_is_there(const struct oracle_area *area)
{
	void *wanted = (void *)(uintptr_t)area->at;
	void *got;

	if (area->at != ORACLE_LOW) {
		return true;
	}
	got = mmap(wanted, ORACLE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (got != MAP_FAILED) {
		munmap(got, ORACLE_PAGE);
	}
	return got == wanted;
}

bool oracle_place(uint64_t at, size_t *ret)
{
	for (size_t i = 0; i < ORACLE_AREAS; i++) {
		const struct oracle_area *area = &oracle_areas[i];

		if (at >= area->at && at - area->at < area->pages * ORACLE_PAGE) {
			*ret = (size_t)(area->first * ORACLE_PAGE + (at - area->at));
			return true;
		}
	}
	return false;
}
