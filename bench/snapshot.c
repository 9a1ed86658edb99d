/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What snapshots cost: to take one, beside memcpy of what it keeps; to go back to one, by pages that the guest has
 * written to and by its size; to go back and run to the next call, beside the run alone and memcpy of those pages;
 * to come from its file to the call, beside the image; and a thousand VMs on one snapshot. The guest is
 * loops/pages.c.
 * Usage: GUEST.elf soft|kvm [ROUNDS]
 */
#include "harness.h"
#include "session/snapshot.h"

#include <hindsight/snapshot.h>
#include <hindsight/vm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define PAGES_MAX 512
/* Of KVM's fewer: each change of their memory slots takes the kernel milliseconds. */
#define CLONES 1000
#define CLONES_KVM 50
/* Times that one turn does what takes microseconds. */
#define PASSES 16

static const uint64_t sizes[] = { 8, 64, 256, 1024 }; /* MiB */
static const uint32_t counts[] = { 0, 8, 64, 512 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define COUNTS (sizeof(counts) / sizeof(counts[0]))

static const char *guest;
static enum hs_backend_choice backend;
static struct hs_error err;

/* A guest of one size, and a snapshot of it for each count of pages that it is about to write to. */
struct scene {
	uint64_t mib;
	struct hs_vm *vm;
	struct hs_snapshot *snapshots[COUNTS];
	size_t at;     /* of the snapshots: the one to use */
	char path[64]; /* of the file that it is saved to */
	uint8_t *new;  /* room for PAGES_MAX pages */
	const uint8_t *old;
};

static bool failed(const char *what)
{
	fprintf(stderr, "snapshot: %s: %s\n", what, err.message);
	return false;
}

static struct hs_vm_config config_of(uint64_t mib)
{
	return (struct hs_vm_config){
		.backend = backend,
		.heap_bytes = mib * MIB,
		.memory_bytes = 2 * mib * MIB + 64 * MIB,
		.seed = 1,
		.calls = true,
	};
}

/* Up to where the guest waits for a call. */
static bool run_to_ready(struct hs_vm *vm)
{
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;

	if (hs_vm_run(vm, &go, &event, &err)) {
		return failed("run");
	}
	if (event.kind != HS_EVENT_READY) {
		fprintf(stderr, "snapshot: the guest did not come to its call: %s\n",
			event.kind == HS_EVENT_CRASHED ? event.crash.text : "");
		return false;
	}
	return true;
}

static bool fill_page(const struct hs_phys *phys, hs_gpa page)
{
	uint64_t word = 0;
	hs_gpa where = hs_gpa_of(page.v + HS_PAGE_SIZE - sizeof(word));

	if (phys->ops->read(phys->ctx, where, &word, sizeof(word), &err)) {
		return failed("fill");
	}
	if (word != 0) {
		return true;
	}
	word = where.v;
	return !phys->ops->write(phys->ctx, where, &word, sizeof(word), &err) || failed("fill");
}

/* Something in each page of the first region, or the snapshot would not keep them; the other one is scratch. */
static bool fill_memory(struct hs_vm *vm)
{
	struct hs_phys phys = hs_vm_phys(vm);
	hs_gpa start = { 0 };
	uint64_t length = 0;
	bool done = phys.ops->next_region(phys.ctx, start, &start, &length);

	for (uint64_t at = 0; done && at < length; at += HS_PAGE_SIZE) {
		done = fill_page(&phys, hs_gpa_of(start.v + at));
	}
	return done;
}

static bool set_count(struct hs_vm *vm, uint32_t count)
{
	static struct hs_cpu_state cpu;

	if (hs_vm_cpu_get(vm, &cpu, &err)) {
		return failed("registers");
	}
	cpu.gpr[HS_RCX] = count;
	return !hs_vm_cpu_set(vm, &cpu, &err) || failed("registers");
}

static bool open_scene(struct scene *scene, uint64_t mib)
{
	const struct hs_snapshot_spec spec = { .generation = 1 };
	struct hs_vm_config config = config_of(mib);

	*scene = (struct scene){ .mib = mib, .new = aligned_alloc(HS_PAGE_SIZE, PAGES_MAX * HS_PAGE_SIZE) };
	if (!scene->new || hs_vm_create(guest, &config, &scene->vm, &err)) {
		return failed("create");
	}
	memset(scene->new, 1, PAGES_MAX * HS_PAGE_SIZE);
	if (!run_to_ready(scene->vm) || !fill_memory(scene->vm)) {
		return false;
	}
	for (size_t i = 0; i < COUNTS; i++) {
		if (!set_count(scene->vm, counts[i])) {
			return false;
		}
		if (hs_snapshot_of_vm(scene->vm, &spec, &scene->snapshots[i], &err)) {
			return failed("take");
		}
	}
	scene->old = hs_snapshot_info(scene->snapshots[0])->memory.bytes + HS_PAGE_SIZE;
	return true;
}

static void close_scene(struct scene *scene)
{
	hs_vm_destroy(scene->vm);
	for (size_t i = 0; i < COUNTS; i++) {
		hs_snapshot_unref(scene->snapshots[i]);
	}
	free(scene->new);
}

static bool take(void *ctx, double *ret_ns)
{
	const struct hs_snapshot_spec spec = { .generation = 1 };
	const struct scene *scene = ctx;
	struct hs_snapshot *snapshot;
	double start = hs_bench_now();
	enum hs_status st = hs_snapshot_of_vm(scene->vm, &spec, &snapshot, &err);

	*ret_ns = hs_bench_now() - start;
	if (st) {
		return failed("take");
	}
	hs_snapshot_unref(snapshot);
	return true;
}

/* To memory that is new, as a snapshot's is. */
static bool copy_all(void *ctx, double *ret_ns)
{
	const struct scene *scene = ctx;
	size_t length = scene->mib * MIB;
	int fd = memfd_create("copy", MFD_CLOEXEC);
	double start = hs_bench_now();
	void *to = fd < 0 || ftruncate(fd, (off_t)length)
			   ? MAP_FAILED
			   : mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (to == MAP_FAILED) {
		perror("snapshot: memfd");
		return false;
	}
	memcpy(to, scene->old, length);
	*ret_ns = hs_bench_now() - start;
	munmap(to, length);
	close(fd);
	return true;
}

static bool stand(const struct scene *scene)
{
	return !hs_vm_stand_on(scene->vm, scene->snapshots[scene->at], true, &err) || failed("restore");
}

/* Only going back, what was written between being the guest's. */
static bool go_back(void *ctx, double *ret_ns)
{
	const struct scene *scene = ctx;

	*ret_ns = 0;
	if (!stand(scene)) {
		return false;
	}
	for (unsigned int pass = 0; pass < PASSES; pass++) {
		double start;

		if (!run_to_ready(scene->vm)) {
			return false;
		}
		start = hs_bench_now();
		if (!stand(scene)) {
			return false;
		}
		*ret_ns += (hs_bench_now() - start) / PASSES;
	}
	return true;
}

static void copy_pages(const struct scene *scene)
{
	memcpy(scene->new, scene->old, counts[scene->at] * HS_PAGE_SIZE);
	__asm__ volatile("" : : "r"(scene->new) : "memory");
}

static bool copy(void *ctx, double *ret_ns)
{
	double start = hs_bench_now();

	for (unsigned int pass = 0; pass < PASSES; pass++) {
		copy_pages(ctx);
	}
	*ret_ns = (hs_bench_now() - start) / PASSES;
	return true;
}

static bool cycle(void *ctx, double *ret_ns)
{
	const struct scene *scene = ctx;
	double start;

	if (!stand(scene)) {
		return false;
	}
	start = hs_bench_now();
	for (unsigned int pass = 0; pass < PASSES; pass++) {
		if (!run_to_ready(scene->vm) || !stand(scene)) {
			return false;
		}
	}
	*ret_ns = (hs_bench_now() - start) / PASSES;
	return true;
}

static bool run_and_copy(void *ctx, double *ret_ns)
{
	const struct scene *scene = ctx;
	double start;

	if (!stand(scene)) {
		return false;
	}
	start = hs_bench_now();
	for (unsigned int pass = 0; pass < PASSES; pass++) {
		if (!run_to_ready(scene->vm)) {
			return false;
		}
		copy_pages(scene);
	}
	*ret_ns = (hs_bench_now() - start) / PASSES;
	return true;
}

static bool compare(struct hs_bench_side ours, struct hs_bench_side peer, unsigned int rounds, const char *what)
{
	struct hs_bench bench = { .title = what, .unit = "us", .rounds = rounds, .ours = ours, .peer = peer };

	return hs_bench_run(&bench);
}

static bool compare_restores(struct scene *scene, struct scene *smallest, unsigned int rounds)
{
	for (size_t i = 0; i < COUNTS; i++) {
		char title[120];
		bool done = true;

		scene->at = smallest->at = i;
		(void)snprintf(title, sizeof(title), "%llu MiB, back over %u pages", (unsigned long long)scene->mib,
			       counts[i]);
		if (scene != smallest) {
			done = compare((struct hs_bench_side){ "restore", go_back, scene },
				       (struct hs_bench_side){ "restore of 8 MiB", go_back, smallest }, rounds, title);
		} else if (counts[i] > 0) {
			done = compare((struct hs_bench_side){ "restore", go_back, scene },
				       (struct hs_bench_side){ "memcpy", copy, scene }, rounds, title);
		}
		if (!done ||
		    !compare((struct hs_bench_side){ "restore and call", cycle, scene },
			     (struct hs_bench_side){ "call and memcpy", run_and_copy, scene }, rounds, title)) {
			return false;
		}
	}
	return true;
}

/* What the process has to itself, in bytes. */
static double private_bytes(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "re");
	double sum = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "Private_", strlen("Private_")) == 0 && colon) {
			sum += (double)strtoul(colon + 1, NULL, 10) * 1024;
		}
	}
	if (file) {
		(void)fclose(file);
	}
	return sum;
}

