/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running the CPU, completing port accesses, stopping it from another thread, and asking it for a translation. */
#include "vmm/kvm/kvm.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Runs that one instruction may need to be completed: two pages for each of 1024 iterations. */
#define COMPLETE_RUNS_MAX 4096u

/* DR6 (SDM vol. 3B 17.2.3): the debug registers that were hit. */
#define DR6_HIT_MASK 0xFu

/*
 * KVM_RUN is left early only by a signal. immediate_exit closes the window in which the signal arrives before the ioctl
 * (api.rst 5, kvm_run.immediate_exit), and the handler has nothing to do: that there is one makes the ioctl return.
 * A real-time signal that no library here uses; whoever embeds the library and uses it must pass it on.
 */
static int kick_signal(void)
{
	return SIGRTMIN + 6;
}

static void on_kick(int signal)
{
	(void)signal;
}

/* A signal's disposition belongs to the process, so this is once for all VMs. */
static void install_kick(void)
{
	struct sigaction action = { .sa_handler = on_kick };

	sigemptyset(&action.sa_mask);
	sigaction(kick_signal(), &action, NULL);
}

/* Read by the kernel and written by every thread, and its order against interrupt_wanted counts. */
static void set_immediate_exit(struct hs_backend *backend, uint8_t value)
{
	__atomic_store_n(&backend->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

void hs_kvm_interrupt(struct hs_backend *backend)
{
	int tid;

	/* Whoever was first does the rest. Signals queue: a thread that asks on and on would keep the CPU's thread in
	 * its handler for ever. */
	if (atomic_exchange(&backend->interrupt_wanted, 1) != 0) {
		return;
	}
	/* In this order: run() clears them in the opposite one, so at worst it is asked once too often. */
	set_immediate_exit(backend, 1);
	tid = atomic_load(&backend->running_tid);
	if (tid) {
		(void)syscall(SYS_tgkill, getpid(), tid, kick_signal());
	}
}

static bool take_interrupt(struct hs_backend *backend)
{
	set_immediate_exit(backend, 0);
	return atomic_exchange(&backend->interrupt_wanted, 0) != 0;
}

/* What is newer than the CPU's goes to KVM with the run itself, or by ioctl where that is not offered. */
static enum hs_status flush_registers(struct hs_backend *backend, struct hs_error *err)
{
	struct kvm_sync_regs *to = &backend->run->s.regs;

	if (!backend->sync_regs) {
		return hs_kvm_push_registers(backend, err);
	}
	if (backend->newer & KVM_SYNC_X86_REGS) {
		to->regs = backend->regs;
	}
	if (backend->newer & KVM_SYNC_X86_SREGS) {
		to->sregs = backend->sregs;
	}
	if (backend->newer & KVM_SYNC_X86_EVENTS) {
		to->events = backend->events;
	}
	backend->run->kvm_dirty_regs = backend->newer;
	backend->newer = 0;
	return HS_OK;
}

/* One KVM_RUN: 0 after an exit, EINTR, or another errno. Registers are in the cache or stale afterwards. */
static int run_once(struct hs_backend *backend)
{
	int result;

	atomic_store(&backend->running_tid, (int)syscall(SYS_gettid));
	result = ioctl(backend->vcpu_fd, KVM_RUN, 0) ? errno : 0;
	atomic_store(&backend->running_tid, 0);
	backend->io_pending = false;
	if (backend->sync_regs) {
		backend->regs = backend->run->s.regs.regs;
		backend->sregs = backend->run->s.regs.sregs;
		backend->stale = false;
	} else {
		backend->stale = true;
	}
	return result;
}

/* Leave immediate_exit as an interrupt wants it. In this order, or one that comes right now would be lost. */
static void clear_immediate_exit(struct hs_backend *backend)
{
	set_immediate_exit(backend, 0);
	if (atomic_load(&backend->interrupt_wanted)) {
		set_immediate_exit(backend, 1);
	}
}

enum hs_status hs_kvm_complete(struct hs_backend *backend, struct hs_error *err)
{
	enum hs_status st;
	int failure = 0;

	backend->io_left = 0;
	if (!backend->io_pending) {
		return HS_OK;
	}
	st = flush_registers(backend, err);
	if (st) {
		return st;
	}
	/* An access to two pages, of 16 bytes, or to read and then write, is several exits, and so is each iteration of
	 * a repeated read until KVM's emulator comes up for air, which it does after 1024. */
	for (unsigned int i = 0; backend->io_pending && i < COMPLETE_RUNS_MAX; i++) {
		set_immediate_exit(backend, 1);
		failure = run_once(backend);
		backend->io_pending = failure == 0 && (backend->run->exit_reason == KVM_EXIT_MMIO ||
						       backend->run->exit_reason == KVM_EXIT_IO);
	}
	clear_immediate_exit(backend);
	if (failure && failure != EINTR) {
		return hs_error_set(err, HS_ERR_BACKEND, failure, 0, "KVM cannot complete a port access: %s",
				    strerror(failure));
	}
	return HS_OK;
}

/* Whether rip is at the out that was left. KVM compares linear addresses, which are rip in 64-bit mode and 32 bits of
 * its sum with the base elsewhere; what is the same by any of these counts as the same. */
static bool is_at_left_out(const struct hs_backend *backend)
{
	uint32_t rip = (uint32_t)backend->regs.rip;
	uint32_t sum = (uint32_t)(backend->regs.rip + backend->sregs.cs.base);

	return rip == backend->out_rip || rip == backend->out_sum || sum == backend->out_rip || sum == backend->out_sum;
}

/*
 * Of an out KVM has nothing left to do but to move rip over it, by the next run, if rip is still there (Linux 6.1 and
 * 6.18, complete_fast_pio_out()); where its emulator executed the out, not even that. Behind a restore rip is
 * elsewhere, as a rule, and a run less is a fifth of what a restore costs. If it is not, the out is retired before the
 * CPU gets the registers that are newer.
 */
static enum hs_status retire_left_out(struct hs_backend *backend, struct hs_error *err)
{
	struct kvm_regs regs = backend->regs;
	struct kvm_sregs sregs = backend->sregs;
	uint32_t newer = backend->newer;
	bool left = backend->out_left;
	enum hs_status st;

	backend->out_left = false;
	if (!left || !is_at_left_out(backend)) {
		return HS_OK;
	}
	backend->newer = 0;
	backend->io_pending = true;
	st = hs_kvm_complete(backend, err);
	backend->regs = regs;
	backend->sregs = sregs;
	backend->newer = newer;
	backend->stale = false;
	return st;
}

enum hs_status hs_kvm_run(struct hs_backend *backend, struct hs_exit *ret, struct hs_error *err)
{
	static pthread_once_t kick_once = PTHREAD_ONCE_INIT;
	enum hs_status st;
	int failure;
	bool again;

	pthread_once(&kick_once, install_kick);
	if (backend->io_left > 0) {
		return hs_kvm_decode_exit(backend, ret, err);
	}
	st = retire_left_out(backend, err);
	st = st ? st : flush_registers(backend, err);
	if (st) {
		return st;
	}
	/* Signals that are not ours (a terminal's size, a child) end KVM_RUN as well, and mean nothing here. */
	do {
		failure = run_once(backend);
		again = failure == EINTR || failure == EAGAIN;
		if (again && take_interrupt(backend)) {
			*ret = (struct hs_exit){ .kind = HS_EXIT_INTERRUPTED };
			return HS_OK;
		}
		if (failure == 0 && backend->run->exit_reason == KVM_EXIT_DIRTY_RING_FULL) {
			st = hs_kvm_collect(backend, err);
			again = true;
		}
		if (failure == 0 && hs_kvm_is_guests_debug(backend)) {
			st = hs_kvm_give_debug(backend, err);
			again = !(backend->run->debug.arch.dr6 & DR6_HIT_MASK);
		}
	} while (again && !st);
	if (st) {
		return st;
	}
	if (failure) {
		return hs_error_set(err, HS_ERR_BACKEND, failure, 0, "KVM cannot run the CPU: %s", strerror(failure));
	}
	return hs_kvm_decode_exit(backend, ret, err);
}

static bool is_single_out(const struct hs_backend *backend)
{
	const struct kvm_run *run = backend->run;

	return run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT && run->io.count == 1;
}

enum hs_status hs_kvm_abandon(struct hs_backend *backend, struct hs_error *err)
{
	enum hs_status st;

	if (backend->io_pending && is_single_out(backend)) {
		backend->io_pending = false;
		backend->out_left = backend->hardware;
		backend->out_rip = (uint32_t)backend->regs.rip;
		backend->out_sum = (uint32_t)(backend->regs.rip + backend->sregs.cs.base);
	}
	st = hs_kvm_complete(backend, err);
	backend->events = (struct kvm_vcpu_events){
		.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
	};
	backend->newer |= KVM_SYNC_X86_EVENTS;
	return st ? st : hs_kvm_forget_shadows(backend, err);
}

/* Of the four answers two are worth something: writeable is always 1 and usermode always 0 (Linux 6.1 and 6.18,
 * kvm_arch_vcpu_ioctl_translate()). */
enum hs_status hs_kvm_translate(struct hs_backend *backend, hs_gva gva, bool *ret_mapped, hs_gpa *ret_gpa,
				struct hs_error *err)
{
	struct kvm_translation translation = { .linear_address = gva.v };
	enum hs_status st = hs_kvm_push_registers(backend, err);

	if (st) {
		return st;
	}
	if (ioctl(backend->vcpu_fd, KVM_TRANSLATE, &translation)) {
		return hs_error_os(err, errno, "KVM cannot translate the address 0x%llx", (unsigned long long)gva.v);
	}
	*ret_mapped = translation.valid;
	if (translation.valid) {
		ret_gpa->v = translation.physical_address;
	}
	return HS_OK;
}
