/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots to files and back: the same guest, or an error that says where the file is broken. */
#include "saved.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "coredump/vmnote.h"
#include "session/snapshot_note.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Bytes of the note of the checksum: header, name with its padding, the sum. */
#define SUM_NOTE (12 + 12 + 4)

struct scene {
	char directory[32];
	char path[64];
	struct hs_snapshot *snapshot;
};

static struct scene scene;

static void save(const char *path)
{
	struct hs_error err = { 0 };

	if (hs_snapshot_save(scene.snapshot, path, false, &err)) {
		fail_msg("%s", err.message);
	}
}

static void start(enum hs_arch arch, bool crashed)
{
	strcpy(scene.directory, "/tmp/hs-snapshot-XXXXXX");
	assert_non_null(mkdtemp(scene.directory));
	snprintf(scene.path, sizeof(scene.path), "%s/a.snap", scene.directory);
	scene.snapshot = saved_create(arch, crashed);
	save(scene.path);
}

static int setup(void **state)
{
	(void)state;
	start(HS_ARCH_AMD64, false);
	return 0;
}

static int setup_i686(void **state)
{
	(void)state;
	start(HS_ARCH_I686, false);
	return 0;
}

static int setup_crash(void **state)
{
	(void)state;
	start(HS_ARCH_AMD64, true);
	return 0;
}

