/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ioctls IMAGE: a guest that is always ready (guest/programs/bare_outs.c) is put back and run, again and again, on KVM:
 * that takes so many ioctls as are listed here and no others. What a restore costs is mostly their number.
 *
 * Exit status 0, 1 with a line that says what differs, 77 when KVM cannot run the guest here.
 */
#include "run.h"

#include <hindsight/hindsight.h>

#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define CYCLES 100
#define KINDS_MAX 32

/* The linker gives these names to the calls of ioctl() in this program and to libc's own (ld's --wrap). */
int __real_ioctl(int fd, unsigned long request, ...); /* NOLINT(bugprone-reserved-identifier) */
int __wrap_ioctl(int fd, unsigned long request, ...); /* NOLINT(bugprone-reserved-identifier) */

static struct {
	unsigned long request;
	unsigned int count;
} seen[KINDS_MAX];
static size_t kinds;

int __wrap_ioctl(int fd, unsigned long request, ...) /* NOLINT(bugprone-reserved-identifier) */
{
	va_list args;
	void *argument;
	size_t i = 0;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	while (i < kinds && seen[i].request != request) {
		i++;
	}
	if (i < KINDS_MAX) {
		seen[i].request = request;
		seen[i].count++;
		kinds = i == kinds ? kinds + 1 : kinds;
	}
	return __real_ioctl(fd, request, argument);
}

/* At most, in a restore and the two runs behind it. Regions that the guest may write to are five. */
static unsigned int most_of(unsigned long request)
{
	static const struct {
		unsigned long request;
		unsigned int most;
	} allowed[] = {
		{ KVM_RUN, 2 },           { KVM_SET_MSRS, 1 },          { KVM_SET_XCRS, 1 },      { KVM_SET_XSAVE, 1 },
		{ KVM_SET_DEBUGREGS, 1 }, { KVM_RESET_DIRTY_RINGS, 1 }, { KVM_GET_DIRTY_LOG, 5 },
	};

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
		if (allowed[i].request == request) {
			return allowed[i].most;
		}
	}
	return 0;
}

/* Over both outs: KVM may have to retire the one behind which the guest goes on by a run of its own (outs.c). */
static int cycle(struct hs_vm *vm, const struct hs_snapshot *snapshot)
{
	int status = run_restore(vm, snapshot, true);

	status = status ? status : run_to_ready(vm);
	return status ? status : run_to_ready(vm);
}

static int compare(void)
{
	int status = 0;

	for (size_t i = 0; i < kinds; i++) {
		unsigned int most = most_of(seen[i].request);

		if (seen[i].count > most * CYCLES) {
			fprintf(stderr, "ioctls: %u times 0x%lx in %d cycles, instead of %u in each\n", seen[i].count,
				seen[i].request, CYCLES, most);
			status = 1;
		}
	}
	return kinds > 0 ? status : fail("none was seen");
}

static int check(struct hs_vm *vm)
{
	struct hs_snapshot *snapshot = NULL;
	int status = run_to_ready(vm);

	status = status ? status : run_snapshot(vm, 1, &snapshot);
	/* The first loads the snapshot, the second asks for what is known from then on. */
	for (int i = 0; i < 2 && !status; i++) {
		status = cycle(vm, snapshot);
	}
	kinds = 0;
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < CYCLES && !status; i++) {
		status = cycle(vm, snapshot);
	}
	status = status ? status : compare();
	hs_vm_destroy(vm);
	hs_snapshot_unref(snapshot);
	return status;
}

int main(int argc, char **argv)
{
	struct hs_vm_config config = { .seed = 1, .calls = true };
	struct hs_vm *vm;
	int status;

	if (argc != 2) {
		fprintf(stderr, "usage: ioctls IMAGE\n");
		return 2;
	}
	status = run_create("kvm", argv[1], &config, &vm);
	return status ? status : check(vm);
}
