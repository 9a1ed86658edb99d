/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The probe's questions, each a guest of a few bytes (docs/hosts.md says which KVM answers how). */
#include "vmm/kvm/probe.h"

#include "base/error.h"
#include "vmm/kvm/machine.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CODE(...) ((const uint8_t[]){ __VA_ARGS__ }), sizeof((const uint8_t[]){ __VA_ARGS__ })

/* A loop that takes less than this is repeated with more rounds. */
#define QUICK_NS 200000.0

static enum hs_answer answer_of(bool yes)
{
	return yes ? HS_ANSWER_YES : HS_ANSWER_NO;
}

/* Run code in 4-level mode with something armed; false when the machine could not be made or run. */
static bool run_armed(const uint8_t *code, size_t length, const struct hs_debug_request *request, struct hs_exit *exit,
		      struct hs_cpu_state *cpu)
{
	struct hs_machine machine;
	enum hs_status st = hs_machine_init(&machine, HS_PAGING_4LEVEL, code, length, NULL);

	if (st) {
		return false;
	}
	st = hs_kvm_set_debug(machine.backend, request, NULL);
	if (!st) {
		st = hs_machine_run(&machine, exit, cpu, NULL);
	}
	hs_machine_deinit(&machine);
	return !st;
}

/* mov eax, 42; hlt, with paging on: kvm_pvm drops CR0.PG in the modes that it lacks and then shuts down. */
static enum hs_answer probe_paging(enum hs_paging_format format)
{
	struct hs_machine machine;
	struct hs_exit exit;
	struct hs_cpu_state cpu;
	enum hs_status st;

	st = hs_machine_init(&machine, format, CODE(0xB8, 42, 0, 0, 0, 0xF4), NULL);
	if (st == HS_ERR_PERMISSION || st == HS_ERR_NOT_FOUND) {
		return HS_ANSWER_UNKNOWN;
	}
	if (st) {
		return HS_ANSWER_NO;
	}
	st = hs_machine_run(&machine, &exit, &cpu, NULL);
	hs_machine_deinit(&machine);
	return answer_of(!st && exit.kind == HS_EXIT_HLT && cpu.gpr[HS_RAX] == 42 && (cpu.cr0 >> 31) == 1);
}

static void probe_int3(struct hs_probe *probe)
{
	struct hs_exit exit;
	struct hs_cpu_state cpu;

	if (!run_armed(CODE(0x90, 0xCC, 0xF4), &(struct hs_debug_request){ .planted = true }, &exit, &cpu)) {
		return;
	}
	if (exit.kind == HS_EXIT_INT3 && cpu.rip == HS_MACHINE_CODE + 1) {
		probe->int3 = HS_INT3_DEBUG_EXIT;
	} else if (exit.kind == HS_EXIT_EMULATION && cpu.rip == HS_MACHINE_CODE + 1) {
		probe->int3 = HS_INT3_EMULATION_FAILURE;
	} else {
		probe->int3 = HS_INT3_GUEST;
	}
}

static void probe_hlt(struct hs_probe *probe)
{
	struct hs_exit exit;
	struct hs_cpu_state cpu;

	if (run_armed(CODE(0x90, 0xF4), &(struct hs_debug_request){ .planted = true }, &exit, &cpu)) {
		probe->hlt_exits = answer_of(exit.kind == HS_EXIT_HLT && cpu.rip == HS_MACHINE_CODE + 2);
	}
}

static void probe_step(struct hs_probe *probe)
{
	struct hs_exit exit;
	struct hs_cpu_state cpu;

	if (run_armed(CODE(0x90, 0x90, 0xF4), &(struct hs_debug_request){ .step = true }, &exit, &cpu)) {
		probe->single_step = answer_of(exit.kind == HS_EXIT_STEPPED && cpu.rip == HS_MACHINE_CODE + 1);
	}
}

