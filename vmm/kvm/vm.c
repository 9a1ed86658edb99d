/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening KVM, making and unmaking the VM and its CPU, memory slots. */
#include "vmm/kvm/kvm.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Entries of KVM_GET_SUPPORTED_CPUID: KVM_MAX_CPUID_ENTRIES is 256 since Linux 5.11. */
#define CPUID_ENTRIES 256

/* Intel without unrestricted guest needs three pages of guest-physical space for a TSS that nothing else uses; the
 * customary place is below the BIOS, above both our i686 regions' usual ends (api.rst 4.35). */
#define TSS_ADDRESS 0xFFFBD000ul

enum hs_status hs_kvm_open(int *ret_fd, struct hs_error *err)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0 && (errno == EACCES || errno == EPERM)) {
		return hs_error_set(err, HS_ERR_PERMISSION, errno, 0,
				    "/dev/kvm: permission denied (join the group that owns it, usually kvm; "
				    "--backend soft needs none)");
	}
	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO)) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, errno, 0,
				    "/dev/kvm: this host has no KVM (load kvm_intel or kvm_amd; --backend soft "
				    "needs none)");
	}
	if (fd < 0) {
		return hs_error_os(err, errno, "/dev/kvm");
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		close(fd);
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0, "/dev/kvm: API version %d, %d is needed", version,
				    KVM_API_VERSION);
	}
	*ret_fd = fd;
	return HS_OK;
}

static enum hs_status give_cpuid(struct hs_backend *backend, struct hs_error *err)
{
	HS_FREE struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid) {
		return hs_error_os(err, ENOMEM, "cannot allocate the CPUID table");
	}
	cpuid->nent = CPUID_ENTRIES;
	if (ioctl(backend->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) || ioctl(backend->vcpu_fd, KVM_SET_CPUID2, cpuid)) {
		return hs_error_os(err, errno, "KVM refused the CPUID table");
	}
	/* What the CPU has of it: kvm_pvm gives it more than it says to support. */
	cpuid->nent = CPUID_ENTRIES;
	if (ioctl(backend->vcpu_fd, KVM_GET_CPUID2, cpuid)) {
		return hs_error_os(err, errno, "KVM does not tell its CPU's CPUID table");
	}
	hs_kvm_learn_xsave(backend, cpuid);
	return HS_OK;
}

static enum hs_status make_vcpu(struct hs_backend *backend, struct hs_error *err)
{
	int length;
	void *run;
	enum hs_status st;

	backend->vcpu_fd = ioctl(backend->vm_fd, KVM_CREATE_VCPU, 0);
	if (backend->vcpu_fd < 0) {
		return hs_error_os(err, errno, "KVM cannot create a CPU");
	}
	length = ioctl(backend->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (length < (int)sizeof(struct kvm_run)) {
		return hs_error_set(err, HS_ERR_BACKEND, 0, 0, "KVM offers a kvm_run area of %d bytes", length);
	}
	run = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED, backend->vcpu_fd, 0);
	if (run == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot map kvm_run");
	}
	backend->run = run;
	backend->run_length = (size_t)length;
	st = hs_kvm_map_ring(backend, err);
	return st ? st : give_cpuid(backend, err);
}

static enum hs_status make(struct hs_backend *backend, struct hs_error *err)
{
	enum hs_status st = hs_kvm_open(&backend->kvm_fd, err);
	int wanted = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;

	if (st) {
		return st;
	}
	backend->hardware = hs_kvm_has_hardware();
	backend->vm_fd = ioctl(backend->kvm_fd, KVM_CREATE_VM, 0);
	if (backend->vm_fd < 0) {
		return hs_error_os(err, errno, "KVM cannot create a VM");
	}
	/* Fails where it is not needed. */
	(void)ioctl(backend->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS);
	hs_kvm_make_ring(backend);
	st = make_vcpu(backend, err);
	if (st) {
		return st;
	}
	if ((ioctl(backend->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS) & wanted) == wanted) {
		backend->sync_regs = true;
		/* Events are only given. */
		backend->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	}
	backend->stale = true;
	backend->shadows.possible = hs_kvm_shadows(backend->hardware);
	return HS_OK;
}

enum hs_status hs_kvm_create(struct hs_backend **ret, struct hs_error *err)
{
	struct hs_backend *backend = calloc(1, sizeof(*backend));
	enum hs_status st;

