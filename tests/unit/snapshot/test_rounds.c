/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random guests that live on from snapshot to snapshot: each is loaded into new memory, written to, with copies made as
 * a guest's handler makes them, and taken again. A model knows which address of which space shows which page and what
 * is in it; and what an idle guest is made of stays as much as it was.
 */
#include "ram.h"

#include "base/bytes.h"
#include "snapshot/snapshot.h"

#include <hindsight/abi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUESTS 150 /* of each format */
#define ROUNDS 4
#define IDLE_ROUNDS 100
#define WRITES 24
#define SPACES 3
#define SLOTS 40
#define PAGES 48
#define NONE PAGES

#define MEMORY_GPA UINT64_C(0x1000)
#define MEMORY_BYTES UINT64_C(0x80000)
#define SCRATCH_BYTES UINT64_C(0x90000)
#define SCRATCH_GPA (UINT64_C(0x40000000) - SCRATCH_BYTES)
#define BUFFER_BYTES UINT64_C(0x4000)
#define FIRST_GVA UINT64_C(0x7f0000) /* so that slots are under two tables in each format */

struct slot {
	unsigned int page; /* of the model, NONE: nothing is mapped */
	bool writable;
};

struct guest {
	struct ram ram;
	struct hs_root roots[SPACES];
	struct hs_cpu_state cpu;
	struct hs_snapshot_guest facts;
	/* The model. */
	struct slot slots[SPACES][SLOTS];
	uint64_t contents[PAGES];
	bool cow;
	uint64_t shared_end; /* of the part that other VMs see */
};

/* splitmix64, Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014). */
static uint64_t next_random(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *seed, uint64_t limit)
{
	return next_random(seed) % limit;
}

static uint64_t window_gva(const struct guest *guest)
{
	return (guest->roots[0].format >= HS_PAGING_4LEVEL ? UINT64_C(0xfffffffffffff000) : UINT64_C(0xfffff000)) -
	       SCRATCH_BYTES;
}

static void map(struct guest *guest, unsigned int space, uint64_t gva, uint64_t gpa, uint64_t length, bool writable)
{
	struct hs_mapping mapping = {
		.gva = { gva },
		.gpa = { gpa },
		.length = length,
		.prot = HS_PROT_READ | (writable ? HS_PROT_WRITE : 0),
	};

	assert_int_equal(ram_map(&guest->ram, &guest->roots[space], &mapping), HS_OK);
}

static uint64_t slot_gva(unsigned int slot)
{
	return FIRST_GVA + (uint64_t)slot * HS_PAGE_SIZE;
}

static struct guest *guest_create(enum hs_paging_format format, uint64_t seed)
{
	/* Registers are aligned to 64 bytes. */
	struct guest *guest = aligned_alloc(64, (sizeof(*guest) + 63) & ~(size_t)63);

	assert_non_null(guest);
	memset(guest, 0, sizeof(*guest));
	guest->cow = seed & 1;
	ram_init(&guest->ram, seed & 2);
	ram_add(&guest->ram, MEMORY_GPA, MEMORY_BYTES);
	ram_add(&guest->ram, SCRATCH_GPA, SCRATCH_BYTES);
	ram_set_tables(&guest->ram, SCRATCH_GPA + 2 * BUFFER_BYTES, 0x40000);
	for (unsigned int i = 0; i < PAGES; i++) {
		guest->contents[i] = next_random(&seed);
		ram_put(&guest->ram, MEMORY_GPA + (uint64_t)i * HS_PAGE_SIZE, 8, guest->contents[i]);
	}
	for (unsigned int space = 0; space < SPACES; space++) {
		guest->roots[space] = (struct hs_root){ .format = format, .nxe = true };
		assert_int_equal(guest->ram.source.take(guest->ram.source.ctx, &guest->roots[space].base, NULL), HS_OK);
		for (unsigned int i = 0; i < SLOTS; i++) {
			struct slot *slot = &guest->slots[space][i];

			*slot = (struct slot){ (unsigned int)below(&seed, PAGES + 10), below(&seed, 3) != 0 };
			slot->page = slot->page < PAGES ? slot->page : NONE;
			if (slot->page != NONE) {
				map(guest, space, slot_gva(i), MEMORY_GPA + (uint64_t)slot->page * HS_PAGE_SIZE,
				    HS_PAGE_SIZE, slot->writable);
			}
		}
		map(guest, space, window_gva(guest), SCRATCH_GPA, SCRATCH_BYTES, true);
	}
	guest->cpu.cr0 = UINT64_C(0x80050033);
	guest->cpu.cr4 = format == HS_PAGING_32BIT ? 0 : format == HS_PAGING_5LEVEL ? 0x1020 : 0x20;
	guest->cpu.msr.efer = format >= HS_PAGING_4LEVEL ? 0xd00 : 0x800;
	guest->cpu.cr3 = guest->roots[1].base.v | 0x18;
	guest->cpu.gpr[HS_RSP] = 0x1000;
	guest->cpu.idt = (struct hs_dtable){ .base = FIRST_GVA, .limit = 0 };
	guest->facts = (struct hs_snapshot_guest){
		.input_bytes = BUFFER_BYTES,
		.output_bytes = BUFFER_BYTES,
		.features = guest->cow ? HS_FEATURE_COW : 0,
	};
	return guest;
}

