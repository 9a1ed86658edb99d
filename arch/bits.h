/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bits of RFLAGS, the control and the debug registers (SDM vol. 3A 2.3, 2.5, 18.2; vol. 1 3.4.3), and what values
 * others take.
 */
#ifndef HS_ARCH_BITS_H
#define HS_ARCH_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define HS_FLAG_CF (1u << 0)
#define HS_FLAG_PF (1u << 2)
#define HS_FLAG_AF (1u << 4)
#define HS_FLAG_ZF (1u << 6)
#define HS_FLAG_SF (1u << 7)
#define HS_FLAG_TF (1u << 8)
#define HS_FLAG_IF (1u << 9)
#define HS_FLAG_DF (1u << 10)
#define HS_FLAG_OF (1u << 11)
#define HS_FLAG_IOPL (3u << 12)
#define HS_FLAG_NT (1u << 14)
#define HS_FLAG_RF (1u << 16)
#define HS_FLAG_VM (1u << 17)
#define HS_FLAG_AC (1u << 18)
#define HS_FLAG_VIF (1u << 19)
#define HS_FLAG_VIP (1u << 20)
#define HS_FLAG_ID (1u << 21)
#define HS_FLAG_STATUS (HS_FLAG_CF | HS_FLAG_PF | HS_FLAG_AF | HS_FLAG_ZF | HS_FLAG_SF | HS_FLAG_OF)

#define HS_CR0_PE (1u << 0)
#define HS_CR0_MP (1u << 1)
#define HS_CR0_EM (1u << 2)
#define HS_CR0_TS (1u << 3)
#define HS_CR0_ET (1u << 4)
#define HS_CR0_NE (1u << 5)
#define HS_CR0_WP (1u << 16)
#define HS_CR0_AM (1u << 18)
#define HS_CR0_NW (1u << 29)
#define HS_CR0_CD (1u << 30)
#define HS_CR0_PG (1u << 31)
#define HS_CR4_TSD (1u << 2)
#define HS_CR4_DE (1u << 3)
#define HS_CR4_PSE (1u << 4)
#define HS_CR4_PAE (1u << 5)
#define HS_CR4_PGE (1u << 7)
#define HS_CR4_PCE (1u << 8)
#define HS_CR4_OSFXSR (1u << 9)
#define HS_CR4_OSXMMEXCPT (1u << 10)
#define HS_CR4_UMIP (1u << 11)
#define HS_CR4_LA57 (1u << 12)
#define HS_CR4_FSGSBASE (1u << 16)
#define HS_CR4_PCIDE (1u << 17)
#define HS_CR4_OSXSAVE (1u << 18)
#define HS_CR4_SMEP (1u << 20)
#define HS_CR4_SMAP (1u << 21)
#define HS_EFER_SCE (1u << 0)
#define HS_EFER_LME (1u << 8)
#define HS_EFER_LMA (1u << 10)
#define HS_EFER_NXE (1u << 11)
#define HS_DR6_BD (1u << 13)
#define HS_DR6_BS (1u << 14)
#define HS_DR7_GD (1u << 13)

/** Whether a linear address of 64-bit mode, of 48 or 57 bits, is canonical (SDM vol. 1 3.3.7.1). */
static inline bool hs_is_canonical(uint64_t address, unsigned int bits)
{
	unsigned int unused = 64 - bits;

	return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

/** Whether each byte is a type of memory: 2, 3 and above 7 are reserved (SDM vol. 3A table 11-10). */
static inline bool hs_is_pat(uint64_t value)
{
	for (unsigned int shift = 0; shift < 64; shift += 8) {
		unsigned int type = value >> shift & 0xff;

		if (type > 7 || type == 2 || type == 3) {
			return false;
		}
	}
	return true;
}

#endif
