/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Walks over 1 GiB of mappings, against a plain read of the same tables: each table page that the walk visits, once, in
 * the order of the walk, all of its entries summed. Both by CPU time, which other work on the machine disturbs least.
 * Usage: [ROUNDS]
 */
#include "harness.h"

#include <hindsight/spaces.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAPPED_BYTES (UINT64_C(1) << 30)
#define PAGES (MAPPED_BYTES / HS_PAGE_SIZE)
#define TABLES_GPA 0x100000u
#define TABLES_MAX 4096u
#define ROOTS_MAX 8
#define PLACES (2u * TABLES_MAX)
/* Times that one turn goes over all of it, so that it takes milliseconds. */
#define PASSES 8

enum shape { CONTIGUOUS, SCATTERED, MIXED, LARGE };

static const struct layout {
	const char *name;
	enum hs_paging_format format;
	enum shape shape;
	uint32_t roots;
} layouts[] = {
	{ "amd64-4, 4 KiB pages that continue", HS_PAGING_4LEVEL, CONTIGUOUS, 1 },
	{ "amd64-4, 4 KiB pages scattered", HS_PAGING_4LEVEL, SCATTERED, 1 },
	{ "amd64-4, 4 KiB pages scattered, of 32 different attributes at random", HS_PAGING_4LEVEL, MIXED, 1 },
	{ "amd64-4, 2 MiB pages scattered", HS_PAGING_4LEVEL, LARGE, 1 },
	{ "pae, 4 KiB pages that continue", HS_PAGING_PAE, CONTIGUOUS, 1 },
	{ "pae, 4 KiB pages scattered", HS_PAGING_PAE, SCATTERED, 1 },
	{ "i686, 4 KiB pages that continue", HS_PAGING_32BIT, CONTIGUOUS, 1 },
	{ "i686, 4 KiB pages scattered", HS_PAGING_32BIT, SCATTERED, 1 },
	{ "amd64-4, 4 KiB pages scattered, eight roots that share half of their tables", HS_PAGING_4LEVEL, SCATTERED,
	  ROOTS_MAX },
};

/* The address spaces of one layout, in a memory that is only their tables. */
struct scene {
	const struct layout *layout;
	struct hs_root roots[ROOTS_MAX];
	uint8_t *memory; /* TABLES_MAX pages at TABLES_GPA */
	uint32_t taken;  /* of them */
	struct hs_phys phys;
	struct hs_space_place *places;     /* PLACES of them */
	const uint8_t *tables[TABLES_MAX]; /* in the order of the walk */
	uint32_t table_count;
	uint64_t leaves;
};

/* What a visitor makes of the pages: all that there is about each. */
struct totals {
	uint64_t pages, gva, gpa, prot, user, cow, leaf;
};

static enum hs_status read_memory(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	const struct scene *scene = ctx;
	uint64_t offset = gpa.v - TABLES_GPA;

	(void)err;
	if (offset >= TABLES_MAX * HS_PAGE_SIZE || length > TABLES_MAX * HS_PAGE_SIZE - offset) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(buffer, scene->memory + offset, length);
	return HS_OK;
}

static enum hs_status write_memory(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	struct scene *scene = ctx;
	uint64_t offset = gpa.v - TABLES_GPA;

	(void)err;
	if (offset >= TABLES_MAX * HS_PAGE_SIZE || length > TABLES_MAX * HS_PAGE_SIZE - offset) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(scene->memory + offset, buffer, length);
	return HS_OK;
}

static const uint8_t *pointer_to(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	const struct scene *scene = ctx;
	uint64_t offset = gpa.v - TABLES_GPA;

	if (offset >= TABLES_MAX * HS_PAGE_SIZE) {
		return NULL;
	}
	*ret_length = TABLES_MAX * HS_PAGE_SIZE - offset;
	return scene->memory + offset;
}

