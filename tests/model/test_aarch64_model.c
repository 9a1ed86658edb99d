/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * paging/ against the naive walker for aarch64, in both halves. A path of page tables is laid out, one table a level,
 * with ones around its entries; then its entries go through combinations of their bits:
 *
 *   combinations  bits 1:0, AP, PXN and UXN of every descriptor, with all of APTable, UXNTable and PXNTable above it
 *   bits          every bit and every pair of bits of every descriptor turned over, for many sizes of addresses
 *   random        descriptors and addresses of random bits
 */
#include "naive_aarch64.h"

#include "lib/random.h"

#include <hindsight/paging.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BASE UINT64_C(0x10000)
#define PAGES 6
#define LEVELS 4
#define BIT(n) (UINT64_C(1) << (n))

struct arm_world {
	uint8_t bytes[PAGES * 4096];
	struct arm_memory memory;
	struct arm_controls controls;
	struct hs_phys_ops ops;
	struct hs_phys phys;
	struct hs_root root;
	uint64_t gva;
	uint64_t seed, cases;
	uint64_t outcomes[ARM_OTHER_HALF + 1];
};

static enum hs_status world_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct arm_world *world = ctx;

	(void)err;
	if (gpa.v < BASE || gpa.v - BASE > sizeof(world->bytes) || length > sizeof(world->bytes) - (gpa.v - BASE)) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(buffer, world->bytes + (gpa.v - BASE), length);
	return HS_OK;
}

static void world_init(struct arm_world *world, bool ttbr1)
{
	memset(world, 0, sizeof(*world));
	memset(world->bytes, 0xff, sizeof(world->bytes));
	world->memory = (struct arm_memory){ world->bytes, BASE, sizeof(world->bytes) };
	world->controls = (struct arm_controls){ ttbr1, BASE, 48 };
	world->ops = (struct hs_phys_ops){ .read = world_read };
	world->phys = (struct hs_phys){ .ops = &world->ops, .ctx = world };
	world->root = (struct hs_root){
		.format = ttbr1 ? HS_PAGING_AARCH64_TTBR1 : HS_PAGING_AARCH64_TTBR0,
		.base = { BASE },
	};
	world->gva = (ttbr1 ? UINT64_C(0xffff) << 48 : 0) | UINT64_C(0x7f8a91234567);
	world->seed = ttbr1;
}

static void put(struct arm_world *world, unsigned int level, uint64_t descriptor)
{
	uint64_t place = level * 4096 + (world->gva >> (39 - 9 * level)) % 512 * 8;

	if (level >= LEVELS) {
		fail_msg("there is no level %u", level);
		return;
	}
	for (unsigned int i = 0; i < 8; i++) {
		world->bytes[place + i] = (uint8_t)(descriptor >> (8 * i));
	}
}

/* A descriptor at this level that names the next table of the path, or a page. */
static uint64_t onward(unsigned int level)
{
	return (BASE + (level + 1) * 4096) | 3;
}

/* What paging/ should say, given what the naive walker says. */
static struct hs_range expected(const struct arm_result *arm)
{
	static const enum hs_range_kind kinds[] = {
		[ARM_MEMORY] = HS_RANGE_MAPPED,
		[ARM_INVALID] = HS_RANGE_HOLE,
		[ARM_RESERVED_ENCODING] = HS_RANGE_RESERVED,
		[ARM_ADDRESS_SIZE_FAULT] = HS_RANGE_RESERVED,
		[ARM_NO_MEMORY] = HS_RANGE_UNREADABLE,
		[ARM_OTHER_HALF] = HS_RANGE_NON_CANONICAL,
	};
	struct hs_range range = {
		.kind = kinds[arm->outcome],
		.start = { arm->start },
		.length = arm->length,
		.gpa = { arm->physical },
		.level = (uint8_t)arm->level,
	};

	if (arm->outcome == ARM_MEMORY) {
		/* The rights of EL0 where it may read, and otherwise those of EL1. */
		bool write = arm->el0_read ? arm->el0_write : arm->el1_write;
		bool execute = arm->el0_read ? arm->el0_execute : arm->el1_execute;

		range.prot = HS_PROT_READ | (write ? HS_PROT_WRITE : 0) | (execute ? HS_PROT_EXEC : 0);
		range.user = arm->el0_read;
		range.cow = arm->tagged;
		range.page_bytes = arm->length;
		range.leaf = arm->attributes;
	}
	return range;
}

static struct arm_result compare(struct arm_world *world)
{
	struct arm_result arm = arm_walk(&world->memory, &world->controls, world->gva);
	struct hs_range want = expected(&arm);
	struct hs_range got;

	world->cases++;
	world->outcomes[arm.outcome]++;
	hs_translate(&world->phys, &world->root, hs_gva_of(world->gva), &got);
	assert_int_equal(got.kind, want.kind);
	assert_int_equal(got.start.v, want.start.v);
	assert_int_equal(got.length, want.length);
	assert_int_equal(got.gpa.v, want.gpa.v);
	assert_int_equal(got.level, want.level);
	assert_int_equal(got.prot, want.prot);
	assert_int_equal(got.user, want.user);
	assert_int_equal(got.cow, want.cow);
	assert_int_equal(got.page_bytes, want.page_bytes);
	assert_int_equal(got.leaf, want.leaf);
	return arm;
}

