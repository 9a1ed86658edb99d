/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shadow page tables: where the processor has no second level of translation, KVM translates by tables of its own that
 * it keeps in step with what the guest writes to its page tables, and is not told what the host writes there. Behind a
 * restore they have to go. That costs a memory slot taken away and put back, so it is done only where there are any.
 */
#include "vmm/kvm/kvm.h"

#include "base/cleanup.h"
#include "base/error.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* KVM's count of faults that came to its translation (arch/x86/kvm/mmu/mmu_internal.h, kvm_mmu_do_page_fault()): shadow
 * pages get entries in no other way. Since Linux 5.17. */
#define FAULTS "pf_taken"

/* A descriptor with its name, of KVM_STATS_NAME_SIZE, 48 bytes so far. */
union descriptor {
	struct kvm_stats_desc desc;
	char bytes[sizeof(struct kvm_stats_desc) + 128];
};

bool hs_kvm_shadows(bool hardware)
{
	static const char *const paths[] = {
		"/sys/module/kvm_intel/parameters/ept",
		"/sys/module/kvm_amd/parameters/npt",
	};
	bool shadows = true;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && hardware; i++) {
		HS_CLOSE int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		char answer = 'N';

		if (fd >= 0 && read(fd, &answer, 1) == 1 && (answer == 'Y' || answer == '1')) {
			shadows = false;
		}
	}
	return shadows;
}

/* Where the count is in what the descriptor reads (api.rst 4.134, KVM_GET_STATS_FD); false if it is nowhere. */
static bool find_count(int fd, uint64_t *ret)
{
	struct kvm_stats_header header;

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header)) {
		return false;
	}
	for (uint32_t i = 0; i < header.num_desc; i++) {
		union descriptor found = { .bytes = "" };
		size_t length = sizeof(found.desc) + header.name_size;

		if (length >= sizeof(found) ||
		    pread(fd, &found, length, (off_t)(header.desc_offset + i * length)) != (ssize_t)length) {
			return false;
		}
		if (strcmp(found.desc.name, FAULTS) == 0) {
			*ret = (uint64_t)header.data_offset + found.desc.offset;
			return true;
		}
	}
	return false;
}

/* False where KVM does not say. */
static bool count_faults(struct hs_backend *backend, uint64_t *ret)
{
	struct hs_kvm_shadows *shadows = &backend->shadows;

	if (!shadows->asked) {
		int fd = ioctl(backend->vcpu_fd, KVM_GET_STATS_FD, NULL);

		shadows->asked = true;
		if (fd >= 0 && find_count(fd, &shadows->count_at)) {
			shadows->stats_fd = fd;
		} else {
			hs_cleanup_close(&fd);
		}
	}
	return shadows->stats_fd >= 0 &&
	       pread(shadows->stats_fd, ret, sizeof(*ret), (off_t)shadows->count_at) == (ssize_t)sizeof(*ret);
}

static size_t smallest_slot(const struct hs_backend *backend)
{
	size_t smallest = backend->slot_count;

	for (size_t i = 0; i < backend->slot_count; i++) {
		if (backend->slots[i].length > 0 &&
		    (smallest == backend->slot_count || backend->slots[i].length < backend->slots[smallest].length)) {
			smallest = i;
		}
	}
	return smallest;
}

/* Take a slot away and put it back. */
static enum hs_status replace_slot(struct hs_backend *backend, size_t index, struct hs_error *err)
{
	struct hs_kvm_slot slot;
	/* Its account of written pages goes with a slot. */
	enum hs_status st = hs_kvm_collect(backend, err);

	if (st) {
		return st;
	}
	/* Where a slot goes, so do all shadow pages (Linux 6.1 and 6.18, kvm_mmu_zap_all_fast()); registers that change
	 * bring only those up to date that KVM knows to be behind. */
	slot = backend->slots[index];
	backend->slots[index].length = 0;
	st = hs_kvm_set_slot(backend, index, err);
	backend->slots[index] = slot;
	if (st) {
		return st;
	}
	st = hs_kvm_set_slot(backend, index, err);
	if (st) {
		/* Gone, until all memory is put there anew. */
		backend->slots[index].length = 0;
	}
	return st;
}

enum hs_status hs_kvm_forget_shadows(struct hs_backend *backend, struct hs_error *err)
{
	struct hs_kvm_shadows *shadows = &backend->shadows;
	size_t smallest = shadows->possible ? smallest_slot(backend) : backend->slot_count;
	uint64_t faults = 0;
	enum hs_status st;

	if (smallest == backend->slot_count || (count_faults(backend, &faults) && faults == shadows->faults)) {
		return HS_OK;
	}
	st = replace_slot(backend, smallest, err);
	if (!st) {
		shadows->faults = faults;
	}
	return st;
}

/* With tables of its own for all of memory the processor remembers translations of both levels, which are dropped with
 * the slot as well (SDM vol. 3C 29.4.3.1, INVEPT). */
enum hs_status hs_kvm_tables_written(struct hs_backend *backend, struct hs_error *err)
{
	size_t smallest = smallest_slot(backend);

	return smallest == backend->slot_count ? HS_OK : replace_slot(backend, smallest, err);
}
