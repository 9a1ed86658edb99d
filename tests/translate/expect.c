/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "expect.h"

/* Of a page fault's error code. */
#define PF_P 1u
#define PF_W 2u
#define PF_U 4u
#define PF_RSVD 8u
#define PF_I 16u

#define VECTOR_GP 13
#define VECTOR_PF 14

uint32_t expect_touch(const struct hs_root *root, const struct hs_range *range, enum touch_way way)
{
	bool user = way >= TOUCH_USER_READ;
	bool write = way == TOUCH_WRITE || way == TOUCH_USER_WRITE;
	bool fetch = way == TOUCH_FETCH || way == TOUCH_USER_FETCH;
	bool shows_fetch = root->smep || (root->nxe && root->format != HS_PAGING_32BIT);
	enum hs_access_by by = user ? HS_ACCESS_BY_USER : HS_ACCESS_BY_SUPERVISOR;
	uint32_t code = (write ? PF_W : 0) | (user ? PF_U : 0) | (fetch && shows_fetch ? PF_I : 0);
	int needed = write ? HS_PROT_WRITE : fetch ? HS_PROT_EXEC : HS_PROT_READ;

	switch (range->kind) {
	case HS_RANGE_NON_CANONICAL:
		return TOUCH_FAULT(VECTOR_GP, 0);
	case HS_RANGE_HOLE:
		return TOUCH_FAULT(VECTOR_PF, code);
	case HS_RANGE_RESERVED:
		return TOUCH_FAULT(VECTOR_PF, code | PF_P | PF_RSVD);
	default:
		return hs_access_rights(root, range, by) & needed ? TOUCH_WORKED : TOUCH_FAULT(VECTOR_PF, code | PF_P);
	}
}
