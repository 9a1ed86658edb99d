/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the KVM backend share. Source for every ioctl: Linux Documentation/virt/kvm/api.rst, 6.1. */
#ifndef HS_VMM_KVM_KVM_H
#define HS_VMM_KVM_KVM_H

#include "vmm/backend.h"

#include <linux/kvm.h>

#include <stdatomic.h>

/** Slots this backend fills at most; KVM offers at least 32 everywhere, 509 and more in practice. */
#define HS_KVM_SLOTS_MAX 40

struct hs_kvm_slot {
	uint64_t gpa, length; /* length 0: it is free */
	void *host;
	bool read_only;
};

/** Pages written to, as KVM notes them: in a ring where it has one, else in a bit map for each slot (dirty.c). */
struct hs_kvm_dirty {
	hs_note_page_fn *note; /* NULL: nobody wants to know */
	void *note_ctx;
	struct kvm_dirty_gfn *ring; /* mapped; NULL where there is none */
	uint32_t entries, next;     /* of the ring: how many there are, which is to be read next */
	uint64_t *bits;             /* of bits_words: for the bit map of one slot */
	uint64_t bits_words;
};

/** What KVM may have made of the guest's page tables (shadow.c). */
struct hs_kvm_shadows {
	bool possible;     /* this host's KVM has such tables */
	bool asked;        /* for stats_fd */
	int stats_fd;      /* KVM's counts; -1 where it has none */
	uint64_t count_at; /* where in it the count of faults is */
	uint64_t faults;   /* what it was when KVM had no such tables */
};

struct hs_backend {
	int kvm_fd, vm_fd, vcpu_fd;
	bool hardware;       /* hs_kvm_has_hardware() */
	struct kvm_run *run; /* mapped, run_length bytes */
	size_t run_length;
	struct hs_kvm_slot slots[HS_KVM_SLOTS_MAX];
	size_t slot_count;

	/* Registers and events travel in kvm_run where KVM_CAP_SYNC_REGS is offered. regs and sregs below are the CPU's
	 * unless stale; what of regs, sregs and events is newer than the CPU's goes in before it runs next. */
	bool sync_regs;
	bool stale;
	uint32_t newer; /* KVM_SYNC_X86_* */
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs accepted; /* KVM has not refused these */
	struct kvm_vcpu_events events;

	/* The XSAVE area as KVM has it: */
	uint64_t xcr0_offered;
	uint64_t xcr0_set;        /* by the host */
	bool xcr0_unseen;         /* KVM does not learn of what the guest sets */
	bool area_moved;          /* some components lie elsewhere than in struct hs_cpu_state */
	uint16_t component_at[6]; /* offsets of those in xsave.c's table; 0: not there */

	/* Of registers that not each CPU has, once they were asked for: */
	bool xcrs_known, has_xcrs;
	bool msrs_known;
	uint32_t lacking_msrs; /* bits of state.c's table */

	struct hs_kvm_dirty dirty;
	struct hs_kvm_shadows shadows;

	struct kvm_guest_debug debug; /* as last given to KVM */
	size_t watch_of_slot[4];      /* index of the watchpoint in each debug register */

	/* A string in or out is one KVM exit and count port accesses. */
	uint32_t io_left;
	uint32_t io_index;
	bool io_pending;           /* the last exit was a port or memory access that KVM retires at the next run */
	bool out_left;             /* the last exit was an out that nobody wants to have retired ... */
	uint32_t out_rip, out_sum; /* ... with this rip, and this sum of it and CS's base */

	atomic_int interrupt_wanted;
	atomic_int running_tid; /* 0 when no thread is in run() */
};

/* state.c */
enum hs_status hs_kvm_get_state(struct hs_backend *backend, unsigned int parts, struct hs_cpu_state *state,
				struct hs_error *err);
enum hs_status hs_kvm_set_state(struct hs_backend *backend, unsigned int parts, const struct hs_cpu_state *state,
				struct hs_error *err);
/** Bring regs and sregs up to date. */
enum hs_status hs_kvm_pull_registers(struct hs_backend *backend, struct hs_error *err);
/** Give what is newer to the CPU now. */
enum hs_status hs_kvm_push_registers(struct hs_backend *backend, struct hs_error *err);