static void probe_hardware(struct hs_probe *probe)
{
	const struct hs_breakpoint execute = { HS_BREAK_HARDWARE, hs_gva_of(HS_MACHINE_CODE + 1), 1 };
	const struct hs_breakpoint data = { HS_WATCH_WRITE, hs_gva_of(HS_MACHINE_DATA), 4 };
	struct hs_exit exit;
	struct hs_cpu_state cpu;

	if (run_armed(CODE(0x90, 0x90, 0xF4), &(struct hs_debug_request){ .breaks = &execute, .break_count = 1 }, &exit,
		      &cpu)) {
		probe->hardware_execute = answer_of(exit.kind == HS_EXIT_BREAK && cpu.rip == HS_MACHINE_CODE + 1);
	}
	/* mov %eax, HS_MACHINE_DATA; nop; hlt */
	if (run_armed(CODE(0x89, 0x04, 0x25, 0x00, 0x90, 0, 0, 0x90, 0xF4),
		      &(struct hs_debug_request){ .watches = &data, .watch_count = 1 }, &exit, &cpu)) {
		probe->hardware_data = answer_of(exit.kind == HS_EXIT_WATCH && exit.watch == 0);
	}
}

/* ud2 with an empty IDT: #UD, #DF, shutdown. */
static void probe_shutdown(struct hs_probe *probe)
{
	struct hs_exit exit;
	struct hs_cpu_state cpu;

	if (run_armed(CODE(0x90, 0x0F, 0x0B), &(struct hs_debug_request){ .step = false }, &exit, &cpu) &&
	    exit.kind == HS_EXIT_SHUTDOWN) {
		probe->keeps_state_at_shutdown = answer_of(!exit.registers_lost && cpu.rip == HS_MACHINE_CODE + 1);
	}
}

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* mov ecx, rounds; dec ecx; jnz -4; hlt: the time of 2 * rounds instructions and of what a first run costs besides. */
static bool time_loop(uint16_t rounds, double *ret_ns)
{
	const uint8_t code[] = { 0xB9, (uint8_t)rounds, (uint8_t)(rounds >> 8), 0, 0, 0xFF, 0xC9, 0x75, 0xFC, 0xF4 };
	struct hs_machine machine;
	struct hs_exit exit;
	struct hs_cpu_state cpu;
	enum hs_status st;
	double start;

	if (hs_machine_init(&machine, HS_PAGING_4LEVEL, code, sizeof(code), NULL)) {
		return false;
	}
	start = now_ns();
	st = hs_machine_run(&machine, &exit, &cpu, NULL);
	*ret_ns = now_ns() - start;
	hs_machine_deinit(&machine);
	return !st && exit.kind == HS_EXIT_HLT && (uint32_t)cpu.gpr[HS_RCX] == 0;
}

/* The quickest of three, because what runs beside us can only make it slower. */
static bool best_of_three(uint16_t rounds, double *ret_ns)
{
	double best = 0;

	for (int i = 0; i < 3; i++) {
		double ns;

		if (!time_loop(rounds, &ns)) {
			return false;
		}
		best = i == 0 || ns < best ? ns : best;
	}
	*ret_ns = best;
	return true;
}

/* The difference of two lengths, because entering a fresh VM may cost more than the loop. */
static void probe_speed(struct hs_probe *probe)
{
	const uint16_t few = 16;
	uint16_t many = 1016;
	double few_ns;
	double many_ns;

	if (!best_of_three(few, &few_ns) || !best_of_three(many, &many_ns)) {
		return;
	}
	if (many_ns < few_ns + QUICK_NS) {
		many = UINT16_MAX;
		if (!best_of_three(many, &many_ns)) {
			return;
		}
	}
	/* What still drowns in noise is quick; 0 would mean that nothing is known. */
	probe->ns_per_instruction = (many_ns - few_ns) / (2.0 * (many - few));
	if (probe->ns_per_instruction < 0.1) {
		probe->ns_per_instruction = 0.1;
	}
}

