/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The software CPU beside qemu-system's TCG, the KVM of this host and the host itself, on the same instructions.
 * Usage: GUEST.elf PAGES.elf QEMU KERNEL.elf STUB_PORT [ROUNDS] (a stub of QEMU's, on 127.0.0.1)
 *
 * Each side runs a loop as often as takes it 40 ms, since they are up to ten thousand times apart; what is compared is
 * the processor time of one round.
 */
#include "gdb_client.h"
#include "harness.h"
#include "loops/loops.h"
#include "soft_side.h"
#include "soft_trip.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LEAST_NS 40e6
#define LEAST_NS_PC 160e6  /* a command to it may take milliseconds */
#define LEAST_NS_QUICK 1e6 /* of a single round: nobody asks how fast that was */

enum { SOFT, TCG, KVM, HOST, SIDES };

struct sides {
	struct side side[SIDES];
	bool has[SIDES];
	struct hs_bench_client stub;
	struct trip_pc process;
	const char *pages;
	unsigned int rounds;
};

static const struct loop {
	char letter;
	const char *title, *unit; /* M/s: million instructions, MB/s: million bytes a second */
	bool here;                /* runs as a process, too */
} loops[] = {
	{ LOOP_ALU, "registers", "M/s", true },
	{ LOOP_MEMORY, "loads, stores, calls", "M/s", true },
	{ LOOP_MIXED, "mixed", "M/s", true },
	{ LOOP_SORT, "sort", "M/s", true },
	{ LOOP_CRC, "CRC-32", "M/s", true },
	{ LOOP_REPEAT, "rep movs of 4 KiB", "MB/s", true },
	{ LOOP_COPY_SSE2, "copy of 4 KiB by SSE2", "MB/s", true },
	{ LOOP_COPY_AVX, "copy of 4 KiB by AVX", "MB/s", true },
	{ LOOP_LENGTH_SSE2, "strlen of 4 KiB by SSE2", "MB/s", true },
	{ LOOP_MATRIX_SSE2, "float matrix by SSE", "M/s", true },
	{ LOOP_MATRIX_FMA, "float matrix by AVX2 and FMA", "M/s", true },
	{ LOOP_MATRIX_SCALAR, "double matrix by scalar SSE2", "M/s", true },
	{ LOOP_MATRIX_X87, "double matrix by the x87", "M/s", true },
	{ LOOP_FAULT, "page fault through the guest's handler", "ns", false },
	{ LOOP_PORT, "port exit", "ns", false },
};

/* Print and compare: the software CPU with each of the others that is there. */
static bool compare(struct hs_bench *bench, const struct hs_bench_side *peers, unsigned int count)
{
	if (count == 0) {
		printf("%s: not beside anything\n", bench->title);
		return true;
	}
	bench->peer = peers[0];
	bench->others = peers + 1;
	bench->other_count = count - 1;
	return hs_bench_run(bench);
}

/* What one round of a loop does. All CPUs execute the same instructions; the software CPU has counted them. */
static bool work_of(const struct loop *loop, const struct side *soft, double *ret)
{
	double instructions, ns;

	if (side_try(soft, soft->rounds, &ns, &instructions) != SIDE_DONE) {
		return false;
	}
	*ret = strcmp(loop->unit, "MB/s") == 0 ? LOOP_COPY_BYTES / 1e6 : instructions / soft->rounds / 1e6;
	return true;
}

static double least_ns(const struct sides *sides, unsigned int i)
{
	if (sides->rounds == 1) {
		return LEAST_NS_QUICK;
	}
	return i == TCG ? LEAST_NS_PC : LEAST_NS;
}

static bool compare_loop(const struct sides *sides, const struct loop *loop)
{
	struct hs_bench bench = { .title = loop->title, .unit = loop->unit, .rounds = sides->rounds };
	struct hs_bench_side peers[SIDES];
	struct side side[SIDES];
	unsigned int count = 0;

	for (unsigned int i = 0; i < SIDES; i++) {
		enum side_outcome outcome = SIDE_NOT_OFFERED;

		side[i] = sides->side[i];
		side[i].letter = loop->letter;
		if (sides->has[i] && (i != HOST || loop->here)) {
			outcome = side_calibrate(&side[i], least_ns(sides, i));
		}
		if (i == SOFT && outcome != SIDE_DONE) {
			printf("%s: the software CPU does not offer the instructions\n", loop->title);
			return outcome == SIDE_NOT_OFFERED;
		}
		if (outcome == SIDE_DONE && i != SOFT) {
			peers[count++] = (struct hs_bench_side){ side[i].name, side_run, &side[i] };
		} else if (sides->has[i] && i != SOFT && (i != HOST || loop->here)) {
			printf("%s: not beside %s\n", loop->title, side[i].name);
		}
	}
	bench.ours = (struct hs_bench_side){ side[SOFT].name, side_run, &side[SOFT] };
	return work_of(loop, &side[SOFT], &bench.work) && compare(&bench, peers, count);
}

/* One of what is done to a guest from outside. */
static bool compare_trip(struct sides *sides, const char *title, hs_bench_run_fn *run, struct hs_bench_side qemu)
{
	struct hs_bench bench = { .title = title, .unit = "us", .rounds = sides->rounds };
	struct hs_bench_side peers[2] = { qemu };

	sides->side[SOFT].letter = sides->side[KVM].letter = LOOP_ALU;
	bench.ours = (struct hs_bench_side){ sides->side[SOFT].name, run, &sides->side[SOFT] };
	peers[1] = (struct hs_bench_side){ sides->side[KVM].name, run, &sides->side[KVM] };
	return compare(&bench, peers, sides->has[KVM] ? 2 : 1);
}

static bool compare_backs(const struct sides *sides)
{
	struct hs_bench bench = { .title = "restore over 5 pages", .unit = "us", .rounds = sides->rounds };
	struct hs_bench_side peers[2] = { { "memcpy of 5 pages", trip_copy, NULL } };
	struct trip_back soft, kvm = { NULL, NULL };
	bool done = trip_back_open(&soft, sides->pages, HS_BACKEND_SOFT) &&
		    (!sides->has[KVM] || trip_back_open(&kvm, sides->pages, HS_BACKEND_KVM));

	bench.ours = (struct hs_bench_side){ sides->side[SOFT].name, trip_back, &soft };
	peers[1] = (struct hs_bench_side){ sides->side[KVM].name, trip_back, &kvm };
	done = done && compare(&bench, peers, sides->has[KVM] ? 2 : 1);
	trip_back_close(&soft);
	trip_back_close(&kvm);
	return done;
}

static bool has_kvm(const struct side *kvm)
{
	const char *const args[] = { "loops" };
	const struct hs_vm_config config = { .backend = HS_BACKEND_KVM, .args = args, .args_count = 1 };
	struct hs_error err;
	struct hs_vm *vm;

	if (hs_vm_create(kvm->guest, &config, &vm, &err)) {
		printf("not beside KVM: %s\n", err.message);
		return false;
	}
	hs_vm_destroy(vm);
	return true;
}

static bool run_all(struct sides *sides)
{
	struct hs_bench_side step = { "qemu-system, TCG, by its stub", trip_step_by_stub, &sides->stub };
	struct hs_bench_side counted = { "qemu-system, TCG, as many steps", trip_run_by_stub, &sides->stub };
	struct hs_bench_side process = { sides->side[TCG].name, trip_open_pc, &sides->process };

	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		if (!compare_loop(sides, &loops[i])) {
			return false;
		}
	}
	return compare_trip(sides, "one step", trip_step, step) &&
	       compare_trip(sides, "run of 1000 instructions", trip_run_counted, counted) &&
	       compare_trip(sides, "from the image to its end", trip_open, process) && compare_backs(sides);
}

