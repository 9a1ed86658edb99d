/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The probe's questions, each a guest of a few bytes (docs/hosts.md says which KVM answers how). */
#include "vmm/kvm/probe.h"

#include "arch/regs.h"
#include "base/bytes.h"
#include "base/error.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine.h"

#include <cpuid.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CODE(...) ((const uint8_t[]){ __VA_ARGS__ }), sizeof((const uint8_t[]){ __VA_ARGS__ })

static enum hs_answer answer_of(bool yes)
{
	return yes ? HS_ANSWER_YES : HS_ANSWER_NO;
}

/* Run code in 4-level mode with something armed; false when the machine could not be made or run. */
static bool run_armed(const uint8_t *code, size_t length, const struct hs_debug_request *request, struct hs_exit *exit,
		      struct hs_cpu_state *cpu)
{
	struct hs_machine machine;
	enum hs_status st = hs_machine_init(&machine, &hs_kvm_backend_ops, HS_PAGING_4LEVEL, code, length, NULL);

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

#define SELECTOR_CODE 8u
#define CODE_DESCRIPTOR 0x00209A0000000000u
#define IDT (HS_MACHINE_DATA + 0x100u)
#define VECTOR_UD 6u
#define INTERRUPT_GATE 0x8E00u

/* A gate for #UD that leads to handler, and the segment that it names. */
static enum hs_status give_handler(struct hs_machine *machine, uint32_t handler)
{
	uint8_t *gate = machine->memory + IDT + VECTOR_UD * 16;
	struct hs_cpu_state cpu;
	enum hs_status st;

	hs_put_le64(machine->memory + HS_MACHINE_DATA + SELECTOR_CODE, CODE_DESCRIPTOR);
	hs_put_le32(gate, SELECTOR_CODE << 16 | (handler & 0xFFFF));
	hs_put_le32(gate + 4, (handler & 0xFFFF0000u) | INTERRUPT_GATE);
	hs_cpu_state_init(&cpu);
	st = machine->ops->get_state(machine->backend, HS_STATE_CORE, &cpu, NULL);
	if (st) {
		return st;
	}
	cpu.gdt = (struct hs_dtable){ HS_MACHINE_DATA, 2 * 8 - 1 };
	cpu.idt = (struct hs_dtable){ IDT, (VECTOR_UD + 1) * 16 - 1 };
	return machine->ops->set_state(machine->backend, HS_STATE_CORE, &cpu, NULL);
}

/* ud2, whose handler is behind it: a nop and a hlt. Where a step ends in it the nop may have been executed. */
static void probe_step_of_fault(struct hs_probe *probe)
{
	static const uint8_t code[] = { 0x0F, 0x0B, 0x90, 0xF4 };
	const uint32_t handler = HS_MACHINE_CODE + 2;
	struct hs_machine machine;
	struct hs_cpu_state cpu;
	struct hs_exit exit;

	if (hs_machine_init(&machine, &hs_kvm_backend_ops, HS_PAGING_4LEVEL, code, sizeof(code), NULL)) {
		return;
	}
	if (!give_handler(&machine, handler) &&
	    !hs_kvm_set_debug(machine.backend, &(struct hs_debug_request){ .step = true }, NULL) &&
	    !hs_machine_run(&machine, &exit, &cpu, NULL)) {
		probe->step_of_fault = answer_of(exit.kind == HS_EXIT_STEPPED);
	}
	hs_machine_deinit(&machine);
}

static void probe_hardware(struct hs_probe *probe)
{
	const struct hs_breakpoint execute = { HS_BREAK_HARDWARE, hs_gva_of(HS_MACHINE_CODE + 1), 1, 0 };
	const struct hs_breakpoint data = { HS_WATCH_WRITE, hs_gva_of(HS_MACHINE_DATA), 4, 0 };
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

/* CPUID.1:ECX.VMX and CPUID.80000001H:ECX.SVM, as the kernel that runs KVM sees them. */
bool hs_kvm_has_hardware(void)
{
	unsigned int eax;
	unsigned int ebx;
	unsigned int ecx;
	unsigned int edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 5)) {
		return true;
	}
	return __get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx) && (ecx & 1u << 2);
}

