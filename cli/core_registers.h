/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers as text: what gdb's `info registers`, `monitor regs` and people write. */
#ifndef HS_CLI_CORE_REGISTERS_H
#define HS_CLI_CORE_REGISTERS_H

#include "cli/opts.h"

#include <hindsight/cpu.h>
#include <hindsight/types.h>

/**
 * Set registers from the values of an option. One with a '=' is NAME=VALUE; any other is the name of a file that has a
 * register a line: its name, blanks or a '=', its value, and whatever follows. Values are decimal, or hexadecimal after
 * 0x; empty lines and those that begin with '#' are skipped.
 *
 * HS_ERR_INVALID: what is neither, a register that there is not, a value that does not fit. Others: the file.
 *
 * @param ret  keeps what is not named
 */
HS_MUST_CHECK enum hs_status hs_core_registers_parse(const struct hs_opt_strings *values, enum hs_arch arch,
						     struct hs_cpu_state *ret, struct hs_error *err);

#endif