static void probe_capabilities(int fd, struct hs_probe *probe)
{
	const struct {
		int capability;
		enum hs_answer *answer;
	} questions[] = {
		{ KVM_CAP_SYNC_REGS, &probe->sync_regs },
		{ KVM_CAP_XSAVE, &probe->xsave },
		{ KVM_CAP_XCRS, &probe->xcrs },
		{ KVM_CAP_DEBUGREGS, &probe->debug_registers },
		{ KVM_CAP_READONLY_MEM, &probe->read_only_memory },
		{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, &probe->dirty_log },
		{ KVM_CAP_X86_MSR_FILTER, &probe->msr_filter },
	};

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		*questions[i].answer = answer_of(ioctl(fd, KVM_CHECK_EXTENSION, questions[i].capability) > 0);
	}
}

static void name_module(struct hs_probe *probe)
{
	static const char *const modules[] = { "kvm_intel", "kvm_amd", "kvm_pvm" };

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		char path[64];
		struct stat ignored;

		snprintf(path, sizeof(path), "/sys/module/%s", modules[i]);
		if (stat(path, &ignored) == 0) {
			snprintf(probe->kvm_module, sizeof(probe->kvm_module), "%s", modules[i]);
		}
	}
}

static void probe_all(struct hs_probe *probe)
{
	int fd;

	if (hs_kvm_open(&fd, &probe->kvm_error)) {
		return;
	}
	probe->kvm_usable = true;
	name_module(probe);
	probe_capabilities(fd, probe);
	close(fd);
	probe->paging_amd64 = probe_paging(HS_PAGING_4LEVEL);
	probe->paging_32bit = probe_paging(HS_PAGING_32BIT);
	probe->paging_pae = probe_paging(HS_PAGING_PAE);
	probe_int3(probe);
	probe_hlt(probe);
	probe_step(probe);
	probe_hardware(probe);
	probe_shutdown(probe);
	probe_speed(probe);
}

void hs_kvm_probe(struct hs_probe *ret)
{
	/* The host does not change while a process runs, and every VM asks: one answer a process, under one lock. */
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct hs_probe cached;
	static bool done;

	pthread_mutex_lock(&lock);
	if (!done) {
		probe_all(&cached);
		done = true;
	}
	*ret = cached;
	pthread_mutex_unlock(&lock);
}

enum hs_status hs_kvm_check(enum hs_arch arch, struct hs_error *err)
{
	struct hs_error failure;
	int fd;

	if (hs_kvm_open(&fd, &failure)) {
		if (err) {
			*err = failure;
		}
		return failure.status;
	}
	close(fd);
	/* Every KVM runs 64-bit guests; only for the others is the question worth the time. */
	if (arch == HS_ARCH_I686 && probe_paging(HS_PAGING_32BIT) != HS_ANSWER_YES) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0,
				    "this host's KVM has no 32-bit paging, so it cannot run an i686 guest "
				    "(KVM on Intel or AMD hardware can; here: scripts/rig run)");
	}
	return HS_OK;
}

void hs_kvm_abilities_of(const struct hs_probe *probe, struct hs_backend_abilities *ret)
{
	*ret = (struct hs_backend_abilities){
		.execute_slots = probe->hardware_execute == HS_ANSWER_YES ? 4 : 0,
		.data_slots = probe->hardware_data == HS_ANSWER_YES ? 4 : 0,
		.slots = 4,
		.step = probe->single_step == HS_ANSWER_YES,
	};
	if (probe->int3 == HS_INT3_DEBUG_EXIT || probe->int3 == HS_INT3_EMULATION_FAILURE) {
		ret->planted_opcode = 0xCC;
	} else if (probe->hlt_exits == HS_ANSWER_YES) {
		ret->planted_opcode = 0xF4;
	}
}

enum hs_status hs_kvm_abilities(struct hs_backend *backend, struct hs_backend_abilities *ret, struct hs_error *err)
{
	struct hs_probe probe;

	(void)backend;
	hs_kvm_probe(&probe);
	if (!probe.kvm_usable) {
		return hs_error_set(err, HS_ERR_BACKEND, 0, 0, "%s", probe.kvm_error.message);
	}
	hs_kvm_abilities_of(&probe, ret);
	return HS_OK;
}