static int setup_i686_crash(void **state)
{
	(void)state;
	start(HS_ARCH_I686, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hs_snapshot_unref(scene.snapshot);
	unlink(scene.path);
	rmdir(scene.directory);
	return 0;
}

static bool same_memory(const struct hs_snapshot *a, const struct hs_snapshot *b)
{
	struct hs_phys one = hs_snapshot_phys(a);
	struct hs_phys other = hs_snapshot_phys(b);
	uint64_t gpas[] = { 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0, 0, 0, 0, 0, 0, 0, 0 };
	uint8_t bytes[2][SAVED_PAGE];

	for (unsigned int i = 0; i < 8; i++) {
		gpas[5 + i] = SAVED_SCRATCH_GPA + i * SAVED_PAGE;
	}
	for (size_t i = 0; i < sizeof(gpas) / sizeof(gpas[0]); i++) {
		if (one.ops->read(one.ctx, hs_gpa_of(gpas[i]), bytes[0], SAVED_PAGE, NULL) ||
		    other.ops->read(other.ctx, hs_gpa_of(gpas[i]), bytes[1], SAVED_PAGE, NULL) ||
		    memcmp(bytes[0], bytes[1], SAVED_PAGE) != 0) {
			return false;
		}
	}
	return true;
}

/** Field by field where there is padding, which nobody need copy. */
static bool same_description(const struct hs_snapshot_guest *a, const struct hs_snapshot_guest *b)
{
	size_t words = offsetof(struct hs_snapshot_guest, dispatch);
	size_t end = offsetof(struct hs_snapshot_guest, devices) + sizeof(a->devices);

	return memcmp(a, b, offsetof(struct hs_snapshot_guest, phentsize)) == 0 && a->phentsize == b->phentsize &&
	       a->phnum == b->phnum && memcmp((const char *)a + words, (const char *)b + words, end - words) == 0;
}

static bool same_root(const struct hs_root *a, const struct hs_root *b)
{
	uint8_t bytes[2][HS_VMNOTE_ROOT_BYTES];

	hs_vmnote_root_put(a, bytes[0]);
	hs_vmnote_root_put(b, bytes[1]);
	return memcmp(bytes[0], bytes[1], HS_VMNOTE_ROOT_BYTES) == 0;
}

static bool same_crash(const struct hs_snapshot_info *a, const struct hs_snapshot_info *b)
{
	const struct hs_crash *one = &a->crash;
	const struct hs_crash *other = &b->crash;

	return a->crashed == b->crashed && one->reason == other->reason && one->signal == other->signal &&
	       one->code == other->code && one->fault_address == other->fault_address && one->rip == other->rip &&
	       one->vector == other->vector && one->has_error_code == other->has_error_code &&
	       one->error_code == other->error_code && one->port == other->port && one->gpa == other->gpa &&
	       one->registers_lost == other->registers_lost && strcmp(one->abort_message, other->abort_message) == 0 &&
	       strcmp(one->text, other->text) == 0;
}

static bool same_facts(const struct hs_snapshot_info *a, const struct hs_snapshot_info *b)
{
	bool same = same_description(&a->guest, &b->guest) && same_crash(a, b) && a->root_count == b->root_count &&
		    a->current == b->current && a->cow == b->cow && a->shared_bytes == b->shared_bytes &&
		    a->private_bytes == b->private_bytes && a->table_bytes == b->table_bytes &&
		    a->memory.part_count == b->memory.part_count &&
		    a->memory.scratch_gpa.v == b->memory.scratch_gpa.v &&
		    a->memory.scratch_length == b->memory.scratch_length && a->function_count == b->function_count &&
		    memcmp(a->functions, b->functions, a->function_count * sizeof(*a->functions)) == 0;

	for (uint32_t i = 0; same && i < a->root_count; i++) {
		same = same_root(&a->roots[i], &b->roots[i]);
	}
	for (size_t i = 0; same && i < a->memory.part_count; i++) {
		const struct hs_memory_part *one = &a->memory.parts[i];
		const struct hs_memory_part *other = &b->memory.parts[i];

		same = one->gpa.v == other->gpa.v && one->length == other->length && one->shared == other->shared;
	}
	return same;
}

static bool same_guest(const struct hs_snapshot *a, const struct hs_snapshot *b)
{
	return same_facts(hs_snapshot_info(a), hs_snapshot_info(b)) && same_memory(a, b) &&
	       memcmp(hs_snapshot_cpu(a), hs_snapshot_cpu(b), sizeof(struct hs_cpu_state)) == 0;
}

static void test_snapshot_file_holds_the_same_guest(void **state)
{
	uint8_t hashes[2][HS_SNAPSHOT_HASH_BYTES];
	struct hs_snapshot *snapshot;
	struct hs_error err = { 0 };

	(void)state;
	if (hs_snapshot_open(scene.path, true, &snapshot, &err)) {
		fail_msg("%s", err.message);
	}
	assert_true(same_memory(scene.snapshot, snapshot));
	assert_true(same_facts(hs_snapshot_info(scene.snapshot), hs_snapshot_info(snapshot)));
	assert_memory_equal(hs_snapshot_cpu(scene.snapshot), hs_snapshot_cpu(snapshot), sizeof(struct hs_cpu_state));
	hs_snapshot_hash(scene.snapshot, hashes[0]);
	hs_snapshot_hash(snapshot, hashes[1]);
	assert_memory_equal(hashes[0], hashes[1], sizeof(hashes[0]));
	hs_snapshot_unref(snapshot);
}

static void test_snapshot_file_that_is_replaced_or_removed_is_still_whole(void **state)
{
	struct hs_snapshot *snapshot, *other;

	(void)state;
	assert_int_equal(hs_snapshot_open(scene.path, false, &snapshot, NULL), HS_OK);
	assert_int_equal(hs_snapshot_save(scene.snapshot, scene.path, false, NULL), HS_ERR_BUSY);
	assert_int_equal(hs_snapshot_save(scene.snapshot, scene.path, true, NULL), HS_OK);
	assert_int_equal(hs_snapshot_open(scene.path, false, &other, NULL), HS_OK);
	assert_int_equal(unlink(scene.path), 0);
	assert_true(same_guest(scene.snapshot, snapshot));
	assert_true(same_guest(snapshot, other));
	/* And from a snapshot that is itself a file. */
	assert_int_equal(hs_snapshot_save(snapshot, scene.path, false, NULL), HS_OK);
	hs_snapshot_unref(other);
	assert_int_equal(hs_snapshot_open(scene.path, true, &other, NULL), HS_OK);
	assert_true(same_guest(snapshot, other));
	hs_snapshot_unref(other);
	hs_snapshot_unref(snapshot);
}

/** The bytes of the file, and where its notes are. */
static uint8_t *read_file(size_t *ret_length, size_t *ret_notes_start, size_t *ret_notes_end)
{
	struct hs_core *core;
	struct stat info;
	int fd = open(scene.path, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes;

	assert_int_equal(fstat(fd, &info), 0);
	bytes = malloc((size_t)info.st_size);
	assert_int_equal(read(fd, bytes, (size_t)info.st_size), info.st_size);
	close(fd);
	assert_int_equal(hs_core_open(scene.path, &core, NULL), HS_OK);
	size_t last = hs_core_info(core)->note_count - 1;

	/* The first note has a header of 12 bytes and the name CORE, padded to 8. */
	*ret_notes_start = (size_t)hs_core_note(core, 0)->offset - 20;
	*ret_notes_end = (size_t)hs_core_note(core, last)->offset + hs_core_note(core, last)->length;
	hs_core_close(core);
	*ret_length = (size_t)info.st_size;
	return bytes;
}

static void write_file(const uint8_t *bytes, size_t length)
{
	int fd = open(scene.path, O_WRONLY | O_CLOEXEC);

	/* In this order: a file that is emptied first is synced by some file systems when it is closed. */
	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
	assert_int_equal(ftruncate(fd, (off_t)length), 0);
	close(fd);
}

/** An error that says what and of which file, or the same guest. True for the latter. */
static bool open_is_sound(void)
{
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err = { 0 };

	if (hs_snapshot_open(scene.path, true, &snapshot, &err)) {
		assert_null(snapshot);
		assert_int_not_equal(err.status, HS_OK);
		assert_non_null(strstr(err.message, scene.path));
		return false;
	}
	bool same = same_guest(scene.snapshot, snapshot);

	hs_snapshot_unref(snapshot);
	assert_true(same);
	return true;
}

static void test_snapshot_file_cut_anywhere_is_an_error(void **state)
{
	size_t length, notes_start, notes_end;
	uint8_t *bytes = read_file(&length, &notes_start, &notes_end);

	(void)state;
	for (size_t cut = 0; cut < length; cut += cut < notes_end ? 1 : 512) {
		write_file(bytes, cut);
		if (open_is_sound()) {
			fail_msg("opens when cut at %zu", cut);
		}
	}
	free(bytes);
}

static void test_snapshot_file_flipped_bit_is_an_error_or_of_no_account(void **state)
{
	size_t length, notes_start, notes_end, harmless = 0;
	uint8_t *bytes = read_file(&length, &notes_start, &notes_end);
	int fd = open(scene.path, O_WRONLY | O_CLOEXEC);

	(void)state;
	for (size_t at = 0; at < notes_end; at++) {
		uint8_t flipped = bytes[at] ^ (uint8_t)(1u << at % 8);

		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
		bool opens = open_is_sound();

		harmless += opens;
		/* Program headers are for debuggers; the notes have a checksum, which covers no header of its own. */
		if (opens && at >= notes_start && (at < notes_end - SUM_NOTE || at >= notes_end - 4)) {
			fail_msg("opens with a flipped bit at %zu of the notes, which end at %zu", at, notes_end);
		}
		assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
	}
	/* Of that header: what its name is padded with, and whether its length counts that. */
	assert_true(harmless < notes_start + 5);
	close(fd);
	free(bytes);
}

static void test_snapshot_file_flipped_bit_of_memory_is_found_when_asked_for(void **state)
{
	size_t length, notes_start, notes_end;
	uint8_t *bytes = read_file(&length, &notes_start, &notes_end);
	int fd = open(scene.path, O_WRONLY | O_CLOEXEC);
	size_t found = 0;

	(void)state;
	for (size_t at = (notes_end | (SAVED_PAGE - 1)) + 1 + 100; at < length; at += SAVED_PAGE) {
		struct hs_snapshot *snapshot = NULL;
		uint8_t flipped = bytes[at] ^ 0x10;
		struct hs_error err = { 0 };

		assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
		assert_int_equal(hs_snapshot_open(scene.path, false, &snapshot, NULL), HS_OK);
		hs_snapshot_unref(snapshot);
		found += hs_snapshot_open(scene.path, true, &snapshot, &err) == HS_ERR_FORMAT;
		assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
	}
	assert_true(found >= 8);
	close(fd);
	free(bytes);
}

/** Change the snapshot's note and make the checksum fit: what a forger does. */
static enum hs_status open_forged(size_t into, uint32_t value, struct hs_error *err)
{
	size_t length, notes_start, notes_end;
	uint8_t *bytes = read_file(&length, &notes_start, &notes_end);
	uint8_t *forged = malloc(length);
	struct hs_snapshot *snapshot = NULL;
	struct hs_core *core;

	assert_int_equal(hs_core_open(scene.path, &core, NULL), HS_OK);
	size_t count = hs_core_info(core)->note_count;
	size_t sum = (size_t)hs_core_note(core, count - 1)->offset;

	assert_int_equal(hs_core_note(core, count - 2)->type, HS_VMNOTE_SNAPSHOT);
	memcpy(forged, bytes, length);
	hs_put_le32(forged + hs_core_note(core, count - 2)->offset + into, value);
	hs_put_le32(forged + sum, hs_crc32c(0, forged + notes_start, sum - 24 - notes_start));
	hs_core_close(core);
	write_file(forged, length);
	enum hs_status st = hs_snapshot_open(scene.path, false, &snapshot, err);

	hs_snapshot_unref(snapshot);
	write_file(bytes, length);
	free(forged);
	free(bytes);
	return st;
}

static void test_snapshot_file_of_another_version_says_so(void **state)
{
	struct hs_error err = { 0 };

	(void)state;
	assert_int_equal(open_forged(0, HS_SNAPSHOT_NOTE_VERSION + 1, &err), HS_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "version 3, this program knows version 2 (use a newer one)"));
	assert_int_equal(open_forged(0, 1, &err), HS_ERR_UNSUPPORTED);
	assert_non_null(strstr(err.message, "version 1, this program knows version 2 (use an older one)"));
	assert_int_equal(open_forged(0, 0, &err), HS_ERR_FORMAT);
	assert_int_equal(open_forged(0, HS_SNAPSHOT_NOTE_VERSION, &err), HS_OK);
}

/** Whatever stands in the note under a checksum that fits: an error or a snapshot, and never a crash. */
static void test_snapshot_file_forged_word_is_an_error_or_a_snapshot(void **state)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0xffffffff, 0x1001 };
	unsigned int refused = 0;

	(void)state;
	for (size_t at = 4; at < 700; at += 4) {
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			struct hs_error err = { 0 };

			if (open_forged(at, values[i], &err)) {
				assert_non_null(strstr(err.message, scene.path));
				refused++;
			}
		}
	}
	assert_true(refused > 50);
}

