/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * outs BACKEND IMAGE: a guest with two outs side by side (guest/programs/bare_outs.c) is put back to between them,
 * right after the second one: it executes that again. Some KVMs have rip at an out until the CPU runs again, and move
 * it then. An exception that waits when the guest is put back is forgotten.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when the backend cannot run the guest here.
 */
#include "run.h"

#include "vmm/vm_private.h"

#include <hindsight/hindsight.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CYCLES 10

static struct hs_cpu_state start; /* between the outs */

static int restore_and_run(struct hs_vm *vm, const struct hs_snapshot *snapshot)
{
	int status = run_restore(vm, snapshot, true);

	return status ? status : run_to_ready(vm);
}

/* Nobody looks at the registers before the second restore: that would have had the out retired. */
static int cycle(struct hs_vm *vm, const struct hs_snapshot *snapshot)
{
	static struct hs_cpu_state now;
	int status = restore_and_run(vm, snapshot);

	status = status ? status : restore_and_run(vm, snapshot);
	if (!status && hs_vm_cpu_get(vm, &now, &error)) {
		status = fail("registers");
	}
	/* out %eax, (%dx) is one byte. */
	if (!status && (now.rip != start.rip + 1 || now.gpr[HS_RBX] != start.gpr[HS_RBX])) {
		fprintf(stderr, "outs: rip is 0x%" PRIx64 " behind %" PRIu64 " pairs, instead of 0x%" PRIx64 "\n",
			now.rip, now.gpr[HS_RBX], start.rip + 1);
		status = 1;
	}
	return status;
}

/* A #BP that the next run would have brought, to a guest that has no handler for it. */
static int forget_exception(struct hs_vm *vm, const struct hs_snapshot *snapshot)
{
	if (vm->ops->inject_int3(vm->backend, &error)) {
		return fail("inject");
	}
	return restore_and_run(vm, snapshot);
}

static int check(struct hs_vm *vm)
{
	struct hs_snapshot *snapshot = NULL;
	int status = run_to_ready(vm);

	if (!status && hs_vm_cpu_get(vm, &start, &error)) {
		status = fail("registers");
	}
	status = status ? status : run_snapshot(vm, 1, &snapshot);
	for (int i = 0; i < CYCLES && !status; i++) {
		status = cycle(vm, snapshot);
		status = status ? status : forget_exception(vm, snapshot);
	}
	hs_vm_destroy(vm);
	hs_snapshot_unref(snapshot);
	return status;
}

int main(int argc, char **argv)
{
	struct hs_vm_config config = { .seed = 1, .calls = true };
	struct hs_vm *vm;
	int status;

	if (argc != 3) {
		fprintf(stderr, "usage: outs kvm|soft IMAGE\n");
		return 2;
	}
	status = run_create(argv[1], argv[2], &config, &vm);
	return status ? status : check(vm);
}
