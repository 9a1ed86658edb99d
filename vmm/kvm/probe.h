/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM's part of the probe. */
#ifndef HS_VMM_KVM_PROBE_H
#define HS_VMM_KVM_PROBE_H

#include "vmm/probe.h"

/** As hs_probe(). */
void hs_kvm_probe(struct hs_probe *ret);

#endif
