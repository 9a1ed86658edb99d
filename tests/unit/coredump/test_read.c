/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_core_open and what follows: every truncation, damaged headers and notes, and reading across segments. */
#include "base/bytes.h"
#include "guest.h"

#include <elf.h>
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

#define PAGE UINT64_C(0x1000)
#define RAM GUEST_RAM_GPA

/** A good core, its bytes, and a file in which to damage them. */
struct fixture {
	struct guest guest;
	struct hs_core_result result;
	uint8_t *bytes;
	size_t length;
	char path[128];
	unsigned int note_offset, note_length;
};

static int setup_arch(void **state, enum hs_arch arch)
{
	static struct fixture fixture;
	static const struct hs_core_file files[] = {
		{ { 0x400000 }, 0x2000, 0, "/guests/fault.elf" },
		{ { 0x402000 }, 0x1000, 0x2000, "/guests/data" },
	};

	guest_init(&fixture.guest, arch, true);
	guest_fill(&fixture.guest, RAM, 4 * PAGE);
	guest_map(&fixture.guest, 0x400000, RAM, 2 * PAGE, GUEST_RX);
	guest_map(&fixture.guest, 0x402000, RAM + 2 * PAGE, PAGE, GUEST_RW);
	guest_map(&fixture.guest, 0x800000, RAM + 2 * PAGE, PAGE, GUEST_RW);
	fixture.guest.input.files = files;
	fixture.guest.input.file_count = 2;
	guest_dump(&fixture.guest, &fixture.result);
	int fd = open(fixture.result.path, O_RDONLY | O_CLOEXEC);

	fixture.length = fixture.result.bytes;
	fixture.bytes = malloc(fixture.length);
	assert_int_equal(read(fd, fixture.bytes, fixture.length), fixture.length);
	close(fd);
	snprintf(fixture.path, sizeof(fixture.path), "%s/damaged", fixture.guest.directory);
	/* The notes are the first program header. */
	const uint8_t *phdr = fixture.bytes + (arch == HS_ARCH_I686 ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr));

	fixture.note_offset = hs_get_le32(phdr + (arch == HS_ARCH_I686 ? 4 : 8));
	fixture.note_length = hs_get_le32(phdr + (arch == HS_ARCH_I686 ? 16 : 32));
	*state = &fixture;
	return 0;
}

static int setup(void **state)
{
	return setup_arch(state, HS_ARCH_AMD64);
}

static int setup_i686(void **state)
{
	return setup_arch(state, HS_ARCH_I686);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	free(fixture->bytes);
	guest_deinit(&fixture->guest);
	return 0;
}

/** Use all of a core that opened: whatever is wrong with it, nothing may be out of bounds. */
static void use(struct hs_core *core)
{
	const struct hs_core_info *info = hs_core_info(core);
	uint64_t sum = strlen(info->name) + strlen(info->command_line) + strlen(info->producer) + strlen(info->reason);
	struct hs_cpu_state cpu;
	uint8_t bytes[8192];
	size_t done;

	for (size_t i = 0; i < info->segment_count; i++) {
		const struct hs_core_segment *segment = hs_core_segment(core, i);

		if (hs_core_read(core, segment->start, bytes, sizeof(bytes), &done, NULL) == HS_OK) {
			assert_in_range(done, 1, sizeof(bytes));
		}
	}
	for (size_t i = 0; i < info->note_count; i++) {
		const struct hs_core_note *note = hs_core_note(core, i);

		assert_true(note->offset + note->length <= info->file_bytes);
		sum += strlen(note->name);
	}
	for (size_t i = 0; i < info->file_count; i++) {
		sum += strlen(hs_core_file(core, i)->path);
	}
	for (size_t i = 0; i < info->cpu_count; i++) {
		hs_core_cpu(core, i, &cpu);
		sum += cpu.rip;
	}
	assert_true(sum + 1 > 0);
}

static enum hs_status open_damaged(struct fixture *fixture, size_t length, struct hs_core **ret, struct hs_error *err)
{
	int fd = open(fixture->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, fixture->bytes, length), length);
	close(fd);
	return hs_core_open(fixture->path, ret, err);
}