static enum hs_status take_table(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct scene *scene = ctx;

	(void)err;
	if (scene->taken == TABLES_MAX) {
		return HS_ERR_EXHAUSTED;
	}
	ret->v = TABLES_GPA + (uint64_t)scene->taken++ * HS_PAGE_SIZE;
	return HS_OK;
}

static const struct hs_phys_ops memory_ops = { .read = read_memory, .write = write_memory, .pointer = pointer_to };

/* The page at index of a layout: scattered ones are a permutation in which no two neighbours continue. */
static struct hs_mapping mapping_of(const struct scene *scene, uint64_t index)
{
	enum shape shape = scene->layout->shape;
	uint64_t bytes = shape == LARGE ? UINT64_C(2) << 20 : HS_PAGE_SIZE;
	uint64_t frame = shape == CONTIGUOUS ? index : index * 0x9e3779b1u % (MAPPED_BYTES / bytes);
	uint64_t mixed = shape != MIXED ? 0 : index * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	return (struct hs_mapping){
		.gva = { MAPPED_BYTES + index * bytes },
		.gpa = { MAPPED_BYTES + frame * bytes },
		.length = bytes,
		.prot = (mixed & 1 ? 0 : HS_PROT_WRITE) | (mixed & 2 ? 0 : HS_PROT_EXEC),
		.user = mixed & 4,
		.cow = (mixed & 9) == 9,
		.leaf = mixed & (HS_LEAF_ACCESSED | HS_LEAF_DIRTY),
		.large = shape == LARGE,
	};
}

/* Let the page table for gva be that of the first root. */
static bool share_table(struct scene *scene, uint32_t space, uint64_t gva, struct hs_error *err)
{
	struct hs_space_item alias = {
		.kind = HS_SPACE_ALIAS,
		.depth = 3,
		.gva = { gva },
		.owner_gva = { gva },
		.entry = 0x27, /* P, W, U, A */
	};

	return !hs_build_link(&scene->phys, &scene->roots[space], &alias, &scene->roots[0], err);
}

/* Every second page table of the roots behind the first is the first's. */
static bool is_shared(uint32_t space, uint64_t page)
{
	return space > 0 && page / 512 % 2 == 1;
}

static bool build_space(struct scene *scene, uint32_t space, struct hs_error *err)
{
	const struct hs_table_source source = { .take = take_table, .ctx = scene };
	uint64_t count = scene->layout->shape == LARGE ? MAPPED_BYTES >> 21 : PAGES;

	if (take_table(scene, &scene->roots[space].base, err)) {
		return false;
	}
	for (uint64_t i = 0; i < count; i++) {
		struct hs_mapping mapping = mapping_of(scene, i);
		bool done = true;

		if (!is_shared(space, i)) {
			done = !hs_build_map(&scene->phys, &scene->roots[space], &mapping, &source, err);
		} else if (i % 512 == 0) {
			done = share_table(scene, space, mapping.gva.v, err);
		}
		if (!done) {
			return false;
		}
	}
	return true;
}

static const struct hs_budget no_limit = { .tables = UINT64_MAX, .ranges = UINT64_MAX };

static void start_spaces(struct scene *scene, struct hs_spaces *ret)
{
	hs_spaces_init(ret, &scene->phys, scene->roots, scene->layout->roots, scene->places, PLACES, no_limit);
}

/* The tables in the order of the walk, and how many leaves are in them. */
static bool list_tables(struct scene *scene, struct hs_error *err)
{
	static struct hs_spaces spaces;
	struct hs_space_item item;
	enum hs_status st;

	start_spaces(scene, &spaces);
	while ((st = hs_spaces_next(&spaces, &item, err)) == HS_OK) {
		if (item.kind == HS_SPACE_TABLE) {
			scene->tables[scene->table_count++] = scene->memory + (item.table.v - TABLES_GPA);
		} else if (item.kind == HS_SPACE_RANGE) {
			scene->leaves += item.length / item.range.page_bytes;
		}
	}
	return st == HS_ERR_NOT_FOUND;
}

