/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM's answers and the software CPU's speed, together. */
#include "vmm/probe.h"

#include "vmm/kvm/probe.h"
#include "vmm/machine.h"
#include "vmm/soft/offer.h"

#include <pthread.h>

static double soft_speed(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct hs_trial cached;
	static bool done;
	double ns;

	pthread_mutex_lock(&lock);
	if (!done) {
		hs_machine_try(&hs_soft_backend_ops, HS_PAGING_4LEVEL, 0, &cached);
		done = true;
	}
	ns = cached.ns_per_instruction;
	pthread_mutex_unlock(&lock);
	return ns;
}

void hs_probe(struct hs_probe *ret)
{
	hs_kvm_probe(ret);
	ret->soft_ns_per_instruction = soft_speed();
	ret->soft_vectors = hs_soft_offers_sse2() ? HS_ANSWER_YES : HS_ANSWER_NO;
	ret->soft_avx2 = hs_soft_offers_avx2() ? HS_ANSWER_YES : HS_ANSWER_NO;
}

void hs_probe_arch(enum hs_arch arch, struct hs_probe *ret)
{
	hs_kvm_probe_quick(ret);
	if (ret->hardware == HS_ANSWER_YES) {
		hs_kvm_probe_arch(arch, soft_speed(), ret);
		ret->soft_ns_per_instruction = soft_speed();
	}
}
