/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * copies BACKEND IMAGE FORMAT [WORD...]: the program writes (guest/programs/writes.c), started with the words, stands
 * on a snapshot of where it is ready, writes to its pages, and finds that nothing is other than before the snapshot:
 * with pages shared and private, with frames of scratch used for copies first and for tables first, and again on a
 * second snapshot, which is taken where it has made its copies. It sees the number of the snapshot that it stands on,
 * and the guest counter that the host had set then and finds there itself.
 *
 * FORMAT is booted, amd64-5 or pae: the page tables that the guest is moved to before the first snapshot; or flags: as
 * booted, with CR3.PWT and PCD set, which stay.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when the backend cannot run the guest here.
 */
#include "../translate/weave.h"
#include "run.h"

#include "base/bytes.h"
#include "vmm/memory.h"

#include <hindsight/abi.h>
#include <hindsight/hindsight.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 12
#define SCRATCH_BYTES (2u << 20)

#define CR3_PWT_PCD 0x18u
#define CR4_PAE (1u << 5)
#define CR4_LA57 (1u << 12)
#define EFER_NXE (1u << 11)

static int create(const char *backend, const char *const *words, size_t count, struct run *run)
{
	struct hs_vm_config config = {
		.scratch_bytes = SCRATCH_BYTES,
		.args = words,
		.args_count = count,
		.console = run_keep,
		.console_ctx = run,
		.calls = true,
		.seed = 1,
	};

	return run_create(backend, words[0], &config, &run->vm);
}

static hs_gva bookkeeping(const struct hs_vm *vm, unsigned int offset)
{
	struct hs_vm_bounds bounds = hs_vm_bounds(vm);

	return hs_gva_of(bounds.scratch_gva.v + bounds.scratch_bytes - offset);
}

static int put_word(struct run *run, hs_gva at, uint64_t value)
{
	uint8_t bytes[8];

	hs_put_le64(bytes, value);
	return hs_vm_mem_write(run->vm, at, bytes, sizeof(bytes), &error) ? fail("write") : 0;
}

static int get_word(struct run *run, hs_gva at, uint64_t *ret)
{
	uint8_t bytes[8];
	size_t got;

	if (hs_vm_mem_read(run->vm, at, bytes, sizeof(bytes), &got, &error) || got != sizeof(bytes)) {
		fail("read");
		return 1;
	}
	*ret = hs_get_le64(bytes);
	return 0;
}

/* Build tables of another format from scratch that is free, which is less of it then, and put the CPU there. */
static int move(struct run *run, enum hs_paging_format format, uint64_t cr4, uint64_t efer)
{
	static struct hs_cpu_state cpu;
	struct hs_phys phys = hs_vm_phys(run->vm);
	struct hs_vm_bounds bounds = hs_vm_bounds(run->vm);
	hs_gva next_free = bookkeeping(run->vm, HS_SCRATCH_NEXT_FREE_OFFSET);
	struct weave weave = { .phys = &phys, .end = bounds.scratch_gpa.v + bounds.scratch_bytes - 0x2000 };
	struct hs_root old;

	if (hs_vm_cpu_get(run->vm, &cpu, &error) || get_word(run, next_free, &weave.next)) {
		return fail("registers");
	}
	hs_root_of_cpu(&cpu, &old);
	if (weave_copy(&weave, &old, format, &error)) {
		return fail("tables");
	}
	cpu.cr3 = weave.root.base.v;
	cpu.cr4 |= cr4;
	cpu.msr.efer |= efer;
	if (put_word(run, next_free, weave.next)) {
		return 1;
	}
	if (hs_vm_cpu_set(run->vm, &cpu, &error)) {
		printf("%s\n", error.message);
		return SKIPPED;
	}
	return 0;
}

static int set_flags(struct run *run)
{
	static struct hs_cpu_state cpu;

	if (hs_vm_cpu_get(run->vm, &cpu, &error)) {
		return fail("registers");
	}
	cpu.cr3 |= CR3_PWT_PCD;
	return hs_vm_cpu_set(run->vm, &cpu, &error) ? fail("CR3") : 0;
}

static int change_format(struct run *run, const char *format)
{
	if (strcmp(format, "amd64-5") == 0) {
		return move(run, HS_PAGING_5LEVEL, CR4_LA57, 0);
	}
	if (strcmp(format, "pae") == 0) {
		return move(run, HS_PAGING_PAE, CR4_PAE, EFER_NXE);
	}
	return strcmp(format, "flags") == 0 ? set_flags(run) : 0;
}

/* What the guest is before each of its rounds. */
struct stage {
	struct hs_snapshot *snapshot;
	uint64_t number;
	uint64_t counter; /* that the guest has then */
	uint64_t cr3;     /* its low bits */
	enum hs_event_kind end;
};