static void guest_destroy(struct guest *guest)
{
	ram_deinit(&guest->ram);
	free(guest);
}

static struct hs_snapshot *take(struct guest *guest)
{
	struct hs_snapshot_input input = {
		.phys = &guest->ram.phys,
		.cpu = &guest->cpu,
		.roots = guest->roots,
		.root_count = SPACES,
		.current = 1,
		.guest = &guest->facts,
		.gpa = { MEMORY_GPA },
		.limit = 2 * MEMORY_BYTES,
		.scratch_gpa = { SCRATCH_GPA },
		.scratch_gva = { window_gva(guest) },
		.scratch_bytes = SCRATCH_BYTES,
	};
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err = { 0 };

	guest->facts.generation++;
	if (hs_snapshot_take(&input, &snapshot, &err)) {
		fail_msg("%s", err.message);
	}
	return snapshot;
}

/* The guest goes on in memory that has nothing but the snapshot. */
static void load(struct guest *guest, const struct hs_snapshot *snapshot)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	bool pointers = guest->ram.ops.pointer != NULL;

	ram_deinit(&guest->ram);
	ram_init(&guest->ram, pointers);
	ram_add(&guest->ram, MEMORY_GPA, info->shared_bytes + info->private_bytes);
	ram_add(&guest->ram, SCRATCH_GPA, SCRATCH_BYTES);
	for (size_t i = 0; i < info->memory.part_count; i++) {
		const struct hs_memory_part *part = &info->memory.parts[i];

		if (part->length > 0) {
			memcpy(ram_at(&guest->ram, part->gpa.v), info->memory.bytes + part->offset, part->length);
		}
	}
	guest->shared_end = MEMORY_GPA + info->shared_bytes;
	memcpy(guest->roots, info->roots, sizeof(guest->roots));
	guest->cpu = *hs_snapshot_cpu(snapshot);
}

/* Where the entry of a small page is: the tables of all formats as the SDM has them (vol. 3A 4.3 to 4.5). */
static uint64_t entry_of(const struct guest *guest, unsigned int space, uint64_t gva, unsigned int *ret_bytes)
{
	static const unsigned int levels[] = {
		[HS_PAGING_32BIT] = 2, [HS_PAGING_PAE] = 3, [HS_PAGING_4LEVEL] = 4, [HS_PAGING_5LEVEL] = 5
	};
	enum hs_paging_format format = guest->roots[space].format;
	unsigned int bits = format == HS_PAGING_32BIT ? 10 : 9;
	unsigned int bytes = format == HS_PAGING_32BIT ? 4 : 8;
	uint64_t table = guest->roots[space].base.v;

	*ret_bytes = bytes;
	for (unsigned int level = levels[format]; level-- > 0;) {
		uint64_t at = table + (gva >> (12 + level * bits) & ((1u << bits) - 1)) * bytes;
		uint8_t word[8] = { 0 };

		if (level == 0) {
			return at;
		}
		memcpy(word, ram_at((struct ram *)&guest->ram, at), bytes);
		table = hs_get_le64(word) & UINT64_C(0xffffffffff000);
	}
	return 0;
}

/* A copy of the page in scratch, and the entry leads there. */
static uint64_t copy_on_write(struct guest *guest, unsigned int space, uint64_t gva, uint64_t gpa)
{
	uint8_t *next = ram_at(&guest->ram, SCRATCH_GPA + SCRATCH_BYTES - HS_SCRATCH_NEXT_FREE_OFFSET);
	uint64_t page = hs_get_le64(next);
	uint8_t word[8] = { 0 };
	unsigned int bytes;
	uint64_t entry = entry_of(guest, space, gva, &bytes);

	assert_true(page + HS_PAGE_SIZE <= SCRATCH_GPA + SCRATCH_BYTES - 2 * HS_PAGE_SIZE);
	hs_put_le64(next, page + HS_PAGE_SIZE);
	memcpy(ram_at(&guest->ram, page), ram_at(&guest->ram, gpa), HS_PAGE_SIZE);
	memcpy(word, ram_at(&guest->ram, entry), bytes);
	assert_int_equal(hs_get_le64(word) & HS_ENTRY_COW_MASK, HS_ENTRY_COW);
	ram_put(&guest->ram, entry, bytes,
		(hs_get_le64(word) & ~(uint64_t)HS_ENTRY_COW_MASK & ~UINT64_C(0xffffffffff000)) | page | 2);
	return page;
}

