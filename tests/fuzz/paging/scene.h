/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small physical memory full of page tables, and roots into it, all made of the bytes of an input.
 *
 * Input: 32 bytes of control (struct scene says which), then records of 12 bytes: a place (u32) and an entry (u64).
 */
#ifndef HS_TESTS_FUZZ_PAGING_SCENE_H
#define HS_TESTS_FUZZ_PAGING_SCENE_H

#include "driver.h"

#include <hindsight/mem.h>
#include <hindsight/paging.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENE_CONTROL 32
#define SCENE_ROOTS 4
#define SCENE_FIRST 0x1000u        /* gpa of the region that can be pointed at */
#define SCENE_FIRST_BYTES 0x6800u  /* its end is in the middle of a page */
#define SCENE_SECOND 0x8000u       /* and that of the one that cannot */
#define SCENE_SECOND_BYTES 0x3ffcu /* its end is in the middle of an entry */
#define SCENE_PAGES 12             /* that entries are made to point at: all of both, and the hole's */
#define SCENE_BUILT 0x100000u      /* gpa of the memory for what is built again */
#define SCENE_BUILT_PAGES 48
#define SCENE_ADDRESS UINT64_C(0xffffffffff000) /* bits of an entry that can be of an address */
#define SCENE_RANGES 512                        /* more than any budget of ranges */

/** Bytes at a place. */
struct scene_region {
	uint64_t gpa, length;
	uint8_t *bytes;
	bool pointers; /* host pointers are given out */
};

/** A physical memory that counts what is asked of it. */
struct scene_memory {
	struct scene_region regions[2];
	struct hs_phys_ops ops;
	struct hs_phys phys;
	uint64_t visits; /* table pages or pieces of them that were asked for */
	uint64_t whole;  /* of them, host pointers into a whole page: one for each table visited there */
	uint64_t next_table, tables_end;
	struct hs_table_source source;
};

/** All that an input says. */
struct scene {
	struct scene_memory guest; /* blocks of their own, so that ASan sees their ends */
	struct hs_root roots[SCENE_ROOTS];
	uint32_t root_count;
	uint64_t gva, length;
	struct hs_budget budget;
	size_t places_count;
	uint8_t choice[8]; /* for the builder */
	uint64_t seed;     /* of scene_random() */
};

/** False for an input that is too short. Pairs with scene_deinit(). */
bool scene_init(struct scene *scene, const uint8_t *data, size_t size);
void scene_deinit(struct scene *scene);

/** A memory of one region of zeroed pages that are all for tables; bytes are the caller's. */
void scene_memory_init(struct scene_memory *memory, uint64_t gpa, uint8_t *bytes, uint64_t length);
/** The host bytes of [gpa, gpa + length), or NULL where they are not all in one region. */
uint8_t *scene_bytes(struct scene_memory *memory, uint64_t gpa, uint64_t length);
/** Let the source give out the pages from gpa up to the end of its region. */
void scene_set_tables(struct scene_memory *memory, uint64_t gpa);

/** The same numbers for the same input. */
uint64_t scene_random(struct scene *scene);
/** Bytes of an entry of this format. */
unsigned int scene_entry_bytes(enum hs_paging_format format);
/** Tables from a root to a page of the smallest size. */
unsigned int scene_levels(enum hs_paging_format format);
bool scene_is_aarch64(enum hs_paging_format format);

#endif
