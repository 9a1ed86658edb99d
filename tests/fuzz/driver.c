/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main() of a fuzz target where libFuzzer does not provide it: a fixed number of pseudo-random inputs, the same ones in
 * every run, so that a target is also a test under any compiler. With libFuzzer, leave this file out:
 *
 *   TARGET                        100,000 inputs from seed 0
 *   TARGET COUNT SEED [DIRECTORY] as many from that seed, after the inputs that are kept in a directory
 *   TARGET 60s SEED [DIRECTORY]   as many as that time allows
 *   TARGET FILE                   the bytes of one file: an input that was kept
 */
#include "driver.h"

#include "lib/random.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INPUT_MAX 4096

/* An input in a block of its own size, so that a read behind it is seen by ASan. */
static int run_on(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy) {
		perror("malloc");
		return EXIT_FAILURE;
	}
	memcpy(copy, bytes, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return EXIT_SUCCESS;
}

/* What is being tried, for whoever wants to try it again. */
static char trying[320];

static void on_abort(int signal_number)
{
	(void)signal_number;
	(void)!write(STDERR_FILENO, trying, strlen(trying));
}

/* Each input has a seed of its own, so that input i of seed s is input 0 of seed s + i. */
static int run_seed(uint64_t seed)
{
	static uint8_t bytes[INPUT_MAX];
	uint64_t shape = random_next(&seed);
	/* Short inputs are tried as often as long ones. */
	size_t size = (shape >> 8) % ((size_t)1 << (shape % 12 + 1));

	random_fill(&seed, bytes, size);
	return run_on(bytes, size);
}

static int run_random(uint64_t count, time_t seconds, uint64_t seed)
{
	time_t end = time(NULL) + seconds;
	uint64_t i;

	for (i = 0; seconds ? time(NULL) < end : i < count; i++) {
		snprintf(trying, sizeof(trying), "the input is that of: 1 %llu\n", (unsigned long long)(seed + i));
		if (run_seed(seed + i)) {
			return EXIT_FAILURE;
		}
	}
	printf("%llu inputs from seed %llu\n", (unsigned long long)i, (unsigned long long)seed);
	return EXIT_SUCCESS;
}

static int run_file(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	return run_on(bytes, size);
}

static int is_kept(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The inputs that are kept, in the order of their names; that there is none is a mistake. */
static int run_directory(const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_kept, alphasort);
	int status = count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;

	for (int i = 0; i < count; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		snprintf(trying, sizeof(trying), "the input is %s\n", entries[i]->d_name);
		status |= run_file(path);
		free(entries[i]);
	}
	if (count >= 0) {
		free(entries);
	}
	printf("%d inputs of %s\n", count, directory);
	return status;
}

int main(int argc, char **argv)
{
	signal(SIGABRT, on_abort);
	if (argc == 2) {
		return run_file(argv[1]);
	}
	if (argc == 4 && run_directory(argv[3])) {
		return EXIT_FAILURE;
	}
	if (argc >= 3) {
		char *end;
		uint64_t count = strtoull(argv[1], &end, 0);

		return run_random(count, *end == 's' ? (time_t)count : 0, strtoull(argv[2], NULL, 0));
	}
	return run_random(100000, 0, 0);
}
