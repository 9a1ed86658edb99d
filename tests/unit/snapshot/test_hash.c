/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hash of a snapshot of a few pages that never ran: what changes it, byte by byte, and what does not.
 * test_identity.py computes it anew from a file.
 */
#include "base/bytes.h"
#include "snapshot/snapshot.h"

#include <hindsight/abi.h>

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGE UINT64_C(0x1000)
#define PAGES 8
#define SCRATCH_GPA UINT64_C(0x40000000)
#define SCRATCH_BYTES (4 * PAGE)
#define TOP_GPA (SCRATCH_GPA + SCRATCH_BYTES - PAGE)
/* Pages of the file: of the last one, scratch's, and one that is all zero. */
#define TOP_PAGE 6
#define ZERO_PAGE 1
#define THREADS 4

struct hash {
	uint8_t bytes[HS_SNAPSHOT_HASH_BYTES];
};

/* What a snapshot is made of, to be changed before it is made. */
struct scene {
	struct hs_cpu_state cpu;
	struct hs_root roots[2];
	struct hs_snapshot_info info;
};

static struct scene scene;

static void put_page(int fd, unsigned int page, int byte)
{
	uint8_t bytes[PAGE];

	memset(bytes, byte, sizeof(bytes));
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), (off_t)(page * PAGE)), PAGE);
}

/* Two parts of memory side by side, of three pages and of two, and one of scratch. */
static int setup(void **state)
{
	int fd = memfd_create("hash", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, PAGES * PAGE), 0);
	for (unsigned int i = 0; i <= TOP_PAGE; i++) {
		if (i != ZERO_PAGE) {
			put_page(fd, i, 0x11 + (int)i);
		}
	}
	memset(&scene, 0, sizeof(scene));
	memset(&scene.cpu, 0x5a, sizeof(scene.cpu));
	hs_put_le64(scene.cpu.xsave + HS_XSAVE_XSTATE_BV, 0xe7);
	scene.roots[0] = (struct hs_root){ .format = HS_PAGING_PAE, .base = { 0x4000 }, .nxe = true };
	scene.roots[1] = (struct hs_root){ .format = HS_PAGING_4LEVEL, .base = { 0x5000 }, .maxphyaddr = 40 };
	scene.info = (struct hs_snapshot_info){
		.guest = {
			.path = "/somewhere/a.elf",
			.roots_symbol = "list_of_roots",
			.devices = { .abort_text = "half a mess" },
			.dispatch = 0x401000,
			.generation = 9,
		},
		.memory = {
			.fd = fd,
			.parts = {
				{ .gpa = { 0x1000 }, .length = 3 * PAGE, .offset = 0, .shared = true },
				{ .gpa = { 0x4000 }, .length = 2 * PAGE, .offset = 3 * PAGE },
				{ .gpa = { TOP_GPA }, .length = PAGE, .offset = TOP_PAGE * PAGE },
			},
			.part_count = 3,
			.scratch_gpa = { SCRATCH_GPA },
			.scratch_length = SCRATCH_BYTES,
		},
		.roots = scene.roots,
		.root_count = 2,
		.current = 1,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return close(scene.info.memory.fd);
}

/* A snapshot of what the scene is now. */
static struct hs_snapshot *make(void)
{
	struct hs_snapshot_info info = scene.info;
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err;

	info.memory.fd = fcntl(scene.info.memory.fd, F_DUPFD_CLOEXEC, 0);
	if (hs_snapshot_adopt(&info, &scene.cpu, &snapshot, &err)) {
		fail_msg("%s", err.message);
	}
	return snapshot;
}

static struct hash hash_now(void)
{
	struct hs_snapshot *snapshot = make();
	struct hash hash;

	hs_snapshot_hash(snapshot, hash.bytes);
	hs_snapshot_unref(snapshot);
	return hash;
}

