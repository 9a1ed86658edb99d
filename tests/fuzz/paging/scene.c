/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scene.h"

#include "lib/random.h"

#include <stdlib.h>
#include <string.h>

uint8_t *scene_bytes(struct scene_memory *memory, uint64_t gpa, uint64_t length)
{
	for (size_t i = 0; i < 2; i++) {
		const struct scene_region *region = &memory->regions[i];

		if (gpa >= region->gpa && gpa - region->gpa <= region->length &&
		    length <= region->length - (gpa - region->gpa)) {
			return region->bytes + (gpa - region->gpa);
		}
	}
	return NULL;
}

static enum hs_status missing(struct scene_memory *memory, uint64_t gpa, uint64_t length, struct hs_error *err)
{
	for (uint64_t i = 0; err && i < length; i++) {
		if (!scene_bytes(memory, gpa + i, 1)) {
			*err = (struct hs_error){ .status = HS_ERR_UNREADABLE, .where = gpa + i };
			break;
		}
	}
	return HS_ERR_UNREADABLE;
}

static enum hs_status memory_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	const uint8_t *bytes = scene_bytes(ctx, gpa.v, length);

	((struct scene_memory *)ctx)->visits++;
	if (!bytes) {
		return missing(ctx, gpa.v, length, err);
	}
	memcpy(buffer, bytes, length);
	return HS_OK;
}

static enum hs_status memory_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	uint8_t *bytes = scene_bytes(ctx, gpa.v, length);

	if (!bytes) {
		return missing(ctx, gpa.v, length, err);
	}
	memcpy(bytes, buffer, length);
	return HS_OK;
}

static const uint8_t *memory_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct scene_memory *memory = ctx;

	memory->visits++;
	for (size_t i = 0; i < 2; i++) {
		const struct scene_region *region = &memory->regions[i];
		uint64_t offset = gpa.v - region->gpa;

		if (region->pointers && gpa.v >= region->gpa && offset < region->length) {
			memory->whole += (offset | (HS_PAGE_SIZE - 1)) < region->length;
			*ret_length = region->length - offset;
			return region->bytes + offset;
		}
	}
	return NULL;
}

static enum hs_status take_table(void *ctx, hs_gpa *ret, struct hs_error *err)
{
	struct scene_memory *memory = ctx;

	if (memory->next_table >= memory->tables_end) {
		return missing(memory, memory->tables_end, 1, err) ? HS_ERR_EXHAUSTED : HS_OK;
	}
	memset(scene_bytes(memory, memory->next_table, HS_PAGE_SIZE), 0, HS_PAGE_SIZE);
	ret->v = memory->next_table;
	memory->next_table += HS_PAGE_SIZE;
	return HS_OK;
}

void scene_memory_init(struct scene_memory *memory, uint64_t gpa, uint8_t *bytes, uint64_t length)
{
	*memory = (struct scene_memory){ .regions[0] = { gpa, length, bytes, true } };
	memory->ops = (struct hs_phys_ops){ .read = memory_read, .write = memory_write, .pointer = memory_pointer };
	memory->phys = (struct hs_phys){ .ops = &memory->ops, .ctx = memory };
	memory->source = (struct hs_table_source){ .take = take_table, .ctx = memory };
	scene_set_tables(memory, gpa);
}

void scene_set_tables(struct scene_memory *memory, uint64_t gpa)
{
	memory->next_table = gpa;
	memory->tables_end = gpa;
	while (scene_bytes(memory, memory->tables_end, HS_PAGE_SIZE)) {
		memory->tables_end += HS_PAGE_SIZE;
	}
}

unsigned int scene_entry_bytes(enum hs_paging_format format)
{
	return format == HS_PAGING_32BIT ? 4 : 8;
}

unsigned int scene_levels(enum hs_paging_format format)
{
	static const unsigned int levels[HS_PAGING_FORMAT_COUNT] = { 0, 2, 3, 4, 5, 4, 4 };

	return (unsigned int)format < HS_PAGING_FORMAT_COUNT ? levels[format] : 0;
}

bool scene_is_aarch64(enum hs_paging_format format)
{
	return format == HS_PAGING_AARCH64_TTBR0 || format == HS_PAGING_AARCH64_TTBR1;
}

uint64_t scene_random(struct scene *scene)
{
	return random_next(&scene->seed);
}

