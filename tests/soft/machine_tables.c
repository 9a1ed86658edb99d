/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptor tables of the test machine (SDM vol. 3A 3.4.5, 5.8.3, 6.11, 6.14.1, 7.2). */
#include "machine.h"

#include "base/bytes.h"
#include "vmm/descriptor.h"
#include "vmm/tss32.h"

#include <string.h>

#define INTERRUPT_GATE 0x8Eu
#define CALL_GATE 0x8Cu
#define TASK_GATE 0x85u
#define DPL(n) ((unsigned int)(n) << 5)
#define STUB_BYTES 16u

/* Offsets in the 64-bit TSS. */
#define TSS64_RSP(n) (4u + 8u * (n))
#define TSS64_IST1 36u

static bool is_long(const struct machine *machine)
{
	return machine->config.mode != MACHINE_32;
}

static uint64_t stub_of(unsigned int vector)
{
	return MACHINE_STUBS + STUB_BYTES * vector;
}

/* A flat segment of 4 GiB. */
static void put_flat(struct machine *machine, uint16_t selector, unsigned int dpl, bool code, bool code64)
{
	const struct hs_segment segment = {
		.limit = 0xFFFFFFFF,
		.type = code ? 11 : 3, /* accessed, so that a load leaves memory alone */
		.present = 1,
		.dpl = (uint8_t)dpl,
		.s = 1,
		.g = 1,
		.db = !code64,
		.l = code64,
	};

	hs_put_le64(machine->ram + MACHINE_GDT + selector, hs_descriptor_encode(&segment));
}

static void put_tss_descriptor(struct machine *machine, uint16_t selector, uint64_t base, uint8_t type)
{
	const struct hs_segment segment = { .base = base, .limit = HS_TSS_BYTES - 1, .type = type, .present = 1 };

	hs_put_le64(machine->ram + MACHINE_GDT + selector, hs_descriptor_encode(&segment));
}

/* Call and interrupt gates have one layout; the IST field is the other's parameter count. */
static void put_gate(struct machine *machine, uint64_t at, uint16_t selector, unsigned int vector, unsigned int ist,
		     unsigned int type)
{
	uint8_t *gate = machine->ram + at;
	uint64_t offset = stub_of(vector);

	hs_put_le16(gate, (uint16_t)offset);
	hs_put_le16(gate + 2, selector);
	gate[4] = (uint8_t)ist;
	gate[5] = (uint8_t)type;
	hs_put_le16(gate + 6, (uint16_t)(offset >> 16));
	if (is_long(machine)) {
		hs_put_le64(gate + 8, offset >> 32);
	}
}

static void write_gdt(struct machine *machine)
{
	bool wide = is_long(machine);

	put_flat(machine, MACHINE_CS0, 0, true, wide);
	put_flat(machine, MACHINE_DS0, 0, false, false);
	put_flat(machine, MACHINE_CS3_32, 3, true, false);
	put_flat(machine, MACHINE_DS3, 3, false, false);
	put_flat(machine, MACHINE_CS3_64, 3, true, wide);
	put_flat(machine, MACHINE_CS1, 1, true, wide);
	put_flat(machine, MACHINE_DS1, 1, false, false);
	put_flat(machine, MACHINE_CS0_32, 0, true, false);
	put_tss_descriptor(machine, MACHINE_TR, MACHINE_TSS, HS_DESCRIPTOR_TSS_BUSY);
	if (!wide) {
		put_tss_descriptor(machine, MACHINE_DF_TR, MACHINE_DF_TSS, HS_DESCRIPTOR_TSS);
	}
	put_gate(machine, MACHINE_GDT + MACHINE_GATE0, MACHINE_CS0, 0xA0, 0, CALL_GATE | DPL(3));
	put_gate(machine, MACHINE_GDT + MACHINE_GATE1, MACHINE_CS1 | 1, 0xA1, 0, CALL_GATE | DPL(3));
}