/** All memory that the snapshot says it has, which is in the file then. */
static void read_all(const struct hs_snapshot *snapshot)
{
	const struct hs_memory_image *memory = &hs_snapshot_info(snapshot)->memory;
	struct hs_phys phys = hs_snapshot_phys(snapshot);
	uint8_t page[SAVED_PAGE];

	for (size_t i = 0; i < memory->part_count; i++) {
		for (uint64_t at = 0; at < memory->parts[i].length; at += SAVED_PAGE) {
			hs_gpa gpa = { memory->parts[i].gpa.v + at };

			assert_int_equal(phys.ops->read(phys.ctx, gpa, page, sizeof(page), NULL), HS_OK);
		}
	}
}

/** Any byte of the notes, under a checksum that fits: it is the reader that finds it, or there is a snapshot. */
static void test_snapshot_file_forged_byte_is_an_error_or_a_snapshot(void **state)
{
	size_t length, notes_start, notes_end, refused = 0;
	uint8_t *bytes = read_file(&length, &notes_start, &notes_end);
	size_t covered = notes_end - SUM_NOTE - notes_start;
	int fd = open(scene.path, O_WRONLY | O_CLOEXEC);

	(void)state;
	for (size_t at = 0; at < 2 * covered; at++) {
		uint8_t *byte = bytes + notes_start + at / 2;
		uint8_t before = *byte;
		struct hs_snapshot *snapshot = NULL;
		struct hs_error err = { 0 };

		*byte ^= at % 2 ? 0xff : (uint8_t)(1u << at / 2 % 8);
		hs_put_le32(bytes + notes_end - 4, hs_crc32c(0, bytes + notes_start, covered));
		assert_int_equal(pwrite(fd, bytes, notes_end, 0), notes_end);
		if (hs_snapshot_open(scene.path, false, &snapshot, &err)) {
			assert_non_null(strstr(err.message, scene.path));
			refused++;
		} else {
			read_all(snapshot);
			hs_snapshot_unref(snapshot);
		}
		*byte = before;
	}
	assert_true(refused > 500 && refused < 2 * covered);
	close(fd);
	free(bytes);
}

