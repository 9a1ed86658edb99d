/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every x87 instruction with nothing around it but a return: x87 code is two bytes, so all of it fits into 5 KiB of the
 * program's own text, and nothing has to be made at run time. What is undefined is there too and never asked for.
 */
#ifndef HS_SOFT_X87_CODE_H
#define HS_SOFT_X87_CODE_H

#include <stdint.h>

/** With a register operand, or none. lahf_before: what FCMOVcc sees, in bits 15:8; returns what LAHF says behind it. */
typedef uint64_t hs_soft_x87_register_fn(uint64_t lahf_before);
/** With a memory operand. */
typedef void hs_soft_x87_memory_fn(void *operand);

/** opcode: D8 to DF, modrm: C0 to FF. */
hs_soft_x87_register_fn *hs_soft_x87_register_form(uint8_t opcode, uint8_t modrm);
/** Only the middle field of modrm counts: which instruction it is. */
hs_soft_x87_memory_fn *hs_soft_x87_memory_form(uint8_t opcode, uint8_t modrm);

#endif