static void test_open_of_every_truncation_is_an_error_or_says_what_is_missing(void **state)
{
	struct fixture *fixture = *state;
	size_t headers = fixture->note_offset + fixture->note_length;
	struct hs_core *core;

	for (size_t length = 0; length < fixture->length; length += length < headers + 64 ? 1 : 509) {
		struct hs_error err = { 0 };
		enum hs_status st = open_damaged(fixture, length, &core, &err);

		if (length < headers) {
			assert_int_equal(st, HS_ERR_FORMAT);
			assert_true(strstr(err.message, fixture->path) == err.message);
			assert_null(strchr(err.message, '\n'));
			continue;
		}
		assert_int_equal(st, HS_OK);
		assert_int_equal(hs_core_info(core)->missing_bytes, fixture->length - length);
		use(core);
		hs_core_close(core);
	}
	assert_int_equal(open_damaged(fixture, fixture->length, &core, NULL), HS_OK);
	assert_int_equal(hs_core_info(core)->missing_bytes, 0);
	hs_core_close(core);
}

static void test_open_of_any_damaged_byte_does_no_harm(void **state)
{
	struct fixture *fixture = *state;
	size_t headers = fixture->note_offset + fixture->note_length;
	int fd = open(fixture->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, fixture->bytes, fixture->length), fixture->length);
	for (size_t at = 0; at < headers; at++) {
		static const uint8_t MASKS[] = { 0xFF, 0x01, 0x80 };

		for (size_t i = 0; i < sizeof(MASKS); i++) {
			uint8_t byte = fixture->bytes[at] ^ MASKS[i];
			struct hs_error err = { 0 };
			struct hs_core *core;

			assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
			if (hs_core_open(fixture->path, &core, &err) == HS_OK) {
				use(core);
				hs_core_close(core);
			} else {
				assert_true(strlen(err.message) > 0);
			}
		}
		assert_int_equal(pwrite(fd, fixture->bytes + at, 1, (off_t)at), 1);
	}
	close(fd);
}

/** Open with a change, and expect an error with these words. */
static void check_refused(struct fixture *fixture, size_t at, uint64_t value, unsigned int size, enum hs_status status,
			  const char *words)
{
	uint8_t before[8];
	struct hs_error err = { 0 };
	struct hs_core *core;

	memcpy(before, fixture->bytes + at, size);
	hs_put_le(fixture->bytes + at, value, size);
	assert_int_equal(open_damaged(fixture, fixture->length, &core, &err), status);
	memcpy(fixture->bytes + at, before, size);
	if (strstr(err.message, words) == NULL) {
		fail_msg("'%s' is not in '%s'", words, err.message);
	}
}

static void test_open_says_what_is_wrong_with_headers(void **state)
{
	struct fixture *fixture = *state;
	size_t load = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);

	check_refused(fixture, 0, 'x', 1, HS_ERR_FORMAT, "not a core: not an ELF file");
	check_refused(fixture, EI_DATA, ELFDATA2MSB, 1, HS_ERR_FORMAT, "little-endian");
	check_refused(fixture, EI_CLASS, ELFCLASS32, 1, HS_ERR_UNSUPPORTED, "a core of ELF machine 62");
	check_refused(fixture, offsetof(Elf64_Ehdr, e_type), ET_EXEC, 2, HS_ERR_FORMAT, "a program, not its core");
	check_refused(fixture, offsetof(Elf64_Ehdr, e_type), ET_REL, 2, HS_ERR_FORMAT, "an ELF file, but no core");
	check_refused(fixture, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, 2, HS_ERR_UNSUPPORTED, "ELF machine 183");
	/* Of this class it is a core as QEMU writes them, with notes of the smaller machine. */
	check_refused(fixture, offsetof(Elf64_Ehdr, e_machine), EM_386, 2, HS_ERR_FORMAT, "broken core: NT_");
	check_refused(fixture, offsetof(Elf64_Ehdr, e_phentsize), 32, 2, HS_ERR_FORMAT, "program headers of 32 bytes");
	check_refused(fixture, offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX, 8, HS_ERR_FORMAT, "outside of the file");
	check_refused(fixture, offsetof(Elf64_Ehdr, e_phnum), 60000, 2, HS_ERR_FORMAT, "outside of the file");
	check_refused(fixture, offsetof(Elf64_Ehdr, e_phnum), PN_XNUM, 2, HS_ERR_FORMAT, "without a section header");
	check_refused(fixture, load + offsetof(Elf64_Phdr, p_memsz), 0x10, 8, HS_ERR_FORMAT, "more bytes in the file");
	check_refused(fixture, load + offsetof(Elf64_Phdr, p_memsz), UINT64_MAX, 8, HS_ERR_FORMAT,
		      "past the end of the address space");
	check_refused(fixture, load + offsetof(Elf64_Phdr, p_offset), UINT64_MAX, 8, HS_ERR_FORMAT,
		      "impossible file offset");
	check_refused(fixture, load + offsetof(Elf64_Phdr, p_type), PT_NOTE, 4, HS_ERR_FORMAT, "a second PT_NOTE");
}

