/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight run --call: a guest is started until it is ready, its functions are called in order, once or in cycles of
 * restore and call. Results go to stdout, one line each; all else of the command's to stderr.
 */
#ifndef HS_CLI_RUN_CALLS_H
#define HS_CLI_RUN_CALLS_H

#include "cli/call_text.h"
#include "cli/opts.h"
#include "cli/signals.h"

#include <hindsight/vm.h>

#include <stdint.h>

/** The calls of a command line. Caller's storage, zeroed before. */
struct hs_call_list {
	struct hs_call_text calls[HS_OPT_VALUES_MAX];
	size_t count;
};

/** Read the values of --call. HS_ERR_INVALID: the message names which, where in it, and why. Free it in any case. */
HS_MUST_CHECK enum hs_status hs_call_list_parse(const struct hs_opt_strings *values, struct hs_call_list *ret,
						struct hs_error *err);
void hs_call_list_free(struct hs_call_list *list);

/** What to do. All pointers are borrowed. */
struct hs_run_calls {
	const char *guest;               /**< path of the image */
	const struct hs_vm_config *vm;   /**< its console is not used: the guest's output goes to stdout */
	uint64_t limit_ns;               /**< of the start and of each call; 0 for ever */
	const char *core;                /**< directory for cores; NULL for none */
	const struct hs_call_list *list; /**< not empty */
	uint64_t cycles;                 /**< 1: no restore; more: each begins where the guest became ready */
	struct hs_signals *signals;
};

/** Do it. The exit status: 0 when all calls had a result, and the same in each cycle. */
int hs_run_calls(const struct hs_run_calls *spec);

#endif
