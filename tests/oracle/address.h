/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ORACLE_ADDRESS_H
#define ORACLE_ADDRESS_H

#include "scene.h"

/** The offset of the operand in memory in its segment. False: there is none, or there are many. */
bool oracle_operand_offset(const struct oracle_code *code, const struct oracle_case *test, uint64_t *ret);
/** Its linear address. */
bool oracle_operand_address(const struct oracle_code *code, const struct oracle_case *test, uint64_t *ret);
/** The base that a segment starts the case with. */
uint64_t oracle_segment_base(const struct oracle_case *test, ZydisRegister segment);
/** Zydis 4.0 sees r13d where REX.B and base 101 come with mod 00: there is no base (SDM vol. 2A 2.2.1.2). */
bool oracle_is_sib_without_base(const ZydisDecodedInstruction *insn);

#endif
