/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an x86 CPU may do with a range. The walk collects the rights of the entries and never judges; here they meet the
 * control bits and who asks. In: a root's control bits, a range, an access. Out: yes, or the fault.
 *
 * Sources: Intel SDM vol. 3A 4.6.1, "Determination of Access Rights", and 4.7, "Page-Fault Exceptions".
 */
#include <hindsight/cpu.h>
#include <hindsight/paging.h>

#include <stdbool.h>
#include <stdint.h>

static bool is_judged(const struct hs_root *root)
{
	return root->format != HS_PAGING_AARCH64_TTBR0 && root->format != HS_PAGING_AARCH64_TTBR1;
}

int hs_access_rights(const struct hs_root *root, const struct hs_range *range, enum hs_access_by by)
{
	int rights = range->prot;

	if (range->kind != HS_RANGE_MAPPED || !is_judged(root)) {
		return 0;
	}
	if (root->format == HS_PAGING_NONE) {
		return rights; /* the control bits are those of paging, which is off */
	}
	if (by == HS_ACCESS_BY_USER) {
		return range->user ? rights : 0;
	}
	if (!root->wp) {
		rights |= HS_PROT_WRITE;
	}
	if (range->user && root->smep) {
		rights &= ~HS_PROT_EXEC;
	}
	if (range->user && root->smap && by != HS_ACCESS_BY_SUPERVISOR_AC) {
		rights &= HS_PROT_EXEC;
	}
	return rights;
}

static uint32_t error_code(const struct hs_root *root, enum hs_access_by by, int prot)
{
	/* CR4.PAE is set in every format with entries of eight bytes. */
	bool tells_fetches = root->smep || (root->nxe && root->format != HS_PAGING_32BIT);

	return (prot & HS_PROT_WRITE ? HS_PF_W : 0) | (by == HS_ACCESS_BY_USER ? HS_PF_U : 0) |
	       (prot & HS_PROT_EXEC && tells_fetches ? HS_PF_I : 0);
}

enum hs_access_outcome hs_access_check(const struct hs_root *root, const struct hs_range *range, enum hs_access_by by,
				       int prot, uint32_t *ret_error_code)
{
	uint32_t present = 0;

	if (!is_judged(root)) {
		return HS_ACCESS_UNKNOWN;
	}
	switch (range->kind) {
	case HS_RANGE_MAPPED:
		if ((hs_access_rights(root, range, by) & prot) == prot) {
			return HS_ACCESS_ALLOWED;
		}
		present = HS_PF_P;
		break;
	case HS_RANGE_RESERVED:
		present = HS_PF_P | HS_PF_RSVD;
		break;
	case HS_RANGE_UNREADABLE:
		return HS_ACCESS_UNKNOWN;
	case HS_RANGE_NON_CANONICAL:
		return HS_ACCESS_NON_CANONICAL;
	default:
		break;
	}
	*ret_error_code = present | error_code(root, by, prot);
	return HS_ACCESS_PAGE_FAULT;
}