bool hs_kvm_is_translated(void)
{
	char signature[12];
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & 1u << 31)) {
		return false;
	}
	__cpuid(0x40000000, eax, ebx, ecx, edx);
	memcpy(signature, &ebx, 4);
	memcpy(signature + 4, &ecx, 4);
	memcpy(signature + 8, &edx, 4);
	return memcmp(signature, "TCGTCGTCGTCG", sizeof(signature)) == 0;
}

void hs_kvm_probe_quick(struct hs_probe *ret)
{
	int fd;

	*ret = (struct hs_probe){ .kvm_usable = false };
	if (hs_kvm_open(&fd, &ret->kvm_error) == HS_OK) {
		close(fd);
		ret->kvm_usable = true;
		ret->hardware = answer_of(hs_kvm_has_hardware());
	}
}

/* What guests of one architecture meet. */
static void probe_arch(enum hs_arch arch, double enough_ns, struct hs_probe *probe)
{
	bool is_amd64 = arch == HS_ARCH_AMD64;
	struct hs_trial trial;

	hs_kvm_probe_quick(probe);
	if (!probe->kvm_usable) {
		return;
	}
	hs_machine_try(&hs_kvm_backend_ops, is_amd64 ? HS_PAGING_4LEVEL : HS_PAGING_32BIT, enough_ns, &trial);
	*(is_amd64 ? &probe->paging_amd64 : &probe->paging_32bit) = trial.paging;
	probe->vectors = trial.vectors;
	probe->ns_per_instruction = trial.ns_per_instruction;
}

static void probe_all(struct hs_probe *probe)
{
	struct hs_probe i686 = { .kvm_usable = false };
	struct hs_trial pae;
	int fd;

	probe_arch(HS_ARCH_AMD64, INFINITY, probe);
	if (!probe->kvm_usable || hs_kvm_open(&fd, NULL)) {
		return;
	}
	name_module(probe);
	probe_capabilities(fd, probe);
	close(fd);
	probe_arch(HS_ARCH_I686, INFINITY, &i686);
	probe->paging_32bit = i686.paging_32bit;
	hs_machine_try(&hs_kvm_backend_ops, HS_PAGING_PAE, 0, &pae);
	probe->paging_pae = pae.paging;
	probe_int3(probe);
	probe_hlt(probe);
	probe_step(probe);
	probe_step_of_fault(probe);
	probe_hardware(probe);
	probe_shutdown(probe);
}

/* The host does not change while a process runs, and every VM asks: one answer a process, under one lock each. */
void hs_kvm_probe_arch(enum hs_arch arch, double soft_ns, struct hs_probe *ret)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct hs_probe cached[2];
	static bool done[2];
	size_t i = arch == HS_ARCH_AMD64 ? 0 : 1;

	pthread_mutex_lock(&lock);
	if (!done[i]) {
		probe_arch(arch, soft_ns, &cached[i]);
		done[i] = true;
	}
	*ret = cached[i];
	pthread_mutex_unlock(&lock);
}

void hs_kvm_probe(struct hs_probe *ret)
{
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
	struct hs_trial trial;
	int fd;

	if (hs_kvm_open(&fd, &failure)) {
		if (err) {
			*err = failure;
		}
		return failure.status;
	}
	close(fd);
	/* Every KVM runs 64-bit guests; only for the others is the question worth the time. */
	if (arch == HS_ARCH_AMD64) {
		return HS_OK;
	}
	hs_machine_try(&hs_kvm_backend_ops, HS_PAGING_32BIT, 0, &trial);
	if (trial.paging != HS_ANSWER_YES) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0,
				    "this host's KVM has no 32-bit paging, so it cannot run an i686 guest "
				    "(--backend soft can)");
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
		.step_skips_handlers = probe->step_of_fault != HS_ANSWER_YES,
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
