/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Compaction of random guests: several spaces that share tables and pages, with copies in scratch, are planned, written
 * to a file and put into an empty memory. There every address has what it had, and every pair of addresses that shared
 * a page or a table shares it.
 */
#include "ram.h"

#include "lib/random.h"
#include "snapshot/plan.h"

#include <hindsight/spaces.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 40
#define ROOTS 3
#define MAPPINGS 14

/* The guest: memory from 0x1000 on, and scratch, with the tables in its first part. The window shows all of scratch. */
#define MEMORY_GPA UINT64_C(0x1000)
#define MEMORY_BYTES UINT64_C(0xfff000)
#define SCRATCH_GPA UINT64_C(0x40000000)
#define SCRATCH_BYTES UINT64_C(0x400000)
#define TABLES_BYTES UINT64_C(0x300000)
#define INNER_GPA UINT64_C(0x800000)
/* Where 4-byte entries reach by PSE-36 alone. */
#define HIGH_GPA UINT64_C(0x100000000)
#define HIGH_BYTES UINT64_C(0x400000)

struct guest {
	struct ram ram;
	struct hs_root roots[ROOTS];
	struct hs_compact_input input;
	bool high; /* a page of HIGH_GPA may be mapped */
};

static uint64_t window_gva(enum hs_paging_format format)
{
	return format >= HS_PAGING_4LEVEL ? UINT64_C(0xffffffffff000000) : 0xff000000;
}

static enum hs_status map(struct guest *guest, unsigned int root, struct hs_mapping mapping)
{
	mapping.exact = true;
	return ram_map(&guest->ram, &guest->roots[root], &mapping);
}

/* Pages anywhere, of memory as a rule and of scratch now and then: there is where copies are. */
static void map_random(struct guest *guest, uint64_t *seed)
{
	bool wide = guest->roots[0].format >= HS_PAGING_4LEVEL;
	bool scratch = random_below(seed, 4) == 0;
	struct hs_mapping mapping = {
		.gva = { (random_below(seed, 4) << 30) + (random_below(seed, 0x400) << 12) },
		.gpa = { scratch ? SCRATCH_GPA + TABLES_BYTES + (random_below(seed, 0xe0) << 12)
				 : MEMORY_GPA + (random_below(seed, random_below(seed, 2) ? 16 : 0x7f0) << 12) },
		.length = (1 + random_below(seed, 8)) << 12,
		.prot = HS_PROT_READ | (random_below(seed, 2) ? HS_PROT_WRITE : 0) |
			(random_below(seed, 2) ? HS_PROT_EXEC : 0),
		.user = random_below(seed, 2),
		.cow = random_below(seed, 3) == 0,
		.leaf = random_next(seed) & (wide ? HS_LEAF_HIGH | 0x1f8 : 0x1f8),
	};

	if (random_below(seed, 6) == 0) {
		mapping.leaf |= HS_LEAF_AVL;
		mapping.cow = false;
	}
	if (random_below(seed, 5) == 0) {
		mapping.large = true;
		mapping.gva.v = (random_below(seed, 4) << 30) + (random_below(seed, 8) << 22);
		mapping.gpa.v = UINT64_C(0x400000) * (1 + random_below(seed, 2));
		mapping.length = 0x400000;
		if (random_below(seed, 4) == 0) {
			mapping.gpa.v = HIGH_GPA;
			guest->high = true;
		}
	}
	/* What is mapped already stays as it is. */
	(void)!map(guest, (unsigned int)random_below(seed, ROOTS), mapping);
}

/* An entry of one root's first table that another one takes over, and one that names the table itself. */
static void share_tables(struct guest *guest, uint64_t *seed)
{
	unsigned int bytes = guest->roots[0].format == HS_PAGING_32BIT ? 4 : 8;
	unsigned int slots = guest->roots[0].format == HS_PAGING_PAE ? 4 : 8;

	for (unsigned int i = 0; i < 3; i++) {
		uint64_t slot = random_below(seed, slots) * bytes;
		uint64_t from = guest->roots[random_below(seed, ROOTS)].base.v + slot;
		uint64_t to = guest->roots[random_below(seed, ROOTS)].base.v + slot;

		memcpy(ram_at(&guest->ram, to), ram_at(&guest->ram, from), bytes);
	}
	/* PAE's first table has no bits that make an entry of a later one; and what PSE-36 has as high bits of an
	 * address is another address in the second level. */
	if (guest->roots[0].format != HS_PAGING_PAE && !guest->high && random_below(seed, 2)) {
		ram_put(&guest->ram, guest->roots[1].base.v + (uint64_t)300 * bytes, bytes, guest->roots[1].base.v | 7);
	}
}

