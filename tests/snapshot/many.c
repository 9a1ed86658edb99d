/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "many.h"

#include "vmm/vm_private.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Private pages that come to be late: of the allocator's, of pages that the guest wrote to for the first time. */
#define SLACK_PAGES 64

struct usage {
	long resident, mapped; /* pages */
	long descriptors, mappings, regions;
};

static long count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	long count = 0;

	while (directory && readdir(directory)) {
		count++;
	}
	if (directory) {
		closedir(directory);
	}
	return count;
}

static long count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	long count = 0;

	for (int c = file ? fgetc(file) : EOF; c != EOF; c = fgetc(file)) {
		count += c == '\n';
	}
	if (file) {
		fclose(file);
	}
	return count;
}

static bool measure(struct scene *scene, struct usage *ret)
{
	FILE *file = fopen("/proc/self/statm", "re");
	bool good = file && fscanf(file, "%ld %ld", &ret->mapped, &ret->resident) == 2;

	if (file) {
		fclose(file);
	}
	ret->descriptors = count_descriptors();
	ret->mappings = count_mappings();
	ret->regions = (long)scene->vm->ram.count;
	return good || scene_fail("/proc/self/statm");
}

static bool cycle(struct scene *scene, const struct hs_snapshot *snapshot, unsigned long i, unsigned long count)
{
	/* The mode changes now and then: then regions come and go. */
	bool share = i * 16 / count % 2;

	return scene_restore(scene, snapshot, share) && scene_ask(scene, TRACES_TOUCH);
}

bool check_many(struct scene *scene, const struct hs_snapshot *snapshot, unsigned long cycles)
{
	struct usage first;
	struct usage last;

	for (unsigned long i = 0; i < cycles; i++) {
		if (!cycle(scene, snapshot, i, cycles) || (i == cycles / 4 && !measure(scene, &first))) {
			return scene_fail("cycle %lu", i);
		}
	}
	if (!measure(scene, &last)) {
		return false;
	}
	printf("%lu cycles: resident pages %ld, then %ld; descriptors %ld, %ld; mappings %ld, %ld; regions %ld, %ld\n",
	       cycles, first.resident, last.resident, first.descriptors, last.descriptors, first.mappings,
	       last.mappings, first.regions, last.regions);
	return (last.resident <= first.resident + SLACK_PAGES && last.mapped <= first.mapped + SLACK_PAGES &&
		last.descriptors == first.descriptors && last.mappings <= first.mappings &&
		last.regions <= first.regions) ||
	       scene_fail("something grows");
}