/** The file offset of the header of the first note of this type. */
static size_t find_note(const struct fixture *fixture, uint32_t type)
{
	size_t at = fixture->note_offset, end = at + fixture->note_length;

	while (at < end) {
		size_t name = hs_get_le32(fixture->bytes + at), desc = hs_get_le32(fixture->bytes + at + 4);

		if (hs_get_le32(fixture->bytes + at + 8) == type) {
			return at;
		}
		at += 12 + ((name + 3) & ~(size_t)3) + ((desc + 3) & ~(size_t)3);
	}
	fail_msg("no note of type 0x%x", (unsigned int)type);
	return 0;
}

static void test_open_says_what_is_wrong_with_notes(void **state)
{
	struct fixture *fixture = *state;
	size_t files = find_note(fixture, NT_FILE);

	check_refused(fixture, fixture->note_offset, UINT32_MAX, 4, HS_ERR_FORMAT, "a note does not fit");
	check_refused(fixture, fixture->note_offset + 4, UINT32_MAX, 4, HS_ERR_FORMAT, "descriptor does not fit");
	check_refused(fixture, fixture->note_offset + 4, 335, 4, HS_ERR_FORMAT, "NT_PRSTATUS of 335 bytes");
	check_refused(fixture, files + 20, UINT64_MAX, 8, HS_ERR_FORMAT, "NT_FILE promises");
	check_refused(fixture, files + 20, 7, 8, HS_ERR_FORMAT, "NT_FILE");
	check_refused(fixture, files + 20 + 16, UINT64_MAX, 8, HS_ERR_FORMAT, "ends before it starts");
	check_refused(fixture, files + 20 + 32, UINT64_MAX, 8, HS_ERR_FORMAT, "ends before it starts");
	/* Our own: version, then the first record's length. */
	size_t facts = find_note(fixture, 0x48530001) + 12 + 12;

	check_refused(fixture, facts, 2, 4, HS_ERR_UNSUPPORTED, "HINDSIGHT note of version 2");
	check_refused(fixture, facts + 8, UINT32_MAX, 4, HS_ERR_FORMAT, "a record longer than the note");
	check_refused(fixture, facts + 8, 3, 4, HS_ERR_FORMAT, "does not end in its one NUL");
}

static void test_read_crosses_segments_and_stops_at_a_hole(void **state)
{
	struct fixture *fixture = *state;
	struct hs_core *core;
	uint8_t bytes[5 * 4096];
	size_t done = 0;

	assert_int_equal(hs_core_open(fixture->result.path, &core, NULL), HS_OK);
	assert_int_equal(hs_core_read(core, hs_gva_of(0x400FF0), bytes, sizeof(bytes), &done, NULL), HS_OK);
	assert_int_equal(done, 0x2010);
	assert_memory_equal(bytes, ram_at(&fixture->guest.ram, RAM + 0xFF0), done);
	assert_int_equal(hs_core_read(core, hs_gva_of(0x800FFF), bytes, 1, &done, NULL), HS_OK);
	assert_int_equal(done, 1);
	assert_int_equal(bytes[0], *ram_at(&fixture->guest.ram, RAM + 2 * PAGE + 0xFFF));
	done = 77;
	assert_int_equal(hs_core_read(core, hs_gva_of(0x403000), bytes, 1, &done, NULL), HS_ERR_UNREADABLE);
	assert_int_equal(hs_core_read(core, hs_gva_of(0), bytes, 1, &done, NULL), HS_ERR_UNREADABLE);
	assert_int_equal(hs_core_read(core, hs_gva_of(UINT64_MAX), bytes, 2, &done, NULL), HS_ERR_UNREADABLE);
	assert_int_equal(done, 77);
	assert_int_equal(hs_core_read(core, hs_gva_of(0), bytes, 0, &done, NULL), HS_OK);
	assert_int_equal(done, 0);
	hs_core_close(core);
	hs_core_close(NULL);
}

