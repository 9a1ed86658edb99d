/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "raw_kvm.h"

#include "harness.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY_BYTES 0x10000u
#define CODE 0x8000u
#define CPUID_ENTRIES 256

struct raw {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	uint8_t *memory[2];
};

static bool map_slot(struct raw *raw, uint32_t slot, uint64_t gpa)
{
	struct kvm_userspace_memory_region region = { .slot = slot,
						      .guest_phys_addr = gpa,
						      .memory_size = MEMORY_BYTES };

	raw->memory[slot] = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (raw->memory[slot] == MAP_FAILED) {
		return false;
	}
	region.userspace_addr = (uintptr_t)raw->memory[slot];
	return ioctl(raw->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

static bool set_cpuid(struct raw *raw)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	bool done;

	if (!cpuid) {
		return false;
	}
	cpuid->nent = CPUID_ENTRIES;
	done = ioctl(raw->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0 && ioctl(raw->vcpu, KVM_SET_CPUID2, cpuid) == 0;
	free(cpuid);
	return done;
}

/* One 2 MiB page that maps the first megabytes on themselves, flat segments, long mode. */
static bool set_state(struct raw *raw)
{
	const uint64_t tables[3] = { 0x2003, 0x3003, 0x83 };
	const struct kvm_segment flat = {
		.limit = 0xFFFFFFFF,
		.selector = 16,
		.type = 3,
		.present = 1,
		.s = 1,
		.db = 1,
		.g = 1,
	};
	struct kvm_regs regs = { .rip = CODE, .rflags = 2, .rsp = CODE };
	struct kvm_sregs sregs;

	for (size_t i = 0; i < 3; i++) {
		memcpy(raw->memory[0] + 0x1000 * (i + 1), &tables[i], sizeof(tables[i]));
	}
	raw->memory[0][CODE] = 0xF4;
	if (ioctl(raw->vcpu, KVM_GET_SREGS, &sregs)) {
		return false;
	}
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = flat;
	sregs.cs = flat;
	sregs.cs.selector = 8;
	sregs.cs.type = 11;
	sregs.cs.l = 1;
	sregs.cs.db = 0;
	sregs.tr = (struct kvm_segment){ .limit = 0x67, .selector = 24, .type = 11, .present = 1 };
	sregs.cr0 = 0x80000031;
	sregs.cr3 = 0x1000;
	sregs.cr4 = 0x20;
	sregs.efer = 0x500;
	return ioctl(raw->vcpu, KVM_SET_SREGS, &sregs) == 0 && ioctl(raw->vcpu, KVM_SET_REGS, &regs) == 0;
}

static bool run(struct raw *raw, size_t *ret_length)
{
	raw->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (raw->kvm < 0) {
		perror("/dev/kvm");
		return false;
	}
	raw->vm = ioctl(raw->kvm, KVM_CREATE_VM, 0);
	raw->vcpu = ioctl(raw->vm, KVM_CREATE_VCPU, 0);
	*ret_length = (size_t)ioctl(raw->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	raw->run = mmap(NULL, *ret_length, PROT_READ | PROT_WRITE, MAP_SHARED, raw->vcpu, 0);
	return raw->run != MAP_FAILED && set_cpuid(raw) && map_slot(raw, 0, 0) && map_slot(raw, 1, 0x100000000) &&
	       set_state(raw) && ioctl(raw->vcpu, KVM_RUN, 0) == 0 && raw->run->exit_reason == KVM_EXIT_HLT;
}

bool hs_bench_raw_kvm(void *ctx, double *ret_ns)
{
	struct raw raw = { -1, -1, -1, MAP_FAILED, { MAP_FAILED, MAP_FAILED } };
	size_t length = 0;
	double start = hs_bench_now();
	bool done = run(&raw, &length);

	(void)ctx;
	*ret_ns = hs_bench_now() - start;
	if (raw.run != MAP_FAILED) {
		munmap(raw.run, length);
	}
	close(raw.vcpu);
	close(raw.vm);
	close(raw.kvm);
	for (size_t i = 0; i < 2; i++) {
		if (raw.memory[i] != MAP_FAILED) {
			munmap(raw.memory[i], MEMORY_BYTES);
		}
	}
	return done;
}
