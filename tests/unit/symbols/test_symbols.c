/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_symbols_*: what is found, what is refused, and that no broken file does harm. The image is $SYMBOLS_IMAGE. */
#include "symbols/symbols.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/** The image's bytes, and a file in memory that a test may break. */
struct fixture {
	uint8_t *bytes;
	size_t length;
	int fd;
};

static int setup(void **state)
{
	static struct fixture fixture;
	const char *path = getenv("SYMBOLS_IMAGE");
	int image = open(path, O_RDONLY);
	struct stat info;

	if (image < 0 || fstat(image, &info) != 0) {
		fail_msg("cannot open $SYMBOLS_IMAGE");
	}
	fixture.length = (size_t)info.st_size;
	fixture.bytes = malloc(fixture.length);
	fixture.fd = memfd_create("image", MFD_CLOEXEC);
	if (fixture.fd < 0 || read(image, fixture.bytes, fixture.length) != (ssize_t)fixture.length) {
		fail_msg("cannot read $SYMBOLS_IMAGE");
	}
	close(image);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	free(fixture->bytes);
	close(fixture->fd);
	return 0;
}

static enum hs_status open_bytes(struct fixture *fixture, const uint8_t *bytes, size_t length, struct hs_symbols **ret,
				 struct hs_error *err)
{
	assert_int_equal(ftruncate(fixture->fd, 0), 0);
	assert_int_equal(pwrite(fixture->fd, bytes, length, 0), length);
	return hs_symbols_open(fixture->fd, "image", ret, err);
}

/** Look all over the place, so that a broken table is used. */
static void use(const struct hs_symbols *symbols)
{
	struct hs_symbol symbol;
	char text[HS_SYMBOL_TEXT_MAX];

	for (uint64_t at = 0x400000; at < 0x403000; at += 7) {
		if (hs_symbols_lookup(symbols, hs_gva_of(at), &symbol) == HS_OK) {
			hs_symbol_print(&symbol, text, sizeof(text));
			assert_true(strlen(text) > 0);
		}
	}
	if (hs_symbols_lookup(symbols, hs_gva_of(UINT64_MAX), &symbol) == HS_OK) {
		hs_symbol_print(&symbol, text, sizeof(text));
	}
}

static void test_open_of_what_is_no_elf_says_so(void **state)
{
	static const char *const TEXTS[] = { "", "\177", "\177ELF", "#!/bin/sh\n", "!<arch>\n" };
	struct hs_symbols *symbols;

	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct hs_error err = { 0 };

		assert_int_equal(open_bytes(*state, (const uint8_t *)TEXTS[i], strlen(TEXTS[i]), &symbols, &err),
				 HS_ERR_FORMAT);
		assert_non_null(strstr(err.message, "image: not an ELF file"));
	}
	assert_int_equal(hs_symbols_open(-1, "none", &symbols, NULL), HS_ERR_IO);
}

static void test_open_leaves_the_position_of_the_descriptor(void **state)
{
	struct fixture *fixture = *state;
	struct hs_symbols *symbols;

	assert_int_equal(pwrite(fixture->fd, fixture->bytes, fixture->length, 0), fixture->length);
	assert_int_equal(lseek(fixture->fd, 123, SEEK_SET), 123);
	assert_int_equal(hs_symbols_open(fixture->fd, "image", &symbols, NULL), HS_OK);
	assert_int_equal(lseek(fixture->fd, 0, SEEK_CUR), 123);
	hs_symbols_close(symbols);
}

static void test_lookup_outside_of_the_code_changes_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct hs_symbols *symbols;
	struct hs_symbol symbol = { .function = "untouched", .line = 7 };

	assert_int_equal(open_bytes(fixture, fixture->bytes, fixture->length, &symbols, NULL), HS_OK);
	assert_int_equal(hs_symbols_lookup(symbols, hs_gva_of(0x10), &symbol), HS_ERR_NOT_FOUND);
	assert_int_equal(hs_symbols_lookup(symbols, hs_gva_of(UINT64_MAX), &symbol), HS_ERR_NOT_FOUND);
	assert_string_equal(symbol.function, "untouched");
	assert_int_equal(symbol.line, 7);
	hs_symbols_close(symbols);
	hs_symbols_close(NULL);
}

static void test_build_id_is_found(void **state)
{
	struct fixture *fixture = *state;
	struct hs_symbols *symbols;
	size_t length = 0;

	assert_int_equal(open_bytes(fixture, fixture->bytes, fixture->length, &symbols, NULL), HS_OK);
	const uint8_t *id = hs_symbols_build_id(symbols, &length);

	assert_int_equal(length, 20); /* SHA-1 */
	assert_non_null(memmem(fixture->bytes, fixture->length, id, length));
	hs_symbols_close(symbols);
}

