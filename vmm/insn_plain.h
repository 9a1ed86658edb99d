/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which instructions take no exception but those of their memory accesses. */
#ifndef HS_VMM_INSN_PLAIN_H
#define HS_VMM_INSN_PLAIN_H

#include <Zydis/Zydis.h>
#include <stdbool.h>

/**
 * Whether a decoded instruction of ring 0 needs nothing but general registers, flags and flat memory, all of which its
 * operands name; near branches, sti and cli are among them. Most code of a compiler is, not all that could be.
 */
bool hs_insn_is_plain(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands, bool is_64bit);

#endif
