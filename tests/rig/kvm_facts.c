/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What this machine's KVM does, one fact a line ("name answer"), by running a few bytes of guest code for each. It uses
 * nothing of the project, so that it can tell whether the rig is the kind of KVM that the tests take it for, and
 * whether the probe of the project tells the truth. tests/rig/test_kvm_facts.py holds the answers that are expected.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_BYTES (2U << 20)
#define TABLES 0x10000U /* three pages */
#define CODE 0x1000U
#define DATA 0x4000U
#define READ_ONLY_GPA 0x400000U

/* Control bits: SDM vol. 3A 2.5; EFER: 2.2.1; the entries: 4.3, 4.4.2, 4.5. */
#define CR0_PE (1U << 0)
#define CR0_PG (1U << 31)
#define CR4_PSE (1U << 4)
#define CR4_PAE (1U << 5)
#define EFER_LME (1U << 8)
#define EFER_LMA (1U << 10)
#define ENTRY_TABLE 3U          /* present, writable */
#define ENTRY_LARGE (3U | 0x80) /* and a large page */

enum mode { FLAT, PAGING_32, PAGING_PAE, PAGING_64 };

struct guest {
	int kvm, vm, cpu;
	uint8_t *memory;
	struct kvm_run *run;
};

static void die(const char *what)
{
	fprintf(stderr, "kvm_facts: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int control(int fd, unsigned long request, void *argument)
{
	int result = ioctl(fd, request, argument);
	if (result < 0) {
		die("a KVM request failed");
	}
	return result;
}

static void put_entry(struct guest *guest, uint32_t offset, uint32_t value)
{
	memcpy(guest->memory + TABLES + offset, &value, sizeof(value));
}

/* Identity tables of 2 or 4 MiB, one large page; upper halves of 8-byte entries stay zero. */
static void make_tables(struct guest *guest, enum mode mode)
{
	if (mode == PAGING_32) {
		put_entry(guest, 0, ENTRY_LARGE);
	} else if (mode == PAGING_PAE) {
		put_entry(guest, 0, (TABLES + 0x1000) | 1); /* W is reserved in a PDPTE */
		put_entry(guest, 0x1000, ENTRY_LARGE);
		put_entry(guest, 0x1000 + 2 * 8, READ_ONLY_GPA | ENTRY_LARGE);
	} else if (mode == PAGING_64) {
		put_entry(guest, 0, (TABLES + 0x1000) | ENTRY_TABLE);
		put_entry(guest, 0x1000, (TABLES + 0x2000) | ENTRY_TABLE);
		put_entry(guest, 0x2000, ENTRY_LARGE);
		put_entry(guest, 0x2000 + 2 * 8, READ_ONLY_GPA | ENTRY_LARGE);
	}
}

static void enter_mode(struct guest *guest, enum mode mode)
{
	struct kvm_sregs sregs;
	control(guest->cpu, KVM_GET_SREGS, &sregs);
	struct kvm_segment code = { .limit = 0xFFFFFFFF, .selector = 8, .type = 11, .present = 1, .s = 1, .g = 1 };
	code.l = mode == PAGING_64;
	code.db = !code.l;
	struct kvm_segment data = code;
	data.selector = 16;
	data.type = 3;
	data.l = 0;
	data.db = 1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.idt.limit = 0; /* an exception that the guest gets is a triple fault */
	sregs.cr0 |= CR0_PE | (mode == FLAT ? 0 : CR0_PG);
	sregs.cr3 = TABLES;
	sregs.cr4 |= mode == PAGING_32 ? CR4_PSE : mode == FLAT ? 0 : CR4_PAE;
	sregs.efer |= mode == PAGING_64 ? EFER_LME | EFER_LMA : 0;
	control(guest->cpu, KVM_SET_SREGS, &sregs);
	struct kvm_regs regs = { .rip = CODE, .rflags = 2, .rsp = DATA };
	control(guest->cpu, KVM_SET_REGS, &regs);
}

static void guest_init(struct guest *guest, enum mode mode, const void *code, size_t length)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid;
	guest->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (guest->kvm < 0) {
		die("/dev/kvm");
	}
	guest->vm = control(guest->kvm, KVM_CREATE_VM, NULL);
	guest->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guest->memory == MAP_FAILED) {
		die("memory");
	}
	struct kvm_userspace_memory_region slot = { .memory_size = MEMORY_BYTES,
						    .userspace_addr = (uintptr_t)guest->memory };
	control(guest->vm, KVM_SET_USER_MEMORY_REGION, &slot);
	guest->cpu = control(guest->vm, KVM_CREATE_VCPU, NULL);
	cpuid.head.nent = 256;
	control(guest->kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	control(guest->cpu, KVM_SET_CPUID2, &cpuid);
	size_t run_bytes = (size_t)control(guest->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);
	guest->run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, guest->cpu, 0);
	if (guest->run == MAP_FAILED) {
		die("the shared page of the CPU");
	}
	memcpy(guest->memory + CODE, code, length);
	make_tables(guest, mode);
	enter_mode(guest, mode);
}

