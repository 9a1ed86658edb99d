/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that lives in its heap: many blocks of all sizes, each full of bytes that follow from its number, made before
 * it is ready and changed by each call. A block that is not what it should be makes the call fail.
 */
#include <hindsight/guest.h>

#define BLOCKS 256u
#define LONGEST 1500u

static struct block {
	uint8_t *bytes; /* NULL: none */
	uint32_t length, number;
} blocks[BLOCKS];
static uint32_t state = 1, made;

static uint32_t random_below(uint32_t limit)
{
	state = state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)state * limit >> 32);
}

static bool is_whole(const struct block *block)
{
	uint32_t ends = block->length - 1;
	return block->bytes[0] == (uint8_t)block->number && block->bytes[ends / 2] == (uint8_t)block->number &&
	       block->bytes[ends] == (uint8_t)block->number;
}

/* The heap may be full: then a place stays empty. */
static void make(struct block *block)
{
	block->length = random_below(random_below(8) == 0 ? LONGEST : 100) + 1;
	block->bytes = hs_malloc(block->length);
	block->number = made++;
	if (block->bytes != NULL) {
		memset(block->bytes, (int)block->number, block->length);
	}
}

static void resize(struct block *block)
{
	uint32_t length = random_below(LONGEST) + 1;
	uint8_t *moved = hs_realloc(block->bytes, length);
	if (moved != NULL) {
		*block = (struct block){ moved, length, block->number };
		memset(moved, (int)block->number, length);
	}
}

/* Change that many blocks, and say how many were made in all. */
HS_GUEST_FUNCTION(churn, "u(u)")
{
	for (uint32_t i = 0; i < args[0].u; i++) {
		struct block *block = &blocks[random_below(BLOCKS)];
		if (block->bytes == NULL) {
			make(block);
			continue;
		}
		if (!is_whole(block)) {
			hs_fail("block %u is broken", block->number);
			return;
		}
		if (random_below(2) == 0) {
			resize(block);
		} else {
			hs_free(block->bytes);
			block->bytes = NULL;
		}
	}
	ret->u = made;
}

/* A number that follows from all blocks: FNV-1a, 32 bits (draft-eastlake-fnv). */
HS_GUEST_FUNCTION(look, "u()")
{
	uint32_t digest = 2166136261u;
	for (unsigned int i = 0; i < BLOCKS; i++) {
		const struct block *block = &blocks[i];
		if (block->bytes == NULL) {
			continue;
		}
		if (!is_whole(block)) {
			hs_fail("block %u is broken", block->number);
			return;
		}
		digest = (digest ^ block->length) * 16777619;
		digest = (digest ^ block->number) * 16777619;
		digest = (digest ^ (uint32_t)(uintptr_t)block->bytes) * 16777619;
	}
	ret->u = digest;
}

/* Give all back: the heap is in one piece again. */
HS_GUEST_FUNCTION(empty, "b()")
{
	for (unsigned int i = 0; i < BLOCKS; i++) {
		hs_free(blocks[i].bytes);
		blocks[i].bytes = NULL;
	}
	void *whole = hs_malloc((size_t)hs_boot_info()->heap_length - 64);
	hs_free(whole);
	*ret = (struct hs_value){ HS_TYPE_BOOL, .b = whole != NULL };
}

int main(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (unsigned int i = 0; i < BLOCKS; i++) {
		make(&blocks[i]);
	}
	hs_guest_serve();
}
