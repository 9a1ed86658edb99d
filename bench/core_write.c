/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The core of a guest with a heap of 1 GiB full of random bytes, against cp of that core; with all memory and its
 * checksums, as a crash leaves it. Beside it what memory of its own writing one has taken.
 * Usage: GUEST.elf DIRECTORY [ROUNDS]
 */
#include "harness.h"

#include "session/dump.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAP_BYTES (1024ull << 20)
#define MEMORY_BYTES (HEAP_BYTES + (64ull << 20))

struct scene {
	struct hs_vm *vm;
	const char *directory;
	char core[4096]; /* the core that stays, to be copied */
};

/* Whatever is not zero: the point is that no page is a hole. */
static bool fill_memory(struct hs_vm *vm)
{
	struct hs_phys phys = hs_vm_phys(vm);
	hs_gpa at = { 0x100000 };
	uint64_t seed = 88172645463325252ull;
	uint64_t block[512];

	for (; at.v < HEAP_BYTES; at.v += sizeof(block)) {
		for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			block[i] = seed;
		}
		if (phys.ops->write(phys.ctx, at, block, sizeof(block), NULL)) {
			return false;
		}
	}
	return true;
}

static bool write_one(struct scene *scene, char *ret_path, size_t size)
{
	const struct hs_dump_spec spec = { .command_line = "bench", .path = scene->directory };
	struct hs_core_result result;
	struct hs_error err;

	if (hs_dump_write(scene->vm, &spec, &result, &err)) {
		fprintf(stderr, "core_write: %s\n", err.message);
		return false;
	}
	snprintf(ret_path, size, "%s", result.path);
	return true;
}

/* The most memory that this process has had at a time, in KiB; the guest's is in it. */
static long peak_kib(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

static bool write_core(void *ctx, double *ret_ns)
{
	char path[4096];
	double start = hs_bench_now();
	bool done = write_one(ctx, path, sizeof(path));

	*ret_ns = hs_bench_now() - start;
	return done && unlink(path) == 0;
}

/* posix_spawn() shares the address space until cp runs; fork() would charge cp with copying our page tables. */
static bool copy_core(void *ctx, double *ret_ns)
{
	struct scene *scene = ctx;
	char cp[] = "cp";
	char copy[sizeof(scene->core) + 8];
	char *const args[] = { cp, scene->core, copy, NULL };
	double start;
	int status;
	pid_t pid;

	snprintf(copy, sizeof(copy), "%s.copy", scene->core);
	start = hs_bench_now();
	if (posix_spawnp(&pid, cp, NULL, NULL, args, environ) != 0 || waitpid(pid, &status, 0) != pid) {
		return false;
	}
	*ret_ns = hs_bench_now() - start;
	return unlink(copy) == 0 && status == 0;
}

int main(int argc, char **argv)
{
	const struct hs_vm_config config = { .heap_bytes = HEAP_BYTES, .memory_bytes = MEMORY_BYTES };
	struct scene scene = { .directory = argv[2] };
	struct hs_bench bench = {
		.title = "Core of a guest with 1 GiB of random bytes",
		.unit = "MiB/s",
		.work = 1024,
		.rounds = hs_bench_rounds(argc == 4 ? argv[3] : NULL, 7),
		.ours = { "core, with checksums", write_core, &scene },
		.peer = { "cp of the core", copy_core, &scene },
	};
	struct hs_error err;
	bool done;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: core_write GUEST.elf DIRECTORY [ROUNDS]\n");
		return 2;
	}
	if (hs_vm_create(argv[1], &config, &scene.vm, &err)) {
		fprintf(stderr, "core_write: %s\n", err.message);
		return 1;
	}
	done = fill_memory(scene.vm);
	long before = peak_kib();

	done = done && write_one(&scene, scene.core, sizeof(scene.core)) && hs_bench_run(&bench);
	if (done) {
		printf("  memory of its own: %ld KiB\n", peak_kib() - before);
	}
	unlink(scene.core);
	hs_vm_destroy(scene.vm);
	return done ? 0 : 1;
}