static bool start(struct sides *sides, struct hs_bench_pc *pc, char **words)
{
	sides->process = (struct trip_pc){ words[3], words[4] };
	sides->pages = words[2];
	sides->side[SOFT] = (struct side){ "software CPU", .guest = words[1], .backend = HS_BACKEND_SOFT };
	sides->side[TCG] = (struct side){ "qemu-system, TCG", .pc = pc };
	sides->side[KVM] = (struct side){ "KVM of this host", .guest = words[1], .backend = HS_BACKEND_KVM };
	sides->side[HOST] = (struct side){ .name = "this host, as a process" };
	sides->has[SOFT] = sides->has[TCG] = true;
	sides->has[KVM] = has_kvm(&sides->side[KVM]);
	/* Its loops are those of amd64. */
	sides->has[HOST] = strstr(words[1], "amd64") != NULL;
	return hs_bench_client_open(&sides->stub, "qemu-system", words[5]) && hs_bench_pc_start(pc, words[3], words[4]);
}

int main(int argc, char **argv)
{
	static struct sides sides;
	struct hs_bench_pc pc;
	bool done;

	if (argc < 6 || argc > 7) {
		fprintf(stderr, "usage: soft_cpu GUEST.elf PAGES.elf QEMU KERNEL.elf STUB_PORT [ROUNDS]\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	sides.rounds = hs_bench_rounds(argc == 7 ? argv[6] : NULL, 7);
	if (!start(&sides, &pc, argv)) {
		return 1;
	}
	done = run_all(&sides);
	hs_bench_pc_end(&pc);
	hs_bench_client_close(&sides.stub);
	return done ? 0 : 1;
}