static bool same(const struct hash *a, const struct hash *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Whether the hash of the scene with one bit of this byte turned is another. */
static bool matters(const struct hash *before, void *byte)
{
	uint8_t *at = byte;
	struct hash after;

	*at ^= 1;
	after = hash_now();
	*at ^= 1;
	return !same(before, &after);
}

struct field {
	size_t offset, bytes;
};

#define FIELD(type, member)                                                                                            \
	{                                                                                                              \
		offsetof(type, member), sizeof(((type *)NULL)->member)                                                 \
	}

static bool within(const struct field *fields, size_t count, size_t at)
{
	for (size_t i = 0; i < count; i++) {
		if (at - fields[i].offset < fields[i].bytes) {
			return true;
		}
	}
	return false;
}

static bool is_padding_of_cpu(size_t at)
{
	const struct field tables[] = { FIELD(struct hs_cpu_state, gdt), FIELD(struct hs_cpu_state, idt) };
	const size_t used = offsetof(struct hs_dtable, limit) + sizeof(uint16_t);

	for (size_t i = 0; i < HS_SEG_COUNT; i++) {
		if (at == offsetof(struct hs_cpu_state, seg) + i * sizeof(struct hs_segment) +
				  offsetof(struct hs_segment, reserved)) {
			return true;
		}
	}
	for (size_t i = 0; i < 2; i++) {
		if (at - (tables[i].offset + used) < tables[i].bytes - used) {
			return true;
		}
	}
	/* Up to the XSAVE area, which is aligned. */
	return at >= offsetof(struct hs_cpu_state, msr) + sizeof(struct hs_msrs) &&
	       at < offsetof(struct hs_cpu_state, xsave);
}

/* Whatever is added to the state has to be added to the hash. */
static void test_hash_every_byte_of_the_registers_but_the_clock_matters(void **state)
{
	const struct field none[] = {
		FIELD(struct hs_cpu_state, msr.tsc),
		{ offsetof(struct hs_cpu_state, xsave) + 464, 48 },
		/* Its lowest bit: whether x87 is in use. */
		{ offsetof(struct hs_cpu_state, xsave) + HS_XSAVE_XSTATE_BV, 1 },
	};
	struct hash before = hash_now();
	unsigned int counted = 0;

	(void)state;
	for (size_t at = 0; at < sizeof(scene.cpu); at++) {
		bool wanted = !within(none, 3, at) && !is_padding_of_cpu(at);

		if (matters(&before, (uint8_t *)&scene.cpu + at) != wanted) {
			fail_msg("byte %zu of the registers: %s", at, wanted ? "does not matter" : "matters");
		}
		counted += wanted;
	}
	assert_true(counted > HS_XSAVE_SIZE + 8 * (HS_GPR_COUNT + 8));
}

/* The first byte of XSTATE_BV is this one. */
static struct hash hash_with(uint8_t components)
{
	scene.cpu.xsave[HS_XSAVE_XSTATE_BV] = components;
	return hash_now();
}

static void test_hash_component_that_is_not_in_use_is_zero(void **state)
{
	struct hash all = hash_with(0xe7), other = hash_with(0xe4);

	(void)state;
	assert_true(same(&all, &other));
	other = hash_with(0xe3);
	assert_false(same(&all, &other));
	other = hash_with(0x67);
	assert_false(same(&all, &other));
	memset(scene.cpu.xsave + HS_XSAVE_YMMH0, 0, 256);
	all = hash_with(0xe7);
	other = hash_with(0xe3);
	assert_true(same(&all, &other));
	/* Whatever is left there. */
	scene.cpu.xsave[HS_XSAVE_YMMH0 + 255] = 1;
	other = hash_with(0xe3);
	assert_true(same(&all, &other));
}

static void test_hash_of_the_guest_has_what_decides_how_it_goes_on(void **state)
{
	static const struct field wanted[] = {
		FIELD(struct hs_snapshot_guest, arch),
		FIELD(struct hs_snapshot_guest, features),
		FIELD(struct hs_snapshot_guest, dispatch),
		FIELD(struct hs_snapshot_guest, input_bytes),
		FIELD(struct hs_snapshot_guest, output_bytes),
		FIELD(struct hs_snapshot_guest, boot_idt),
		FIELD(struct hs_snapshot_guest, roots),
		FIELD(struct hs_snapshot_guest, roots_variable),
		FIELD(struct hs_snapshot_guest, roots_stride),
		FIELD(struct hs_snapshot_guest, roots_count),
		{ offsetof(struct hs_snapshot_guest, roots_symbol), sizeof("list_of_roots") - 1 },
		FIELD(struct hs_snapshot_guest, guard),
		FIELD(struct hs_snapshot_guest, guard_bytes),
		FIELD(struct hs_snapshot_guest, devices.uart_lcr),
		FIELD(struct hs_snapshot_guest, devices.uart_scratch),
		{ offsetof(struct hs_snapshot_guest, devices.abort_text), sizeof("half a mess") - 1 },
	};
	/* The ends of texts, beyond which nothing matters. */
	static const size_t ends[] = {
		offsetof(struct hs_snapshot_guest, roots_symbol) + sizeof("list_of_roots") - 1,
		offsetof(struct hs_snapshot_guest, devices.abort_text) + sizeof("half a mess") - 1,
	};
	struct hash before = hash_now();

	(void)state;
	for (size_t at = 0; at < sizeof(scene.info.guest); at++) {
		bool matter = within(wanted, sizeof(wanted) / sizeof(wanted[0]), at) || at == ends[0] || at == ends[1];

		if (matters(&before, (uint8_t *)&scene.info.guest + at) != matter) {
			fail_msg("byte %zu of the guest: %s", at, matter ? "does not matter" : "matters");
		}
	}
	assert_true(matters(&before, &scene.info.crashed));
	assert_false(matters(&before, &scene.info.crash.signal));
}

static void test_hash_roots_matter(void **state)
{
	struct hash before = hash_now(), after;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct hs_root *root = &scene.roots[i];

		assert_true(matters(&before, &root->format));
		assert_true(matters(&before, &root->base));
		assert_true(matters(&before, &root->pse));
		assert_true(matters(&before, &root->nxe));
		assert_true(matters(&before, &root->wp));
		assert_true(matters(&before, &root->smep));
		assert_true(matters(&before, &root->smap));
		assert_true(matters(&before, &root->maxphyaddr));
	}
	assert_true(matters(&before, &scene.info.current));
	scene.info.current = 0;
	before = hash_now();
	scene.info.root_count = 1;
	after = hash_now();
	assert_false(same(&before, &after));
}