static void guest_init(struct guest *guest, uint64_t seed, enum hs_paging_format format)
{
	uint64_t *words;

	memset(guest, 0, sizeof(*guest));
	ram_init(&guest->ram, seed & 1);
	ram_add(&guest->ram, MEMORY_GPA, MEMORY_BYTES);
	ram_add(&guest->ram, SCRATCH_GPA, SCRATCH_BYTES);
	ram_add(&guest->ram, HIGH_GPA, HIGH_BYTES);
	*ram_at(&guest->ram, HIGH_GPA + 0x123456) = 0x5a;
	/* Tables in memory that large pages show, now and then. */
	ram_set_tables(&guest->ram, seed % 4 == 1 ? INNER_GPA : SCRATCH_GPA, TABLES_BYTES);
	for (unsigned int i = 0; i < ROOTS; i++) {
		guest->roots[i] = (struct hs_root){ .format = format, .pse = true, .nxe = true };
		assert_int_equal(guest->ram.source.take(guest->ram.source.ctx, &guest->roots[i].base, NULL), HS_OK);
	}
	if (seed % 5 == 0) {
		guest->roots[2] = guest->roots[0];
	}
	for (unsigned int i = 0; i < MAPPINGS; i++) {
		map_random(guest, &seed);
	}
	share_tables(guest, &seed);
	for (unsigned int i = 0; i < ROOTS; i++) {
		struct hs_mapping window = {
			.gva = { window_gva(format) },
			.gpa = { SCRATCH_GPA },
			.length = SCRATCH_BYTES,
			.prot = HS_PROT_READ | HS_PROT_WRITE,
			.leaf = HS_LEAF_ACCESSED | HS_LEAF_DIRTY,
		};

		(void)!map(guest, i, window);
	}
	/* Every second page is different from all others; the rest are zero. */
	for (uint64_t gpa = MEMORY_GPA; gpa < INNER_GPA; gpa += 2 * HS_PAGE_SIZE) {
		words = (uint64_t *)ram_at(&guest->ram, gpa);
		words[gpa / HS_PAGE_SIZE % 512] = gpa;
	}
	for (uint64_t gpa = SCRATCH_GPA + TABLES_BYTES; gpa < SCRATCH_GPA + SCRATCH_BYTES; gpa += HS_PAGE_SIZE) {
		words = (uint64_t *)ram_at(&guest->ram, gpa);
		words[gpa / HS_PAGE_SIZE % 512] = gpa;
	}
	guest->input = (struct hs_compact_input){
		.phys = &guest->ram.phys,
		.roots = guest->roots,
		.root_count = ROOTS,
		.cow = seed & 2,
		.gpa = { MEMORY_GPA },
		.limit = 8 * MEMORY_BYTES,
		.tables_gpa = { SCRATCH_GPA + 0x2000 },
		.tables_limit = TABLES_BYTES - 0x2000,
		.scratch_gpa = { SCRATCH_GPA },
		.scratch_gva = { window_gva(format) },
		.scratch_bytes = SCRATCH_BYTES,
	};
}

static void read_file(struct ram *ram, uint64_t gpa, int fd, uint64_t offset, uint64_t length)
{
	assert_int_equal(pread(fd, ram_at(ram, gpa), length, (off_t)offset), (ssize_t)length);
}

/* The snapshot in a memory of its own, that has nothing else. */
static void load(struct ram *ret, const struct hs_plan *plan, int fd)
{
	uint64_t memory = plan->bytes[HS_PART_SHARED] + plan->bytes[HS_PART_PRIVATE];

	ram_init(ret, true);
	if (memory > 0) {
		ram_add(ret, MEMORY_GPA, memory);
		read_file(ret, MEMORY_GPA, fd, 0, memory);
	}
	ram_add(ret, SCRATCH_GPA, SCRATCH_BYTES);
	read_file(ret, plan->gpa[HS_PART_TABLES], fd, plan->offset[HS_PART_TABLES], plan->bytes[HS_PART_TABLES]);
}

/* Which page became which, both ways, in pages from 0 and scratch behind memory. */
#define FRAMES 0x30000
struct moves {
	uint64_t to[FRAMES], from[FRAMES];
	unsigned int leaves[FRAMES]; /* entries that map a page, the window's not counted */
	bool written[FRAMES];        /* and one of them lets the guest write, or is large */
};

