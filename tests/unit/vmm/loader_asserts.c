/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "loader_asserts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Encode the spec, open it, close the file; the image stays. */
static enum hs_status open_spec(const struct elf_spec *spec, struct hs_image **ret, struct hs_error *err)
{
	uint8_t bytes[ELF_MAKER_BYTES_MAX];
	struct elf_file file;
	enum hs_status st;

	elf_make(spec, bytes);
	elf_file_create(&file, bytes, spec->bytes);
	st = hs_image_open(file.path, ret, err);
	elf_file_close(&file);
	return st;
}

struct hs_image *loader_open_good(const struct elf_spec *spec)
{
	struct hs_image *image = NULL;
	struct hs_error err = { 0 };
	enum hs_status st = open_spec(spec, &image, &err);

	if (st) {
		fail_msg("refused: %s", err.message);
	}
	return image;
}

/* The error names its file, the problem, and is one line; the output is untouched. */
void loader_assert_refused(const struct elf_spec *spec, enum hs_status status, const char *problem)
{
	struct hs_image *const untouched = (struct hs_image *)(uintptr_t)1;
	struct hs_image *image = untouched;
	struct hs_error err = { 0 };
	enum hs_status st = open_spec(spec, &image, &err);

	if (st != status || !strstr(err.message, problem)) {
		fail_msg("status %s, \"%s\" instead of %s, \"%s\"", hs_status_name(st), err.message,
			 hs_status_name(status), problem);
	}
	assert_int_equal(err.status, status);
	assert_ptr_equal(image, untouched);
	assert_int_equal(strncmp(err.message, "/proc/self/fd/", strlen("/proc/self/fd/")), 0);
	assert_null(strchr(err.message, '\n'));
}
