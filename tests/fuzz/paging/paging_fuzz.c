/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as page tables. The input makes a small physical memory of two regions and up to four roots into it (scene.h);
 * then every function of paging/ runs over it, and what must hold whatever the tables say is checked (checks.h). Those
 * that write come last.
 */
#include "driver.h"

#include "checks.h"

#include <stdlib.h>
#include <string.h>

bool same_range(const struct hs_range *a, const struct hs_range *b)
{
	return a->kind == b->kind && a->start.v == b->start.v && a->length == b->length && a->gpa.v == b->gpa.v &&
	       a->prot == b->prot && a->user == b->user && a->cow == b->cow && a->level == b->level &&
	       a->page_bytes == b->page_bytes && a->leaf == b->leaf;
}

static bool is_called(const struct hs_entry_field *field, const char *name)
{
	return strcmp(field->name, name) == 0;
}

struct rights rights_of_entry(const struct hs_root *root, unsigned int depth, uint64_t entry)
{
	struct rights ret = ALL_RIGHTS;
	struct hs_entry_fields fields;

	hs_entry_describe(root, depth, entry, &fields);
	for (unsigned int i = 0; i < fields.count; i++) {
		const struct hs_entry_field *field = &fields.fields[i];

		if (is_called(field, "RW") && !field->value) {
			ret.prot &= ~HS_PROT_WRITE;
		} else if (is_called(field, "XD") && field->value) {
			ret.prot &= ~HS_PROT_EXEC;
			ret.user_exec = false;
		} else if (is_called(field, "US") && !field->value) {
			ret.user = false;
		} else if (is_called(field, "AP") || is_called(field, "APTable")) {
			/* AP[1] lets user mode through, APTable[0] does not; AP[2] and APTable[1] forbid writes. */
			ret.user = (field->value & 1) == (is_called(field, "AP") ? 1 : 0);
			ret.prot &= field->value & 2 ? ~HS_PROT_WRITE : ~0;
		} else if (is_called(field, "PXN") || is_called(field, "PXNTable")) {
			ret.prot &= field->value ? ~HS_PROT_EXEC : ~0;
		} else if (is_called(field, "UXN") || is_called(field, "UXNTable")) {
			ret.user_exec = !field->value;
		}
	}
	return ret;
}

void lose_rights(struct rights *rights, struct rights other)
{
	rights->prot &= other.prot;
	rights->user = rights->user && other.user;
	rights->user_exec = rights->user_exec && other.user_exec;
}

int prot_of_rights(const struct rights *rights)
{
	bool exec = rights->user ? rights->user_exec : rights->prot & HS_PROT_EXEC;

	return (rights->prot & ~HS_PROT_EXEC) | (exec ? HS_PROT_EXEC : 0);
}

void check_agrees(const struct hs_phys *phys, const struct hs_root *root, const struct hs_range *range, uint64_t gva)
{
	struct hs_range one;

	hs_translate(phys, root, hs_gva_of(gva), &one);
	CHECK(one.kind == range->kind && one.prot == range->prot && one.user == range->user);
	CHECK(one.cow == range->cow && one.leaf == range->leaf && one.level == range->level);
	CHECK(one.page_bytes == range->page_bytes);
	if (range->kind == HS_RANGE_MAPPED) {
		CHECK(one.gpa.v + (gva - one.start.v) == range->gpa.v + (gva - range->start.v));
	} else {
		CHECK(one.gpa.v == range->gpa.v);
	}
}

/* Fields are those bits of the entry, each bit once, lower ones first; then what is reserved or ignored and yet set.
 * Nothing that is set is missing, an address apart. */
static void check_fields(const struct hs_entry_fields *fields, uint64_t entry)
{
	uint64_t seen = 0;

	CHECK(fields->count <= HS_ENTRY_FIELDS_MAX);
	for (unsigned int i = 0; i < fields->count; i++) {
		const struct hs_entry_field *field = &fields->fields[i];

		CHECK(field->mask != 0 && !(field->mask & seen));
		seen |= field->mask;
		if (is_called(field, "RSVD") || is_called(field, "IGN")) {
			CHECK(i + 2u >= fields->count && field->value == (entry & field->mask) && field->value != 0);
		} else {
			CHECK(i == 0 || field->mask > fields->fields[i - 1].mask);
			CHECK(field->value * (field->mask & -field->mask) == (entry & field->mask));
		}
	}
	CHECK(!fields->present || (entry & ~seen & ~SCENE_ADDRESS) == 0);
}

