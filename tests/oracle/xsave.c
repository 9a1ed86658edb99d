/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Used in the signal handler of the process on the host's CPU as well: nothing here allocates or locks. */
#include "xsave.h"

#include <hindsight/cpu.h>

#include <string.h>

/* Components as bits of XSTATE_BV. */
enum { X87 = 1 << HS_XSTATE_X87, SSE = 1 << HS_XSTATE_SSE, AVX = 1 << HS_XSTATE_AVX, ALWAYS = 0 };

#define FCW_INITIAL 0x37f

const struct oracle_xsave_field oracle_xsave_fields[ORACLE_XSAVE_FIELDS] = {
	{ "fcw", HS_XSAVE_FCW, 2, 1, 0, X87 },
	{ "fsw", HS_XSAVE_FSW, 2, 1, 0, X87 },
	{ "ftw", HS_XSAVE_FTW, 1, 1, 0, X87 },
	{ "fop", HS_XSAVE_FOP, 2, 1, 0, X87 },
	{ "fip", HS_XSAVE_FIP, 8, 1, 0, X87 },
	{ "fdp", HS_XSAVE_FDP, 8, 1, 0, X87 },
	/* Part of no component: it is saved whatever XSTATE_BV says (SDM vol. 1 13.4.1). */
	{ "mxcsr", HS_XSAVE_MXCSR, 4, 1, 0, ALWAYS },
	{ "st", HS_XSAVE_ST0, 10, 8, 16, X87 },
	{ "xmm", HS_XSAVE_XMM0, 16, 16, 16, SSE },
	{ "ymm_hi", HS_XSAVE_YMMH0, 16, 16, 16, AVX },
};

void oracle_xsave_take(uint8_t to[ORACLE_XSAVE_BYTES], const uint8_t *area)
{
	static const uint16_t control = FCW_INITIAL;

	memset(to, 0, ORACLE_XSAVE_BYTES);
	memcpy(to + HS_XSAVE_FCW, &control, sizeof(control));
	for (unsigned int i = 0; i < ORACLE_XSAVE_FIELDS; i++) {
		const struct oracle_xsave_field *field = &oracle_xsave_fields[i];

		if (field->component != ALWAYS && !(area[HS_XSAVE_XSTATE_BV] & field->component)) {
			continue;
		}
		for (unsigned int j = 0; j < field->count; j++) {
			memcpy(to + field->at + j * field->stride, area + field->at + j * field->stride, field->bytes);
		}
	}
}

void oracle_xsave_put(uint8_t *area, const uint8_t from[ORACLE_XSAVE_BYTES])
{
	for (unsigned int i = 0; i < ORACLE_XSAVE_FIELDS; i++) {
		const struct oracle_xsave_field *field = &oracle_xsave_fields[i];

		for (unsigned int j = 0; j < field->count; j++) {
			memcpy(area + field->at + j * field->stride, from + field->at + j * field->stride,
			       field->bytes);
		}
	}
	area[HS_XSAVE_XSTATE_BV] |= X87 | SSE | AVX;
}
