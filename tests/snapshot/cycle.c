/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cycle BACKEND STEPS IMAGE [ARGUMENT...]: run a guest for so many instructions, take a snapshot, let it run to its
 * end, and go back: three times in its own VM, once with what may be shared shared, twice in a second VM. What the
 * guest can see after each restore is what it could see at the snapshot, and it ends in the same way with the same
 * output.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when the backend cannot run the guest here.
 */
#include "session/snapshot.h"
#include "vmm/memory.h"

#include <hindsight/hindsight.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_MAX 65536
#define FXSAVE_SOFTWARE 464

struct output {
	char bytes[OUTPUT_MAX];
	size_t length;
};

struct run {
	struct hs_vm *vm;
	struct output output;
};

static struct hs_error error;

static int fail(const char *what)
{
	fprintf(stderr, "cycle: %s%s%s\n", what, error.message[0] ? ": " : "", error.message);
	return 1;
}

static void console(void *ctx, const void *bytes, size_t length)
{
	struct output *output = ctx;

	if (length > OUTPUT_MAX - output->length) {
		length = OUTPUT_MAX - output->length;
	}
	memcpy(output->bytes + output->length, bytes, length);
	output->length += length;
}

/* FNV-1a, 64 bits (draft-eastlake-fnv). */
static void hash(uint64_t *digest, const void *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		*digest = (*digest ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	}
}

static void hash_page(uint64_t *digest, const struct hs_phys *phys, const struct hs_range *range, uint64_t at)
{
	uint8_t page[HS_PAGE_SIZE];
	uint64_t gva = range->start.v + at;
	/* A page that is copy-on-write is the guest's to write to as before. */
	int prot = range->prot | (range->cow ? HS_PROT_WRITE : 0);
	uint64_t leaf = range->cow ? range->leaf & ~HS_LEAF_AVL : range->leaf;
	uint64_t facts[] = { gva, (uint64_t)prot, range->user, leaf };

	memset(page, 0, sizeof(page));
	(void)!phys->ops->read(phys->ctx, hs_gpa_of(range->gpa.v + at), page, sizeof(page), NULL);
	hash(digest, facts, sizeof(facts));
	hash(digest, page, sizeof(page));
}

/* Registers and all that the address space shows, the window onto scratch apart, unless it is asked for. */
static uint64_t digest_of(const struct hs_phys *phys, const struct hs_cpu_state *cpu, uint64_t window_gva,
			  uint64_t window_bytes)
{
	static struct hs_iter iter;
	struct hs_cpu_state registers = *cpu;
	struct hs_range range;
	struct hs_root root;
	uint64_t digest = UINT64_C(0xcbf29ce484222325);

	hs_root_of_cpu(cpu, &root);
	registers.cr3 = cpu->cr3 % HS_PAGE_SIZE;
	registers.msr.tsc = 0; /* goes on */
	/* Software's (SDM vol. 1 10.5.1), where KVM says what features it has; and which components are in their
	 * initial state is for the CPU to say (13.6). */
	memset(registers.xsave + FXSAVE_SOFTWARE, 0, HS_XSAVE_XCOMP_BV - FXSAVE_SOFTWARE);
	hash(&digest, &registers, sizeof(registers));
	hs_iter_init(&iter, phys, &root, hs_gva_of(0), 0, hs_budget_default());
	while (hs_iter_next(&iter, &range, NULL) == HS_OK) {
		for (uint64_t at = 0; range.kind == HS_RANGE_MAPPED && at < range.length; at += HS_PAGE_SIZE) {
			if (range.start.v + at - window_gva >= window_bytes) {
				hash_page(&digest, phys, &range, at);
			}
		}
	}
	return digest;
}

static int digest_of_vm(struct hs_vm *vm, bool window, uint64_t *ret)
{
	static struct hs_cpu_state cpu;
	struct hs_phys phys = hs_vm_phys(vm);
	struct hs_vm_bounds bounds = hs_vm_bounds(vm);

	if (hs_vm_cpu_get(vm, &cpu, &error)) {
		return fail("registers");
	}
	*ret = digest_of(&phys, &cpu, bounds.scratch_gva.v, window ? 0 : bounds.scratch_bytes);
	return 0;
}

