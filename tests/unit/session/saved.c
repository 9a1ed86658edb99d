/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "saved.h"

#include "arch/regs.h"
#include "snapshot/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PARTS 4

static const struct hs_memory_part parts[PARTS] = {
	{ .gpa = { 0x1000 }, .length = 3 * SAVED_PAGE, .offset = 0, .shared = true },
	{ .gpa = { 0x4000 }, .length = 2 * SAVED_PAGE, .offset = 3 * SAVED_PAGE },
	{ .gpa = { SAVED_SCRATCH_GPA + 2 * SAVED_PAGE }, .length = SAVED_PAGE, .offset = 5 * SAVED_PAGE },
	{ .gpa = { SAVED_SCRATCH_GPA + 6 * SAVED_PAGE }, .length = 2 * SAVED_PAGE, .offset = 6 * SAVED_PAGE },
};

/** Registers of which no two are alike, as far as they have room for that. */
static void fill_cpu(struct hs_cpu_state *cpu)
{
	uint64_t *const words[] = {
		&cpu->rip,
		&cpu->rflags,
		&cpu->cr0,
		&cpu->cr2,
		&cpu->cr3,
		&cpu->cr4,
		&cpu->cr8,
		&cpu->msr.efer,
		&cpu->msr.star,
		&cpu->msr.lstar,
		&cpu->msr.cstar,
		&cpu->msr.fmask,
		&cpu->msr.tsc,
		&cpu->msr.tsc_aux,
		&cpu->msr.apic_base,
		&cpu->msr.pat,
		&cpu->gdt.base,
		&cpu->idt.base,
		&cpu->xcr0,
		&cpu->msr.sysenter_cs,
		&cpu->msr.sysenter_esp,
		&cpu->msr.sysenter_eip,
		&cpu->msr.kernel_gs_base,
	};
	uint64_t next = 0x1111222233330000;

	hs_cpu_state_init(cpu);
	for (size_t i = 0; i < HS_GPR_COUNT; i++) {
		cpu->gpr[i] = next++;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		*words[i] = next++;
	}
	for (size_t i = 0; i < 8; i++) {
		cpu->dr[i] = next++;
	}
	cpu->gdt.limit = 0x1234;
	cpu->idt.limit = 0x5678;
	for (size_t i = 0; i < HS_SEG_COUNT; i++) {
		struct hs_segment *segment = &cpu->seg[i];

		segment->base = next++;
		segment->limit = (uint32_t)next++;
		segment->selector = (uint16_t)next++;
		segment->type = (uint8_t)(15 - i);
		segment->dpl = i % 4;
		segment->present = i & 1;
		segment->db = i >> 1 & 1;
		segment->s = i >> 2 & 1;
		segment->l = !(i & 1);
		segment->g = !(i >> 1 & 1);
		segment->avl = !(i >> 2 & 1);
		segment->unusable = i == HS_LDTR;
	}
	for (size_t i = 0; i < sizeof(cpu->xsave); i++) {
		cpu->xsave[i] = (uint8_t)(i * 7 + i / 256);
	}
}

/** Every page has something, but the second of the first part. */
static int make_memory(void)
{
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	uint8_t page[SAVED_PAGE];

	assert_int_equal(ftruncate(fd, 8 * SAVED_PAGE), 0);
	for (unsigned int i = 0; i < 8; i++) {
		memset(page, i == 1 ? 0 : (int)(0x11 * i + 1), sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), (off_t)(i * SAVED_PAGE)), SAVED_PAGE);
	}
	return fd;
}

static struct hs_crash crash_at(const struct hs_cpu_state *cpu)
{
	return (struct hs_crash){
		.reason = HS_CRASH_ABORT,
		.signal = 6,
		.code = -6,
		.fault_address = 0x123456789a,
		.rip = cpu->rip,
		.vector = 14,
		.has_error_code = true,
		.error_code = 7,
		.port = 0x66,
		.gpa = 0x5000,
		.registers_lost = true,
		.abort_message = "no",
		.text = "abort: no",
	};
}

struct hs_snapshot *saved_create(enum hs_arch arch, bool crashed)
{
	static const struct hs_root roots[] = {
		{ .format = HS_PAGING_32BIT, .base = { 0x4000 }, .pse = true, .maxphyaddr = 36 },
		{ .format = HS_PAGING_NONE, .wp = true, .maxphyaddr = 32 },
	};
	static const struct hs_snapshot_function functions[] = { { "square", "i(i)" }, { "say", "v(sy)" } };
	struct hs_snapshot_info info = {
		.functions = functions,
		.function_count = 2,
		.guest = {
			.arch = arch,
			.path = "/somewhere/a.elf",
			.build_id = { 1, 2, 3, 250 },
			.build_id_length = 20,
			.features = 5,
			.entry = 0x401000,
			.phdr = 0x400040,
			.phentsize = 56,
			.phnum = 3,
			.input_bytes = 2 * SAVED_PAGE,
			.output_bytes = 3 * SAVED_PAGE,
			.boot_idt = 0x7000,
			.roots = 0x406000,
			.roots_variable = 0x408000,
			.roots_stride = 24,
			.roots_count = 3,
			.roots_symbol = "list_of_roots",
			.generation = 9,
			.guard = 0x50000,
			.guard_bytes = 7 * SAVED_PAGE,
			.devices = { .uart_lcr = 0x83, .uart_scratch = 0x5a, .abort_text = "half a mess" },
		},
		.memory = { .fd = make_memory(), .part_count = PARTS, .scratch_gpa = { SAVED_SCRATCH_GPA } },
		.roots = roots,
		.root_count = 2,
		.current = 1,
		.cow = true,
		.shared_bytes = 3 * SAVED_PAGE,
		.private_bytes = 2 * SAVED_PAGE,
		.table_bytes = SAVED_PAGE,
	};
	struct hs_snapshot *snapshot = NULL;
	static struct hs_cpu_state cpu;

	info.memory.scratch_length = SAVED_SCRATCH_BYTES;
	memcpy(info.memory.parts, parts, sizeof(parts));
	fill_cpu(&cpu);
	if (crashed) {
		info.crashed = true;
		info.crash = crash_at(&cpu);
	} else {
		info.guest.dispatch = cpu.rip;
	}
	assert_int_equal(hs_snapshot_adopt(&info, &cpu, &snapshot, NULL), HS_OK);
	return snapshot;
}