static size_t frame_of(uint64_t gpa)
{
	size_t frame = gpa / HS_PAGE_SIZE;

	if (gpa >= HIGH_GPA) {
		frame = 0x20000 + (gpa - HIGH_GPA) / HS_PAGE_SIZE;
	} else if (gpa >= SCRATCH_GPA) {
		frame = 0x10000 + (gpa - SCRATCH_GPA) / HS_PAGE_SIZE;
	}

	assert_true(frame < FRAMES);
	return frame;
}

static bool holds_table(const struct hs_plan *plan, uint64_t gpa)
{
	for (size_t i = 0; i < plan->table_count; i++) {
		if (plan->tables[i].table / HS_PAGE_SIZE == gpa / HS_PAGE_SIZE) {
			return true;
		}
	}
	return false;
}

static void check_rights(const struct hs_plan *plan, unsigned int leaves, const struct hs_range *old,
			 const struct hs_range *new)
{
	bool writable = (old->prot & HS_PROT_WRITE) || old->cow;
	bool tagged = !old->cow && (old->leaf & HS_LEAF_AVL);

	assert_int_equal(new->user, old->user);
	if (!plan->input->cow || !writable || tagged) {
		assert_int_equal(new->prot, old->prot);
		assert_int_equal(new->leaf, old->leaf);
		return;
	}
	/* Copy-on-write where nobody else has the page, else plainly writable: two mappings of a page never part. */
	assert_true(new->cow != !!(new->prot &HS_PROT_WRITE));
	assert_true(!new->cow || (leaves == 1 && old->page_bytes == HS_PAGE_SIZE));
	assert_true(new->cow == (new->gpa.v < plan->gpa[HS_PART_PRIVATE]));
	assert_int_equal(new->prot | HS_PROT_WRITE, old->prot | HS_PROT_WRITE);
	assert_int_equal(new->leaf & ~HS_LEAF_AVL, old->leaf & ~HS_LEAF_AVL);
}

static void check_page(struct guest *guest, struct ram *ram, const struct hs_plan *plan, struct moves *moves,
		       const struct hs_range *old, const struct hs_range *new)
{
	size_t from = frame_of(old->gpa.v);
	size_t to = frame_of(new->gpa.v);

	assert_int_equal(old->page_bytes, new->page_bytes);
	if (hs_plan_is_window(plan->input, old->start.v, old->gpa.v, HS_PAGE_SIZE)) {
		assert_int_equal(new->gpa.v, old->gpa.v);
		assert_int_equal(new->prot, old->prot);
		assert_int_equal(new->leaf, old->leaf);
		return;
	}
	if (!moves->to[from]) {
		assert_int_equal(moves->from[to], 0);
		moves->to[from] = new->gpa.v;
		moves->from[to] = old->gpa.v;
	}
	assert_int_equal(moves->to[from], new->gpa.v);
	assert_int_equal(moves->from[to], old->gpa.v);
	if (!holds_table(plan, old->gpa.v)) {
		check_rights(plan, moves->leaves[from], old, new);
		assert_true(moves->written[from] || new->gpa.v < plan->gpa[HS_PART_PRIVATE]);
		assert_memory_equal(ram_at(ram, new->gpa.v), ram_at(&guest->ram, old->gpa.v), HS_PAGE_SIZE);
	}
}

static struct hs_range page_of(const struct hs_range *range, uint64_t at)
{
	struct hs_range page = *range;

	page.gpa.v += at - range->start.v;
	page.start.v = at;
	page.length = HS_PAGE_SIZE;
	return page;
}

/* One space, page by page: the same addresses are mapped, and to the same things. */
static void check_space(struct guest *guest, struct ram *ram, const struct hs_plan *plan, unsigned int space,
			struct moves *moves)
{
	static struct hs_iter iter;
	struct hs_range old;
	uint64_t bytes[2] = { 0, 0 };