static bool is_reserved(const struct hs_entry_fields *fields)
{
	for (unsigned int i = 0; i < fields->count; i++) {
		if (is_called(&fields->fields[i], "RSVD")) {
			return true;
		}
	}
	return false;
}

/* The last entry of a path against what the lookup says it is. */
static void check_decision(const struct hs_path_level *level, const struct hs_entry_fields *fields,
			   const struct hs_range *range)
{
	CHECK(level->readable == (range->kind != HS_RANGE_UNREADABLE));
	switch (range->kind) {
	case HS_RANGE_MAPPED:
		CHECK(fields->present && fields->leaf && !is_reserved(fields) && fields->gpa.v == range->gpa.v);
		break;
	case HS_RANGE_HOLE:
		CHECK(!fields->present);
		break;
	case HS_RANGE_UNREADABLE:
		CHECK(range->gpa.v == level->table.v);
		break;
	default:
		CHECK(range->kind == HS_RANGE_RESERVED && is_reserved(fields) && range->gpa.v == level->place.v);
		break;
	}
}

static void check_path(struct scene_memory *memory, const struct hs_root *root, uint64_t gva)
{
	unsigned int entry_bytes = scene_entry_bytes(root->format);
	struct rights all = ALL_RIGHTS;
	struct hs_entry_fields fields = { .gpa = { 0 } };
	struct hs_path path;
	struct hs_range range;

	hs_translate(&memory->phys, root, hs_gva_of(gva), &range);
	hs_path_find(&memory->phys, root, hs_gva_of(gva), &path);
	CHECK(same_range(&path.range, &range));
	CHECK(path.count <= scene_levels(root->format));
	CHECK(path.count == 0 ? range.kind == HS_RANGE_NON_CANONICAL || scene_levels(root->format) == 0
			      : path.count == range.level + 1);
	for (unsigned int depth = 0; depth < path.count; depth++) {
		const struct hs_path_level *level = &path.levels[depth];
		uint8_t *bytes = scene_bytes(memory, level->place.v, entry_bytes);
		uint64_t entry = 0;

		CHECK(level->readable == (bytes != NULL) && level->place.v - level->table.v < HS_PAGE_SIZE);
		for (unsigned int i = 0; bytes && i < entry_bytes; i++) {
			entry |= (uint64_t)bytes[i] << (8 * i);
		}
		CHECK(level->entry == entry);
		CHECK(depth == 0 || level->table.v == fields.gpa.v);
		hs_entry_describe(root, depth, entry, &fields);
		check_fields(&fields, entry);
		CHECK(depth + 1u == path.count || (fields.present && !fields.leaf && !is_reserved(&fields)));
		lose_rights(&all, rights_of_entry(root, depth, entry));
	}
	if (path.count > 0) {
		check_decision(&path.levels[path.count - 1], &fields, &range);
		CHECK(range.kind != HS_RANGE_MAPPED || (range.prot == prot_of_rights(&all) && range.user == all.user));
	}
}

/* All of a leaf's attributes have a name, and each a place of its own. */
static void check_attributes(const struct hs_root *root, const struct hs_range *range)
{
	struct hs_entry_fields fields;
	uint64_t seen = 0;

	hs_leaf_describe(root, range->leaf, &fields);
	CHECK(fields.count <= HS_ENTRY_FIELDS_MAX);
	for (unsigned int i = 0; i < fields.count; i++) {
		CHECK(!(fields.fields[i].mask & seen));
		seen |= fields.fields[i].mask;
	}
	CHECK((range->leaf & ~seen) == 0);
}

/* An access is allowed where the rights have it, and a fault says why not. */
static void check_access(const struct hs_root *root, const struct hs_range *range)
{
	for (unsigned int i = 0; i < 24; i++) {
		enum hs_access_by by = (enum hs_access_by)(i % 3);
		int prot = (int)(i / 3);
		uint32_t code = 0;
		enum hs_access_outcome outcome = hs_access_check(root, range, by, prot, &code);

		if (outcome == HS_ACCESS_ALLOWED) {
			CHECK(range->kind == HS_RANGE_MAPPED);
			CHECK((hs_access_rights(root, range, by) & prot) == prot);
		} else if (outcome == HS_ACCESS_PAGE_FAULT) {
			CHECK((hs_access_rights(root, range, by) & prot) != prot || range->kind != HS_RANGE_MAPPED);
			CHECK(!(code & HS_PF_P) == (range->kind == HS_RANGE_HOLE));
			CHECK(!(code & HS_PF_RSVD) == (range->kind != HS_RANGE_RESERVED));
			CHECK(!(code & HS_PF_W) == !(prot & HS_PROT_WRITE));
			CHECK(!(code & HS_PF_U) == (by != HS_ACCESS_BY_USER));
		}
	}
}

