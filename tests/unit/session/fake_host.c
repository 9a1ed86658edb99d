/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host that the fake VM is on: one with a KVM that nobody can open. */
#include "base/error.h"
#include "vmm/choice.h"
#include "vmm/insn.h"
#include "vmm/kvm/probe.h"

#include <stdio.h>
#include <string.h>

void hs_choice_of(const struct hs_probe *probe, enum hs_arch arch, bool debugger, struct hs_choice *ret)
{
	(void)probe;
	(void)arch;
	(void)debugger;
	*ret = (struct hs_choice){ .backend = HS_BACKEND_KVM };
}

void hs_probe(struct hs_probe *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->kvm_error = (struct hs_error){ .status = HS_ERR_NOT_FOUND, .message = "/dev/kvm: none in a unit test" };
}

void hs_kvm_abilities_of(const struct hs_probe *probe, struct hs_backend_abilities *ret)
{
	(void)probe;
	memset(ret, 0, sizeof(*ret));
}

/* It knows no instructions. */
void hs_insn_text(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva, char *ret, size_t size)
{
	(void)phys;
	(void)cpu;
	(void)gva;
	snprintf(ret, size, "(bad)");
}

enum hs_status hs_insn_decode(const struct hs_phys *phys, const struct hs_cpu_state *cpu, hs_gva gva,
			      struct hs_insn *ret, struct hs_error *err)
{
	(void)phys;
	(void)cpu;
	(void)ret;
	return hs_error_set(err, HS_ERR_FORMAT, 0, gva.v, "not an instruction");
}