static void test_print_writes_what_is_known_and_never_too_much(void **state)
{
	const struct {
		struct hs_symbol symbol;
		const char *text;
	} rows[] = {
		{ { "store_null", 0x1c, "/a/b/fault.c", 12 }, "store_null+0x1c (fault.c:12)" },
		{ { "store_null", 0, "", 0 }, "store_null+0x0" },
		{ { "", 0, "fault.c", 3 }, "fault.c:3" },
		{ { "bad\nname", 1, "dir/\033[m.c", 1 }, "bad?name+0x1 (?[m.c:1)" },
	};
	char text[HS_SYMBOL_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hs_symbol_print(&rows[i].symbol, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
	memset(text, 'x', sizeof(text));
	hs_symbol_print(&rows[0].symbol, text, 6);
	assert_string_equal(text, "store");
	assert_int_equal(text[6], 'x');
	hs_symbol_print(&rows[0].symbol, text, 0);
	assert_string_equal(text, "store");
}

/** How many functions with a line the code has, a byte at a time. */
static unsigned int count_lines(struct fixture *fixture, const uint8_t *bytes)
{
	struct hs_symbols *symbols;
	struct hs_symbol symbol;
	unsigned int count = 0;

	assert_int_equal(open_bytes(fixture, bytes, fixture->length, &symbols, NULL), HS_OK);
	for (uint64_t at = 0x400000; at < 0x403000; at++) {
		count += hs_symbols_lookup(symbols, hs_gva_of(at), &symbol) == HS_OK && symbol.line > 0;
	}
	for (uint64_t at = 0x8048000; at < 0x804C000; at++) {
		count += hs_symbols_lookup(symbols, hs_gva_of(at), &symbol) == HS_OK && symbol.line > 0;
	}
	hs_symbols_close(symbols);
	return count;
}

/** Where in the file a section is, or 0. */
static size_t section_at(struct fixture *fixture, const char *wanted)
{
	Elf *elf = elf_memory((char *)fixture->bytes, fixture->length);
	Elf_Scn *scn = NULL;
	GElf_Shdr section;
	size_t names = 0, found = 0;

	assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
	while ((scn = elf_nextscn(elf, scn)) != NULL && found == 0) {
		assert_non_null(gelf_getshdr(scn, &section));
		if (strcmp(elf_strptr(elf, names, section.sh_name), wanted) == 0) {
			found = section.sh_offset;
		}
	}
	elf_end(elf);
	return found;
}

/* Bytes of headers (DWARF 5, 6.2.4 and 7.29): the version behind the length, and of a line table line_range. */
static void test_open_with_a_broken_header_has_no_lines(void **state)
{
	struct fixture *fixture = *state;
	uint8_t *copy = malloc(fixture->length);
	bool is_5 = strstr(getenv("SYMBOLS_IMAGE"), "dwarf5") != NULL;
	size_t lists = section_at(fixture, ".debug_loclists"), line = section_at(fixture, ".debug_line");
	const size_t places[] = { lists + 4, line + 4, line + (is_5 ? 16 : 14) };

	assert_non_null(copy);
	memcpy(copy, fixture->bytes, fixture->length);
	assert_true(count_lines(fixture, copy) > 0);
	assert_true((lists != 0) == is_5 && line != 0);
	for (size_t i = is_5 ? 0 : 1; i < sizeof(places) / sizeof(places[0]); i++) {
		copy[places[i]] = 0;
		assert_int_equal(count_lines(fixture, copy), 0);
		copy[places[i]] = fixture->bytes[places[i]];
	}
	assert_true(count_lines(fixture, copy) > 0);
	free(copy);
}

static void test_open_of_every_truncation_is_survived(void **state)
{
	struct fixture *fixture = *state;
	size_t step = fixture->length / 600 + 1;
	unsigned int opened = 0;

	for (size_t length = 0; length < fixture->length; length += length < 128 ? 1 : step) {
		struct hs_symbols *symbols;

		if (open_bytes(fixture, fixture->bytes, length, &symbols, NULL) == HS_OK) {
			use(symbols);
			hs_symbols_close(symbols);
			opened++;
		}
	}
	assert_true(opened > 0);
}

static void test_open_of_damaged_bytes_is_survived(void **state)
{
	struct fixture *fixture = *state;
	uint64_t random = 1;

	for (unsigned int round = 0; round < 1500; round++) {
		struct hs_symbols *symbols;
		uint8_t *copy = malloc(fixture->length);

		assert_non_null(copy);
		memcpy(copy, fixture->bytes, fixture->length);
		for (unsigned int i = 0; i < 1 + round % 8; i++) {
			random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			copy[(random >> 33) % fixture->length] = (uint8_t)(random >> 20);
		}
		if (open_bytes(fixture, copy, fixture->length, &symbols, NULL) == HS_OK) {
			use(symbols);
			hs_symbols_close(symbols);
		}
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_of_what_is_no_elf_says_so),
		cmocka_unit_test(test_open_leaves_the_position_of_the_descriptor),
		cmocka_unit_test(test_lookup_outside_of_the_code_changes_nothing),
		cmocka_unit_test(test_build_id_is_found),
		cmocka_unit_test(test_print_writes_what_is_known_and_never_too_much),
		cmocka_unit_test(test_open_with_a_broken_header_has_no_lines),
		cmocka_unit_test(test_open_of_every_truncation_is_survived),
		cmocka_unit_test(test_open_of_damaged_bytes_is_survived),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