/* The process is short-lived: only the descriptors are given back, so that one fact does not weigh on the next. */
static void guest_deinit(struct guest *guest)
{
	close(guest->cpu);
	close(guest->vm);
	close(guest->kvm);
}

static uint32_t run(struct guest *guest)
{
	if (ioctl(guest->cpu, KVM_RUN, NULL) && errno != EINTR) {
		die("KVM_RUN");
	}
	return guest->run->exit_reason;
}

static uint64_t rip_of(struct guest *guest)
{
	struct kvm_regs regs;
	control(guest->cpu, KVM_GET_REGS, &regs);
	return regs.rip;
}

static void debug(struct guest *guest, uint32_t bits, uint64_t address, uint64_t dr7)
{
	struct kvm_guest_debug request = { .control = KVM_GUESTDBG_ENABLE | bits };
	request.arch.debugreg[0] = address;
	request.arch.debugreg[7] = dr7;
	control(guest->cpu, KVM_SET_GUEST_DEBUG, &request);
}

static const char *name_of_exit(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_DEBUG:
		return "debug";
	case KVM_EXIT_HLT:
		return "hlt";
	case KVM_EXIT_IO:
		return "io";
	case KVM_EXIT_MMIO:
		return "mmio";
	case KVM_EXIT_SHUTDOWN:
		return "shutdown";
	case KVM_EXIT_INTERNAL_ERROR:
		return "internal-error";
	default:
		return "other";
	}
}

/* A store and a port, in the given mode: "io" and the stored value, or whatever it did instead. */
static const char *paging(enum mode mode)
{
	/* mov byte [0x4000], 0x5a (by edi: no size prefix needed); out 0xe9, al; hlt */
	static const uint8_t code[] = { 0xBF, 0x00, 0x40, 0x00, 0x00, 0xC6, 0x07, 0x5A, 0xE6, 0xE9, 0xF4 };
	struct guest guest;
	guest_init(&guest, mode, code, sizeof(code));
	uint32_t reason = run(&guest);
	bool works = reason == KVM_EXIT_IO && guest.memory[DATA] == 0x5A;
	guest_deinit(&guest);
	return works ? "yes" : name_of_exit(reason);
}

static const char *paging_none(void)
{
	return paging(FLAT);
}

static const char *paging_32(void)
{
	return paging(PAGING_32);
}

static const char *paging_pae(void)
{
	return paging(PAGING_PAE);
}

static const char *paging_64(void)
{
	return paging(PAGING_64);
}

static const char *planted_int3(void)
{
	static const uint8_t code[] = { 0x90, 0xCC, 0xF4 };
	struct guest guest;
	guest_init(&guest, PAGING_64, code, sizeof(code));
	debug(&guest, KVM_GUESTDBG_USE_SW_BP, 0, 0);
	uint32_t reason = run(&guest);
	guest_deinit(&guest);
	return name_of_exit(reason);
}

