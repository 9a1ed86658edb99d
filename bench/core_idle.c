/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The core of a guest with a heap of 1 GiB that it has not touched, against the dump of an idle machine of QEMU with as
 * much memory: dump-guest-memory, as ELF and as kdump-zlib. Beside the times what each takes on disk.
 * Usage: GUEST.elf DIRECTORY QEMU [ROUNDS]
 */
#include "harness.h"

#include "session/dump.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAP_BYTES (1ull << 30)
#define MEMORY_BYTES (HEAP_BYTES + (64ull << 20))
#define KIB 1024

/* QEMU, which is told what to do by QMP on its standard input. */
struct machine {
	pid_t pid;
	FILE *commands, *answers;
};

struct scene {
	struct hs_vm *vm;
	struct machine machine;
	const char *directory;
	const char *format; /* of QEMU's dump */
	uint64_t our_bytes, their_bytes;
};

/* What a file takes on disk; it is removed. */
static uint64_t drop(const char *path)
{
	struct stat info;
	bool there = stat(path, &info) == 0;

	/* stat(2): st_blocks counts 512 bytes each. */
	return unlink(path) == 0 && there ? (uint64_t)info.st_blocks * 512 : 0;
}

static bool write_core(void *ctx, double *ret_ns)
{
	struct scene *scene = ctx;
	const struct hs_dump_spec spec = { .command_line = "bench", .path = scene->directory };
	struct hs_core_result result;
	struct hs_error err;
	double start = hs_bench_now();
	enum hs_status st = hs_dump_write(scene->vm, &spec, &result, &err);

	*ret_ns = hs_bench_now() - start;
	if (st) {
		fprintf(stderr, "core_idle: %s\n", err.message);
		return false;
	}
	scene->our_bytes = drop(result.path);
	return true;
}

/* Send a command and wait until it is done. */
static bool ask(struct machine *machine, const char *command)
{
	char line[4096];

	if (fprintf(machine->commands, "%s\n", command) < 0 || fflush(machine->commands) != 0) {
		return false;
	}
	while (fgets(line, sizeof(line), machine->answers)) {
		if (strstr(line, "\"return\"")) {
			return true;
		}
		if (strstr(line, "\"error\"")) {
			break;
		}
	}
	fprintf(stderr, "core_idle: QEMU has not done %s\n", command);
	return false;
}

static bool dump_machine(void *ctx, double *ret_ns)
{
	struct scene *scene = ctx;
	char path[512], command[1024];

	snprintf(path, sizeof(path), "%s/machine", scene->directory);
	snprintf(command, sizeof(command),
		 "{\"execute\":\"dump-guest-memory\",\"arguments\":{\"paging\":false,\"protocol\":\"file:%s\","
		 "\"format\":\"%s\"}}",
		 path, scene->format);
	double start = hs_bench_now();
	bool done = ask(&scene->machine, command);

	*ret_ns = hs_bench_now() - start;
	scene->their_bytes = drop(path);
	return done;
}

/* In the child. The machine is stopped before its first instruction. */
static void become_qemu(const char *qemu, int in, int out)
{
	/* A stopped process would outlive us. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0) {
		(void)execlp(qemu, qemu, "-machine", "pc", "-accel", "tcg", "-m", "1024", "-nodefaults",
			     "-no-user-config", "-display", "none", "-S", "-qmp", "stdio", (char *)NULL);
	}
	_exit(127);
}

static bool start_machine(const char *qemu, struct machine *ret)
{
	int commands[2], answers[2];

	if (pipe2(commands, O_CLOEXEC) || pipe2(answers, O_CLOEXEC)) {
		return false;
	}
	ret->pid = fork();
	if (ret->pid == 0) {
		become_qemu(qemu, commands[0], answers[1]);
	}
	close(commands[0]);
	close(answers[1]);
	ret->commands = fdopen(commands[1], "w");
	ret->answers = fdopen(answers[0], "r");
	return ret->pid > 0 && ret->commands && ret->answers && ask(ret, "{\"execute\":\"qmp_capabilities\"}");
}

static void end_machine(struct machine *machine)
{
	if (machine->pid > 0) {
		(void)kill(machine->pid, SIGKILL);
		(void)waitpid(machine->pid, NULL, 0);
		fclose(machine->commands);
		fclose(machine->answers);
	}
}

/* To its end: what it has not touched by then it never will. */
static bool start_guest(const char *image, struct hs_vm **ret)
{
	const struct hs_vm_config config = { .heap_bytes = HEAP_BYTES, .memory_bytes = MEMORY_BYTES };
	const struct hs_resume go = { .kind = HS_RESUME_CONTINUE };
	struct hs_event event;
	struct hs_error err;

	if (hs_vm_create(image, &config, ret, &err) || hs_vm_run(*ret, &go, &event, &err)) {
		fprintf(stderr, "core_idle: %s\n", err.message);
		return false;
	}
	return event.kind == HS_EVENT_EXITED;
}

static bool compare(struct scene *scene, const char *format, unsigned int rounds)
{
	char title[96];
	const struct hs_bench bench = {
		.title = title,
		.unit = "ms",
		.rounds = rounds,
		.ours = { "core of an idle guest", write_core, scene },
		.peer = { "qemu, dump-guest-memory", dump_machine, scene },
	};

	snprintf(title, sizeof(title), "Idle guest of 1 GiB, against QEMU's %s", format);
	scene->format = format;
	if (!hs_bench_run(&bench)) {
		return false;
	}
	printf("  on disk: %llu KiB, and %llu KiB\n", (unsigned long long)scene->our_bytes / KIB,
	       (unsigned long long)scene->their_bytes / KIB);
	return true;
}

int main(int argc, char **argv)
{
	struct scene scene = { .directory = argc > 2 ? argv[2] : NULL };
	bool done;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: core_idle GUEST.elf DIRECTORY QEMU [ROUNDS]\n");
		return 2;
	}
	unsigned int rounds = hs_bench_rounds(argc == 5 ? argv[4] : NULL, 7);

	done = start_guest(argv[1], &scene.vm) && start_machine(argv[3], &scene.machine) &&
	       compare(&scene, "elf", rounds) && compare(&scene, "kdump-zlib", rounds);
	end_machine(&scene.machine);
	hs_vm_destroy(scene.vm);
	return done ? 0 : 1;
}