/* Whether one bit of the memory, at this offset in the file, matters. */
static bool bit_matters(const struct hash *before, uint64_t offset)
{
	int fd = scene.info.memory.fd;
	struct hash after;
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	after = hash_now();
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	return !same(before, &after);
}

static void test_hash_one_bit_of_memory_matters(void **state)
{
	const uint64_t word = (TOP_PAGE + 1) * PAGE - HS_SCRATCH_GENERATION_OFFSET;
	struct hash before = hash_now();

	(void)state;
	for (uint64_t at = 0; at < PAGES * PAGE; at += 8) {
		/* What no part has is nobody's. */
		bool wanted = at != word && at / PAGE != 5 && at / PAGE <= TOP_PAGE;

		if (bit_matters(&before, at + at / 8 % 8) != wanted) {
			fail_msg("byte 0x%llx", (unsigned long long)at);
		}
	}
}

/* With nothing else in its page, it is all zero. */
static void test_hash_generation_alone_is_a_page_of_zeros(void **state)
{
	struct hash before, after;

	(void)state;
	put_page(scene.info.memory.fd, TOP_PAGE, 0);
	before = hash_now();
	assert_false(bit_matters(&before, (TOP_PAGE + 1) * PAGE - HS_SCRATCH_GENERATION_OFFSET));
	/* And as if no part of scratch were there. */
	scene.info.memory.part_count = 2;
	after = hash_now();
	assert_true(same(&before, &after));
}

static void test_hash_regions_matter(void **state)
{
	struct hs_memory_part *parts = scene.info.memory.parts;
	struct hash before = hash_now(), after;

	(void)state;
	assert_true(matters(&before, &parts[0].shared));
	/* By a page of zeros, at either end. */
	parts[1].length += PAGE;
	put_page(scene.info.memory.fd, 5, 0);
	after = hash_now();
	assert_false(same(&before, &after));
	put_page(scene.info.memory.fd, 5, 0x16);
	parts[1].length -= PAGE;
	parts[1].gpa.v += PAGE;
	after = hash_now();
	assert_false(same(&before, &after));
	parts[1].gpa.v -= PAGE;
	scene.info.memory.scratch_gpa.v -= PAGE;
	after = hash_now();
	assert_false(same(&before, &after));
	scene.info.memory.scratch_gpa.v += PAGE;
	scene.info.memory.scratch_length += PAGE;
	after = hash_now();
	assert_false(same(&before, &after));
	scene.info.memory.scratch_length -= PAGE;
	after = hash_now();
	assert_true(same(&before, &after));
}

