/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "debug_scene.h"

#include "arch/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

int debug_scene_setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	hs_ram_init(&scene.ram);
	assert_int_equal(hs_ram_add(&scene.ram, hs_gpa_of(MEMORY), 0x2000, NULL, NULL), HS_OK);
	scene.phys = hs_ram_phys(&scene.ram);
	hs_cpu_state_init(&scene.cpu);
	scene.cpu.cr0 = 1;
	scene.debug.abilities_known = true;
	*state = &scene;
	return 0;
}

int debug_scene_teardown(void **state)
{
	struct scene *scene = *state;

	hs_ram_deinit(&scene->ram);
	return 0;
}

/* The three kinds of KVM of docs/hosts.md, and a backend that needs no help. */
const struct hs_backend_abilities debug_scene_hardware = {
	.planted_opcode = 0xCC, .execute_slots = 4, .data_slots = 4, .slots = 4, .step = true
};
const struct hs_backend_abilities debug_scene_pvm = {
	.planted_opcode = 0xCC, .execute_slots = 4, .slots = 4, .step = true
};
const struct hs_backend_abilities debug_scene_nested = { .planted_opcode = 0xF4, .slots = 4, .step = true };
const struct hs_backend_abilities debug_scene_own = { .own_breakpoints = true };

enum hs_status debug_scene_insert(struct scene *scene, enum hs_break_kind kind, uint64_t gva, uint64_t length)
{
	const struct hs_breakpoint breakpoint = { kind, hs_gva_of(gva), length, 0 };

	return hs_debug_insert(&scene->debug, &breakpoint, &scene->phys, &scene->cpu, NULL);
}

enum hs_status debug_scene_removal(struct scene *scene, enum hs_break_kind kind, uint64_t gva, uint64_t length)
{
	const struct hs_breakpoint breakpoint = { kind, hs_gva_of(gva), length, 0 };

	return hs_debug_remove(&scene->debug, &breakpoint, NULL);
}

uint8_t debug_scene_byte_at(struct scene *scene, uint64_t gpa)
{
	uint8_t byte;

	assert_int_equal(scene->phys.ops->read(scene->phys.ctx, hs_gpa_of(gpa), &byte, 1, NULL), HS_OK);
	return byte;
}

void debug_scene_put_byte(struct scene *scene, uint64_t gpa, uint8_t byte)
{
	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(gpa), &byte, 1, NULL), HS_OK);
}

bool debug_scene_was_planted(struct scene *scene, uint64_t gva)
{
	return hs_debug_was_planted(&scene->debug, &scene->phys, &scene->cpu, hs_gva_of(gva));
}

/* The breakpoint of the CPU's space where it would stand at gva. */
const struct hs_breakpoint *debug_scene_at(struct scene *scene, uint64_t gva)
{
	scene->cpu.rip = gva;
	return hs_debug_at(&scene->debug, &scene->cpu);
}

void debug_scene_arm(struct scene *scene)
{
	assert_int_equal(hs_debug_arm(&scene->debug, &scene->phys, &scene->cpu, false, &scene->request, NULL), HS_OK);
}
