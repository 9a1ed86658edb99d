/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KVM's part of the probe. */
#ifndef HS_VMM_KVM_PROBE_H
#define HS_VMM_KVM_PROBE_H

#include "vmm/backend.h"
#include "vmm/probe.h"

/** As hs_probe(), without the software CPU's part. */
void hs_kvm_probe(struct hs_probe *ret);
/** What costs next to nothing to ask: is it usable, and the processor's own. Never cached. */
void hs_kvm_probe_quick(struct hs_probe *ret);
/**
 * These and what else decides whether this KVM is good for guests of arch: their paging, speed and, unless an
 * instruction takes more than soft_ns, which decides already, vectors.
 */
void hs_kvm_probe_arch(enum hs_arch arch, double soft_ns, struct hs_probe *ret);

/**
 * What the debugger can use on a KVM that has answered so: the choice that the backend makes, and that doctor shows.
 */
void hs_kvm_abilities_of(const struct hs_probe *probe, struct hs_backend_abilities *ret);

#endif
