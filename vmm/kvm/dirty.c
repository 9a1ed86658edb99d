/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages the guest wrote to. A dirty ring (api.rst 8.29) costs what was written; without one there is the bit map
 * of KVM_GET_DIRTY_LOG (4.8), which costs a bit of every page. Slots are tracked only while somebody wants to know,
 * because then KVM maps them page by page.
 *
 * A ring is for KVMs that let the processor execute the guest. What KVM's emulator writes is noted once a write, up to
 * 1024 of them for one rep stos, with no look at how full the ring is: it overruns, and what was written is lost.
 */
#include "vmm/kvm/kvm.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* 16 bytes each. A full ring is an exit, and read. */
#define RING_ENTRIES 1024u

#define PAGE_BYTES UINT64_C(4096)

void hs_kvm_make_ring(struct hs_backend *backend)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_DIRTY_LOG_RING,
		.args = { RING_ENTRIES * sizeof(struct kvm_dirty_gfn) },
	};

	if (backend->hardware &&
	    ioctl(backend->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING) >= (int)cap.args[0] &&
	    ioctl(backend->vm_fd, KVM_ENABLE_CAP, &cap) == 0) {
		backend->dirty.entries = RING_ENTRIES;
	}
}

enum hs_status hs_kvm_map_ring(struct hs_backend *backend, struct hs_error *err)
{
	size_t length = backend->dirty.entries * sizeof(*backend->dirty.ring);
	void *ring;

	if (length == 0) {
		return HS_OK;
	}
	ring = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, backend->vcpu_fd,
		    (off_t)(KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_BYTES));
	if (ring == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot map KVM's ring of written pages");
	}
	backend->dirty.ring = ring;
	return HS_OK;
}

void hs_kvm_unmap_ring(struct hs_backend *backend)
{
	if (backend->dirty.ring) {
		munmap(backend->dirty.ring, backend->dirty.entries * sizeof(*backend->dirty.ring));
	}
}

enum hs_status hs_kvm_track(struct hs_backend *backend, hs_note_page_fn *note, void *ctx, struct hs_error *err)
{
	hs_note_page_fn *before = backend->dirty.note;
	bool changes = !before != !note;

	backend->dirty.note = note;
	backend->dirty.note_ctx = ctx;
	for (size_t i = 0; changes && i < backend->slot_count; i++) {
		const struct hs_kvm_slot *slot = &backend->slots[i];
		enum hs_status st = slot->length > 0 && !slot->read_only ? hs_kvm_set_slot(backend, i, err) : HS_OK;

		if (st) {
			/* Of a slot that is not tracked KVM says nothing, not even that. */
			backend->dirty.note = before;
			return st;
		}
	}
	return HS_OK;
}

static void note(struct hs_backend *backend, uint32_t slot, uint64_t page)
{
	if (backend->dirty.note && slot < backend->slot_count && page * PAGE_BYTES < backend->slots[slot].length) {
		backend->dirty.note(backend->dirty.note_ctx, (hs_gpa){ backend->slots[slot].gpa + page * PAGE_BYTES });
	}
}

static enum hs_status collect_ring(struct hs_backend *backend, struct hs_error *err)
{
	struct hs_kvm_dirty *dirty = &backend->dirty;
	uint32_t taken = 0;

	for (; taken < dirty->entries; taken++) {
		struct kvm_dirty_gfn *entry = &dirty->ring[dirty->next % dirty->entries];

		if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY)) {
			break;
		}
		/* The slot's number is in the low half, the address space in the high one (api.rst 8.29). */
		note(backend, entry->slot & 0xffff, entry->offset);
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		dirty->next++;
	}
	/* KVM stops the CPU when entries are left (its kvm_dirty_ring_soft_full()). */
	if (taken == dirty->entries) {
		return hs_error_set(err, HS_ERR_BACKEND, 0, 0, "KVM's ring of written pages has overrun");
	}
	if (taken > 0 && ioctl(backend->vm_fd, KVM_RESET_DIRTY_RINGS, 0) < 0) {
		return hs_error_os(err, errno, "KVM cannot reset its ring of written pages");
	}
	return HS_OK;
}

/* Kept from one to the next: zeroing a new one would cost what the bit map of a large slot costs. */
static enum hs_status make_bits(struct hs_kvm_dirty *dirty, uint64_t words, struct hs_error *err)
{
	uint64_t *bits = words > dirty->bits_words ? realloc(dirty->bits, words * sizeof(*bits)) : dirty->bits;

	if (!bits) {
		return hs_error_os(err, ENOMEM, "cannot read which pages were written");
	}
	dirty->bits = bits;
	dirty->bits_words = words > dirty->bits_words ? words : dirty->bits_words;
	return HS_OK;
}

static enum hs_status collect_slot(struct hs_backend *backend, uint32_t index, struct hs_error *err)
{
	/* As many as KVM fills. */
	uint64_t words = (backend->slots[index].length / PAGE_BYTES + 63) / 64;
	enum hs_status st = make_bits(&backend->dirty, words, err);
	struct kvm_dirty_log log = { .slot = index, .dirty_bitmap = backend->dirty.bits };

	if (st) {
		return st;
	}
	if (ioctl(backend->vm_fd, KVM_GET_DIRTY_LOG, &log)) {
		return hs_error_os(err, errno, "KVM cannot say which pages were written");
	}
	for (uint64_t i = 0; i < words; i++) {
		for (uint64_t rest = backend->dirty.bits[i]; rest != 0; rest &= rest - 1) {
			note(backend, index, i * 64 + (uint64_t)__builtin_ctzll(rest));
		}
	}
	return HS_OK;
}

enum hs_status hs_kvm_collect(struct hs_backend *backend, struct hs_error *err)
{
	if (!backend->dirty.note) {
		return HS_OK;
	}
	if (backend->dirty.ring) {
		return collect_ring(backend, err);
	}
	for (uint32_t i = 0; i < backend->slot_count; i++) {
		const struct hs_kvm_slot *slot = &backend->slots[i];
		enum hs_status st = slot->length > 0 && !slot->read_only ? collect_slot(backend, i, err) : HS_OK;

		if (st) {
			return st;
		}
	}
	return HS_OK;
}