	if (!backend) {
		return hs_error_os(err, ENOMEM, "cannot allocate the VM");
	}
	backend->kvm_fd = backend->vm_fd = backend->vcpu_fd = backend->shadows.stats_fd = -1;
	st = make(backend, err);
	if (st) {
		hs_kvm_destroy(backend);
		return st;
	}
	*ret = backend;
	return HS_OK;
}

void hs_kvm_destroy(struct hs_backend *backend)
{
	if (!backend) {
		return;
	}
	hs_kvm_unmap_ring(backend);
	if (backend->run) {
		munmap(backend->run, backend->run_length);
	}
	free(backend->dirty.bits);
	hs_cleanup_close(&backend->shadows.stats_fd);
	hs_cleanup_close(&backend->vcpu_fd);
	hs_cleanup_close(&backend->vm_fd);
	hs_cleanup_close(&backend->kvm_fd);
	free(backend);
}

enum hs_status hs_kvm_set_slot(struct hs_backend *backend, size_t index, struct hs_error *err)
{
	const struct hs_kvm_slot *slot = &backend->slots[index];
	struct kvm_userspace_memory_region region = {
		.slot = (uint32_t)index,
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->length,
		.userspace_addr = (uint64_t)(uintptr_t)slot->host,
	};

	if (slot->read_only) {
		region.flags = KVM_MEM_READONLY;
	} else if (backend->dirty.note) {
		region.flags = KVM_MEM_LOG_DIRTY_PAGES;
	}
	if (ioctl(backend->vm_fd, KVM_SET_USER_MEMORY_REGION, &region)) {
		return hs_error_os(err, errno, "KVM cannot map 0x%llx bytes at gpa 0x%llx",
				   (unsigned long long)slot->length, (unsigned long long)slot->gpa);
	}
	return HS_OK;
}

enum hs_status hs_kvm_map(struct hs_backend *backend, hs_gpa gpa, uint64_t length, void *host, bool read_only,
			  struct hs_error *err)
{
	size_t index = 0;
	enum hs_status st;

	while (index < backend->slot_count && backend->slots[index].length > 0) {
		index++;
	}
	if (index == HS_KVM_SLOTS_MAX) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, gpa.v, "no KVM memory slot is left");
	}
	backend->slots[index] = (struct hs_kvm_slot){ gpa.v, length, host, read_only };
	st = hs_kvm_set_slot(backend, index, err);
	if (st) {
		backend->slots[index].length = 0;
	} else if (index == backend->slot_count) {
		backend->slot_count++;
	}
	return st;
}

enum hs_status hs_kvm_unmap(struct hs_backend *backend, hs_gpa gpa, struct hs_error *err)
{
	for (size_t i = 0; i < backend->slot_count; i++) {
		struct hs_kvm_slot *slot = &backend->slots[i];

		if (slot->length > 0 && slot->gpa == gpa.v) {
			uint64_t length = slot->length;
			enum hs_status st;

			slot->length = 0;
			st = hs_kvm_set_slot(backend, i, err);
			slot->length = st ? length : 0;
			return st;
		}
	}
	return HS_OK;
}

/* What a guest has changed of its registers KVM does not say. */
static enum hs_status restore(struct hs_backend *backend, const struct hs_cpu_state *state, bool again,
			      struct hs_error *err)
{
	(void)again;
	return hs_kvm_set_state(backend, HS_STATE_ALL, state, err);
}

const struct hs_backend_ops hs_kvm_backend_ops = {
	.name = "kvm",
	.check = hs_kvm_check,
	.create = hs_kvm_create,
	.destroy = hs_kvm_destroy,
	.map = hs_kvm_map,
	.unmap = hs_kvm_unmap,
	.track = hs_kvm_track,
	.collect = hs_kvm_collect,
	.abandon = hs_kvm_abandon,
	.tables_written = hs_kvm_tables_written,
	.xcr0_offered = hs_kvm_xcr0_offered,
	.get_state = hs_kvm_get_state,
	.set_state = hs_kvm_set_state,
	.restore = restore,
	.abilities = hs_kvm_abilities,
	.set_debug = hs_kvm_set_debug,
	.run = hs_kvm_run,
	.port_in = hs_kvm_port_in,
	.complete = hs_kvm_complete,
	.inject_int3 = hs_kvm_inject_int3,
	.interrupt = hs_kvm_interrupt,
	.translate = hs_kvm_translate,
};
