/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The x87, SSE and AVX state of a case: fields of an XSAVE area in the standard format (enum hs_xsave_offset), and
 * zeros between them.
 */
#ifndef ORACLE_XSAVE_H
#define ORACLE_XSAVE_H

#include <stdint.h>

/** Up to the last upper half of a ymm register. */
#define ORACLE_XSAVE_BYTES 832

/** A field of it: `count` times `bytes`, `stride` apart. */
struct oracle_xsave_field {
	const char *name;
	uint16_t at, bytes, count, stride;
	uint8_t component; /* bit of XSTATE_BV; where that is clear, all is as after fninit */
};

#define ORACLE_XSAVE_FIELDS 10
extern const struct oracle_xsave_field oracle_xsave_fields[ORACLE_XSAVE_FIELDS];

/** The fields of an area as a CPU has stored it. */
void oracle_xsave_take(uint8_t to[ORACLE_XSAVE_BYTES], const uint8_t *area);
/** Put the fields into an area that a CPU will load, and mark them as in use. */
void oracle_xsave_put(uint8_t *area, const uint8_t from[ORACLE_XSAVE_BYTES]);

#endif