/* Where rip is at the exit that a hlt makes. */
static const char *planted_hlt(void)
{
	static const uint8_t code[] = { 0x90, 0xF4, 0x90 };
	struct guest guest;
	guest_init(&guest, PAGING_64, code, sizeof(code));
	uint32_t reason = run(&guest);
	uint64_t rip = rip_of(&guest);
	guest_deinit(&guest);
	if (reason != KVM_EXIT_HLT) {
		return name_of_exit(reason);
	}
	return rip == CODE + 2 ? "after" : rip == CODE + 1 ? "at" : "elsewhere";
}

static const char *single_step(void)
{
	static const uint8_t code[] = { 0x90, 0x90, 0x90, 0xF4 };
	struct guest guest;
	guest_init(&guest, PAGING_64, code, sizeof(code));
	debug(&guest, KVM_GUESTDBG_SINGLESTEP, 0, 0);
	const char *answer = "yes";
	for (uint64_t rip = CODE + 1; rip <= CODE + 3; rip++) {
		uint32_t reason = run(&guest);
		if (reason != KVM_EXIT_DEBUG || rip_of(&guest) != rip) {
			answer = reason == KVM_EXIT_DEBUG ? "astray" : name_of_exit(reason);
			break;
		}
	}
	guest_deinit(&guest);
	return answer;
}

/* ud2, handled by the nop and the hlt behind it: where does a step of it end? The gate is of SDM vol. 3A figure 6-8. */
static const char *step_of_fault(void)
{
	static const uint8_t code[] = { 0x0F, 0x0B, 0x90, 0xF4 };
	const uint64_t code_segment = 0x00209A0000000000;
	const uint64_t gate = UINT64_C(0x8E00) << 32 | 8U << 16 | (CODE + 2);
	struct kvm_sregs sregs;
	struct guest guest;
	guest_init(&guest, PAGING_64, code, sizeof(code));
	memcpy(guest.memory + DATA + 8, &code_segment, sizeof(code_segment));
	memcpy(guest.memory + DATA + 0x100 + 6 * 16, &gate, sizeof(gate));
	control(guest.cpu, KVM_GET_SREGS, &sregs);
	sregs.gdt.base = DATA;
	sregs.gdt.limit = 15;
	sregs.idt.base = DATA + 0x100;
	sregs.idt.limit = 7 * 16 - 1;
	control(guest.cpu, KVM_SET_SREGS, &sregs);
	debug(&guest, KVM_GUESTDBG_SINGLESTEP, 0, 0);
	uint32_t reason = run(&guest);
	guest_deinit(&guest);
	return reason == KVM_EXIT_DEBUG ? "in-handler" : reason == KVM_EXIT_HLT ? "behind" : name_of_exit(reason);
}

/* DR7: L0 | LE | the always-one bit; R/W0 and LEN0 start at bit 16 (SDM vol. 3B 17.2.4). */
static const char *slot(const uint8_t *code, size_t length, uint64_t address, uint64_t kind)
{
	struct guest guest;
	guest_init(&guest, PAGING_64, code, length);
	debug(&guest, KVM_GUESTDBG_USE_HW_BP, address, 0x501 | kind << 16);
	uint32_t reason = run(&guest);
	guest_deinit(&guest);
	return reason == KVM_EXIT_DEBUG ? "fires" : reason == KVM_EXIT_HLT ? "never" : name_of_exit(reason);
}

static const char *execute_slot(void)
{
	static const uint8_t code[] = { 0x90, 0x90, 0xF4 };
	return slot(code, sizeof(code), CODE + 1, 0);
}

static const char *data_slot(void)
{
	/* mov edi, 0x4000; mov dword [rdi], 0; nop; hlt, watched for writes of four bytes (R/W0 = 1, LEN0 = 3) */
	static const uint8_t code[] = { 0xBF, 0x00, 0x40, 0x00, 0x00, 0xC7, 0x07, 0, 0, 0, 0, 0x90, 0xF4 };
	return slot(code, sizeof(code), DATA, 0xD);
}

