/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * spaces BACKEND IMAGE [CYCLES]: the spaces program (guest/programs/spaces.c) runs until it is ready, a snapshot is
 * taken, and it goes on to its end: here and, after a restore, with memory private or shared, in this VM, in another
 * and in new ones, one of them from a file. It ends in the same way each time; what it has written is neither in the
 * snapshot nor in the other VM. Then snapshots of restored guests are taken, CYCLES of them, and none is larger than
 * the first. Tables and frames are shared by as many entries in each of these as they were before the first one. That
 * snapshot has its roots by the variable that holds them; those that the guest has registered are the same, and other
 * finders are tried too.
 *
 * Exit status 0, 1 with a line that says what is wrong, 77 when the backend cannot run the guest here.
 */
#include "run.h"
#include "spaces_count.h"

#include "session/roots.h"
#include "session/snapshot.h"
#include "vmm/memory.h"

#include <hindsight/hindsight.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPACES 4
#define FILE_NAME "spaces.snap"

/* Stops the guest where it says that it is ready. */
static void console(void *ctx, const void *bytes, size_t length)
{
	struct run *run = ctx;

	run_keep(run, bytes, length);
	if (length == 6 && memcmp(bytes, "ready\n", 6) == 0) {
		hs_vm_interrupt(run->vm);
	}
}

static int create(const char *backend, const char *image, struct run *run)
{
	struct hs_vm_config config = {
		.scratch_bytes = 16 << 20,
		.args = &image,
		.args_count = 1,
		.console = console,
		.console_ctx = run,
		.seed = 1,
	};

	return run_create(backend, image, &config, &run->vm);
}

/* FNV-1a, 64 bits (draft-eastlake-fnv), of all that the snapshot holds. */
static uint64_t digest_of(const struct hs_snapshot *snapshot)
{
	const struct hs_memory_image *memory = &hs_snapshot_info(snapshot)->memory;
	struct hs_phys phys = hs_snapshot_phys(snapshot);
	uint64_t digest = UINT64_C(0xcbf29ce484222325);
	uint64_t words[HS_PAGE_SIZE / 8];

	for (size_t i = 0; i < memory->part_count; i++) {
		for (uint64_t at = 0; at < memory->parts[i].length; at += HS_PAGE_SIZE) {
			hs_gpa gpa = { memory->parts[i].gpa.v + at };

			(void)!phys.ops->read(phys.ctx, gpa, words, sizeof(words), NULL);
			for (size_t j = 0; j < HS_PAGE_SIZE / 8; j++) {
				digest = (digest ^ words[j]) * UINT64_C(0x100000001b3);
			}
		}
	}
	return digest;
}

/* To the snapshot and on: the same end as the first time. */
static int go_back(struct run *run, struct hs_snapshot *snapshot, bool share, const char *end)
{
	uint64_t written;

	if (run_restore(run->vm, snapshot, share) || run_go_on(run, HS_EVENT_EXITED)) {
		return 1;
	}
	if (strcmp(run->output, end) != 0) {
		fprintf(stderr, "spaces: another end: %s\ninstead of: %s\n", run->output, end);
		return 1;
	}
	if (hs_vm_pages_written(run->vm, &written, &error) || written == 0) {
		return fail("it has written, and no page is known to be");
	}
	return 0;
}

static int check_facts(const struct hs_snapshot *snapshot)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);

	if (!info->cow) {
		return fail("the snapshot is not copy-on-write");
	}
	/* Where the finder has put the root of space 2. */
	if (info->root_count != SPACES || info->current != 2) {
		fprintf(stderr, "spaces: %u roots, the CPU on number %u\n", info->root_count, info->current);
		return 1;
	}
	return 0;
}

/* What the guest's spaces have in common before any snapshot; all there is afterwards is compared with it. */
static struct sharing original;

static int note_original(struct run *run)
{
	static struct hs_cpu_state cpu;
	struct hs_phys phys = hs_vm_phys(run->vm);
	struct hs_vm_bounds bounds = hs_vm_bounds(run->vm);
	struct hs_roots roots;
	bool good;

	if (hs_vm_cpu_get(run->vm, &cpu, &error) || hs_roots_find(run->vm, NULL, &cpu, &roots, &error)) {
		return fail("roots");
	}
	good = count_sharing(&phys, roots.items, roots.count, bounds.scratch_gva, bounds.scratch_bytes, &original);
	hs_roots_deinit(&roots);
	if (!good) {
		return fail("the guest's tables cannot be read");
	}
	/* What the program has made: four spaces, two frames by two addresses, and large pages. */
	if (original.table_aliases < 3 || original.shared_frames < 4 || original.constant == 0 || original.user == 0 ||
	    original.large == 0) {
		return fail("its spaces have nothing in common");
	}
	return 0;
}

