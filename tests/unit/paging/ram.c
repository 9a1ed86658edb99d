/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ram_region *region_at(struct ram *ram, uint64_t gpa)
{
	for (size_t i = 0; i < ram->count; i++) {
		if (gpa >= ram->regions[i].gpa && gpa - ram->regions[i].gpa < ram->regions[i].length) {
			return &ram->regions[i];
		}
	}
	return NULL;
}

static enum hs_status fail(struct hs_error *err, enum hs_status status, uint64_t where)
{
	if (err) {
		memset(err, 0, sizeof(*err));
		err->status = status;
		err->where = where;
		snprintf(err->message, sizeof(err->message), "test memory refused 0x%llx", (unsigned long long)where);
	}
	return status;
}

/* Bytes one by one, first checked and then moved: slow, and right at every border of a region. */
static enum hs_status check(struct ram *ram, uint64_t gpa, size_t length, bool write, struct hs_error *err)
{
	for (size_t i = 0; i < length; i++) {
		struct ram_region *region = region_at(ram, gpa + i);

		if (!region) {
			return fail(err, HS_ERR_UNREADABLE, gpa + i);
		}
		if (write && region->read_only) {
			return fail(err, HS_ERR_PERMISSION, gpa + i);
		}
	}
	return HS_OK;
}

static enum hs_status ram_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct ram *ram = ctx;
	enum hs_status st = check(ram, gpa.v, length, false, err);

	ram->reads++;
	for (size_t i = 0; !st && i < length; i++) {
		((uint8_t *)buffer)[i] = *ram_at(ram, gpa.v + i);
	}
	return st;
}

static enum hs_status ram_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	struct ram *ram = ctx;
	enum hs_status st = check(ram, gpa.v, length, true, err);

	ram->writes++;
	for (size_t i = 0; !st && i < length; i++) {
		*ram_at(ram, gpa.v + i) = ((const uint8_t *)buffer)[i];
	}
	return st;
}

static const uint8_t *ram_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct ram *ram = ctx;
	struct ram_region *region = region_at(ram, gpa.v);

	ram->pointers++;
	if (!region) {
		return NULL;
	}
	*ret_length = region->length - (gpa.v - region->gpa);
	return region->bytes + (gpa.v - region->gpa);
}

static int ram_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	struct ram *ram = ctx;
	struct ram_region *best = NULL;

	for (size_t i = 0; i < ram->count; i++) {
		struct ram_region *region = &ram->regions[i];

		if (region->gpa + region->length - 1 >= gpa.v && (!best || region->gpa < best->gpa)) {
			best = region;
		}
	}
	if (!best) {
		return 0;
	}
	ret_start->v = best->gpa > gpa.v ? best->gpa : gpa.v;
	*ret_length = best->gpa + best->length - ret_start->v;
	return 1;
}

static enum hs_status ram_take(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct ram *ram = ctx;

	if (ram->next_table >= ram->table_end) {
		return fail(err, HS_ERR_EXHAUSTED, ram->next_table);
	}
	ret->v = ram->next_table;
	ram->next_table += HS_PAGE_SIZE;
	ram->tables_taken++;
	return HS_OK;
}

void ram_init(struct ram *ram, bool pointers)
{
	memset(ram, 0, sizeof(*ram));
	ram->ops = (struct hs_phys_ops){
		.read = ram_read,
		.write = ram_write,
		.pointer = pointers ? ram_pointer : NULL,
		.next_region = ram_next_region,
	};
	ram->phys = (struct hs_phys){ .ops = &ram->ops, .ctx = ram };
	ram->source = (struct hs_table_source){ .take = ram_take, .ctx = ram };
}

void ram_deinit(struct ram *ram)
{
	for (size_t i = 0; i < ram->count; i++) {
		free(ram->regions[i].bytes);
	}
	ram->count = 0;
}

int ram_drop(void **state)
{
	ram_deinit(*state);
	return 0;
}

void ram_add(struct ram *ram, uint64_t gpa, uint64_t length)
{
	uint8_t *bytes = calloc(1, length);

	if (!bytes || ram->count == RAM_REGIONS_MAX) {
		fprintf(stderr, "ram_add: no room for %llu bytes\n", (unsigned long long)length);
		abort();
	}
	ram->regions[ram->count++] = (struct ram_region){ .gpa = gpa, .length = length, .bytes = bytes };
}

void ram_set_tables(struct ram *ram, uint64_t gpa, uint64_t length)
{
	ram->next_table = gpa;
	ram->table_end = gpa + length;
}

uint8_t *ram_at(struct ram *ram, uint64_t gpa)
{
	struct ram_region *region = region_at(ram, gpa);

	if (!region) {
		fprintf(stderr, "ram_at: nothing at 0x%llx\n", (unsigned long long)gpa);
		abort();
	}
	return region->bytes + (gpa - region->gpa);
}

void ram_put(struct ram *ram, uint64_t gpa, unsigned int bytes, uint64_t value)
{
	for (unsigned int i = 0; i < bytes; i++) {
		*ram_at(ram, gpa + i) = (uint8_t)(value >> (8 * i));
	}
}

enum hs_status ram_map(struct ram *ram, const struct hs_root *root, const struct hs_mapping *mapping)
{
	return hs_build_map(&ram->phys, root, mapping, &ram->source, NULL);
}
