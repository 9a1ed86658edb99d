/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's heap, over memory of this process: random use against the contents it must keep, and wrong use. */
#include <hindsight/abi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Not guest.h, which declares main() and the functions of the C library. */
void *hs_malloc(size_t length);
void *hs_calloc(size_t count, size_t length);
void *hs_realloc(void *block, size_t length);
void hs_free(void *block);
struct hs_heap {
	void *free;
	uintptr_t start, end;
};
void hs_heap_init(struct hs_heap *heap, void *start, size_t length);
void *hs_heap_alloc(struct hs_heap *heap, size_t length);
void hs_heap_free(struct hs_heap *heap, void *block);

/* What the runtime's other files would provide. */
const struct hs_abi_boot *hs_boot_info(void);
__attribute__((noreturn)) void hs_abort(const char *message);

#define HEAP_SIZE 65536
#define HEADER 16

static char memory[HEAP_SIZE] __attribute__((aligned(16)));
static struct hs_abi_boot boot;
static jmp_buf aborted;
static const char *abort_message;

const struct hs_abi_boot *hs_boot_info(void)
{
	boot.heap_start = (uintptr_t)memory;
	boot.heap_length = sizeof(memory);
	return &boot;
}

void hs_abort(const char *message)
{
	abort_message = message;
	longjmp(aborted, 1);
}

#define EXPECT_ABORT(call, text)                                                                                       \
	do {                                                                                                           \
		if (setjmp(aborted) == 0) {                                                                            \
			call;                                                                                          \
			fail_msg("went through: %s", #call);                                                           \
		}                                                                                                      \
		assert_non_null(strstr(abort_message, text));                                                          \
	} while (0)

static uint32_t random_below(uint32_t *state, uint32_t limit)
{
	*state = *state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*state * limit >> 32);
}

struct piece {
	unsigned char *bytes;
	size_t length;
	unsigned char content;
};

static void check_content(const struct piece *piece, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		assert_int_equal(piece->bytes[i], piece->content);
	}
}

static void fill(struct piece *piece, uint32_t *state)
{
	assert_int_equal((uintptr_t)piece->bytes % 16, 0);
	assert_true((char *)piece->bytes >= memory);
	assert_true((char *)piece->bytes + piece->length <= memory + sizeof(memory));
	piece->content = (unsigned char)random_below(state, 256);
	memset(piece->bytes, piece->content, piece->length);
}

/* One random thing to one piece. What a block holds must be there until it is given back: overlaps show. */
static void use(struct piece *piece, uint32_t *state, unsigned int *refused)
{
	size_t length = random_below(state, 8) == 0 ? random_below(state, 20000) : random_below(state, 300);

	if (piece->bytes == NULL) {
		piece->bytes = hs_malloc(length);
	} else if (random_below(state, 2) == 0) {
		check_content(piece, piece->length);
		hs_free(piece->bytes);
		piece->bytes = NULL;
		return;
	} else {
		unsigned char *moved = hs_realloc(piece->bytes, length);
		if (moved == NULL) {
			check_content(piece, piece->length);
			(*refused)++;
			return;
		}
		piece->bytes = moved;
		check_content(piece, piece->length < length ? piece->length : length);
	}
	if (piece->bytes == NULL) {
		(*refused)++;
		return;
	}
	piece->length = length;
	fill(piece, state);
}

static void assert_whole(void)
{
	void *whole = hs_malloc(HEAP_SIZE - HEADER);
	assert_non_null(whole);
	hs_free(whole);
	assert_null(hs_malloc(HEAP_SIZE - HEADER + 1));
}

static void test_random_use_keeps_contents_and_becomes_whole_again(void **context)
{
	(void)context;
	struct piece pieces[64] = { 0 };
	uint32_t state = 1;
	unsigned int refused = 0;

	for (int i = 0; i < 50000; i++) {
		use(&pieces[random_below(&state, 64)], &state, &refused);
	}
	/* It was full at times, or this proves less than it says. */
	assert_true(refused > 100);
	for (size_t i = 0; i < 64; i++) {
		if (pieces[i].bytes != NULL) {
			check_content(&pieces[i], pieces[i].length);
		}
		hs_free(pieces[i].bytes);
	}
	assert_whole();
}

