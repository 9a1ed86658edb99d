/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * write_core [--wait] [--name NAME] [--limit BYTES] PLACE: writes the core of a handmade guest of 128 KiB to PLACE, a
 * directory or a file, and prints its path; or the error, with status 1. For tests/core/test_placing.py.
 *
 * --wait: in the middle of the memory, print "waiting" and go on when stdin ends. --limit: of the size of files, as
 * setrlimit(2) sets it; the action of SIGXFSZ stays the default one, which ends a process.
 */
#include "guest.h"

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES (32 * UINT64_C(4096))

/** The guest's memory, with a pause in it. */
struct slow {
	struct guest guest;
	struct hs_phys_ops ops;
	unsigned int pieces;
	bool wait;
};

static const uint8_t *slow_pointer(void *ctx, hs_gpa gpa, uint64_t *ret_length)
{
	struct slow *slow = ctx;
	uint64_t length;
	const uint8_t *bytes = slow->guest.ram.phys.ops->pointer(slow->guest.ram.phys.ctx, gpa, &length);
	char unused[16];

	if (bytes == NULL) {
		return NULL;
	}
	/* A page at a time; the walk of the page tables comes through here, too. */
	*ret_length = length < HS_PAGE_SIZE ? length : HS_PAGE_SIZE;
	if (gpa.v >= GUEST_RAM_GPA && gpa.v < GUEST_RAM_GPA + BYTES && ++slow->pieces == 16 && slow->wait) {
		puts("waiting");
		fflush(stdout);
		while (read(STDIN_FILENO, unused, sizeof(unused)) > 0) {
		}
	}
	return bytes;
}

static int slow_next_region(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length)
{
	struct slow *slow = ctx;

	return slow->guest.ram.phys.ops->next_region(slow->guest.ram.phys.ctx, gpa, ret_start, ret_length);
}

static enum hs_status slow_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err)
{
	struct slow *slow = ctx;

	return slow->guest.ram.phys.ops->read(slow->guest.ram.phys.ctx, gpa, buffer, length, err);
}

static int write_core(struct slow *slow, const char *place)
{
	static struct hs_core_result result;
	struct hs_error err = { 0 };

	if (hs_core_write(&slow->guest.input, place, &result, &err) != HS_OK) {
		printf("%s: %s\n", hs_status_name(err.status), err.message);
		return 1;
	}
	printf("%s\n", result.path);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "wait", no_argument, NULL, 'w' },
		{ "name", required_argument, NULL, 'n' },
		{ "limit", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	static struct slow slow;

	guest_init(&slow.guest, HS_ARCH_AMD64, true);
	guest_fill(&slow.guest, GUEST_RAM_GPA, BYTES);
	guest_map(&slow.guest, 0x400000, GUEST_RAM_GPA, BYTES, GUEST_RW);
	slow.ops = (struct hs_phys_ops){ .read = slow_read, .pointer = slow_pointer, .next_region = slow_next_region };
	slow.guest.input.phys = (struct hs_phys){ &slow.ops, &slow };
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
		if (option == 'w') {
			slow.wait = true;
		} else if (option == 'n') {
			slow.guest.input.name = optarg;
		} else if (option == 'l') {
			const struct rlimit limit = { strtoull(optarg, NULL, 0), RLIM_INFINITY };

			setrlimit(RLIMIT_FSIZE, &limit);
		} else {
			return 2;
		}
	}
	int status = write_core(&slow, optind < argc ? argv[optind] : NULL);

	guest_deinit(&slow.guest);
	return status;
}