/* Made, put on the snapshot, and called. */
static bool clone_vm(struct scene *scene, struct hs_vm **ret)
{
	struct hs_vm_config config = config_of(scene->mib);

	if (hs_vm_create(guest, &config, ret, &err)) {
		return failed("create");
	}
	return (!hs_vm_stand_on(*ret, scene->snapshots[0], true, &err) || failed("restore")) && run_to_ready(*ret);
}

static bool clone_many(struct scene *scene)
{
	static struct hs_vm *clones[CLONES];
	size_t count = backend == HS_BACKEND_KVM ? CLONES_KVM : CLONES;
	double before = private_bytes();
	double start = hs_bench_now();
	double ns;
	double bytes;
	bool done = true;

	for (size_t i = 0; i < count && done; i++) {
		done = clone_vm(scene, &clones[i]);
	}
	ns = hs_bench_now() - start;
	bytes = private_bytes() - before;
	for (size_t i = 0; i < count; i++) {
		hs_vm_destroy(clones[i]);
	}
	if (done) {
		printf("%llu MiB, %zu VMs on one snapshot, called once each: %.0f us and %.0f KiB of its own each\n",
		       (unsigned long long)scene->mib, count, ns / (double)count / 1e3, bytes / (double)count / 1024);
	}
	return done;
}