/* xsave.c */
/** What the CPU's table says of XSAVE. */
void hs_kvm_learn_xsave(struct hs_backend *backend, const struct kvm_cpuid2 *cpuid);
uint64_t hs_kvm_xcr0_offered(const struct hs_backend *backend);
enum hs_status hs_kvm_get_fpu(struct hs_backend *backend, struct hs_cpu_state *state, struct hs_error *err);
enum hs_status hs_kvm_set_fpu(struct hs_backend *backend, const struct hs_cpu_state *state, struct hs_error *err);

/* exit.c */
/** Translate the exit that kvm_run describes. */
enum hs_status hs_kvm_decode_exit(struct hs_backend *backend, struct hs_exit *ret, struct hs_error *err);

/* debug.c */
enum hs_status hs_kvm_set_debug(struct hs_backend *backend, const struct hs_debug_request *request,
				struct hs_error *err);
enum hs_status hs_kvm_inject_int3(struct hs_backend *backend, struct hs_error *err);
/** Whether the last exit is a debug exception by the guest's own trap flag, which a processor with armed debug
 *  registers hands out too (svm.c and vmx.c, KVM_GUESTDBG_USE_HW_BP). */
bool hs_kvm_is_guests_debug(const struct hs_backend *backend);
/** Give it to the guest. */
enum hs_status hs_kvm_give_debug(struct hs_backend *backend, struct hs_error *err);

/* vm.c */
enum hs_status hs_kvm_create(struct hs_backend **ret, struct hs_error *err);
void hs_kvm_destroy(struct hs_backend *backend);
enum hs_status hs_kvm_map(struct hs_backend *backend, hs_gpa gpa, uint64_t length, void *host, bool read_only,
			  struct hs_error *err);
/** Open /dev/kvm, with a message that says what to do when that fails. */
enum hs_status hs_kvm_open(int *ret_fd, struct hs_error *err);

enum hs_status hs_kvm_unmap(struct hs_backend *backend, hs_gpa gpa, struct hs_error *err);
/** Tell KVM of slot number index as it is in backend->slots, tracked if anybody wants to know. */
enum hs_status hs_kvm_set_slot(struct hs_backend *backend, size_t index, struct hs_error *err);

/* shadow.c */
/** Whether this host's KVM does without the processor's second level of translation (EPT, NPT). */
bool hs_kvm_shadows(bool hardware);
/** Have KVM forget what it has made of the guest's page tables, if that is anything. */
enum hs_status hs_kvm_forget_shadows(struct hs_backend *backend, struct hs_error *err);
/** The same, and what the processor remembers of them. */
enum hs_status hs_kvm_tables_written(struct hs_backend *backend, struct hs_error *err);

/* dirty.c */
/** Ask for a ring; before there is a CPU. */
void hs_kvm_make_ring(struct hs_backend *backend);
/** Map the ring that KVM made, if it did. */
enum hs_status hs_kvm_map_ring(struct hs_backend *backend, struct hs_error *err);
void hs_kvm_unmap_ring(struct hs_backend *backend);
enum hs_status hs_kvm_track(struct hs_backend *backend, hs_note_page_fn *note, void *ctx, struct hs_error *err);
enum hs_status hs_kvm_collect(struct hs_backend *backend, struct hs_error *err);

/* vcpu.c */
enum hs_status hs_kvm_abandon(struct hs_backend *backend, struct hs_error *err);
enum hs_status hs_kvm_run(struct hs_backend *backend, struct hs_exit *ret, struct hs_error *err);
void hs_kvm_port_in(struct hs_backend *backend, uint32_t value);
enum hs_status hs_kvm_complete(struct hs_backend *backend, struct hs_error *err);
void hs_kvm_interrupt(struct hs_backend *backend);
enum hs_status hs_kvm_translate(struct hs_backend *backend, hs_gva gva, bool *ret_mapped, hs_gpa *ret_gpa,
				struct hs_error *err);

/* probe.c */
/** Whether the processor is QEMU's translator, which does not intercept xsetbv for SVM (7.2; seen). */
bool hs_kvm_is_translated(void);
/** Whether the processor runs guests itself, without KVM's emulator: it has VMX or SVM. */
bool hs_kvm_has_hardware(void);
enum hs_status hs_kvm_check(enum hs_arch arch, struct hs_error *err);
enum hs_status hs_kvm_abilities(struct hs_backend *backend, struct hs_backend_abilities *ret, struct hs_error *err);

#endif
