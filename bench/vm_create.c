/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a path to the first instruction executed, against the raw ioctls that cannot be avoided.
 * Usage: GUEST.elf [ROUNDS]
 */
#include "harness.h"
#include "raw_kvm.h"

#include <hindsight/vm.h>

#include <stdio.h>

static bool create_and_step(void *ctx, double *ret_ns)
{
	const struct hs_resume step = { .kind = HS_RESUME_STEP };
	const struct hs_vm_config config = { .backend = HS_BACKEND_KVM };
	struct hs_event event;
	struct hs_error err;
	struct hs_vm *vm;
	double start = hs_bench_now();
	enum hs_status st = hs_vm_create(ctx, &config, &vm, &err);

	if (st) {
		fprintf(stderr, "vm_create: %s\n", err.message);
		return false;
	}
	st = hs_vm_run(vm, &step, &event, &err);
	*ret_ns = hs_bench_now() - start;
	hs_vm_destroy(vm);
	return !st && event.kind == HS_EVENT_STEPPED;
}

int main(int argc, char **argv)
{
	struct hs_bench bench = {
		.title = "VM: from the image's path to its first instruction",
		.unit = "us",
		.rounds = hs_bench_rounds(argc == 3 ? argv[2] : NULL, 301),
		.ours = { "hs_vm_create + one step", create_and_step, argv[1] },
		.peer = { "raw ioctls + one hlt", hs_bench_raw_kvm, NULL },
	};

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: vm_create GUEST.elf [ROUNDS]\n");
		return 2;
	}
	return hs_bench_run(&bench) ? 0 : 1;
}