static void test_neighbours_join_in_any_order(void **context)
{
	(void)context;
	static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		void *blocks[3];
		for (int j = 0; j < 3; j++) {
			blocks[j] = hs_malloc(100);
		}
		for (int j = 0; j < 3; j++) {
			hs_free(blocks[orders[i][j]]);
		}
		assert_whole();
	}
}

static void test_realloc_grows_in_place_into_free_memory(void **context)
{
	(void)context;
	void *block = hs_malloc(100);
	void *next = hs_malloc(100);

	hs_free(next);
	assert_ptr_equal(hs_realloc(block, 180), block);
	assert_ptr_equal(hs_realloc(block, 10), block);
	hs_free(block);
	assert_whole();
}

static void test_impossible_sizes_are_refused(void **context)
{
	(void)context;
	assert_null(hs_malloc(SIZE_MAX));
	assert_null(hs_malloc(SIZE_MAX - 20));
	assert_null(hs_calloc(SIZE_MAX / 2, 3));
	void *block = hs_malloc(1);
	assert_null(hs_realloc(block, SIZE_MAX));
	hs_free(block);
	hs_free(NULL);
	assert_whole();
}

static void test_calloc_clears_used_memory(void **context)
{
	(void)context;
	static const char zeros[500];
	char *block = hs_malloc(500);

	memset(block, 1, 500);
	hs_free(block);
	block = hs_calloc(50, 10);
	assert_memory_equal(block, zeros, 500);
	hs_free(block);
}

static void test_zero_bytes_are_blocks_of_their_own(void **context)
{
	(void)context;
	void *a = hs_malloc(0);
	void *b = hs_malloc(0);

	assert_non_null(a);
	assert_ptr_not_equal(a, b);
	hs_free(a);
	hs_free(b);
	assert_whole();
}

static void test_wrong_frees_abort(void **context)
{
	(void)context;
	char *block = hs_malloc(64);
	char *next = hs_malloc(64);
	char outside[64] __attribute__((aligned(16)));

	EXPECT_ABORT(hs_free(block + 1), "not an address");
	EXPECT_ABORT(hs_free(outside), "not an address");
	EXPECT_ABORT(hs_free(memory), "not an address");
	hs_free(next);
	EXPECT_ABORT(hs_free(next), "free already");
	next = hs_malloc(64);
	/* A write over the end reaches the tags of the next block. */
	char kept[HEADER];
	memcpy(kept, block + 64, HEADER);
	memset(block + 64, 0xFF, HEADER);
	EXPECT_ABORT(hs_free(block), "behind the block");
	EXPECT_ABORT(hs_free(next), "header");
	memcpy(block + 64, kept, HEADER);
	hs_free(block);
	hs_free(next);
	assert_whole();
}

static void test_ranges_too_small_hold_nothing(void **context)
{
	(void)context;
	for (size_t length = 0; length < 100; length++) {
		char small[128] __attribute__((aligned(16)));
		struct hs_heap heap;
		memset(small, '#', sizeof(small));
		/* From an address that is not aligned. */
		hs_heap_init(&heap, small + 1, length);
		void *block = hs_heap_alloc(&heap, 1);
		assert_true((block != NULL) == (length >= 47));
		hs_heap_free(&heap, block);
		assert_int_equal(small[0], '#');
		for (size_t i = length + 1; i < sizeof(small); i++) {
			assert_int_equal(small[i], '#');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_use_keeps_contents_and_becomes_whole_again),
		cmocka_unit_test(test_neighbours_join_in_any_order),
		cmocka_unit_test(test_realloc_grows_in_place_into_free_memory),
		cmocka_unit_test(test_impossible_sizes_are_refused),
		cmocka_unit_test(test_calloc_clears_used_memory),
		cmocka_unit_test(test_zero_bytes_are_blocks_of_their_own),
		cmocka_unit_test(test_wrong_frees_abort),
		cmocka_unit_test(test_ranges_too_small_hold_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
