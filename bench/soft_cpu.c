/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The software CPU beside the KVM of this host, and beside qemu-system's TCG on the same instructions.
 * Usage: GUEST.elf QEMU KERNEL.elf [ROUNDS]
 *
 * Each side runs a loop as often as takes it 40 ms, since they are up to a thousand times apart; what is compared is
 * the time of one round.
 */
#include "harness.h"
#include "loops/loops.h"
#include "pc.h"

#include <hindsight/vm.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LEAST_NS 40e6
#define FIRST_ROUNDS 256u
#define MOST_ROUNDS (1u << 28)
#define STEPS 2000u

/* One loop on one side. */
struct side {
	enum hs_backend_choice backend;
	const char *guest;
	struct hs_bench_pc *pc; /* not NULL: there, not in a VM */
	const char *qemu, *kernel;
	char letter;
	uint32_t rounds;
};

static bool failed(const char *what, const struct hs_error *err)
{
	fprintf(stderr, "soft_cpu: %s: %s\n", what, err->message);
	return false;
}

static bool open_vm(const struct side *side, uint32_t rounds, struct hs_vm **ret)
{
	char letter[] = { side->letter, 0 };
	char number[16];
	const char *const args[] = { "loops", letter, number };
	struct hs_vm_config config = { .backend = side->backend, .args = args, .args_count = 3, .seed = 1 };
	struct hs_error err;

	(void)snprintf(number, sizeof(number), "%u", rounds);
	return !hs_vm_create(side->guest, &config, ret, &err) || failed("create", &err);
}

static bool run_vm(const struct side *side, double *ret_ns)
{
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;
	struct hs_error err = { .message = "the guest did not end as it should" };
	struct hs_vm *vm;
	double start;
	bool ended;

	if (!open_vm(side, side->rounds, &vm)) {
		return false;
	}
	start = hs_bench_now();
	ended = !hs_vm_run(vm, &go, &event, &err) && event.kind == HS_EVENT_EXITED;
	*ret_ns = hs_bench_now() - start;
	if (!ended && event.kind == HS_EVENT_CRASHED) {
		fprintf(stderr, "soft_cpu: %s\n", event.crash.text);
	}
	hs_vm_destroy(vm);
	return ended || failed("run", &err);
}

static bool run_once(const struct side *side, double *ret_ns)
{
	return side->pc ? hs_bench_pc_run(side->pc, side->letter, side->rounds, ret_ns) : run_vm(side, ret_ns);
}

/* The time of a round. */
static bool run_loop(void *ctx, double *ret_ns)
{
	const struct side *side = ctx;

	if (!run_once(side, ret_ns)) {
		return false;
	}
	*ret_ns /= side->rounds;
	return true;
}

/* As many rounds as take long enough. */
static bool calibrate(struct side *side)
{
	double ns = 0;

	for (side->rounds = FIRST_ROUNDS; side->rounds < MOST_ROUNDS; side->rounds *= 2) {
		if (!run_once(side, &ns)) {
			return false;
		}
		if (ns >= LEAST_NS) {
			break;
		}
	}
	return true;
}

static bool step(void *ctx, double *ret_ns)
{
	const struct hs_resume one = { .kind = HS_RESUME_STEP };
	const struct side *side = ctx;
	struct hs_event event;
	struct hs_error err = { .message = "" };
	struct hs_vm *vm;
	enum hs_status st = HS_OK;
	double start;

	if (!open_vm(side, MOST_ROUNDS, &vm)) {
		return false;
	}
	start = hs_bench_now();
	for (unsigned int i = 0; i < STEPS && !st; i++) {
		st = hs_vm_run(vm, &one, &event, &err);
	}
	*ret_ns = (hs_bench_now() - start) / STEPS;
	hs_vm_destroy(vm);
	return !st || failed("step", &err);
}

