/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/probe.h"

#include "vmm/kvm/probe.h"

void hs_probe(struct hs_probe *ret)
{
	hs_kvm_probe(ret);
}
