/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The heap: blocks side by side in one range, each with its size and that of its left neighbour in front of it
 * (boundary tags: Knuth, The Art of Computer Programming vol. 1, 2.5), so that a freed block joins its free neighbours
 * without a walk. Free blocks are also in a list; the first that is large enough is taken.
 *
 * No page is touched before it is needed, and nothing is cleared.
 */
#include "rt.h"

#define ALIGNMENT 16
#define USED 1 /* in the low bit of size, which the alignment keeps clear */

struct hs_heap_block {
	size_t size;      /* of the whole block, header included; USED set while it is given out */
	size_t left_size; /* of the block before it, 0 for the first */
	/* Only in a free block; in a block in use the payload begins here, or at the next multiple of 16. */
	struct hs_heap_block *next, *previous;
};

#define HEADER 16 /* the two sizes, rounded up so that the payload is aligned too */
#define BLOCK_MIN 32

_Static_assert(offsetof(struct hs_heap_block, next) <= HEADER, "the links lie in the payload or in the header's rest");
_Static_assert(sizeof(struct hs_heap_block) <= BLOCK_MIN, "a free block holds its links");

static size_t size_of(const struct hs_heap_block *block)
{
	return block->size & ~(size_t)USED;
}

static bool is_used(const struct hs_heap_block *block)
{
	return (block->size & USED) != 0;
}

static struct hs_heap_block *block_at(uintptr_t address)
{
	return (struct hs_heap_block *)address;
}

/* The block behind, or NULL. */
static struct hs_heap_block *right_of(const struct hs_heap *heap, const struct hs_heap_block *block)
{
	uintptr_t address = (uintptr_t)block + size_of(block);
	return address < heap->end ? block_at(address) : NULL;
}

static void list_add(struct hs_heap *heap, struct hs_heap_block *block)
{
	block->previous = NULL;
	block->next = heap->free;
	if (heap->free != NULL) {
		heap->free->previous = block;
	}
	heap->free = block;
}

static void list_remove(struct hs_heap *heap, struct hs_heap_block *block)
{
	if (block->previous != NULL) {
		block->previous->next = block->next;
	} else {
		heap->free = block->next;
	}
	if (block->next != NULL) {
		block->next->previous = block->previous;
	}
}

/* Set the size, here and in the right neighbour's tag. */
static void set_size(struct hs_heap *heap, struct hs_heap_block *block, size_t size, size_t used)
{
	block->size = size | used;
	struct hs_heap_block *right = right_of(heap, block);
	if (right != NULL) {
		right->left_size = size;
	}
}

/* Bytes of a block with length bytes of payload; 0 when that overflows. */
static size_t block_bytes(size_t length)
{
	size_t size;
	if (__builtin_add_overflow(length, HEADER + ALIGNMENT - 1, &size)) {
		return 0;
	}
	size &= ~(size_t)(ALIGNMENT - 1);
	return size < BLOCK_MIN ? BLOCK_MIN : size;
}

/* Take size bytes of a block that is large enough and in no list; what is over becomes a free block. */
static void *take(struct hs_heap *heap, struct hs_heap_block *block, size_t size)
{
	size_t rest = size_of(block) - size;
	if (rest < BLOCK_MIN) {
		set_size(heap, block, size_of(block), USED);
		return (char *)block + HEADER;
	}
	block->size = size | USED;
	struct hs_heap_block *right = block_at((uintptr_t)block + size);
	right->left_size = size;
	set_size(heap, right, rest, 0);
	list_add(heap, right);
	return (char *)block + HEADER;
}

/* Join a block that is in no list with its free neighbours, which leave theirs. */
static struct hs_heap_block *join(struct hs_heap *heap, struct hs_heap_block *block, bool with_left)
{
	size_t size = size_of(block);
	size_t used = block->size & USED;
	struct hs_heap_block *right = right_of(heap, block);
	if (right != NULL && !is_used(right)) {
		list_remove(heap, right);
		size += size_of(right);
	}
	struct hs_heap_block *left = block_at((uintptr_t)block - block->left_size);
	if (with_left && left != block && !is_used(left)) {
		list_remove(heap, left);
		size += size_of(left);
		block = left;
	}
	set_size(heap, block, size, used);
	return block;
}

/* The block of a payload, or the end of the guest: what follows a wrong free would be far from its cause. */
static struct hs_heap_block *block_of(const struct hs_heap *heap, void *payload)
{
	uintptr_t address = (uintptr_t)payload;
	if (address % ALIGNMENT != 0 || address < heap->start + HEADER || address >= heap->end) {
		hs_abort("heap: not an address that hs_malloc() gave out");
	}
	struct hs_heap_block *block = block_at(address - HEADER);
	if (!is_used(block)) {
		hs_abort("heap: the block is free already");
	}
	if (size_of(block) < BLOCK_MIN || size_of(block) > heap->end - (uintptr_t)block) {
		hs_abort("heap: the header of the block was overwritten");
	}
	const struct hs_heap_block *right = right_of(heap, block);
	if (right != NULL && right->left_size != size_of(block)) {
		hs_abort("heap: the memory behind the block was overwritten");
	}
	return block;
}

void hs_heap_init(struct hs_heap *heap, void *start, size_t length)
{
	heap->start = ((uintptr_t)start + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
	heap->end = ((uintptr_t)start + length) & ~(uintptr_t)(ALIGNMENT - 1);
	heap->free = NULL;
	if (heap->end < heap->start || heap->end - heap->start < BLOCK_MIN) {
		heap->end = heap->start;
		return;
	}
	struct hs_heap_block *block = block_at(heap->start);
	block->left_size = 0;
	block->size = heap->end - heap->start;
	list_add(heap, block);
}

void *hs_heap_alloc(struct hs_heap *heap, size_t length)
{
	size_t size = block_bytes(length);
	if (size == 0) {
		return NULL;
	}
	for (struct hs_heap_block *block = heap->free; block != NULL; block = block->next) {
		if (block->size >= size) {
			list_remove(heap, block);
			return take(heap, block, size);
		}
	}
	return NULL;
}

void hs_heap_free(struct hs_heap *heap, void *payload)
{
	if (payload == NULL) {
		return;
	}
	struct hs_heap_block *block = block_of(heap, payload);
	block->size &= ~(size_t)USED;
	list_add(heap, join(heap, block, true));
}

void *hs_heap_resize(struct hs_heap *heap, void *payload, size_t length)
{
	if (payload == NULL) {
		return hs_heap_alloc(heap, length);
	}
	struct hs_heap_block *block = block_of(heap, payload);
	size_t size = block_bytes(length);
	if (size == 0) {
		return NULL;
	}
	size_t old_size = size_of(block);
	struct hs_heap_block *right = right_of(heap, block);
	size_t room = right != NULL && !is_used(right) ? size_of(right) : 0;
	if (old_size + room >= size) {
		return take(heap, join(heap, block, false), size);
	}
	void *moved = hs_heap_alloc(heap, length);
	if (moved != NULL) {
		memcpy(moved, payload, old_size - HEADER);
		hs_heap_free(heap, payload);
	}
	return moved;
}