/* From the path of the snapshot's file to a guest that waits for its call. */
static bool open_file(void *ctx, double *ret_ns)
{
	const struct scene *scene = ctx;
	struct hs_vm_config config = config_of(scene->mib);
	struct hs_snapshot *snapshot = NULL;
	struct hs_vm *vm = NULL;
	double start = hs_bench_now();
	bool done = !hs_snapshot_open(scene->path, false, &snapshot, &err) &&
		    !hs_vm_create_from(snapshot, &config, &vm, &err) && !hs_vm_stand_on(vm, snapshot, true, &err);

	*ret_ns = hs_bench_now() - start;
	hs_vm_destroy(vm);
	hs_snapshot_unref(snapshot);
	return done || failed("open");
}

/* From the path of the image to the same. */
static bool boot(void *ctx, double *ret_ns)
{
	const struct scene *scene = ctx;
	struct hs_vm_config config = config_of(scene->mib);
	struct hs_vm *vm = NULL;
	double start = hs_bench_now();
	bool done = (!hs_vm_create(guest, &config, &vm, &err) || failed("create")) && run_to_ready(vm);

	*ret_ns = hs_bench_now() - start;
	hs_vm_destroy(vm);
	return done;
}

/* In memory, so that no disk is measured. */
static bool compare_file(struct scene *scene, unsigned int rounds)
{
	char title[120];
	bool done;

	(void)snprintf(title, sizeof(title), "%llu MiB, up to the call", (unsigned long long)scene->mib);
	(void)snprintf(scene->path, sizeof(scene->path), "/dev/shm/hindsight-bench-%d.snap", (int)getpid());
	if (hs_snapshot_save(scene->snapshots[0], scene->path, true, &err)) {
		return failed("save");
	}
	done = compare((struct hs_bench_side){ "snapshot's file", open_file, scene },
		       (struct hs_bench_side){ "image", boot, scene }, rounds, title);
	(void)unlink(scene->path);
	return done;
}

static bool measure(unsigned int rounds)
{
	static struct scene smallest;
	static struct scene scene;

	if (!open_scene(&smallest, sizes[0]) || !compare_restores(&smallest, &smallest, rounds) ||
	    !compare_file(&smallest, rounds)) {
		return false;
	}
	for (size_t i = 1; i < SIZES; i++) {
		bool done;

		if (!open_scene(&scene, sizes[i])) {
			return false;
		}
		done = (sizes[i] > 64 || compare((struct hs_bench_side){ "snapshot", take, &scene },
						 (struct hs_bench_side){ "memcpy to a new memfd", copy_all, &scene },
						 rounds / 4 | 1, "64 MiB in pages that are not zero")) &&
		       compare_restores(&scene, &smallest, rounds) && compare_file(&scene, rounds);
		close_scene(&scene);
		if (!done) {
			return false;
		}
	}
	if (!clone_many(&smallest)) {
		return false;
	}
	close_scene(&smallest);
	return true;
}

/* False, with the reason printed, where this host has no such backend for the guest. */
static bool can_run(void)
{
	struct hs_vm_config config = config_of(1);
	struct hs_vm *vm;

	if (hs_vm_create(guest, &config, &vm, &err)) {
		printf("not measured: %s\n", err.message);
		return false;
	}
	hs_vm_destroy(vm);
	return true;
}

int main(int argc, char **argv)
{
	unsigned int rounds = hs_bench_rounds(argc == 4 ? argv[3] : NULL, 51);

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: snapshot GUEST.elf soft|kvm [ROUNDS]\n");
		return 2;
	}
	guest = argv[1];
	backend = strcmp(argv[2], "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT;
	return !can_run() || measure(rounds) ? 0 : 1;
}