static void write_idt(struct machine *machine)
{
	unsigned int bytes = is_long(machine) ? 16 : 8;

	for (unsigned int vector = 0; vector < 256; vector++) {
		uint64_t at = MACHINE_IDT + bytes * vector;
		bool from_ring_3 = vector == 3 || vector == 4 || vector >= 0x80;
		unsigned int type = INTERRUPT_GATE | DPL(from_ring_3 ? 3 : 0);
		uint16_t selector = vector == 0x90 ? MACHINE_CS1 | 1 : MACHINE_CS0;

		put_gate(machine, at, selector, vector, is_long(machine) && vector < 32, type);
	}
	if (!is_long(machine)) {
		hs_put_le64(machine->ram + MACHINE_IDT + bytes * 8,
			    (uint64_t)MACHINE_DF_TR << 16 | (uint64_t)TASK_GATE << 40);
	}
}

/* The vectors for which the CPU pushes an error code (SDM vol. 3A table 6-1). */
static bool pushes_error_code(unsigned int vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/*
 * hlt, then drop the error code and return; the operand size is that of the mode. A task goes on behind its iret when
 * it is entered again.
 */
static void write_stub(struct machine *machine, unsigned int vector)
{
	struct code plain = is_long(machine) ? CODE64("hlt\n iretq") : CODE32("hlt\n iretd");
	struct code error = is_long(machine) ? CODE64("hlt\n add rsp, 8\n iretq")
					     : CODE32("3: hlt\n add esp, 4\n iretd\n jmp 3b");
	struct code code = pushes_error_code(vector) ? error : plain;

	memcpy(machine->ram + stub_of(vector), code.bytes, code.length);
}

static void write_tss64(struct machine *machine)
{
	uint8_t *tss = machine->ram + MACHINE_TSS;

	hs_put_le64(tss + TSS64_RSP(0), MACHINE_EXCEPTION_STACK);
	hs_put_le64(tss + TSS64_RSP(1), MACHINE_EXCEPTION_STACK);
	hs_put_le64(tss + TSS64_IST1, MACHINE_EXCEPTION_STACK);
	hs_put_le16(tss + 102, HS_TSS_BYTES);
}

static void write_tss32(struct machine *machine)
{
	uint8_t *tss = machine->ram + MACHINE_TSS;
	uint8_t *task = machine->ram + MACHINE_DF_TSS;
	const uint16_t segments[] = { MACHINE_DS0, MACHINE_CS0, MACHINE_DS0, MACHINE_DS0, MACHINE_DS0, MACHINE_DS0 };

	hs_put_le32(tss + HS_TSS32_ESP0, MACHINE_EXCEPTION_STACK);
	hs_put_le16(tss + HS_TSS32_SS0, MACHINE_DS0);
	hs_put_le32(tss + HS_TSS32_ESP0 + 8, MACHINE_EXCEPTION_STACK);
	hs_put_le16(tss + HS_TSS32_SS0 + 8, MACHINE_DS1 | 1);
	hs_put_le16(tss + 102, HS_TSS_BYTES);
	hs_put_le32(tss + HS_TSS32_CR3, (uint32_t)machine->cpu.cr3);
	hs_put_le32(task + HS_TSS32_CR3, (uint32_t)machine->cpu.cr3);
	hs_put_le32(task + HS_TSS32_EIP, (uint32_t)stub_of(8));
	hs_put_le32(task + HS_TSS32_EFLAGS, 2);
	hs_put_le32(task + HS_TSS32_GPR + 4 * HS_RSP, MACHINE_DF_STACK);
	for (int i = HS_ES; i <= HS_GS; i++) {
		hs_put_le16(task + HS_TSS32_SEG + 4 * i, segments[i]);
	}
	hs_put_le16(task + 102, HS_TSS_BYTES);
}

void machine_write_tables(struct machine *machine)
{
	write_gdt(machine);
	write_idt(machine);
	for (unsigned int vector = 0; vector < 256; vector++) {
		write_stub(machine, vector);
	}
	if (is_long(machine)) {
		write_tss64(machine);
	} else {
		write_tss32(machine);
	}
}

void machine_segment(const struct machine *machine, uint16_t selector, struct hs_segment *ret)
{
	hs_descriptor_decode(hs_get_le64(machine->ram + MACHINE_GDT + (selector & 0xFF8u)), selector, ret);
	if ((selector & ~3u) == 0) {
		*ret = (struct hs_segment){ .selector = selector, .unusable = 1 };
	}
}