static uint64_t number(const uint8_t *bytes, unsigned int size)
{
	uint64_t value = 0;

	for (unsigned int i = size; i > 0; i--) {
		value = value << 8 | bytes[i - 1];
	}
	return value;
}

/* Half of the records are made to point into the memory, at random few would: bit 31. Of those, half have no attribute
 * (bit 30), so that leaves in a row go on in one another. A quarter are runs of up to a table (bits 29..23): the same
 * entry over and over, or the one after it each time. */
static void put_record(struct scene_memory *memory, const uint8_t *record, unsigned int entry_bytes)
{
	uint32_t place = (uint32_t)number(record, 4);
	uint64_t entry = number(record + 4, 8);
	uint64_t gpa = SCENE_FIRST + (place & 0xffff) % (SCENE_PAGES * HS_PAGE_SIZE) / entry_bytes * entry_bytes;
	unsigned int count = (place >> 28 & 3) == 3 ? 1u << (place >> 24 & 15) % 11 : 1;
	uint64_t step = place >> 23 & 1 ? HS_PAGE_SIZE : 0;

	if (place >> 31) {
		entry &= UINT64_C(0x800000000000ff7f) & (place >> 30 & 1 ? ~UINT64_C(0) : UINT64_C(0xf67));
		entry &= ~UINT64_C(0xf000);
		entry |= ((place >> 16 & 0x7f) % SCENE_PAGES + 1) << 12 | 1;
	}
	for (; count > 0; count--, gpa += entry_bytes, entry += step) {
		uint8_t *at = scene_bytes(memory, gpa, entry_bytes);

		for (unsigned int i = 0; at && i < entry_bytes; i++) {
			at[i] = (uint8_t)(entry >> (8 * i));
		}
	}
}

/* One beyond the last format is let in: it reads as no paging. */
static struct hs_root root_of(const uint8_t bytes[3], uint64_t anywhere)
{
	static const uint8_t widths[] = { 0, 32, 36, 40, 46, 52, 1, 255 };

	return (struct hs_root){
		.format = (enum hs_paging_format)(bytes[0] % (HS_PAGING_FORMAT_COUNT + 1)),
		.base = { bytes[1] >= 0xe0 ? anywhere : (bytes[1] % SCENE_PAGES + 1u) << 12 },
		.pse = bytes[2] & 1,
		.nxe = bytes[2] & 2,
		.wp = bytes[2] & 4,
		.maxphyaddr = widths[bytes[2] >> 5],
	};
}

bool scene_init(struct scene *scene, const uint8_t *data, size_t size)
{
	struct scene_memory *guest = &scene->guest;

	if (size < SCENE_CONTROL) {
		return false;
	}
	*scene = (struct scene){ .root_count = data[12] % SCENE_ROOTS + 1 };
	scene_memory_init(guest, SCENE_FIRST, calloc(1, SCENE_FIRST_BYTES), SCENE_FIRST_BYTES);
	guest->regions[0].pointers = !(data[12] & 0x80);
	guest->regions[1] = (struct scene_region){
		.gpa = SCENE_SECOND,
		.length = SCENE_SECOND_BYTES,
		.bytes = calloc(1, SCENE_SECOND_BYTES),
	};
	CHECK(guest->regions[0].bytes && guest->regions[1].bytes);
	for (uint32_t i = 0; i < SCENE_ROOTS; i++) {
		scene->roots[i] = root_of(data + (size_t)3 * i, number(data + 16, 8));
	}
	scene->budget = (struct hs_budget){
		.tables = data[13] % 64 * (data[13] >= 0xf0 ? 4u : 1u),
		.ranges = data[14] % 32 * 16u,
	};
	scene->places_count = data[15];
	/* An address with any number of leading ones or zeros. */
	scene->gva = number(data + 16, 8) >> data[24] % 64;
	scene->gva = data[24] & 0x80 ? ~scene->gva : scene->gva;
	scene->length = number(data + 25, 4) << data[29] % 40;
	memcpy(scene->choice, data + 24, sizeof(scene->choice));
	scene->seed = number(data + 24, 8) ^ number(data + 16, 8);
	for (size_t at = SCENE_CONTROL; size - at >= 12; at += 12) {
		put_record(guest, data + at, scene_entry_bytes(scene->roots[0].format));
	}
	return true;
}

void scene_deinit(struct scene *scene)
{
	free(scene->guest.regions[0].bytes);
	free(scene->guest.regions[1].bytes);
}