void check_lookup(struct scene *scene, const struct hs_root *root, uint64_t gva)
{
	const struct hs_phys *phys = &scene->guest.phys;
	struct hs_entry_fields fields;
	struct hs_range range;
	struct hs_range again;
	uint64_t entry = scene_random(scene) >> (64 - 8 * scene_entry_bytes(root->format));

	hs_translate(phys, root, hs_gva_of(gva), &range);
	CHECK(range.length > 0 && gva - range.start.v < range.length);
	hs_translate(phys, root, range.start, &again);
	CHECK(same_range(&range, &again));
	hs_translate(phys, root, hs_gva_of(range.start.v + (range.length - 1)), &again);
	CHECK(same_range(&range, &again));
	check_path(&scene->guest, root, gva);
	check_attributes(root, &range);
	check_access(root, &range);
	hs_entry_describe(root, (unsigned int)gva % 8, entry, &fields);
	check_fields(&fields, entry);
	CHECK((unsigned int)gva % 8 < scene_levels(root->format) ? fields.count > 0 : fields.count == 0);
}

/* Ranges that a walk gave, and up to where. */
struct ranges {
	struct hs_range range[SCENE_RANGES];
	size_t count;
	uint64_t end; /* the first address that it did not reach, if not whole */
	bool whole;
};

/* An address beside a range is in another one, or there is nothing. */
static void check_between(const struct hs_phys *phys, const struct hs_root *root, const struct ranges *ranges,
			  uint64_t start, uint64_t last, uint64_t gva)
{
	struct hs_range one;
	size_t found = 0;

	if (gva < start || gva > last || (!ranges->whole && gva >= ranges->end)) {
		return;
	}
	for (size_t i = 0; i < ranges->count; i++) {
		found += gva - ranges->range[i].start.v < ranges->range[i].length;
	}
	hs_translate(phys, root, hs_gva_of(gva), &one);
	CHECK(found == !(one.kind == HS_RANGE_HOLE || one.kind == HS_RANGE_NON_CANONICAL));
}

/* Whether two ranges should have been one. */
static bool continues(const struct hs_range *a, const struct hs_range *b)
{
	struct hs_range next = *a;

	next.start.v += a->length;
	next.gpa.v += a->kind == HS_RANGE_MAPPED ? a->length : 0;
	next.length = b->length;
	return a->kind != HS_RANGE_RESERVED && same_range(&next, b);
}

/* Collect the ranges of a walk; each is behind the one before and within the limits. */
static void collect(struct scene *scene, struct hs_iter *iter, uint64_t next, uint64_t last, struct ranges *ret)
{
	struct scene_memory *memory = &scene->guest;
	struct hs_error err = { .where = 0 };
	enum hs_status st;

	memory->visits = 0;
	memory->whole = 0;
	ret->count = 0;
	for (;;) {
		struct hs_range *range = &ret->range[ret->count];
		uint64_t end;

		st = hs_iter_next(iter, range, &err);
		if (st) {
			break;
		}
		end = range->start.v + (range->length - 1);
		CHECK(++ret->count <= scene->budget.ranges);
		CHECK(range->length > 0 && range->start.v >= next && end >= range->start.v && end <= last);
		CHECK(range->kind == HS_RANGE_MAPPED || range->kind == HS_RANGE_UNREADABLE ||
		      range->kind == HS_RANGE_RESERVED);
		CHECK(ret->count == 1 || !continues(range - 1, range));
		next = end + 1;
		if (next == 0) {
			st = hs_iter_next(iter, &(struct hs_range){ .length = 0 }, &err);
			CHECK(st);
			break;
		}
	}
	CHECK(st == HS_ERR_NOT_FOUND || st == HS_ERR_BUDGET);
	CHECK(hs_iter_next(iter, &(struct hs_range){ .length = 0 }, NULL) == st);
	/* Of a table, each entry is asked for once at most: by pointer, in a piece and alone. */
	CHECK(memory->whole <= scene->budget.tables && memory->visits <= scene->budget.tables * 1024 * 3);
	ret->whole = st == HS_ERR_NOT_FOUND;
	ret->end = err.where;
	CHECK(ret->whole || ret->count == 0 || ret->end >= next || next == 0);
}