	hs_iter_init(&iter, &guest->ram.phys, &guest->roots[space], hs_gva_of(0), 0, hs_budget_default());
	while (hs_iter_next(&iter, &old, NULL) == HS_OK) {
		bytes[0] += old.length;
		for (uint64_t at = old.start.v; at - old.start.v < old.length; at += HS_PAGE_SIZE) {
			struct hs_range one;
			struct hs_range pages[2];

			hs_translate(&ram->phys, &plan->roots[space], hs_gva_of(at), &one);
			assert_int_equal(one.kind, HS_RANGE_MAPPED);
			pages[0] = page_of(&old, at);
			pages[1] = page_of(&one, at);
			check_page(guest, ram, plan, moves, &pages[0], &pages[1]);
		}
	}
	hs_iter_init(&iter, &ram->phys, &plan->roots[space], hs_gva_of(0), 0, hs_budget_default());
	while (hs_iter_next(&iter, &old, NULL) == HS_OK) {
		bytes[1] += old.length;
	}
	assert_int_equal(bytes[0], bytes[1]);
}

struct counts {
	uint64_t tables, aliases;
};

/* Also counts, for `moves` not NULL, the entries that map each page. */
static struct counts count_tables(const struct hs_phys *phys, const struct hs_root *roots, struct moves *moves,
				  const struct hs_compact_input *input)
{
	static struct hs_space_place places[8192];
	static struct hs_spaces spaces;
	struct counts counts = { 0, 0 };
	struct hs_space_item item;

	hs_spaces_init(&spaces, phys, roots, ROOTS, places, 8192, hs_budget_default());
	while (hs_spaces_next(&spaces, &item, NULL) == HS_OK) {
		counts.tables += item.kind == HS_SPACE_TABLE;
		counts.aliases += item.kind == HS_SPACE_ALIAS;
		for (uint64_t at = 0; moves && item.kind == HS_SPACE_RANGE && at < item.length; at += HS_PAGE_SIZE) {
			uint64_t gpa = item.range.gpa.v + at;

			if (!hs_plan_is_window(input, item.gva.v + at, gpa, HS_PAGE_SIZE)) {
				moves->leaves[frame_of(gpa)]++;
				moves->written[frame_of(gpa)] |= (item.prot & HS_PROT_WRITE) ||
								 item.range.page_bytes > HS_PAGE_SIZE ||
								 (input->cow && item.range.cow);
			}
		}
	}
	return counts;
}

static void one_round(uint64_t seed, enum hs_paging_format format)
{
	static struct moves moves;
	static struct guest guest;
	struct hs_plan plan;
	struct ram ram;
	struct counts counts[2];
	struct hs_error err = { 0 };
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	assert_true(fd >= 0);
	guest_init(&guest, seed, format);
	memset(&moves, 0, sizeof(moves));
	if (hs_plan_init(&plan, &guest.input, &err) || hs_plan_write(&plan, fd, "snapshot", &err)) {
		fail_msg("%s", err.message);
	}
	load(&ram, &plan, fd);
	counts[0] = count_tables(&guest.ram.phys, guest.roots, &moves, &guest.input);
	counts[1] = count_tables(&ram.phys, plan.roots, NULL, NULL);
	for (unsigned int i = 0; i < ROOTS; i++) {
		check_space(&guest, &ram, &plan, i, &moves);
	}
	assert_int_equal(counts[0].tables, counts[1].tables);
	assert_int_equal(counts[0].aliases, counts[1].aliases);
	hs_plan_deinit(&plan);
	ram_deinit(&ram);
	ram_deinit(&guest.ram);
	close(fd);
}

struct rounds {
	enum hs_paging_format format;
	uint64_t seed;
};

static void test_plan_random_guests_are_the_same_in_new_memory(void **state)
{
	struct rounds *rounds = *state;

	for (rounds->seed = 0; rounds->seed < ROUNDS; rounds->seed++) {
		one_round(rounds->seed, rounds->format);
	}
}

static int print_seed(void **state)
{
	struct rounds *rounds = *state;

	if (rounds->seed < ROUNDS) {
		print_message("# %s failed with seed %u\n", hs_paging_format_name(rounds->format),
			      (unsigned int)rounds->seed);
	}
	return 0;
}

#define TEST(rounds)                                                                                                   \
	cmocka_unit_test_prestate_setup_teardown(test_plan_random_guests_are_the_same_in_new_memory, NULL, print_seed, \
						 &(rounds))

int main(void)
{
	struct rounds rounds[] = {
		{ .format = HS_PAGING_32BIT },
		{ .format = HS_PAGING_PAE },
		{ .format = HS_PAGING_4LEVEL },
		{ .format = HS_PAGING_5LEVEL },
	};
	const struct CMUnitTest tests[] = { TEST(rounds[0]), TEST(rounds[1]), TEST(rounds[2]), TEST(rounds[3]) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
