/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * checkpoint BACKEND STEPS IMAGE [ARGUMENT...]: a guest that goes back to checkpoints, taken after so many instructions
 * and as many again, in any order: all physical memory and all registers are what they were, it comes from the one to
 * the other, and it ends as it did. The same with checkpoints above a snapshot, to and fro between those and the ones
 * of the boot, with what may be shared shared and not.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when the backend cannot run the guest here.
 */
#include "run.h"

#include "session/snapshot.h"
#include "vmm/checkpoint.h"
#include "vmm/vm_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FXSAVE_SOFTWARE 464
/* Beside the guest's own memory: some of ours, and a private copy of its image. */
#define LENT_GPA 0x20000000
#define FILE_GPA 0x30000000
#define END_MAX (OUTPUT_MAX + 512)

/* Where a checkpoint was taken, and what becomes of the guest from there. */
struct place {
	struct hs_vm_checkpoint *checkpoint;
	uint64_t digest;
	char end[END_MAX]; /* empty until it is known */
};

static struct run run;
static struct hs_checkpoint_pool pool;
static uint8_t lent[2 * HS_PAGE_SIZE] __attribute__((aligned(HS_PAGE_SIZE)));

/* FNV-1a, 64 bits (draft-eastlake-fnv), of words. */
static void hash(uint64_t *digest, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word = 0;

		memcpy(&word, (const uint8_t *)bytes + i, length - i < sizeof(word) ? length - i : sizeof(word));
		*digest = (*digest ^ word) * UINT64_C(0x100000001b3);
	}
}

/* Of all registers as the CPU has them, and of all physical memory, where it is included. */
static int digest_of_vm(uint64_t *ret)
{
	static struct hs_cpu_state cpu;
	uint64_t digest = UINT64_C(0xcbf29ce484222325);

	if (hs_vm_cpu_get(run.vm, &cpu, &error) ||
	    run.vm->ops->get_state(run.vm->backend, HS_STATE_ALL, &cpu, &error)) {
		return fail("registers");
	}
	cpu.msr.tsc = 0; /* goes on */
	/* Software's (SDM vol. 1 10.5.1), and which components are in their initial state is for the CPU to say. */
	memset(cpu.xsave + FXSAVE_SOFTWARE, 0, HS_XSAVE_XCOMP_BV - FXSAVE_SOFTWARE);
	hash(&digest, &cpu, sizeof(cpu));
	for (size_t i = 0; i < run.vm->ram.count; i++) {
		const struct hs_ram_region *region = &run.vm->ram.regions[i];

		hash(&digest, &region->gpa, sizeof(region->gpa));
		hash(&digest, region->host, region->length);
	}
	*ret = digest;
	return 0;
}

/* Somebody writes to what is lent, and a debugger to the copy of the file; a snapshot has both elsewhere. */
static int write_to_mappings(void)
{
	struct hs_phys phys = hs_vm_phys(run.vm);
	uint8_t byte;

	if (hs_vm_is_restored(run.vm)) {
		return 0;
	}
	lent[HS_PAGE_SIZE + 7]++;
	if (phys.ops->read(phys.ctx, hs_gpa_of(FILE_GPA + 9), &byte, 1, &error)) {
		return fail("read the copy of a file");
	}
	byte++;
	return phys.ops->write(phys.ctx, hs_gpa_of(FILE_GPA + 9), &byte, 1, &error) ? fail("write to it") : 0;
}

static int step(unsigned long steps)
{
	const struct hs_resume one = { .kind = HS_RESUME_STEP };
	struct hs_event event = { .kind = HS_EVENT_STEPPED };

	if (write_to_mappings()) {
		return 1;
	}
	for (unsigned long i = 0; i < steps && event.kind == HS_EVENT_STEPPED; i++) {
		if (hs_vm_run(run.vm, &one, &event, &error)) {
			return fail("step");
		}
	}
	return event.kind == HS_EVENT_STEPPED ? 0 : fail("the guest has ended before");
}

/* Its end as text. */
static int run_to_end(char ret[END_MAX])
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;

	run.length = 0;
	run.output[0] = '\0';
	if (hs_vm_run(run.vm, &on, &event, &error)) {
		return fail("run");
	}
	snprintf(ret, END_MAX, "event %d, exit status %d, %s; %s", event.kind,
		 event.kind == HS_EVENT_EXITED ? event.exit_status : 0,
		 event.kind == HS_EVENT_CRASHED ? event.crash.text : "", run.output);
	return 0;
}

static int end_as_before(char known[END_MAX])
{
	char end[END_MAX];

	if (known[0] == '\0') {
		return run_to_end(known);
	}
	if (run_to_end(end)) {
		return 1;
	}
	if (strcmp(end, known) != 0) {
		fprintf(stderr, "checkpoint: another end: %s\ninstead of: %s\n", end, known);
		return 1;
	}
	return 0;
}

static int take(const struct place *like, struct place *ret)
{
	uint64_t after;

	if (digest_of_vm(&ret->digest)) {
		return 1;
	}
	if (hs_vm_checkpoint_take(run.vm, like ? like->checkpoint : NULL, &pool, &ret->checkpoint, &error)) {
		return fail("take");
	}
	if (digest_of_vm(&after)) {
		return 1;
	}
	return after == ret->digest ? 0 : fail("taking a checkpoint changes the guest");
}

