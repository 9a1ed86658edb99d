/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Status flags, worked out only when somebody reads them.
 *
 * Most instructions set all six and hardly any of them is ever read, so what is kept is the result, extended with its
 * sign to 64 bits, and the carries: bit 3 is the carry out of bit 3 (AF), bit 63 that out of the operand's top bit
 * (CF) and bit 62 that into it (OF is the one xor the other). ZF, SF and PF follow from the result.
 */
#ifndef HS_SOFT_FLAGS_H
#define HS_SOFT_FLAGS_H

#include "vmm/soft/cpu.h"

/** value's low bytes, extended with their sign. */
static inline uint64_t hs_soft_sign_extend(uint64_t value, unsigned int bytes)
{
	unsigned int unused = 64 - bytes * 8;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}

static inline uint64_t hs_soft_zero_extend(uint64_t value, unsigned int bytes)
{
	unsigned int unused = 64 - bytes * 8;

	return value << unused >> unused;
}

static inline void hs_soft_set_carries(struct hs_soft_cpu *cpu, uint64_t carries, uint64_t result, unsigned int bytes)
{
	cpu->flags_result = hs_soft_sign_extend(result, bytes);
	cpu->flags_carries = carries << (64 - bytes * 8) | (bytes < 8 ? carries & 8 : 0);
	cpu->flags_lazy = true;
}

/** Flags of a + b (+ carry) = result. */
static inline void hs_soft_flags_add(struct hs_soft_cpu *cpu, uint64_t a, uint64_t b, uint64_t result,
				     unsigned int bytes)
{
	hs_soft_set_carries(cpu, (a & b) | ((a | b) & ~result), result, bytes);
}

/** Flags of a - b (- borrow) = result. */
static inline void hs_soft_flags_sub(struct hs_soft_cpu *cpu, uint64_t a, uint64_t b, uint64_t result,
				     unsigned int bytes)
{
	hs_soft_set_carries(cpu, (~a & b) | ((~a | b) & result), result, bytes);
}

/** Flags of and, or, xor, test: CF, OF and AF clear (AF is undefined; every CPU known clears it). */
static inline void hs_soft_flags_logic(struct hs_soft_cpu *cpu, uint64_t result, unsigned int bytes)
{
	cpu->flags_result = hs_soft_sign_extend(result, bytes);
	cpu->flags_carries = 0;
	cpu->flags_lazy = true;
}

/** SF, ZF, PF of a result; CF and OF as given; AF clear. */
static inline void hs_soft_flags_result(struct hs_soft_cpu *cpu, uint64_t result, unsigned int bytes, bool cf, bool of)
{
	cpu->flags_result = hs_soft_sign_extend(result, bytes);
	cpu->flags_carries = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
	cpu->flags_lazy = true;
}

/** Set AF where one of the functions above has just left it clear. */
static inline void hs_soft_flags_add_af(struct hs_soft_cpu *cpu)
{
	cpu->flags_carries |= 8;
}

static inline bool hs_soft_cf(const struct hs_soft_cpu *cpu)
{
	return cpu->flags_lazy ? cpu->flags_carries >> 63 : cpu->rflags & HS_FLAG_CF;
}

static inline bool hs_soft_of(const struct hs_soft_cpu *cpu)
{
	return cpu->flags_lazy ? (cpu->flags_carries >> 63) ^ (cpu->flags_carries >> 62 & 1)
			       : (cpu->rflags & HS_FLAG_OF) != 0;
}

static inline bool hs_soft_af(const struct hs_soft_cpu *cpu)
{
	return cpu->flags_lazy ? cpu->flags_carries >> 3 & 1 : (cpu->rflags & HS_FLAG_AF) != 0;
}

static inline bool hs_soft_zf(const struct hs_soft_cpu *cpu)
{
	return cpu->flags_lazy ? cpu->flags_result == 0 : (cpu->rflags & HS_FLAG_ZF) != 0;
}

static inline bool hs_soft_sf(const struct hs_soft_cpu *cpu)
{
	return cpu->flags_lazy ? cpu->flags_result >> 63 : (cpu->rflags & HS_FLAG_SF) != 0;
}

