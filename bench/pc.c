/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In the child. microvm has neither PCI nor a BIOS to speak of: what starts fastest. */
static void become_qemu(const char *qemu, const char *kernel, int in, int out)
{
	/* A stopped process would outlive us. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0) {
		(void)execlp(qemu, qemu, "-machine", "microvm", "-accel", "tcg", "-cpu", "max", "-m", "64",
			     "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-device",
			     "isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", kernel, (char *)NULL);
	}
	_exit(127);
}

static bool wait_answer(struct hs_bench_pc *pc, bool *ret_done)
{
	char answer = 0;

	if (read(pc->answers, &answer, 1) != 1 || (answer != '.' && answer != '-')) {
		fprintf(stderr, "the emulated PC has not answered\n");
		return false;
	}
	*ret_done = answer == '.';
	return true;
}

static double processor_time(const struct hs_bench_pc *pc)
{
	struct timespec now = { 0, 0 };
	clockid_t clock;

	if (!clock_getcpuclockid(pc->pid, &clock)) {
		clock_gettime(clock, &now);
	}
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

bool hs_bench_pc_start(struct hs_bench_pc *pc, const char *qemu, const char *kernel)
{
	int commands[2];
	int answers[2];
	bool ready;

	if (pipe2(commands, O_CLOEXEC)) {
		return false;
	}
	if (pipe2(answers, O_CLOEXEC)) {
		close(commands[0]);
		close(commands[1]);
		return false;
	}
	pc->pid = fork();
	if (pc->pid == 0) {
		become_qemu(qemu, kernel, commands[0], answers[1]);
	}
	close(commands[0]);
	close(answers[1]);
	pc->commands = commands[1];
	pc->answers = answers[0];
	if (pc->pid < 0) {
		close(pc->commands);
		close(pc->answers);
		return false;
	}
	if (!wait_answer(pc, &ready)) {
		hs_bench_pc_end(pc);
		return false;
	}
	(void)kill(pc->pid, SIGSTOP);
	return true;
}

bool hs_bench_pc_run(struct hs_bench_pc *pc, char letter, uint32_t rounds, bool *ret_done, double *ret_ns)
{
	unsigned char command[5] = { (unsigned char)letter };
	double start;
	bool answered;

	for (unsigned int i = 0; i < 4; i++) {
		command[1 + i] = (unsigned char)(rounds >> 8 * i);
	}
	start = processor_time(pc);
	(void)kill(pc->pid, SIGCONT);
	answered = write(pc->commands, command, sizeof(command)) == sizeof(command) && wait_answer(pc, ret_done);
	*ret_ns = processor_time(pc) - start;
	(void)kill(pc->pid, SIGSTOP);
	return answered;
}

void hs_bench_pc_end(struct hs_bench_pc *pc)
{
	char quit = 'q';

	(void)kill(pc->pid, SIGCONT);
	if (write(pc->commands, &quit, 1) != 1) {
		(void)kill(pc->pid, SIGKILL);
	}
	close(pc->commands);
	(void)waitpid(pc->pid, NULL, 0);
	close(pc->answers);
}