static bool build(struct scene *scene, struct hs_error *err)
{
	scene->memory = aligned_alloc(HS_PAGE_SIZE, (size_t)TABLES_MAX * HS_PAGE_SIZE);
	scene->places = malloc(PLACES * sizeof(scene->places[0]));
	if (!scene->memory || !scene->places) {
		*err = (struct hs_error){ .status = HS_ERR_NOMEM, .message = "no memory" };
		return false;
	}
	memset(scene->memory, 0, (size_t)TABLES_MAX * HS_PAGE_SIZE);
	scene->phys = (struct hs_phys){ .ops = &memory_ops, .ctx = scene };
	for (uint32_t i = 0; i < scene->layout->roots; i++) {
		scene->roots[i] = (struct hs_root){ .format = scene->layout->format, .pse = true, .nxe = true };
		if (!build_space(scene, i, err)) {
			return false;
		}
	}
	return list_tables(scene, err);
}

static double cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Keeps the compiler from dropping what leads to a value, or from knowing that two turns have the same. */
static void keep(const void *value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* Adds an entry, and keeps the compiler from reading several at a time by vectors. */
static inline uint64_t add_entry(uint64_t sum, uint64_t entry)
{
	sum += entry;
	__asm__ volatile("" : "+r"(sum));
	return sum;
}

/* One load and one addition an entry, of the size that the format has. */
static uint64_t sum_of(const uint8_t *table, bool small)
{
	const uint64_t *large_entries = (const uint64_t *)(const void *)table;
	const uint32_t *small_entries = (const uint32_t *)(const void *)table;
	uint64_t sum = 0;

	for (size_t i = 0; small && i < HS_PAGE_SIZE / sizeof(*small_entries); i++) {
		sum = add_entry(sum, small_entries[i]);
	}
	for (size_t i = 0; !small && i < HS_PAGE_SIZE / sizeof(*large_entries); i++) {
		sum = add_entry(sum, large_entries[i]);
	}
	return sum;
}

static bool read_plainly(void *ctx, double *ret_ns)
{
	const struct scene *scene = ctx;
	double start = cpu_now();

	for (unsigned int pass = 0; pass < PASSES; pass++) {
		uint64_t sum = 0;

		for (uint32_t i = 0; i < scene->table_count; i++) {
			sum += sum_of(scene->tables[i], scene->layout->format == HS_PAGING_32BIT);
		}
		keep(&sum);
	}
	*ret_ns = (cpu_now() - start) / (double)(PASSES * scene->leaves);
	return true;
}

/* A visitor that takes all there is about each page. */
static struct totals visit(const struct hs_pages *pages, struct totals totals)
{
	for (uint32_t i = 0; i < pages->count; i++) {
		totals.gva += hs_pages_gva(pages, i).v;
		totals.gpa += hs_pages_gpa(pages, i).v;
	}
	totals.pages += pages->count;
	totals.prot += (uint64_t)pages->first.prot * pages->count;
	totals.user += pages->first.user * pages->count;
	totals.cow += pages->first.cow * pages->count;
	totals.leaf += pages->first.leaf * pages->count;
	return totals;
}

static bool walk_pages(void *ctx, double *ret_ns)
{
	struct scene *scene = ctx;
	double start = cpu_now();
	struct hs_pages pages;
	struct hs_iter iter;

	for (unsigned int pass = 0; pass < PASSES; pass++) {
		struct totals totals = { 0 };

		hs_iter_init(&iter, &scene->phys, &scene->roots[0], hs_gva_of(0), 0, no_limit);
		while (hs_iter_pages(&iter, &pages, NULL) == HS_OK) {
			totals = visit(&pages, totals);
		}
		if (totals.pages != scene->leaves) {
			return false;
		}
		keep(&totals);
	}
	*ret_ns = (cpu_now() - start) / (double)(PASSES * scene->leaves);
	return true;
}

/* The frames alone: what a search for memory wants. */
static bool walk_frames(void *ctx, double *ret_ns)
{
	struct scene *scene = ctx;
	double start = cpu_now();
	struct hs_pages pages;
	struct hs_iter iter;

	for (unsigned int pass = 0; pass < PASSES; pass++) {
		uint64_t sum = 0;

		hs_iter_init(&iter, &scene->phys, &scene->roots[0], hs_gva_of(0), 0, no_limit);
		while (hs_iter_pages(&iter, &pages, NULL) == HS_OK) {
			for (uint32_t i = 0; i < pages.count; i++) {
				sum += hs_pages_gpa(&pages, i).v;
			}
		}
		keep(&sum);
	}
	*ret_ns = (cpu_now() - start) / (double)(PASSES * scene->leaves);
	return true;
}

static bool walk_ranges(void *ctx, double *ret_ns)
{
	struct scene *scene = ctx;
	double start = cpu_now();
	struct hs_iter iter;
	struct hs_range range;

	for (unsigned int pass = 0; pass < PASSES; pass++) {
		struct totals totals = { 0 };

		hs_iter_init(&iter, &scene->phys, &scene->roots[0], hs_gva_of(0), 0, no_limit);
		while (hs_iter_next(&iter, &range, NULL) == HS_OK) {
			totals.pages += range.length / range.page_bytes;
			totals.gva += range.start.v;
			totals.gpa += range.gpa.v;
		}
		if (totals.pages != scene->leaves) {
			return false;
		}
		keep(&totals);
	}
	*ret_ns = (cpu_now() - start) / (double)(PASSES * scene->leaves);
	return true;
}

static bool walk_spaces(void *ctx, double *ret_ns)
{
	static struct hs_spaces spaces;
	struct scene *scene = ctx;
	double start = cpu_now();
	struct hs_space_item item;

	for (unsigned int pass = 0; pass < PASSES; pass++) {
		struct totals totals = { 0 };

		start_spaces(scene, &spaces);
		while (hs_spaces_next(&spaces, &item, NULL) == HS_OK) {
			totals.pages += item.kind == HS_SPACE_RANGE ? item.length / item.range.page_bytes : 0;
			totals.gva += item.gva.v;
			totals.gpa += item.range.gpa.v;
		}
		if (totals.pages != scene->leaves) {
			return false;
		}
		keep(&totals);
	}
	*ret_ns = (cpu_now() - start) / (double)(PASSES * scene->leaves);
	return true;
}

static bool compare(struct scene *scene, unsigned int rounds, const char *name, bool (*run)(void *, double *))
{
	char title[160];
	struct hs_bench bench = {
		.title = title,
		.unit = "ns",
		.rounds = rounds,
		.ours = { name, run, scene },
		.peer = { "plain read of the tables", read_plainly, scene },
	};

	(void)snprintf(title, sizeof(title), "%s: a leaf of %llu in %u tables", scene->layout->name,
		       (unsigned long long)scene->leaves, scene->table_count);
	return hs_bench_run(&bench);
}

static bool measure(const struct layout *layout, unsigned int rounds)
{
	static struct scene scene;
	struct hs_error err;
	bool done;

	scene = (struct scene){ .layout = layout };
	done = build(&scene, &err);
	if (!done) {
		fprintf(stderr, "paging: %s: %s\n", layout->name, err.message);
	}
	if (layout->roots == 1) {
		done = done && compare(&scene, rounds, "hs_iter_pages, all of each page", walk_pages) &&
		       compare(&scene, rounds, "hs_iter_pages, its memory", walk_frames) &&
		       compare(&scene, rounds, "hs_iter_next", walk_ranges);
	}
	done = done && compare(&scene, rounds, "hs_spaces_next", walk_spaces);
	free(scene.memory);
	free(scene.places);
	return done;
}

int main(int argc, char **argv)
{
	unsigned int rounds = hs_bench_rounds(argc == 2 ? argv[1] : NULL, 51);

	if (argc > 2) {
		fprintf(stderr, "usage: paging [ROUNDS]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		if (!measure(&layouts[i], rounds)) {
			return 1;
		}
	}
	return 0;
}
