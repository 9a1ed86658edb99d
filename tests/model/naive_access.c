/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sentences of Intel SDM vol. 3A chapter 4 about accesses, one after the other as they stand there. That of protection
 * keys and shadow stacks is left out everywhere. An address is a user-mode address if U/S is 1 in every entry that
 * controls its translation, else a supervisor-mode address; result->user says which.
 */
#include "naive.h"

/* 4.1.1, "Four Paging Modes"; bits of 2.5 and 2.2.1. */
void naive_read_registers(struct naive_controls *controls, uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
	bool pg = cr0 >> 31 & 1;
	bool pae = cr4 >> 5 & 1;
	bool la57 = cr4 >> 12 & 1;
	bool lme = efer >> 8 & 1;

	if (!pg) {
		controls->mode = NAIVE_NO_PAGING;
	}
	if (pg && !pae) {
		controls->mode = NAIVE_32BIT;
	}
	if (pg && pae && !lme) {
		controls->mode = NAIVE_PAE;
	}
	if (pg && pae && lme && !la57) {
		controls->mode = NAIVE_4LEVEL;
	}
	if (pg && pae && lme && la57) {
		controls->mode = NAIVE_5LEVEL;
	}
	controls->cr3 = cr3;
	controls->cr0_wp = cr0 >> 16 & 1;
	controls->cr4_pse = cr4 >> 4 & 1;
	controls->cr4_smep = cr4 >> 20 & 1;
	controls->cr4_smap = cr4 >> 21 & 1;
	controls->efer_nxe = efer >> 11 & 1;
}

/* 4.6.1, "For supervisor-mode accesses: Data may be read ..." */
static bool supervisor_reads(const struct naive_controls *controls, const struct naive_result *result, bool ac)
{
	if (!result->user) {
		return true;
	}
	if (!controls->cr4_smap) {
		return true;
	}
	return ac;
}

/* "Data may be written ...", to supervisor-mode addresses first. */
static bool supervisor_writes(const struct naive_controls *controls, const struct naive_result *result, bool ac)
{
	if (!result->user) {
		return !controls->cr0_wp ? true : result->write;
	}
	if (!controls->cr0_wp) {
		if (!controls->cr4_smap) {
			return true;
		}
		return ac;
	}
	if (!controls->cr4_smap) {
		return result->write;
	}
	return ac ? result->write : false;
}

/* "For 32-bit paging or if IA32_EFER.NXE = 0" from any address, otherwise where XD is 0 in every entry. */
static bool xd_lets_fetch(const struct naive_controls *controls, const struct naive_result *result)
{
	switch (controls->mode) {
	case NAIVE_32BIT:
		return true;
	case NAIVE_PAE:
	case NAIVE_4LEVEL:
	case NAIVE_5LEVEL:
		return controls->efer_nxe ? result->fetch : true;
	default:
		return true;
	}
}

/* "Instruction fetches from supervisor-mode addresses", "from user-mode addresses". */
static bool supervisor_fetches(const struct naive_controls *controls, const struct naive_result *result)
{
	if (!result->user) {
		return xd_lets_fetch(controls, result);
	}
	return controls->cr4_smep ? false : xd_lets_fetch(controls, result);
}

/* "For user-mode accesses": reads, writes, fetches. None is ever from a supervisor-mode address. */
static bool user_may(const struct naive_controls *controls, const struct naive_result *result, enum naive_kind kind)
{
	if (!result->user) {
		return false;
	}
	if (kind == NAIVE_WRITE) {
		return result->write;
	}
	return kind == NAIVE_FETCH ? xd_lets_fetch(controls, result) : true;
}

static bool may(const struct naive_controls *controls, const struct naive_result *result, struct naive_access access)
{
	/* 4.1.1: without paging there are no rights of pages. */
	if (controls->mode == NAIVE_NO_PAGING) {
		return true;
	}
	if (access.user_mode) {
		return user_may(controls, result, access.kind);
	}
	switch (access.kind) {
	case NAIVE_READ:
		return supervisor_reads(controls, result, access.ac);
	case NAIVE_WRITE:
		return supervisor_writes(controls, result, access.ac);
	default:
		return supervisor_fetches(controls, result);
	}
}

/* 4.7: bit 1 W/R, bit 2 U/S, bit 4 I/D. */
static unsigned int described(const struct naive_controls *controls, struct naive_access access)
{
	unsigned int code = 0;
	bool cr4_pae = controls->mode == NAIVE_PAE || controls->mode == NAIVE_4LEVEL || controls->mode == NAIVE_5LEVEL;

	if (access.kind == NAIVE_WRITE) {
		code += 2;
	}
	if (access.user_mode) {
		code += 4;
	}
	if (access.kind == NAIVE_FETCH && (controls->cr4_smep || (cr4_pae && controls->efer_nxe))) {
		code += 16;
	}
	return code;
}

/* 4.7: bit 0 P, bit 3 RSVD; vol. 3A 6.15, "Interrupt 13", for what is not canonical. */
struct naive_verdict naive_judge(const struct naive_controls *controls, const struct naive_result *result,
				 struct naive_access access)
{
	switch (result->outcome) {
	case NAIVE_NOT_CANONICAL:
		return (struct naive_verdict){ .end = NAIVE_GENERAL_PROTECTION };
	case NAIVE_NO_MEMORY:
		return (struct naive_verdict){ .end = NAIVE_NO_ANSWER };
	case NAIVE_NOT_PRESENT:
		return (struct naive_verdict){ NAIVE_PAGE_FAULT, described(controls, access) };
	case NAIVE_RESERVED_BIT:
		return (struct naive_verdict){ NAIVE_PAGE_FAULT, described(controls, access) + 1 + 8 };
	default:
		break;
	}
	if (may(controls, result, access)) {
		return (struct naive_verdict){ .end = NAIVE_DONE };
	}
	return (struct naive_verdict){ NAIVE_PAGE_FAULT, described(controls, access) + 1 };
}