static int create(const char *backend, const char *const *words, size_t count, struct run *ret)
{
	struct hs_vm_config config = {
		.backend = strcmp(backend, "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT,
		.args = words,
		.args_count = count,
		.console = console,
		.console_ctx = &ret->output,
		.seed = 1,
	};
	enum hs_status st = hs_vm_create(words[0], &config, &ret->vm, &error);

	if (st == HS_ERR_UNSUPPORTED || st == HS_ERR_NOT_FOUND || st == HS_ERR_PERMISSION) {
		fprintf(stderr, "%s\n", error.message);
		return 77;
	}
	return st ? fail("create") : 0;
}

/* An end as text, without what changes from run to run. */
static int run_to_end(struct run *run, char *ret, size_t size)
{
	const struct hs_resume on = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;

	run->output.length = 0;
	if (hs_vm_run(run->vm, &on, &event, &error)) {
		return fail("run");
	}
	snprintf(ret, size, "event %d, exit status %d, %s; %.*s", event.kind,
		 event.kind == HS_EVENT_EXITED ? event.exit_status : 0,
		 event.kind == HS_EVENT_CRASHED ? event.crash.text : "", (int)run->output.length, run->output.bytes);
	return 0;
}

static int step(struct run *run, unsigned long steps)
{
	const struct hs_resume one = { .kind = HS_RESUME_STEP };
	struct hs_event event = { .kind = HS_EVENT_STEPPED };

	for (unsigned long i = 0; i < steps && event.kind == HS_EVENT_STEPPED; i++) {
		if (hs_vm_run(run->vm, &one, &event, &error)) {
			return fail("step");
		}
	}
	if (event.kind != HS_EVENT_STEPPED) {
		fprintf(stderr, "the guest has ended before\n");
		return 77;
	}
	return 0;
}

struct expected {
	uint64_t seen, whole; /* digests without and with the window, the latter once it is known */
	char *end;
};

static int go_back(struct run *run, const struct hs_snapshot *snapshot, bool share, struct expected *expected,
		   char *end)
{
	uint64_t seen;
	uint64_t whole;

	if (hs_vm_stand_on(run->vm, snapshot, share, &error)) {
		return fail("restore");
	}
	if (digest_of_vm(run->vm, false, &seen) || digest_of_vm(run->vm, true, &whole)) {
		return 1;
	}
	if (seen != expected->seen) {
		return fail("registers or memory are not those of the snapshot");
	}
	if (expected->whole && whole != expected->whole) {
		return fail("scratch is not what it was after the first restore");
	}
	expected->whole = whole;
	if (run_to_end(run, end, OUTPUT_MAX)) {
		return 1;
	}
	if (strcmp(end, expected->end) != 0) {
		fprintf(stderr, "cycle: another end: %s\ninstead of: %s\n", end, expected->end);
		return 1;
	}
	return 0;
}

static int cycle(const char *backend, unsigned long steps, const char *const *words, size_t count)
{
	static struct run runs[2];
	static char ends[2][OUTPUT_MAX + 512];
	const struct hs_snapshot_spec spec = { .generation = 1 };
	struct expected expected = { .end = ends[0] };
	struct hs_snapshot *snapshot = NULL;
	int status = create(backend, words, count, &runs[0]);

	status = status ? status : step(&runs[0], steps);
	status = status ? status : digest_of_vm(runs[0].vm, false, &expected.seen);
	if (!status && hs_snapshot_of_vm(runs[0].vm, &spec, &snapshot, &error)) {
		status = fail("snapshot");
	}
	status = status ? status : run_to_end(&runs[0], ends[0], sizeof(ends[0]));
	for (int i = 0; i < 3 && !status; i++) {
		status = go_back(&runs[0], snapshot, false, &expected, ends[1]);
	}
	status = status ? status : go_back(&runs[0], snapshot, true, &expected, ends[1]);
	status = status ? status : create(backend, words, count, &runs[1]);
	for (int i = 0; i < 2 && !status; i++) {
		status = go_back(&runs[1], snapshot, true, &expected, ends[1]);
	}
	hs_vm_destroy(runs[0].vm);
	hs_vm_destroy(runs[1].vm);
	hs_snapshot_unref(snapshot);
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: cycle kvm|soft STEPS IMAGE [ARGUMENT...]\n");
		return 2;
	}
	return cycle(argv[1], strtoul(argv[2], NULL, 10), (const char *const *)argv + 3, (size_t)argc - 3);
}
