/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A list of breakpoints over a memory of two pages, for cmocka tests. */
#ifndef HS_TEST_DEBUG_SCENE_H
#define HS_TEST_DEBUG_SCENE_H

#include "vmm/debug.h"
#include "vmm/ram.h"

#define MEMORY 0x1000u

struct scene {
	struct hs_ram ram;
	struct hs_phys phys;
	struct hs_cpu_state cpu; /* paging off */
	struct hs_debug debug;
	struct hs_debug_request request;
};

int debug_scene_setup(void **state);
int debug_scene_teardown(void **state);

/* The three kinds of KVM of docs/hosts.md, and a backend that needs no help. */
extern const struct hs_backend_abilities debug_scene_hardware, debug_scene_pvm, debug_scene_nested, debug_scene_own;

/* A breakpoint of every space. */
enum hs_status debug_scene_insert(struct scene *scene, enum hs_break_kind kind, uint64_t gva, uint64_t length);
enum hs_status debug_scene_removal(struct scene *scene, enum hs_break_kind kind, uint64_t gva, uint64_t length);
uint8_t debug_scene_byte_at(struct scene *scene, uint64_t gpa);
void debug_scene_put_byte(struct scene *scene, uint64_t gpa, uint8_t byte);
bool debug_scene_was_planted(struct scene *scene, uint64_t gva);
/* The breakpoint of the CPU's space where it would stand at gva. */
const struct hs_breakpoint *debug_scene_at(struct scene *scene, uint64_t gva);
void debug_scene_arm(struct scene *scene);

#endif