/* In the snapshot or, once it stands there, in the VM. */
static int check_sharing(struct run *run, const struct hs_snapshot *snapshot, bool in_vm)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	struct hs_vm_bounds bounds = hs_vm_bounds(run->vm);
	struct hs_phys phys = in_vm ? hs_vm_phys(run->vm) : hs_snapshot_phys(snapshot);
	struct sharing now;

	if (!count_sharing(&phys, info->roots, info->root_count, bounds.scratch_gva, bounds.scratch_bytes, &now)) {
		return fail("the snapshot's tables cannot be read");
	}
	return same_sharing(&original, &now, "sharing is not what it was before the snapshot") ? 0 : 1;
}

/* A snapshot of the guest as it is after a restore, over and over. */
static int grow(struct run *run, struct hs_snapshot **snapshot, unsigned long cycles)
{
	struct hs_snapshot_info first = *hs_snapshot_info(*snapshot);

	for (unsigned long i = 0; i < cycles; i++) {
		const struct hs_snapshot_info *info;
		struct hs_snapshot *next;

		if (run_restore(run->vm, *snapshot, i % 2) || run_snapshot(run->vm, 2, &next) ||
		    run_restore(run->vm, next, i % 2)) {
			return 1;
		}
		/* The old one goes when nobody stands on it. */
		hs_snapshot_unref(*snapshot);
		*snapshot = next;
		info = hs_snapshot_info(next);
		if (check_sharing(run, next, false) || check_sharing(run, next, true)) {
			return 1;
		}
		if (info->shared_bytes != first.shared_bytes || info->private_bytes != first.private_bytes ||
		    info->table_bytes != first.table_bytes || info->root_count != first.root_count) {
			fprintf(stderr, "spaces: snapshot %lu has %" PRIu64 ", %" PRIu64 " and %" PRIu64 " bytes\n",
				i + 2, info->shared_bytes, info->private_bytes, info->table_bytes);
			return 1;
		}
	}
	return 0;
}

/* What a finder of roots gives that is no list of roots, and what is said to it. */
struct bad_roots {
	hs_gpa roots[2];
	size_t count;
	enum hs_status expected;
};

static enum hs_status name_roots(void *ctx, const struct hs_phys *phys, uint64_t cr3, hs_gpa *roots, size_t capacity,
				 size_t *ret_count, struct hs_error *err)
{
	const struct bad_roots *bad = ctx;

	(void)phys, (void)cr3, (void)capacity, (void)err;
	memcpy(roots, bad->roots, sizeof(bad->roots));
	*ret_count = bad->count;
	return HS_OK;
}

static int expect(struct run *run, const struct hs_roots_spec *roots, enum hs_status expected, uint32_t root_count,
		  struct hs_snapshot **ret)
{
	const struct hs_snapshot_spec spec = { .roots = roots, .generation = 1 };
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err = { 0 };
	enum hs_status st = hs_snapshot_of_vm(run->vm, &spec, &snapshot, &err);

	if (st != expected || (!st && hs_snapshot_info(snapshot)->root_count != root_count)) {
		fprintf(stderr, "spaces: finder %d gives status %d and not %d: %s\n", roots->kind, st, expected,
			err.message);
		hs_snapshot_unref(snapshot);
		return 1;
	}
	if (ret) {
		*ret = snapshot;
	} else {
		hs_snapshot_unref(snapshot);
	}
	return 0;
}