/* All combinations at this level; where they name a table, all of the next one. */
static void combine(struct arm_world *world, unsigned int level)
{
	for (unsigned int bits = 0; bits < 0x400; bits++) {
		/* Bits 1:0; AP[2:1]; PXN, UXN; and the four bits that are PBHA in a leaf. */
		uint64_t descriptor = (bits & 3) | (uint64_t)(bits >> 2 & 3) << 6 | (uint64_t)(bits >> 4 & 3) << 53 |
				      (uint64_t)(bits >> 6) << 59;
		struct arm_result arm;

		/* What is ignored: in a table the rights of a leaf, in a page the bits above, each once. */
		if ((bits & 3) == 3 && (level == 3 ? bits >> 6 != world->cases % 16 : (bits >> 2 & 15) != 5)) {
			continue;
		}
		descriptor |= random_next(&world->seed) & (BIT(63) | UINT64_C(0x3f) << 48 | UINT64_C(15) << 55 | 0xf3c);
		put(world, level, descriptor | (onward(level) & ~UINT64_C(3)));
		arm = compare(world);
		if (arm.level > level) {
			combine(world, level + 1);
		}
	}
	put(world, level, 0);
}

static void test_aarch64_model_all_combinations_of_rights(void **state)
{
	static struct arm_world world;

	(void)state;
	for (int half = 0; half < 2; half++) {
		world_init(&world, half);
		combine(&world, 0);
		print_message("# %llu cases\n", (unsigned long long)world.cases);
		assert_true(world.outcomes[ARM_MEMORY] > 100000);
		assert_true(world.outcomes[ARM_RESERVED_ENCODING] > 100000);
	}
}

static void turn_bits_over(struct arm_world *world, unsigned int level, uint64_t plain)
{
	for (unsigned int first = 0; first < 64; first++) {
		for (unsigned int second = first; second < 64; second++) {
			put(world, level, plain ^ BIT(first) ^ (second > first ? BIT(second) : 0));
			compare(world);
		}
	}
	put(world, level, plain);
}

static void test_aarch64_model_every_bit_and_pair_of_bits_turned_over(void **state)
{
	/* D8.1: the sizes of TCR.IPS that are no more than 48 bits, and others. */
	static const unsigned int sizes[] = { 32, 36, 37, 40, 42, 44, 47, 48, 52 };
	static struct arm_world world;
	uint64_t faults = 0;

	(void)state;
	for (unsigned int i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		world_init(&world, i & 1);
		world.controls.output_bits = sizes[i / 2];
		world.root.maxphyaddr = (uint8_t)sizes[i / 2];
		for (unsigned int leaf = 1; leaf < LEVELS; leaf++) {
			for (unsigned int level = 0; level < leaf; level++) {
				put(&world, level, onward(level));
			}
			put(&world, leaf, leaf == 3 ? onward(3) : UINT64_C(0xc0000001));
			for (unsigned int level = 0; level < leaf; level++) {
				turn_bits_over(&world, level, onward(level));
			}
			turn_bits_over(&world, leaf, leaf == 3 ? onward(3) : UINT64_C(0xc0000001));
		}
		faults += world.outcomes[ARM_ADDRESS_SIZE_FAULT];
	}
	assert_true(faults > 10000);
}

static void test_aarch64_model_random_descriptors_and_addresses(void **state)
{
	static struct arm_world world;

	(void)state;
	for (int half = 0; half < 2; half++) {
		world_init(&world, half);
		for (unsigned int i = 0; i < 300000; i++) {
			uint64_t shift = random_next(&world.seed) % 64;
			uint64_t gva = random_next(&world.seed) >> shift;

			world.controls.output_bits = 32 + (unsigned int)(random_next(&world.seed) % 21);
			world.root.maxphyaddr = (uint8_t)world.controls.output_bits;
			/* Any number of leading ones or zeros: both halves and their borders. */
			world.gva = i & 1 ? gva : ~gva;
			for (unsigned int level = 0; level < LEVELS; level++) {
				uint64_t random = random_next(&world.seed);

				put(&world, level,
				    random & 7 ? onward(level) | (random & UINT64_C(0xf87f000000000ffc))
					       : random_next(&world.seed));
			}
			compare(&world);
			/* The same tables for an address that is likely to go through them. */
			world.gva = (half ? UINT64_C(0xffff) << 48 : 0) | (gva & (BIT(48) - 1));
			compare(&world);
			memset(world.bytes, (int)(random_next(&world.seed) & 0xff), i % 64 ? 0 : sizeof(world.bytes));
		}
		for (unsigned int outcome = 0; outcome <= ARM_OTHER_HALF; outcome++) {
			assert_true(world.outcomes[outcome] > 100);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aarch64_model_all_combinations_of_rights),
		cmocka_unit_test(test_aarch64_model_every_bit_and_pair_of_bits_turned_over),
		cmocka_unit_test(test_aarch64_model_random_descriptors_and_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
