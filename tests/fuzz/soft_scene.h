/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine of pseudo-random memory and state for the fuzz test of the software CPU: sometimes such as an operating
 * system would make, sometimes such as no CPU could ever be in. Everything follows from the bytes of the input.
 *
 * Memory: RAM at gpa 0, a read-only page far above it, and nothing between.
 */
#ifndef HS_TESTS_FUZZ_SOFT_SCENE_H
#define HS_TESTS_FUZZ_SOFT_SCENE_H

#include <hindsight/cpu.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SCENE_RAM = 0x20000, /* bytes */
	SCENE_READ_ONLY = 0x100000,
	SCENE_GDT = 0x1000,
	SCENE_IDT = 0x2000,
	SCENE_TSS = 0x3000,
	SCENE_STACK = 0x6000,
	SCENE_CODE = 0x8000,
	SCENE_CODE_BYTES = 0x4000,
	SCENE_TABLES = 0x10000,
};

/** Where numbers come from: the input's bytes first, then a generator that they have seeded. */
struct scene_source {
	const uint8_t *data;
	size_t left;
	uint64_t seed;
};

struct scene_source scene_source_of(const uint8_t *data, size_t size);
uint64_t scene_number(struct scene_source *source);
/** From 0 to below - 1. */
uint64_t scene_choice(struct scene_source *source, uint64_t below);

/**
 * Fill memory (SCENE_RAM bytes, zero before) and a state (of a new CPU before). `vectors` is for code that is mostly
 * x87 and vector instructions, with a state to match; without it a machine is what it was before there were any.
 */
void scene_make(struct scene_source *source, bool vectors, uint8_t *ram, struct hs_cpu_state *cpu);

#endif