/* Each finder, and what is refused. *ret is a snapshot by the variable that the runtime keeps the roots in. */
static int try_finders(struct run *run, struct hs_snapshot **ret)
{
	struct bad_roots bad[] = {
		{ { { 0x1000 }, { 0x1000 } }, 2, HS_ERR_INVALID },
		{ { { 0x1008 } }, 1, HS_ERR_INVALID },
		{ { { 0x70000000 } }, 1, HS_ERR_UNREADABLE },
		{ { { 0 } }, SIZE_MAX, HS_ERR_RANGE },
	};
	struct hs_roots_spec spec = { .kind = HS_ROOTS_CURRENT };
	int status = expect(run, &spec, HS_OK, 1, NULL);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]) && !status; i++) {
		spec = (struct hs_roots_spec){ .kind = HS_ROOTS_CALLBACK, .callback = name_roots, .ctx = &bad[i] };
		status = expect(run, &spec, bad[i].expected, 0, NULL);
	}
	spec = (struct hs_roots_spec){ .kind = HS_ROOTS_SYMBOL, .symbol = "no_such_variable", .stride = 8, .count = 4 };
	status = status ? status : expect(run, &spec, HS_ERR_NOT_FOUND, 0, NULL);
	spec.symbol = "list";
	spec.stride = 1;
	status = status ? status : expect(run, &spec, HS_ERR_INVALID, 0, NULL);
	spec.stride = 8;
	/* Zeros behind the four are none. */
	spec.count = 10;
	return status ? status : expect(run, &spec, HS_OK, SPACES, ret);
}

/* A VM that is made for a snapshot and has run nothing. */
static int go_on_in_new(const char *backend, struct hs_snapshot *snapshot, const char *end)
{
	static struct run run;
	const struct hs_vm_config config = {
		.backend = strcmp(backend, "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT,
		.console = console,
		.console_ctx = &run,
	};
	int status = hs_vm_create_from(snapshot, &config, &run.vm, &error) ? fail("a VM for a snapshot") : 0;

	for (int share = 0; share < 2 && !status; share++) {
		status = go_back(&run, snapshot, share, end);
	}
	status = status ? status : run_restore(run.vm, snapshot, true);
	status = status ? status : check_sharing(&run, snapshot, true);
	hs_vm_destroy(run.vm);
	run.vm = NULL;
	return status;
}

static int go_through_file(const char *backend, const struct hs_snapshot *snapshot, const char *end)
{
	struct hs_snapshot *opened = NULL;
	int status = hs_snapshot_save(snapshot, FILE_NAME, true, &error) ? fail("save") : 0;

	if (!status && hs_snapshot_open(FILE_NAME, true, &opened, &error)) {
		status = fail("open");
	}
	unlink(FILE_NAME);
	status = status ? status : go_on_in_new(backend, opened, end);
	hs_snapshot_unref(opened);
	return status;
}

static int try_all(const char *backend, struct run *runs, struct hs_snapshot **snapshot, unsigned long cycles)
{
	static char end[OUTPUT_MAX];
	uint64_t before = digest_of(*snapshot);
	int status = run_go_on(&runs[0], HS_EVENT_EXITED);

	memcpy(end, runs[0].output, sizeof(end));
	for (int i = 0; i < 4 && !status; i++) {
		status = go_back(&runs[0], *snapshot, i / 2, end);
	}
	/* The first VM stands there still, with all that it has written. */
	status = status ? status : go_back(&runs[1], *snapshot, true, end);
	status = status ? status : go_back(&runs[1], *snapshot, false, end);
	status = status ? status : go_on_in_new(backend, *snapshot, end);
	status = status ? status : go_through_file(backend, *snapshot, end);
	if (!status && digest_of(*snapshot) != before) {
		status = fail("the snapshot has changed");
	}
	status = status ? status : grow(&runs[0], snapshot, cycles);
	return status ? status : go_back(&runs[0], *snapshot, true, end);
}

int main(int argc, char **argv)
{
	static struct run runs[2];
	struct hs_snapshot *snapshot = NULL;
	int status;

	if (argc < 3) {
		fprintf(stderr, "usage: spaces kvm|soft IMAGE [CYCLES]\n");
		return 2;
	}
	status = create(argv[1], argv[2], &runs[0]);
	status = status ? status : create(argv[1], argv[2], &runs[1]);
	status = status ? status : run_go_on(&runs[0], HS_EVENT_INTERRUPTED);
	status = status ? status : note_original(&runs[0]);
	status = status ? status : run_snapshot(runs[0].vm, 1, &snapshot);
	status = status ? status : check_facts(snapshot);
	status = status ? status : check_sharing(&runs[0], snapshot, false);
	hs_snapshot_unref(snapshot);
	snapshot = NULL;
	status = status ? status : try_finders(&runs[0], &snapshot);
	status = status ? status : check_facts(snapshot);
	status = status ? status : try_all(argv[1], runs, &snapshot, argc > 3 ? strtoul(argv[3], NULL, 10) : 0);
	hs_vm_destroy(runs[0].vm);
	hs_vm_destroy(runs[1].vm);
	hs_snapshot_unref(snapshot);
	return status;
}