static inline bool hs_soft_pf(const struct hs_soft_cpu *cpu)
{
	return cpu->flags_lazy ? !__builtin_parity((unsigned int)(cpu->flags_result & 0xff))
			       : (cpu->rflags & HS_FLAG_PF) != 0;
}

/** All of RFLAGS. */
static inline uint64_t hs_soft_rflags(const struct hs_soft_cpu *cpu)
{
	if (!cpu->flags_lazy) {
		return cpu->rflags;
	}
	return (cpu->rflags & ~(uint64_t)HS_FLAG_STATUS) | (hs_soft_cf(cpu) ? HS_FLAG_CF : 0) |
	       (hs_soft_pf(cpu) ? HS_FLAG_PF : 0) | (hs_soft_af(cpu) ? HS_FLAG_AF : 0) |
	       (hs_soft_zf(cpu) ? HS_FLAG_ZF : 0) | (hs_soft_sf(cpu) ? HS_FLAG_SF : 0) |
	       (hs_soft_of(cpu) ? HS_FLAG_OF : 0);
}

/** Replace all of RFLAGS. Whoever may have changed TF, RF or AC calls hs_soft_refresh() afterwards. */
static inline void hs_soft_set_rflags(struct hs_soft_cpu *cpu, uint64_t rflags)
{
	cpu->rflags = rflags;
	cpu->flags_lazy = false;
}

/** Replace all status flags. */
static inline void hs_soft_set_status(struct hs_soft_cpu *cpu, uint64_t status)
{
	hs_soft_set_rflags(cpu, (cpu->rflags & ~(uint64_t)HS_FLAG_STATUS) | status);
}

/** Replace CF and leave the others alone. */
static inline void hs_soft_set_cf(struct hs_soft_cpu *cpu, bool cf)
{
	if (cpu->flags_lazy) {
		uint64_t differs = (cpu->flags_carries >> 63) ^ cf;

		cpu->flags_carries ^= differs << 63 | differs << 62; /* both, and so OF stays */
	} else {
		cpu->rflags = (cpu->rflags & ~(uint64_t)HS_FLAG_CF) | (cf ? HS_FLAG_CF : 0);
	}
}

/** Replace CF and OF and leave the others alone. */
static inline void hs_soft_set_cf_of(struct hs_soft_cpu *cpu, bool cf, bool of)
{
	if (cpu->flags_lazy) {
		cpu->flags_carries = (cpu->flags_carries & 8) | (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
	} else {
		cpu->rflags = (cpu->rflags & ~(uint64_t)(HS_FLAG_CF | HS_FLAG_OF)) | (cf ? HS_FLAG_CF : 0) |
			      (of ? HS_FLAG_OF : 0);
	}
}

/** Replace the flags of mask, status flags or DF, by those of value. */
static inline void hs_soft_change_flags(struct hs_soft_cpu *cpu, uint64_t mask, uint64_t value)
{
	hs_soft_set_rflags(cpu, (hs_soft_rflags(cpu) & ~mask) | (value & mask));
}

/** Whether condition number cc holds: the low four bits of jcc, setcc and cmovcc (SDM vol. 1 appendix B). */
static inline bool hs_soft_condition(const struct hs_soft_cpu *cpu, unsigned int cc)
{
	bool holds;

	switch (cc >> 1 & 7) {
	case 0:
		holds = hs_soft_of(cpu);
		break;
	case 1:
		holds = hs_soft_cf(cpu);
		break;
	case 2:
		holds = hs_soft_zf(cpu);
		break;
	case 3:
		holds = hs_soft_cf(cpu) || hs_soft_zf(cpu);
		break;
	case 4:
		holds = hs_soft_sf(cpu);
		break;
	case 5:
		holds = hs_soft_pf(cpu);
		break;
	case 6:
		holds = hs_soft_sf(cpu) != hs_soft_of(cpu);
		break;
	default:
		holds = hs_soft_zf(cpu) || hs_soft_sf(cpu) != hs_soft_of(cpu);
		break;
	}
	return holds != (cc & 1);
}

#endif