static int go_to(const struct place *place, const char *name)
{
	uint64_t digest;

	if (hs_vm_checkpoint_restore(run.vm, place->checkpoint, &error)) {
		return fail(name);
	}
	if (digest_of_vm(&digest)) {
		return 1;
	}
	if (digest != place->digest) {
		fprintf(stderr, "checkpoint: registers or memory are not those of checkpoint %s\n", name);
		return 1;
	}
	return 0;
}

/* From the one to the other, an instruction at a time. */
static int comes_to(const struct place *place, unsigned long steps)
{
	uint64_t digest;

	if (step(steps) || digest_of_vm(&digest)) {
		return 1;
	}
	return digest == place->digest ? 0 : fail("the guest goes another way from a checkpoint");
}

static int go_and_end(struct place *place, const char *name)
{
	return go_to(place, name) || end_as_before(place->end);
}

/* A, then B, then A again, whatever was run in between. */
static int in_any_order(struct place *a, struct place *b, unsigned long steps)
{
	return go_to(a, "A") || comes_to(b, steps) || end_as_before(b->end) || go_and_end(b, "B") ||
	       go_and_end(a, "A") || go_to(a, "A") || go_and_end(b, "B") || go_to(b, "B") || go_to(a, "A") ||
	       comes_to(b, steps) || go_and_end(a, "A");
}

static int stand_on(const struct hs_snapshot *snapshot, bool share)
{
	uint64_t written;

	if (hs_vm_stand_on(run.vm, snapshot, share, &error) || hs_vm_pages_written(run.vm, &written, &error)) {
		return fail("stand on the snapshot");
	}
	return written == 0 ? 0 : fail("pages count as written behind a restore of the snapshot");
}

/* Above a snapshot that was taken where A was. */
static int above_a_snapshot(struct place *a, struct place *b, unsigned long steps, bool share)
{
	struct place c = { .digest = 0 };
	struct place d = { .digest = 0 };
	struct place base = { .digest = 0 };
	struct hs_snapshot *snapshot = NULL;
	uint64_t digest;
	int status = go_to(a, "A");

	status = status || run_snapshot(run.vm, 1, &snapshot) || stand_on(snapshot, share) || take(NULL, &base) ||
		 step(steps) || take(a, &c) || step(1) || take(&c, &d) || end_as_before(d.end);
	status = status || go_and_end(&c, "C") || go_to(&d, "D") || go_to(&c, "C") || go_and_end(&d, "D") ||
		 in_any_order(a, b, steps) || go_and_end(&c, "C") || go_and_end(b, "B") || go_to(&c, "C") ||
		 stand_on(snapshot, share) || digest_of_vm(&digest);
	if (!status && digest != base.digest) {
		status = fail("the snapshot is not what it was");
	}
	status = status || (hs_vm_checkpoint_pages(base.checkpoint) != 0 && fail("an untouched guest has pages")) ||
		 go_to(&base, "of the snapshot") || go_and_end(&d, "D") || stand_on(snapshot, !share) ||
		 go_and_end(&c, "C");
	hs_vm_checkpoint_destroy(base.checkpoint);
	hs_vm_checkpoint_destroy(c.checkpoint);
	hs_vm_checkpoint_destroy(d.checkpoint);
	status = status || go_and_end(a, "A");
	hs_snapshot_unref(snapshot);
	return status;
}

/* What is the same is kept once; what does not fit is refused, and nothing is left of it. */
static int check_pool(struct place *a)
{
	struct place again = { .digest = 0 };
	uint64_t bytes = pool.bytes;

	if (go_to(a, "A") || take(a, &again)) {
		return 1;
	}
	if (pool.bytes != bytes) {
		return fail("the same checkpoint takes more memory");
	}
	hs_vm_checkpoint_destroy(again.checkpoint);
	pool.limit = bytes + HS_PAGE_SIZE;
	if (hs_vm_checkpoint_take(run.vm, NULL, &pool, &again.checkpoint, &error) != HS_ERR_EXHAUSTED) {
		return fail("the pool's limit is none");
	}
	pool.limit = 0;
	return pool.bytes == bytes ? 0 : fail("a checkpoint that was refused is kept");
}

int main(int argc, char **argv)
{
	static struct place a, b;
	struct hs_vm_mapping mappings[] = {
		{ .label = "lent", .gpa = { LENT_GPA }, .host = lent, .length = sizeof(lent), .writable = true },
		{ .label = "file", .gpa = { FILE_GPA } },
	};
	struct hs_vm_config config = {
		.console = run_keep,
		.console_ctx = &run,
		.seed = 1,
		.mappings = mappings,
		.mapping_count = 2,
	};
	unsigned long steps;
	int status;

	if (argc < 4) {
		fprintf(stderr, "usage: checkpoint kvm|soft STEPS IMAGE [ARGUMENT...]\n");
		return 2;
	}
	steps = strtoul(argv[2], NULL, 10);
	config.args = (const char *const *)argv + 3;
	config.args_count = (size_t)argc - 3;
	mappings[1].path = argv[3];
	status = run_create(argv[1], argv[3], &config, &run.vm);
	if (status) {
		return status;
	}
	status = step(steps) || take(NULL, &a) || step(steps) || take(&a, &b) || end_as_before(b.end) ||
		 in_any_order(&a, &b, steps) || check_pool(&a) || above_a_snapshot(&a, &b, steps, false) ||
		 above_a_snapshot(&a, &b, steps, true);
	hs_vm_checkpoint_destroy(a.checkpoint);
	hs_vm_checkpoint_destroy(b.checkpoint);
	if (!status && pool.bytes != 0) {
		status = fail("pages are left");
	}
	hs_vm_destroy(run.vm);
	return status;
}
