/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_debug_file IMAGE OTHER: the debug file of an image by its build-id, in a directory of which all that lies there
 * is ours. Both images have build-ids. Debug files by name are tests/gdb's.
 */
#include "session/debug_file.h"

#include "symbols/build_id.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	const char *image, *other;
	int fd;
	char directory[64];
	char path[256]; /* of the debug file */
};

static void set_up_place(struct scene *scene)
{
	uint8_t id[HS_BUILD_ID_MAX];
	char text[128];
	size_t length;
	int used;

	strcpy(scene->directory, "/tmp/hindsight-debug-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	scene->fd = open(scene->image, O_RDONLY | O_CLOEXEC);
	assert_true(scene->fd >= 0);
	assert_int_equal(hs_build_id_read(scene->fd, scene->image, id, &length, NULL), HS_OK);
	assert_in_range(length, 2, HS_BUILD_ID_MAX);
	snprintf(text, sizeof(text), "%s/.build-id", scene->directory);
	assert_int_equal(mkdir(text, 0700), 0);
	used = snprintf(scene->path, sizeof(scene->path), "%s/%02x", text, id[0]);
	assert_int_equal(mkdir(scene->path, 0700), 0);
	used += snprintf(scene->path + used, sizeof(scene->path) - (size_t)used, "/");
	for (size_t i = 1; i < length; i++) {
		used += snprintf(scene->path + used, sizeof(scene->path) - (size_t)used, "%02x", id[i]);
	}
	snprintf(scene->path + used, sizeof(scene->path) - (size_t)used, ".debug");
}

static void tear_down_place(struct scene *scene)
{
	char *slash;

	(void)unlink(scene->path);
	while ((slash = strrchr(scene->path, '/')) != NULL && strcmp(scene->path, scene->directory) != 0) {
		*slash = '\0';
		assert_int_equal(rmdir(scene->path), 0);
	}
	close(scene->fd);
}

static void expect_found(const struct scene *scene, bool found)
{
	struct hs_debug_file file;

	assert_int_equal(hs_debug_file_find(scene->fd, scene->image, scene->directory, &file), found);
	if (found) {
		assert_string_equal(file.path, scene->path);
		assert_int_equal(lseek(file.fd, 0, SEEK_END), lseek(scene->fd, 0, SEEK_END));
	} else {
		assert_null(file.path);
		assert_int_equal(file.fd, -1);
	}
	hs_debug_file_deinit(&file);
	assert_null(file.path);
}

static void test_debug_file_of_the_same_build_is_found(void **state)
{
	struct scene *scene = *state;

	set_up_place(scene);
	expect_found(scene, false);
	/* As some distributions have it. */
	assert_int_equal(symlink(scene->image, scene->path), 0);
	expect_found(scene, true);
	tear_down_place(scene);
}

static void test_debug_file_of_another_build_is_not_found(void **state)
{
	struct scene *scene = *state;

	set_up_place(scene);
	assert_int_equal(symlink(scene->other, scene->path), 0);
	expect_found(scene, false);
	tear_down_place(scene);
}

static void test_debug_file_that_is_no_file_is_not_found(void **state)
{
	struct scene *scene = *state;

	set_up_place(scene);
	assert_int_equal(mkfifo(scene->path, 0600), 0);
	expect_found(scene, false);
	tear_down_place(scene);
}

static void test_debug_file_of_an_unnamed_image_is_not_found(void **state)
{
	const struct scene *scene = *state;
	struct hs_debug_file file;
	int fd = open(scene->image, O_RDONLY | O_CLOEXEC);

	assert_false(hs_debug_file_find(-1, "/guest", NULL, &file));
	assert_false(hs_debug_file_find(fd, NULL, NULL, &file));
	assert_false(hs_debug_file_find(fd, "guest", NULL, &file));
	assert_null(file.path);
	close(fd);
}

int main(int argc, char **argv)
{
	char *image = argc > 2 ? realpath(argv[1], NULL) : NULL;
	char *other = argc > 2 ? realpath(argv[2], NULL) : NULL;
	struct scene scene = { .image = image, .other = other };
	struct CMUnitTest tests[] = {
		cmocka_unit_test(test_debug_file_of_the_same_build_is_found),
		cmocka_unit_test(test_debug_file_of_another_build_is_not_found),
		cmocka_unit_test(test_debug_file_that_is_no_file_is_not_found),
		cmocka_unit_test(test_debug_file_of_an_unnamed_image_is_not_found),
	};

	int failed;

	if (!image || !other) {
		fprintf(stderr, "usage: test_debug_file IMAGE OTHER\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		tests[i].initial_state = &scene;
	}
	failed = cmocka_run_group_tests_name("debug_file", tests, NULL, NULL);
	free(image);
	free(other);
	return failed;
}
