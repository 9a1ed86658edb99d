/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A program that calls functions of its guest and puts it back after each, while gdb or lldb looks on:
 *
 *   example_debugged ADDRESS [--gdb-allow-remote] BACKEND CYCLES CORES GUEST
 *   gdb -ex 'target remote ADDRESS'
 *
 * It prints what each call of the guest's `counter` gives, which is 1 after every restore. CORES is a directory for
 * cores of crashes, or "none".
 */
#include <hindsight/hindsight.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct program {
	unsigned long cycles;
	unsigned long done;
	struct hs_snapshot *snapshot;
};

/* HS_ERR_INTERRUPTED says that the debugger has ended the guest or put it back, and that is no failure. */
static int failed(enum hs_status status, const struct hs_error *err)
{
	if (status != HS_ERR_INTERRUPTED) {
		fprintf(stderr, "%s\n", err->message);
	}
	return 1;
}

/* Again from wherever the guest is: a debugger's `run` makes it FRESH, its `monitor restore` READY. */
static int work(void *ctx, struct hs_sandbox *sandbox)
{
	struct program *program = ctx;
	enum hs_status st = HS_OK;
	struct hs_value result;
	struct hs_error err;

	if (hs_sandbox_state(sandbox) == HS_SANDBOX_FRESH) {
		program->done = 0;
		st = hs_sandbox_start(sandbox, &err);
	}
	if (!st && !program->snapshot) {
		st = hs_sandbox_snapshot(sandbox, &program->snapshot, &err);
	}
	while (!st && program->done < program->cycles) {
		st = hs_sandbox_restore(sandbox, program->snapshot, &err);
		st = st ? st : hs_sandbox_call(sandbox, "counter", NULL, 0, &result, &err);
		if (!st) {
			program->done++;
			printf("%" PRIu64 "\n", result.ul);
		}
	}
	return st ? failed(st, &err) : 0;
}

static void say_waiting(void *ctx, const char *address)
{
	(void)ctx;
	fprintf(stderr, "waiting for a debugger on %s\n", address);
}

static void say_core(void *ctx, enum hs_status status, const struct hs_core_result *result, const struct hs_error *err)
{
	(void)ctx;
	printf("core: %s\n", status ? err->message : result->path);
}

static enum hs_backend_choice backend_of(const char *name)
{
	return strcmp(name, "kvm") == 0    ? HS_BACKEND_KVM
	       : strcmp(name, "soft") == 0 ? HS_BACKEND_SOFT
					   : HS_BACKEND_AUTO;
}

int main(int argc, char **argv)
{
	static const char *const ends[] = { "exited", "crashed", "killed", "stopped", "closed" };
	struct hs_sandbox_config sandbox = { .core_written = say_core };
	struct program program = { 0 };
	struct hs_debug_config config = {
		.sandbox = &sandbox, .stop_fd = -1, .drive = work, .waiting = say_waiting, .ctx = &program
	};
	struct hs_debug_result result;
	struct hs_error err;
	enum hs_status st;

	if (argc > 2 && strcmp(argv[2], "--gdb-allow-remote") == 0) {
		config.allow_remote = true;
		argv[2] = argv[1];
		argv++;
		argc--;
	}
	if (argc != 6) {
		fputs("usage: example_debugged ADDRESS [--gdb-allow-remote] auto|kvm|soft CYCLES CORES|none GUEST\n",
		      stderr);
		return 2;
	}
	config.address = argv[1];
	sandbox.vm.backend = backend_of(argv[2]);
	program.cycles = strtoul(argv[3], NULL, 0);
	sandbox.cores = strcmp(argv[4], "none") == 0 ? NULL : argv[4];
	st = hs_debug(argv[5], &config, &result, &err);
	hs_snapshot_unref(program.snapshot);
	if (st) {
		fprintf(stderr, "%s: %s\n", argv[5], err.message);
		return 1;
	}
	printf("%s %d after %lu cycles\n", ends[result.end], result.exit_status, program.done);
	return 0;
}
