/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The x87 state between cpu->xsave and the host's registers. By FRSTOR and FNSAVE: they move x87 and nothing else,
 * every CPU has them, and they take less time than XRSTOR and XSAVE of the one component.
 */
#include "vmm/soft/fpu.h"
#include "vmm/soft/x87.h"

#include "base/bytes.h"

/* Bits of the control word that can be changed; bit 6 is always set. */
#define FCW_MASK 0x1f7fu
#define FCW_ALWAYS 0x40u

/* What FNSAVE writes with a 32-bit operand size (SDM vol. 1 figure 8-9); the registers lie in the order of the stack,
 * as in the XSAVE area. */
struct image {
	uint32_t control, status, tags;
	uint32_t pointers[4];
	uint8_t st[HS_X87_REGISTERS * HS_X87_REGISTER_BYTES];
};

_Static_assert(sizeof(struct image) == 108, "as FNSAVE writes it");

/* Bit n of eight to bit 2n. */
static unsigned int spread(unsigned int bits)
{
	bits = (bits | bits << 4) & 0x0f0f;
	bits = (bits | bits << 2) & 0x3333;
	return (bits | bits << 1) & 0x5555;
}

/* From the tag word of FXSAVE, one bit a register, to that of FNSAVE, as far as it says which are empty. */
static uint32_t full_tags(uint8_t abridged)
{
	return spread((uint8_t)~abridged) * 3;
}

static uint8_t abridged_tags(uint32_t full)
{
	unsigned int empty = full & full >> 1 & 0x5555;

	empty = (empty | empty >> 1) & 0x3333;
	empty = (empty | empty >> 2) & 0x0f0f;
	return (uint8_t) ~(empty | empty >> 4);
}

void hs_soft_x87_put_words(struct hs_soft_cpu *cpu, unsigned int control, unsigned int status)
{
	control = (control & FCW_MASK) | FCW_ALWAYS;
	status &= ~(HS_FSW_ES | HS_FSW_B);
	if (status & ~control & HS_FSW_EXCEPTIONS) {
		status |= HS_FSW_ES | HS_FSW_B;
	}
	hs_put_le16(cpu->xsave + HS_XSAVE_FCW, (uint16_t)control);
	hs_put_le16(cpu->xsave + HS_XSAVE_FSW, (uint16_t)status);
	hs_soft_mark_component(cpu, HS_SOFT_X87);
}

void hs_soft_x87_go_live(struct hs_soft_cpu *cpu)
{
	struct image image = { 0 };

	/* Whoever set the state from outside may have set what no CPU has. */
	hs_soft_x87_put_words(cpu, hs_get_le16(cpu->xsave + HS_XSAVE_FCW), hs_get_le16(cpu->xsave + HS_XSAVE_FSW));
	image.control = hs_get_le16(cpu->xsave + HS_XSAVE_FCW);
	image.status = hs_get_le16(cpu->xsave + HS_XSAVE_FSW);
	image.tags = full_tags(cpu->xsave[HS_XSAVE_FTW]);
	for (unsigned int i = 0; i < HS_X87_REGISTERS; i++) {
		memcpy(image.st + i * HS_X87_REGISTER_BYTES, cpu->xsave + HS_XSAVE_ST0 + i * 16, HS_X87_REGISTER_BYTES);
	}
	/* The caller's, which may have another precision or rounding than most. */
	cpu->host_x87_control = (uint16_t)hs_soft_x87_control();
	__asm__ volatile("frstor %0" : : "m"(image));
	cpu->x87.live = true;
	hs_soft_x87_loaded(cpu);
}

void hs_soft_x87_fetch(struct hs_soft_cpu *cpu)
{
	struct image image;

	/* It leaves the host's registers as FNINIT does: empty, with no exception. */
	__asm__ volatile("fnsave %0\n\tfldcw %1" : "=m"(image) : "m"(cpu->host_x87_control));
	hs_put_le16(cpu->xsave + HS_XSAVE_FCW, (uint16_t)image.control);
	hs_put_le16(cpu->xsave + HS_XSAVE_FSW, (uint16_t)image.status);
	cpu->xsave[HS_XSAVE_FTW] = abridged_tags(image.tags);
	for (unsigned int i = 0; i < HS_X87_REGISTERS; i++) {
		memcpy(cpu->xsave + HS_XSAVE_ST0 + i * 16, image.st + i * HS_X87_REGISTER_BYTES, HS_X87_REGISTER_BYTES);
	}
	cpu->x87.live = false;
	hs_soft_mark_component(cpu, HS_SOFT_X87);
}

void hs_soft_x87_initialised(struct hs_soft_cpu *cpu)
{
	cpu->x87 = (struct hs_soft_x87){ .live = true };
	hs_put_le16(cpu->xsave + HS_XSAVE_FOP, 0);
	hs_put_le64(cpu->xsave + HS_XSAVE_FIP, 0);
	hs_put_le64(cpu->xsave + HS_XSAVE_FDP, 0);
}
