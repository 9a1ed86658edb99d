/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From control registers on: every combination of the bits that choose the format and the rights, odd ones included
 * that no CPU lets software set, with noise in all other bits. The roots must be what SDM vol. 3A 4.1.1 says, and
 * addresses and accesses under them must go as the naive walker goes.
 */
#include "compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* SDM vol. 3A 2.5 and 2.2.1: all that may matter, and what goes with it (PE, LMA). */
static const unsigned int cr0_bits[] = { 0, 16, 31 };
static const unsigned int cr4_bits[] = { 4, 5, 12, 20, 21 };
static const unsigned int efer_bits[] = { 8, 10, 11 };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define COMBINATIONS (1u << (COUNT(cr0_bits) + COUNT(cr4_bits) + COUNT(efer_bits)))

/* Noise, but these bits from *choice, which they are taken out of. */
static uint64_t chosen(uint64_t noise, const unsigned int *bits, size_t count, unsigned int *choice)
{
	for (size_t i = 0; i < count; i++, *choice >>= 1) {
		noise = (noise & ~BIT(bits[i])) | (uint64_t)(*choice & 1) << bits[i];
	}
	return noise;
}

static void random_registers(struct world *world, unsigned int choice, struct hs_paging_registers *ret)
{
	ret->cr0 = chosen(world_random(world), cr0_bits, COUNT(cr0_bits), &choice);
	ret->cr4 = chosen(world_random(world), cr4_bits, COUNT(cr4_bits), &choice);
	ret->efer = chosen(world_random(world), efer_bits, COUNT(efer_bits), &choice);
	ret->cr3 = world_random(world);
}

static const enum hs_paging_format formats[] = {
	[NAIVE_NO_PAGING] = HS_PAGING_NONE, [NAIVE_32BIT] = HS_PAGING_32BIT,   [NAIVE_PAE] = HS_PAGING_PAE,
	[NAIVE_4LEVEL] = HS_PAGING_4LEVEL,  [NAIVE_5LEVEL] = HS_PAGING_5LEVEL,
};

/* Bits of CR3 that are the address of the first table: tables 4-3, 4-7 and 4-12. */
static const uint64_t addresses[] = {
	[NAIVE_NO_PAGING] = 0,
	[NAIVE_32BIT] = 0xfffff000,
	[NAIVE_PAE] = 0xffffffe0,
	[NAIVE_4LEVEL] = UINT64_C(0x000ffffffffff000),
	[NAIVE_5LEVEL] = UINT64_C(0x000ffffffffff000),
};

static void test_model_root_of_registers_is_what_every_bit_says(void **state)
{
	static struct world world;
	unsigned int seen = 0;

	(void)state;
	for (unsigned int choice = 0; choice < COMBINATIONS; choice++) {
		for (unsigned int round = 0; round < 16; round++) {
			struct hs_paging_registers registers;
			struct naive_controls naive;
			struct hs_root root;

			random_registers(&world, choice, &registers);
			naive_read_registers(&naive, registers.cr0, registers.cr3, registers.cr4, registers.efer);
			hs_root_of_registers(&registers, &root);
			assert_int_equal(root.format, formats[naive.mode]);
			assert_int_equal(root.base.v, registers.cr3 & addresses[naive.mode]);
			assert_int_equal(root.wp, naive.cr0_wp);
			assert_int_equal(root.pse, naive.cr4_pse);
			assert_int_equal(root.smep, naive.cr4_smep);
			assert_int_equal(root.smap, naive.cr4_smap);
			assert_int_equal(root.nxe, naive.efer_nxe);
			assert_int_equal(root.maxphyaddr, 0);
			seen |= 1u << naive.mode;
		}
	}
	assert_int_equal(seen, 0x1f);
}

/* Tables of this mode; without paging any will do, for nobody looks at them. */
static size_t world_of(enum naive_mode mode)
{
	for (size_t which = 0; which < FORMATS; which++) {
		if (world_formats[which].mode == mode) {
			return which;
		}
	}
	return 0;
}

/* Present, for the most part, with random rights, naming the next table. */
static uint64_t likely_entry(struct world *world, unsigned int depth)
{
	uint64_t random = world_random(world);
	uint64_t entry = BASE + (depth + 1) * 4096 + (random & 0xe6e);

	if (world->naive.mode == NAIVE_PAE && depth == 0) {
		entry &= ~UINT64_C(0x1e6);
	}
	if (random >> 32 & 3 && world->size == 8) {
		entry |= random & BIT(63) & (world->naive.mode == NAIVE_PAE && depth == 0 ? 0 : BIT(63));
	}
	if (!(random >> 34 & 15)) {
		entry = (entry & ~UINT64_C(0x3fffe000)) | BIT(7);
	}
	return entry | (random >> 40 & 31 ? 1 : 0);
}

static void test_model_registers_decide_about_every_access(void **state)
{
	static struct world worlds[FORMATS];
	uint64_t cases = 0;

	(void)state;
	for (size_t which = 0; which < FORMATS; which++) {
		world_init(&worlds[which], which, 0);
	}
	for (unsigned int choice = 0; choice < COMBINATIONS; choice++) {
		for (unsigned int round = 0; round < 400; round++) {
			struct hs_paging_registers registers;
			struct naive_controls naive = { .maxphyaddr = 52 };
			struct world *world;

			random_registers(&worlds[0], choice, &registers);
			naive_read_registers(&naive, registers.cr0, registers.cr3, registers.cr4, registers.efer);
			world = &worlds[world_of(naive.mode)];
			registers.cr3 = (registers.cr3 & ~addresses[naive.mode]) | BASE;
			naive.cr3 = registers.cr3;
			world->naive = naive;
			hs_root_of_registers(&registers, &world->root);
			for (unsigned int depth = 0; depth < world->levels; depth++) {
				world_put(world, world->path[depth], likely_entry(world, depth));
			}
			compare(world);
		}
	}
	for (size_t which = 0; which < FORMATS; which++) {
		cases += worlds[which].cases;
	}
	print_message("# %llu cases\n", (unsigned long long)cases);
}

static void test_model_without_paging_addresses_are_physical(void **state)
{
	static struct world world;

	(void)state;
	world_init(&world, 0, 0);
	world.naive.mode = NAIVE_NO_PAGING;
	world.root.format = HS_PAGING_NONE;
	world.levels = 0;
	for (unsigned int i = 0; i < 100000; i++) {
		uint64_t gva = world_random(&world);
		unsigned int shift = (unsigned int)world_random(&world) % 64;

		world.gva = i & 1 ? gva >> shift : ~(gva >> shift);
		world_set_controls(&world, i & 2, i & 4, 36);
		world_set_rights(&world, i >> 3 & 7);
		compare(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_root_of_registers_is_what_every_bit_says),
		cmocka_unit_test(test_model_registers_decide_about_every_access),
		cmocka_unit_test(test_model_without_paging_addresses_are_physical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
