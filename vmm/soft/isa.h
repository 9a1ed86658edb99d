/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which instruction sets the guest is offered, beyond those that every guest has: an explicit list. What is on it and
 * runs on this host is in CPUID, in XCR0 and in the areas of xsave; an instruction of any other is undefined. A set
 * comes onto the list together with what executes it, or after it.
 */
#ifndef HS_SOFT_ISA_H
#define HS_SOFT_ISA_H

#include <Zydis/Zydis.h>

#include <stdbool.h>
#include <stdint.h>

enum hs_soft_cpuid_register { HS_SOFT_EAX, HS_SOFT_EBX, HS_SOFT_ECX, HS_SOFT_EDX, HS_SOFT_CPUID_REGISTERS };

/** Whether the guest may use instructions of set. The same for as long as the process lives, and cheap. */
bool hs_soft_isa_offered(ZydisISASet set);

/** The bits of a register of CPUID that say which sets are offered. */
uint32_t hs_soft_isa_bits(uint32_t leaf, uint32_t subleaf, enum hs_soft_cpuid_register reg);

/** The components of XCR0 that the registers of offered sets are in; x87 and SSE always are (SDM vol. 1 13.3). */
uint64_t hs_soft_isa_components(void);

#endif