static const char *read_only_write(void)
{
	/* mov edi, 0x400000; mov byte [rdi], 1; hlt */
	static const uint8_t code[] = { 0xBF, 0x00, 0x00, 0x40, 0x00, 0xC6, 0x07, 0x01, 0xF4 };
	struct guest guest;
	guest_init(&guest, PAGING_64, code, sizeof(code));
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region slot_of_page = { .slot = 1,
							    .flags = KVM_MEM_READONLY,
							    .guest_phys_addr = READ_ONLY_GPA,
							    .memory_size = 4096,
							    .userspace_addr = (uintptr_t)page };
	control(guest.vm, KVM_SET_USER_MEMORY_REGION, &slot_of_page);
	uint32_t reason = run(&guest);
	guest_deinit(&guest);
	return name_of_exit(reason);
}

static const char *registers_in_run(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int bits = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
	close(kvm);
	return (bits & (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)) == (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS) ? "yes"
													     : "no";
}

/* Whether rip after a triple fault is that of the fault. */
static const char *state_at_shutdown(void)
{
	static const uint8_t code[] = { 0x90, 0x90, 0x0F, 0x0B }; /* nop; nop; ud2 */
	struct guest guest;
	guest_init(&guest, PAGING_64, code, sizeof(code));
	uint32_t reason = run(&guest);
	uint64_t rip = rip_of(&guest);
	guest_deinit(&guest);
	return reason != KVM_EXIT_SHUTDOWN ? name_of_exit(reason) : rip == CODE + 2 ? "kept" : "lost";
}

/* Whether instructions are executed or emulated one by one: 20,000 rounds of a loop of two, the quickest of five. An
 * emulator of KVM's kind takes 0.5 us or more for each, hence 20 ms; translated or native, well below 1 ms. */
static const char *instructions_at_cpl_0(void)
{
	/* mov ecx, 20000; 1: dec ecx; jnz 1b; hlt */
	static const uint8_t code[] = { 0xB9, 0x20, 0x4E, 0x00, 0x00, 0xFF, 0xC9, 0x75, 0xFC, 0xF4 };
	long quickest_ns = LONG_MAX;
	for (int i = 0; i < 5; i++) {
		struct guest guest;
		struct timespec start, end;
		guest_init(&guest, PAGING_64, code, sizeof(code));
		clock_gettime(CLOCK_MONOTONIC, &start);
		uint32_t reason = run(&guest);
		clock_gettime(CLOCK_MONOTONIC, &end);
		guest_deinit(&guest);
		if (reason != KVM_EXIT_HLT) {
			return name_of_exit(reason);
		}
		long ns = (end.tv_sec - start.tv_sec) * 1000000000L + end.tv_nsec - start.tv_nsec;
		quickest_ns = ns < quickest_ns ? ns : quickest_ns;
	}
	return quickest_ns > 8000000 ? "emulated" : "executed";
}

int main(void)
{
	static const struct {
		const char *name;
		const char *(*answer)(void);
	} facts[] = {
		{ "paging-none", paging_none },
		{ "paging-32", paging_32 },
		{ "paging-pae", paging_pae },
		{ "paging-64", paging_64 },
		{ "planted-int3", planted_int3 },
		{ "planted-hlt", planted_hlt },
		{ "single-step", single_step },
		{ "step-of-fault", step_of_fault },
		{ "execute-slot", execute_slot },
		{ "data-slot", data_slot },
		{ "read-only-write", read_only_write },
		{ "sync-regs", registers_in_run },
		{ "state-at-shutdown", state_at_shutdown },
		{ "instructions", instructions_at_cpl_0 },
	};
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		printf("%s %s\n", facts[i].name, facts[i].answer());
		fflush(stdout);
	}
	return 0;
}