void check_walk(struct scene *scene, const struct hs_root *root, uint64_t start, uint64_t length)
{
	static struct ranges ranges;
	const struct hs_phys *phys = &scene->guest.phys;
	uint64_t last = length == 0 || start + (length - 1) < start ? UINT64_MAX : start + (length - 1);
	struct hs_iter iter;

	hs_iter_init(&iter, phys, root, hs_gva_of(start), length, scene->budget);
	collect(scene, &iter, start, last, &ranges);
	for (size_t i = 0; i < ranges.count; i++) {
		const struct hs_range *range = &ranges.range[i];
		uint64_t end = range->start.v + (range->length - 1);

		check_agrees(phys, root, range, range->start.v);
		check_agrees(phys, root, range, end);
		check_agrees(phys, root, range, range->start.v + scene_random(scene) % range->length);
		if (i % 16 == 0) {
			check_between(phys, root, &ranges, start, last, range->start.v - 1);
			check_between(phys, root, &ranges, start, last, end + 1);
			check_between(phys, root, &ranges, start, last,
				      end + scene_random(scene) % (UINT64_C(1) << 40));
		}
	}
	check_between(phys, root, &ranges, start, last, scene->gva);
}

/* Bytes one by one: what reading them should have given. */
static void check_read(struct scene *scene, const struct hs_root *root, uint64_t gva, const uint8_t *bytes, size_t got,
		       size_t length)
{
	for (unsigned int i = 0; i < 8 && got > 0; i++) {
		size_t at = scene_random(scene) % got;
		struct hs_range range;
		const uint8_t *byte;

		hs_translate(&scene->guest.phys, root, hs_gva_of(gva + at), &range);
		byte = scene_bytes(&scene->guest, range.gpa.v + (gva + at - range.start.v), 1);
		CHECK(range.kind == HS_RANGE_MAPPED && byte && *byte == bytes[at]);
	}
	if (got < length) {
		struct hs_range range;

		hs_translate(&scene->guest.phys, root, hs_gva_of(gva + got), &range);
		/* The last address of all is followed by none. */
		CHECK(range.kind != HS_RANGE_MAPPED || gva + got < gva ||
		      !scene_bytes(&scene->guest, range.gpa.v + (gva + got - range.start.v), 1));
	}
}

void check_bytes(struct scene *scene, const struct hs_root *root, uint64_t gva, size_t length)
{
	const struct scene_region *regions = scene->guest.regions;
	const struct hs_phys *phys = &scene->guest.phys;
	uint8_t *before = malloc(length + 1);
	uint8_t *all = malloc(SCENE_FIRST_BYTES + SCENE_SECOND_BYTES);
	size_t got = 0;
	bool here;

	CHECK(before && all);
	memcpy(all, regions[0].bytes, SCENE_FIRST_BYTES);
	memcpy(all + SCENE_FIRST_BYTES, regions[1].bytes, SCENE_SECOND_BYTES);
	here = hs_vmem_read(phys, root, hs_gva_of(gva), before, length, &got, NULL) == HS_OK;
	CHECK(!here || got <= length);
	check_read(scene, root, gva, before, got, length);
	/* Writing what is there succeeds exactly where all of it could be read, and changes nothing. */
	CHECK((hs_vmem_write(phys, root, hs_gva_of(gva), before, length, NULL) == HS_OK) == (here && got == length));
	CHECK(memcmp(all, regions[0].bytes, SCENE_FIRST_BYTES) == 0);
	CHECK(memcmp(all + SCENE_FIRST_BYTES, regions[1].bytes, SCENE_SECOND_BYTES) == 0);
	free(all);
	free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scene scene;

	if (!scene_init(&scene, data, size)) {
		return 0;
	}
	for (uint32_t i = 0; i < scene.root_count; i++) {
		const struct hs_root *root = &scene.roots[i];

		check_lookup(&scene, root, scene.gva);
		check_lookup(&scene, root, scene.gva & 0xffffffff);
		check_walk(&scene, root, 0, 0);
		check_walk(&scene, root, scene.gva, scene.length);
		check_pages(&scene, root, 0, 0);
		check_pages(&scene, root, scene.gva, scene.length);
		check_bytes(&scene, root, scene.gva, scene.length % 20000);
		check_bytes(&scene, root, scene.gva & 0x3fffffff, scene.length % 20000);
	}
	check_spaces(&scene);
	check_reverse(&scene);
	check_tables(&scene);
	check_build(&scene);
	scene_deinit(&scene);
	return 0;
}
