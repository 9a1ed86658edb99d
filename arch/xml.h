/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gdb target description of an architecture, written from the register table (gdb manual, "Target Description
 * Format"). In: the table. Out: one XML document. What a g packet holds follows from the same rows, in the same order.
 */
#ifndef HS_ARCH_XML_H
#define HS_ARCH_XML_H

#include "base/buf.h"

#include <hindsight/error.h>
#include <hindsight/types.h>

/**
 * Append the whole document (8 to 20 KiB) to a buffer: the registers of hs_regs_of(), by its numbers.
 *
 * @param ret  initialised, owned by the caller; not cleared first
 *
 * HS_OK, or HS_ERR_NOMEM when the buffer could not grow; ret is then failed, as struct hs_buf says.
 */
HS_MUST_CHECK enum hs_status hs_arch_target_xml(enum hs_arch arch, uint64_t xcr0, struct hs_buf *ret,
						struct hs_error *err);

#endif