/* Up to the first instruction and away with it: the guest that gets no letter ends at once. */
static bool open_and_close(void *ctx, double *ret_ns)
{
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	const struct side *side = ctx;
	struct hs_bench_pc pc;
	struct hs_event event;
	struct hs_error err = { .message = "" };
	struct hs_vm *vm;
	double start = hs_bench_now();
	bool ended;

	if (side->qemu) {
		ended = hs_bench_pc_start(&pc, side->qemu, side->kernel);
		if (ended) {
			hs_bench_pc_end(&pc);
		}
		*ret_ns = hs_bench_now() - start;
		return ended;
	}
	if (!open_vm(side, 0, &vm)) {
		return false;
	}
	ended = !hs_vm_run(vm, &go, &event, &err) && event.kind == HS_EVENT_EXITED;
	hs_vm_destroy(vm);
	*ret_ns = hs_bench_now() - start;
	return ended || failed("run", &err);
}

static const struct loop {
	char letter;
	const char *title, *unit;
	double work; /* million instructions in a round */
} loops[] = {
	{ LOOP_ALU, "registers", "M/s", LOOP_ALU_INSNS / 1e6 },
	{ LOOP_MEMORY, "loads, stores, calls", "M/s", LOOP_MEMORY_INSNS / 1e6 },
	{ LOOP_FAULT, "page fault through the guest's handler", "ns", 0 },
	{ LOOP_PORT, "port exit", "ns", 0 },
};

struct sides {
	struct side soft, kvm, tcg;
	bool has_kvm;
	unsigned int rounds;
};

static bool compare(const struct sides *sides, const char *title, const struct loop *loop,
		    bool (*run)(void *ctx, double *ret_ns), const struct side *soft, const struct side *peer)
{
	bool is_kvm = peer->backend == HS_BACKEND_KVM;
	const struct hs_bench bench = {
		.title = title,
		.unit = loop ? loop->unit : "us",
		.work = loop ? loop->work : 0,
		.rounds = sides->rounds,
		.ours = { "software CPU", run, (void *)soft },
		.peer = { is_kvm ? "KVM of this host" : "qemu-system, TCG", run, (void *)peer },
	};

	return hs_bench_run(&bench);
}

static bool compare_loop(struct sides *sides, const struct loop *loop)
{
	struct side soft = sides->soft;
	struct side kvm = sides->kvm;
	struct side tcg = sides->tcg;

	soft.letter = kvm.letter = tcg.letter = loop->letter;
	if (!calibrate(&soft) || !calibrate(&tcg) || (sides->has_kvm && !calibrate(&kvm))) {
		return false;
	}
	return compare(sides, loop->title, loop, run_loop, &soft, &tcg) &&
	       (!sides->has_kvm || compare(sides, loop->title, loop, run_loop, &soft, &kvm));
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
	struct side process = sides->tcg;

	process.pc = NULL;
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		if (!compare_loop(sides, &loops[i])) {
			return false;
		}
	}
	sides->soft.letter = sides->kvm.letter = LOOP_ALU;
	if (sides->has_kvm && !compare(sides, "one step", NULL, step, &sides->soft, &sides->kvm)) {
		return false;
	}
	process.letter = LOOP_ALU;
	return compare(sides, "from the image to its end", NULL, open_and_close, &sides->soft, &process) &&
	       (!sides->has_kvm ||
		compare(sides, "from the image to its end", NULL, open_and_close, &sides->soft, &sides->kvm));
}

int main(int argc, char **argv)
{
	struct sides sides = { .soft = { .backend = HS_BACKEND_SOFT }, .kvm = { .backend = HS_BACKEND_KVM } };
	struct hs_bench_pc pc;
	bool done;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: soft_cpu GUEST.elf QEMU KERNEL.elf [ROUNDS]\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	sides.rounds = hs_bench_rounds(argc == 5 ? argv[4] : NULL, 7);
	sides.soft.guest = sides.kvm.guest = argv[1];
	sides.tcg = (struct side){ .pc = &pc, .qemu = argv[2], .kernel = argv[3] };
	sides.has_kvm = has_kvm(&sides.kvm);
	if (!hs_bench_pc_start(&pc, argv[2], argv[3])) {
		return 1;
	}
	done = run_all(&sides);
	hs_bench_pc_end(&pc);
	return done ? 0 : 1;
}
