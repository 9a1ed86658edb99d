/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether registers are what a CPU takes, so that a value which one backend refuses is refused by each, and before
 * anything was written. What was so before is not asked about: a guest's own state is its own.
 */
#ifndef HS_VMM_REGISTERS_H
#define HS_VMM_REGISTERS_H

#include "vmm/backend.h"

/**
 * @param ops     of the backend whose CPU it is, for what that CPU lacks
 * @param before  the registers now
 * @param after   those that are to be set
 * @return HS_OK; HS_ERR_INVALID: err names the register, and says what is wrong with its value
 */
HS_MUST_CHECK enum hs_status hs_registers_check(const struct hs_backend_ops *ops, const struct hs_cpu_state *before,
						const struct hs_cpu_state *after, struct hs_error *err);

#endif
