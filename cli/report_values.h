/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all forms of a report show alike: registers, signal and steps through page tables, ready to be printed. */
#ifndef HS_CLI_REPORT_VALUES_H
#define HS_CLI_REPORT_VALUES_H

#include "session/path_step.h"
#include "session/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_REPORT_LINE_BYTES 256u

/** A register. */
struct hs_report_value {
	const char *name; /**< static */
	uint64_t value;
	uint64_t before; /**< at the last snapshot; value itself without one */
	int digits;      /**< hexadecimal digits of its full width */
};

/** Register number index of those that are shown; false behind the last. */
bool hs_report_register(const struct hs_report *report, size_t index, struct hs_report_value *ret);

/** Step number index of the walk to the fault address, and the fields that are set, "P RW US A D"; false behind the
 *  last. */
bool hs_report_step(const struct hs_report *report, size_t index, struct hs_path_step *ret,
		    char ret_bits[HS_PATH_FIELDS_BYTES]);

/** Take the next line of report->log, without its end and cut to the room, from *at on; false when there is none. */
bool hs_report_log_line(const char **at, char ret[HS_REPORT_LINE_BYTES]);

/** "SIGSEGV (11), SEGV_MAPERR", empty without a signal. */
void hs_report_signal(const struct hs_report *report, char *ret, size_t size);
/** "r-x", '-' for each that is not there. */
void hs_report_rights(int prot, char ret[4]);
/** Hexadecimal digits of a guest-virtual address. */
int hs_report_digits(const struct hs_report *report);

#endif