/* A part more, another order, another place in the file, and parts that are none. */
static void test_hash_parts_are_of_no_account(void **state)
{
	struct hs_memory_image *memory = &scene.info.memory;
	struct hash before = hash_now(), after;

	(void)state;
	put_page(memory->fd, 7, 0x11 + 2);
	memory->parts[5] = (struct hs_memory_part){ .gpa = { 0x1000 }, .length = 2 * PAGE, .shared = true };
	memory->parts[4] =
		(struct hs_memory_part){ .gpa = { 0x3000 }, .length = PAGE, .offset = 7 * PAGE, .shared = true };
	memory->parts[3] = memory->parts[1];
	memory->parts[0] = memory->parts[2];
	memory->parts[1] = (struct hs_memory_part){ .gpa = { 0x2000 } };
	memory->parts[2] = memory->parts[1];
	memory->part_count = 6;
	put_page(memory->fd, 2, 0x77);
	after = hash_now();
	assert_true(same(&before, &after));
}

static void test_hash_zeros_stored_or_not_are_equal(void **state)
{
	int fd = scene.info.memory.fd;
	struct hash before = hash_now(), after;

	(void)state;
	assert_int_equal(lseek(fd, ZERO_PAGE * PAGE, SEEK_DATA), (ZERO_PAGE + 1) * PAGE);
	put_page(fd, ZERO_PAGE, 0);
	assert_int_equal(lseek(fd, ZERO_PAGE * PAGE, SEEK_DATA), ZERO_PAGE * PAGE);
	after = hash_now();
	assert_true(same(&before, &after));
}

/* Memory that nobody has touched stays so. */
static void test_hash_leaves_holes_alone(void **state)
{
	(void)state;
	(void)hash_now();
	assert_int_equal(lseek(scene.info.memory.fd, ZERO_PAGE * PAGE, SEEK_DATA), (ZERO_PAGE + 1) * PAGE);
}

static void test_hash_is_computed_once(void **state)
{
	struct hs_snapshot *snapshot = make();
	struct hash first, second;

	(void)state;
	/* Not before it is asked for. */
	put_page(scene.info.memory.fd, 0, 0x33);
	hs_snapshot_hash(snapshot, first.bytes);
	second = hash_now();
	assert_true(same(&first, &second));
	put_page(scene.info.memory.fd, 0, 0x44);
	hs_snapshot_hash(snapshot, second.bytes);
	assert_true(same(&first, &second));
	hs_snapshot_unref(snapshot);
}

struct asking {
	struct hs_snapshot *snapshot;
	struct hash hash;
};

static void *ask(void *ctx)
{
	struct asking *asking = ctx;

	hs_snapshot_hash(asking->snapshot, asking->hash.bytes);
	return NULL;
}

static void test_hash_threads_get_the_same(void **state)
{
	struct hs_snapshot *snapshot = make();
	struct hash wanted = hash_now();
	struct asking asking[THREADS];
	pthread_t threads[THREADS];

	(void)state;
	for (unsigned int i = 0; i < THREADS; i++) {
		asking[i].snapshot = snapshot;
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &asking[i]), 0);
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(same(&wanted, &asking[i].hash));
	}
	hs_snapshot_unref(snapshot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hash_every_byte_of_the_registers_but_the_clock_matters),
		TEST(test_hash_component_that_is_not_in_use_is_zero),
		TEST(test_hash_of_the_guest_has_what_decides_how_it_goes_on),
		TEST(test_hash_roots_matter),
		TEST(test_hash_one_bit_of_memory_matters),
		TEST(test_hash_generation_alone_is_a_page_of_zeros),
		TEST(test_hash_regions_matter),
		TEST(test_hash_parts_are_of_no_account),
		TEST(test_hash_zeros_stored_or_not_are_equal),
		TEST(test_hash_leaves_holes_alone),
		TEST(test_hash_is_computed_once),
		TEST(test_hash_threads_get_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