static void write_somewhere(struct guest *guest, uint64_t *seed)
{
	unsigned int space = (unsigned int)below(seed, SPACES);
	unsigned int at = (unsigned int)below(seed, SLOTS);
	const struct slot *slot = &guest->slots[space][at];
	struct hs_range range;
	uint64_t gpa;

	if (slot->page == NONE || !slot->writable) {
		return;
	}
	hs_translate(&guest->ram.phys, &guest->roots[space], hs_gva_of(slot_gva(at)), &range);
	gpa = range.gpa.v + (slot_gva(at) - range.start.v);
	if (!(range.prot & HS_PROT_WRITE)) {
		assert_true(guest->cow && range.cow);
		gpa = copy_on_write(guest, space, slot_gva(at), gpa);
	}
	assert_true(gpa >= guest->shared_end);
	guest->contents[slot->page] = next_random(seed);
	ram_put(&guest->ram, gpa, 8, guest->contents[slot->page]);
}

/* Each address shows what it should, and two show one page if and only if they should. */
static void check(struct guest *guest)
{
	uint64_t frames[PAGES] = { 0 };

	for (unsigned int i = 0; i < SPACES * SLOTS; i++) {
		unsigned int space = i / SLOTS;
		const struct slot *slot = &guest->slots[space][i % SLOTS];
		hs_gva gva = { slot_gva(i % SLOTS) };
		struct hs_range range;
		uint64_t gpa;

		hs_translate(&guest->ram.phys, &guest->roots[space], gva, &range);
		assert_int_equal(range.kind == HS_RANGE_MAPPED, slot->page != NONE);
		if (slot->page == NONE) {
			continue;
		}
		gpa = range.gpa.v + (gva.v - range.start.v);
		assert_int_equal((range.prot & HS_PROT_WRITE) || range.cow, slot->writable);
		assert_int_equal(hs_get_le64(ram_at(&guest->ram, gpa)), guest->contents[slot->page]);
		for (unsigned int page = 0; page < PAGES; page++) {
			assert_true((page == slot->page) || frames[page] != gpa);
		}
		assert_true(frames[slot->page] == 0 || frames[slot->page] == gpa);
		frames[slot->page] = gpa;
	}
}

static void live(enum hs_paging_format format, uint64_t seed)
{
	struct guest *guest = guest_create(format, seed);

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct hs_snapshot *snapshot = take(guest);

		load(guest, snapshot);
		hs_snapshot_unref(snapshot);
		check(guest);
		for (unsigned int i = 0; i < WRITES; i++) {
			write_somewhere(guest, &seed);
		}
		check(guest);
	}
	guest_destroy(guest);
}

static void idle(enum hs_paging_format format, uint64_t seed)
{
	struct guest *guest = guest_create(format, seed);
	uint64_t first[3] = { 0 };

	for (unsigned int round = 0; round < IDLE_ROUNDS; round++) {
		struct hs_snapshot *snapshot = take(guest);
		const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
		const uint64_t bytes[3] = { info->shared_bytes, info->private_bytes, info->table_bytes };

		load(guest, snapshot);
		if (round == 0) {
			memcpy(first, bytes, sizeof(first));
		}
		assert_memory_equal(bytes, first, sizeof(first));
		hs_snapshot_unref(snapshot);
	}
	check(guest);
	guest_destroy(guest);
}

static void test_rounds_random_guests_are_what_the_model_says(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < GUESTS; seed++) {
		for (enum hs_paging_format format = HS_PAGING_32BIT; format <= HS_PAGING_5LEVEL; format++) {
			live(format, seed);
		}
	}
}

static void test_rounds_idle_guests_do_not_grow(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 4; seed++) {
		for (enum hs_paging_format format = HS_PAGING_32BIT; format <= HS_PAGING_5LEVEL; format++) {
			idle(format, seed);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rounds_random_guests_are_what_the_model_says),
		cmocka_unit_test(test_rounds_idle_guests_do_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
