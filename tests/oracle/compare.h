/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two results of one case: whether they agree, in what they must, and a line that says where not. */
#ifndef ORACLE_COMPARE_H
#define ORACLE_COMPARE_H

#include "excuse.h"
#include "undefined.h"

enum oracle_verdict {
	ORACLE_AGREES,
	ORACLE_AGREES_BUT_UNDEFINED, /* in all that is defined; in what is not, they differ */
	ORACLE_EXCUSED,              /* they differ in what excuse.c explains */
	ORACLE_DIFFERS,
	ORACLE_NOT_THERE, /* ours says #UD and the host executes it */
};

/**
 * Compare what the host did with what the backend did.
 *
 * @param ret_excuses  for ORACLE_EXCUSED: a bit for each excuse that was needed
 * @param text         for ORACLE_DIFFERS: what differs, e.g. "rax 0x1, host 0x2"
 */
enum oracle_verdict oracle_compare(const struct oracle_pair *pair, uint32_t *ret_excuses, char *text,
				   size_t text_bytes);

#endif
