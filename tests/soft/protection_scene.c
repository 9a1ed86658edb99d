/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protection_scene.h"
#include "state_difference.h"

#include "base/bytes.h"
#include "vmm/descriptor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTOR_DF 8
#define VECTOR_PF 14
#define FRAME_BYTES 64u

struct machine_config scene_config(enum machine_mode mode, unsigned int cpl)
{
	return (struct machine_config){
		.ops = &TEST_OPS,
		.mode = mode,
		.format = mode == MACHINE_32 ? HS_PAGING_PAE : HS_PAGING_4LEVEL,
		.cpl = cpl,
	};
}

static void put_segment(struct machine *machine, uint16_t selector, uint8_t access, const struct hs_segment *segment)
{
	uint8_t *at = machine_at(machine, MACHINE_GDT + (selector & ~7u));

	hs_put_le64(at, hs_descriptor_encode(segment));
	at[5] = access;
	machine_touched(machine, MACHINE_GDT + (selector & ~7u), 8);
}

void scene_put_segment(struct machine *machine, uint16_t selector, uint8_t access, bool wide)
{
	const struct hs_segment segment = { .limit = 0xFFFFFFFF, .g = 1, .l = wide, .db = !wide };

	put_segment(machine, selector, access, &segment);
}

void scene_put_small(struct machine *machine, uint16_t selector, uint8_t access, uint32_t base, uint32_t limit)
{
	const struct hs_segment segment = { .base = base, .limit = limit, .db = 1 };

	put_segment(machine, selector, access, &segment);
}

void scene_put_gate(struct machine *machine, uint64_t at, uint16_t selector, uint64_t offset, uint8_t access,
		    uint8_t count)
{
	uint8_t *gate = machine_at(machine, at);

	hs_put_le16(gate, (uint16_t)offset);
	hs_put_le16(gate + 2, selector);
	gate[4] = count;
	gate[5] = access;
	hs_put_le16(gate + 6, (uint16_t)(offset >> 16));
	if (machine->config.mode != MACHINE_32) {
		hs_put_le64(gate + 8, offset >> 32);
	}
	machine_touched(machine, at, 16);
}

uint64_t scene_gate_of(const struct machine *machine, unsigned int vector)
{
	return MACHINE_IDT + vector * (machine->config.mode == MACHINE_32 ? 8u : 16u);
}

uint8_t *scene_access(struct machine *machine, uint16_t selector)
{
	return machine_at(machine, MACHINE_GDT + (selector & ~7u) + 5);
}

static const char *name_of(enum machine_mode mode)
{
	static const char *const names[] = { "64-bit", "compatibility", "32-bit" };

	return names[mode];
}

static void check_unchanged(struct machine *machine, const char *what, const struct machine_stop *stop,
			    const uint8_t *before)
{
	const struct state_rules rules = { .rflags = 0 };
	struct hs_cpu_state should = machine->cpu;
	/* Outside long mode an exception of ring 0 pushes on the stack at hand. */
	uint64_t at = machine_compare_memory(machine, machine->ram, before, MACHINE_STACK - FRAME_BYTES, FRAME_BYTES);
	const char *difference;
	char text[300];

	if (stop->vector == VECTOR_PF || stop->vector == VECTOR_DF) {
		should.cr2 = stop->cpu.cr2;
	}
	difference = state_difference(&stop->cpu, &should, &rules, text, sizeof(text));
	if (difference) {
		fail_msg("%s (%s, CPL %u): %s", what, name_of(machine->config.mode), machine->config.cpl, difference);
	}
	if (at != MACHINE_BYTES) {
		fail_msg("%s (%s, CPL %u): memory has changed at 0x%llx", what, name_of(machine->config.mode),
			 machine->config.cpl, (unsigned long long)at);
	}
}

void scene_expect(struct machine *machine, const char *what, const struct expected *expected, struct machine_stop *ret)
{
	uint8_t *before = machine_copy_memory(machine);
	bool faulted;

	machine_start(machine, ret);
	faulted = ret->kind == MACHINE_FAULT;
	if (ret->kind == MACHINE_EXIT) {
		fail_msg("%s (%s, CPL %u): exit %d", what, name_of(machine->config.mode), machine->config.cpl,
			 ret->exit.kind);
	}
	if (faulted != (expected->vector >= 0) ||
	    (faulted && ((int)ret->vector != expected->vector || ret->error_code != expected->error))) {
		fail_msg("%s (%s, CPL %u): vector %d, error code 0x%x, not %d, 0x%x", what,
			 name_of(machine->config.mode), machine->config.cpl, faulted ? (int)ret->vector : -1,
			 ret->error_code, expected->vector, expected->error);
	}
	if (faulted) {
		check_unchanged(machine, what, ret, before);
	}
	free(before);
}
