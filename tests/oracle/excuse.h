/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Differences that are explained: where the manuals leave something open that is more than a flag, or the two vendors'
 * processors differ. Each has its reason, its narrow condition, and is counted.
 */
#ifndef ORACLE_EXCUSE_H
#define ORACLE_EXCUSE_H

#include "guest.h"
#include "scene.h"

struct oracle_pair {
	const struct oracle_code *code;
	const struct oracle_case *test;
	const struct oracle_result *host;
	const struct oracle_result *ours;
	enum oracle_step step;
	const uint8_t *before; /* memory as it is between two cases */
};

/** Whether the instruction was executed, rather than that it faulted. */
static inline bool oracle_executed(const struct oracle_pair *pair, const struct oracle_result *result)
{
	return result->vector == ORACLE_STEPPED ||
	       (pair->step == ORACLE_STEP_RUN && result->out.rip != pair->test->in.rip);
}

/** Number of excuses, and the sentence of one. */
#define ORACLE_EXCUSES 22
const char *oracle_excuse_reason(unsigned int index);

/** Whether an excuse is for this pair; then what it covers of ours is made equal to the host's in *ours. */
bool oracle_excuse(unsigned int index, const struct oracle_pair *pair, struct oracle_result *ours);

#endif