static void test_read_of_unordered_segments_finds_them_all(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *loads = fixture->bytes + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
	uint8_t first[sizeof(Elf64_Phdr)];
	struct hs_core *core;
	uint8_t byte;
	size_t done;

	memcpy(first, loads, sizeof(first));
	memcpy(loads, loads + 2 * sizeof(first), sizeof(first));
	memcpy(loads + 2 * sizeof(first), first, sizeof(first));
	assert_int_equal(open_damaged(fixture, fixture->length, &core, NULL), HS_OK);
	for (uint64_t gva = 0x400000; gva < 0x403000; gva += PAGE) {
		assert_int_equal(hs_core_read(core, hs_gva_of(gva), &byte, 1, &done, NULL), HS_OK);
	}
	assert_int_equal(hs_core_read(core, hs_gva_of(0x800000), &byte, 1, &done, NULL), HS_OK);
	hs_core_close(core);
}

static void test_open_of_other_things_than_files_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct hs_core *core;
	char path[128];

	snprintf(path, sizeof(path), "%s/fifo", fixture->guest.directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(hs_core_open(path, &core, NULL), HS_ERR_FORMAT);
	assert_int_equal(hs_core_open(fixture->guest.directory, &core, NULL), HS_ERR_FORMAT);
	assert_int_equal(hs_core_open("/nonexistent", &core, NULL), HS_ERR_NOT_FOUND);
	assert_int_equal(hs_core_open("/dev/zero", &core, NULL), HS_ERR_FORMAT);
}

static void test_open_of_a_huge_sparse_file_does_not_believe_its_counts(void **state)
{
	struct fixture *fixture = *state;
	struct hs_core *core;
	uint8_t shdr[sizeof(Elf64_Shdr)] = { 0 };
	int fd = open(fixture->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	/* PN_XNUM with four billion program headers, all of which are in the file: 224 GiB of holes. */
	hs_put_le32(shdr + offsetof(Elf64_Shdr, sh_info), UINT32_MAX);
	hs_put_le64(fixture->bytes + offsetof(Elf64_Ehdr, e_shoff), 0x2000);
	hs_put_le16(fixture->bytes + offsetof(Elf64_Ehdr, e_shentsize), sizeof(Elf64_Shdr));
	hs_put_le16(fixture->bytes + offsetof(Elf64_Ehdr, e_shnum), 1);
	hs_put_le16(fixture->bytes + offsetof(Elf64_Ehdr, e_phnum), PN_XNUM);
	assert_int_equal(pwrite(fd, fixture->bytes, 0x1000, 0), 0x1000);
	assert_int_equal(pwrite(fd, shdr, sizeof(shdr), 0x2000), sizeof(shdr));
	if (ftruncate(fd, (off_t)300 << 30) == 0) {
		assert_int_equal(hs_core_open(fixture->path, &core, NULL), HS_ERR_FORMAT);
	}
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_I686(name)                                                                                                \
	{                                                                                                              \
#name " (i686)", name, setup_i686, teardown, NULL                                                      \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_open_of_every_truncation_is_an_error_or_says_what_is_missing),
		TEST_I686(test_open_of_every_truncation_is_an_error_or_says_what_is_missing),
		TEST(test_open_of_any_damaged_byte_does_no_harm),
		TEST_I686(test_open_of_any_damaged_byte_does_no_harm),
		TEST(test_open_says_what_is_wrong_with_headers),
		TEST(test_open_says_what_is_wrong_with_notes),
		TEST(test_read_crosses_segments_and_stops_at_a_hole),
		TEST_I686(test_read_crosses_segments_and_stops_at_a_hole),
		TEST(test_read_of_unordered_segments_finds_them_all),
		TEST(test_open_of_other_things_than_files_is_refused),
		TEST(test_open_of_a_huge_sparse_file_does_not_believe_its_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