static void test_snapshot_file_core_without_the_note_says_what_it_lacks(void **state)
{
	const struct hs_core_input input = {
		.cpus = hs_snapshot_cpu(scene.snapshot),
		.cpu_count = 1,
		.phys = hs_snapshot_phys(scene.snapshot),
		.root = hs_snapshot_info(scene.snapshot)->roots[1],
	};
	struct hs_core_result result;
	struct hs_snapshot *snapshot;
	struct hs_error err = { 0 };

	(void)state;
	unlink(scene.path);
	assert_int_equal(hs_core_write(&input, scene.path, &result, NULL), HS_OK);
	assert_int_equal(hs_snapshot_open(scene.path, false, &snapshot, &err), HS_ERR_FORMAT);
	assert_non_null(strstr(err.message, "no memory to go on from"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_OF(name, what)                                                                                            \
	{                                                                                                              \
#name " (" #what ")", name, setup_##what, teardown, NULL                                               \
	}
/** Of snapshots and of cores of a crash, of both architectures. */
#define TEST_ALL(name) TEST(name), TEST_OF(name, i686), TEST_OF(name, crash), TEST_OF(name, i686_crash)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_ALL(test_snapshot_file_holds_the_same_guest),
		TEST(test_snapshot_file_that_is_replaced_or_removed_is_still_whole),
		TEST_ALL(test_snapshot_file_cut_anywhere_is_an_error),
		TEST_ALL(test_snapshot_file_flipped_bit_is_an_error_or_of_no_account),
		TEST(test_snapshot_file_flipped_bit_of_memory_is_found_when_asked_for),
		TEST(test_snapshot_file_of_another_version_says_so),
		TEST(test_snapshot_file_forged_word_is_an_error_or_a_snapshot),
		TEST_ALL(test_snapshot_file_forged_byte_is_an_error_or_a_snapshot),
		TEST(test_snapshot_file_core_without_the_note_says_what_it_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
