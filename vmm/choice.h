/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `auto` takes to execute a guest: KVM where it runs guests of that kind fully and faster, else the software CPU,
 * and the reason in words. In: the probe's answers. Out: plain data.
 */
#ifndef HS_VMM_CHOICE_H
#define HS_VMM_CHOICE_H

#include "vmm/probe.h"

#include <hindsight/vm.h>

struct hs_choice {
	enum hs_backend_choice backend; /* HS_BACKEND_KVM or HS_BACKEND_SOFT */
	char reason[256];               /* what can stand behind "because" */
};

/**
 * The choice that follows from answers. Pure. What is unknown counts for KVM.
 *
 * @param debugger  one will be attached: a KVM that it could not debug with in full is not taken
 */
void hs_choice_of(const struct hs_probe *probe, enum hs_arch arch, bool debugger, struct hs_choice *ret);

/** The same, asking this host no more than it takes to decide. */
void hs_choice_here(enum hs_arch arch, bool debugger, struct hs_choice *ret);

#endif