static int take(struct run *run, struct stage *stage)
{
	hs_gva counter = bookkeeping(run->vm, HS_SCRATCH_COUNTER_OFFSET);

	if (put_word(run, counter, stage->counter) || run_snapshot(run->vm, stage->number, &stage->snapshot)) {
		return 1;
	}
	stage->cr3 = hs_snapshot_cpu(stage->snapshot)->cr3 % HS_PAGE_SIZE;
	/* What the host does to the guest afterwards is not of the snapshot. */
	return put_word(run, counter, 1000 + stage->counter);
}

static int check_stage(struct run *run, const struct stage *stage)
{
	static struct hs_cpu_state cpu;
	uint64_t counter;

	if (get_word(run, bookkeeping(run->vm, HS_SCRATCH_COUNTER_OFFSET), &counter) ||
	    hs_vm_cpu_get(run->vm, &cpu, &error)) {
		return fail("registers");
	}
	if (counter != stage->counter || cpu.cr3 % HS_PAGE_SIZE != stage->cr3) {
		fprintf(stderr, "copies: the host finds counter %" PRIu64 ", CR3 0x%" PRIx64 "\n", counter, cpu.cr3);
		return 1;
	}
	return 0;
}

/* From the snapshot through one round. */
static int go_back(struct run *run, const struct stage *stage, bool share, bool tables_first)
{
	char expected[128];

	if (!hs_snapshot_info(stage->snapshot)->cow) {
		return fail("the snapshot is not copy-on-write");
	}
	if (run_restore(run->vm, stage->snapshot, share) || check_stage(run, stage) ||
	    put_word(run, hs_vm_bounds(run->vm).scratch_gva, tables_first) || run_go_on(run, stage->end)) {
		return 1;
	}
	snprintf(expected, sizeof(expected), "generation %" PRIu64 ", counter %" PRIu64 ": 0 wrong\n", stage->number,
		 stage->counter);
	if (strcmp(run->output, expected) != 0) {
		fprintf(stderr, "copies: generation %" PRIu64 "%s%s: %s", stage->number, share ? ", shared" : "",
			tables_first ? ", tables first" : "", run->output);
		return 1;
	}
	return 0;
}

static int go_back_in_all_ways(struct run *run, const struct stage *stage)
{
	/* Shared throughout: what was a copy is a table in the next run, and a copy again. */
	static const struct {
		bool share, tables_first;
	} ways[] = { { true, false }, { true, true }, { true, false }, { false, true }, { false, false } };
	int status = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && !status; i++) {
		status = go_back(run, stage, ways[i].share, ways[i].tables_first);
	}
	return status;
}

static int try_all(struct run runs[2], const char *format, struct stage stages[2])
{
	int status = run_go_on(&runs[0], HS_EVENT_READY);

	status = status ? status : change_format(&runs[0], format);
	status = status ? status : take(&runs[0], &stages[0]);
	status = status ? status : go_back_in_all_ways(&runs[0], &stages[0]);
	/* It has made its copies, in the way that each VM of a snapshot does. */
	status = status ? status : go_back(&runs[0], &stages[0], true, true);
	status = status ? status : take(&runs[0], &stages[1]);
	status = status ? status : go_back_in_all_ways(&runs[0], &stages[1]);
	status = status ? status : go_back(&runs[0], &stages[0], true, false);
	/* In a VM that has seen neither. */
	status = status ? status : go_back(&runs[1], &stages[1], true, false);
	return status ? status : go_back(&runs[1], &stages[0], true, true);
}

int main(int argc, char **argv)
{
	static struct run runs[2];
	const char *words[WORDS_MAX] = { argc > 2 ? argv[2] : "", "2" };
	size_t count = 2;
	struct stage stages[2] = {
		{ .number = 1, .counter = 41, .end = HS_EVENT_READY },
		{ .number = 2, .counter = 43, .end = HS_EVENT_EXITED },
	};
	int status;

	if (argc < 4 || argc - 2 > WORDS_MAX) {
		fprintf(stderr, "usage: copies kvm|soft IMAGE booted|amd64-5|pae|flags [WORD...]\n");
		return 2;
	}
	for (int i = 4; i < argc; i++) {
		words[count++] = argv[i];
	}
	status = create(argv[1], words, count, &runs[0]);
	status = status ? status : create(argv[1], words, count, &runs[1]);
	status = status ? status : try_all(runs, argv[3], stages);
	hs_vm_destroy(runs[0].vm);
	hs_vm_destroy(runs[1].vm);
	hs_snapshot_unref(stages[0].snapshot);
	hs_snapshot_unref(stages[1].snapshot);
	return status;
}
