/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/kvm/machine.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Tables: one large page that maps the first 2 or 4 MiB on themselves. */
#define TOP_TABLE 0x1000u
#define SECOND_TABLE 0x2000u
#define THIRD_TABLE 0x3000u
#define PRESENT_WRITE 3u
#define LARGE 0x80u

static void make_tables(uint8_t *memory, enum hs_paging_format format)
{
	if (format == HS_PAGING_32BIT) {
		hs_put_le32(memory + TOP_TABLE, LARGE | PRESENT_WRITE);
	} else if (format == HS_PAGING_PAE) {
		hs_put_le64(memory + TOP_TABLE, SECOND_TABLE | 1); /* a PDPTE has no W bit in PAE */
		hs_put_le64(memory + SECOND_TABLE, LARGE | PRESENT_WRITE);
	} else {
		hs_put_le64(memory + TOP_TABLE, SECOND_TABLE | PRESENT_WRITE);
		hs_put_le64(memory + SECOND_TABLE, THIRD_TABLE | PRESENT_WRITE);
		hs_put_le64(memory + THIRD_TABLE, LARGE | PRESENT_WRITE);
	}
}

static void make_state(struct hs_cpu_state *cpu, enum hs_paging_format format)
{
	bool is_long = format == HS_PAGING_4LEVEL;
	const struct hs_segment data = {
		.limit = 0xFFFFFFFF, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1
	};

	for (int i = 0; i < HS_TR; i++) {
		cpu->seg[i] = data;
	}
	cpu->seg[HS_CS] = data;
	cpu->seg[HS_CS].selector = 8;
	cpu->seg[HS_CS].type = 11;
	cpu->seg[HS_CS].l = is_long;
	cpu->seg[HS_CS].db = !is_long;
	/* VMX refuses to enter a guest without a busy TSS (SDM vol. 3C 26.3.1.2). */
	cpu->seg[HS_TR] = (struct hs_segment){ .limit = 0x67, .selector = 24, .type = 11, .present = 1 };
	cpu->seg[HS_LDTR] = (struct hs_segment){ .unusable = 1 };
	cpu->gdt = cpu->idt = (struct hs_dtable){ 0, 0 };
	cpu->cr0 = 0x80000031;                                             /* PG, NE, ET, PE */
	cpu->cr4 = is_long || format == HS_PAGING_PAE ? 1u << 5 : 1u << 4; /* PAE, or PSE */
	cpu->msr.efer = is_long ? 0x500 : 0;                               /* LMA, LME */
	cpu->cr3 = TOP_TABLE;
	cpu->rip = HS_MACHINE_CODE;
	cpu->rflags = 2;
	cpu->gpr[HS_RSP] = HS_MACHINE_BYTES;
}

enum hs_status hs_machine_init(struct hs_machine *machine, enum hs_paging_format format, const uint8_t *code,
			       size_t length, struct hs_error *err)
{
	struct hs_cpu_state cpu;
	enum hs_status st;
	void *memory = mmap(NULL, HS_MACHINE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot map the probe's memory");
	}
	*machine = (struct hs_machine){ .memory = memory };
	memcpy(machine->memory + HS_MACHINE_CODE, code, length);
	make_tables(machine->memory, format);
	hs_cpu_state_init(&cpu);
	st = hs_kvm_create(&machine->backend, err);
	if (!st) {
		st = hs_kvm_map(machine->backend, hs_gpa_of(0), HS_MACHINE_BYTES, machine->memory, false, err);
	}
	if (!st) {
		st = hs_kvm_get_state(machine->backend, HS_STATE_CORE, &cpu, err);
	}
	if (!st) {
		make_state(&cpu, format);
		st = hs_kvm_set_state(machine->backend, HS_STATE_CORE, &cpu, err);
	}
	if (st) {
		hs_machine_deinit(machine);
	}
	return st;
}

void hs_machine_deinit(struct hs_machine *machine)
{
	hs_kvm_destroy(machine->backend);
	machine->backend = NULL;
	munmap(machine->memory, HS_MACHINE_BYTES);
}

enum hs_status hs_machine_run(struct hs_machine *machine, struct hs_exit *ret_exit, struct hs_cpu_state *ret_cpu,
			      struct hs_error *err)
{
	enum hs_status st = hs_kvm_run(machine->backend, ret_exit, err);

	return st ? st : hs_kvm_get_state(machine->backend, HS_STATE_CORE, ret_cpu, err);
}
