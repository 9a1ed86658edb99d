/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/choice.h"

#include <stdarg.h>
#include <stdio.h>

static void choose(struct hs_choice *ret, enum hs_backend_choice backend, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void choose(struct hs_choice *ret, enum hs_backend_choice backend, const char *format, ...)
{
	va_list values;

	ret->backend = backend;
	va_start(values, format);
	(void)vsnprintf(ret->reason, sizeof(ret->reason), format, values);
	va_end(values);
}

/* What a debugger would miss, or NULL. Software breakpoints are had by a planted hlt where int3 does not come back. */
static const char *missing_for_debugger(const struct hs_probe *probe)
{
	if (probe->single_step == HS_ANSWER_NO) {
		return "this KVM has no single step";
	}
	if (probe->int3 == HS_INT3_GUEST && probe->hlt_exits == HS_ANSWER_NO) {
		return "this KVM reports no planted breakpoint";
	}
	if (probe->hardware_data == HS_ANSWER_NO) {
		return "this KVM has no watchpoints but by single steps";
	}
	return probe->hardware_execute == HS_ANSWER_NO ? "this KVM has no hardware breakpoints" : NULL;
}

/* Less than 1 ns is mostly the noise of the measurement. */
static const char *figure(double ns, char *text, size_t size)
{
	(void)snprintf(text, size, ns < 1 ? "less than 1 ns" : ns < 10 ? "%.1f ns" : "%.0f ns", ns);
	return text;
}

void hs_choice_of(const struct hs_probe *probe, enum hs_arch arch, bool debugger, struct hs_choice *ret)
{
	enum hs_answer paging = arch == HS_ARCH_AMD64 ? probe->paging_amd64 : probe->paging_32bit;
	double kvm_ns = probe->ns_per_instruction;
	double soft_ns = probe->soft_ns_per_instruction;
	const char *missing = debugger ? missing_for_debugger(probe) : NULL;
	char kvm[32];
	char soft[32];

	figure(kvm_ns, kvm, sizeof(kvm));
	figure(soft_ns, soft, sizeof(soft));
	if (!probe->kvm_usable) {
		choose(ret, HS_BACKEND_SOFT, "there is no usable /dev/kvm");
	} else if (paging == HS_ANSWER_NO) {
		choose(ret, HS_BACKEND_SOFT, "this KVM has no %s paging", arch == HS_ARCH_AMD64 ? "64-bit" : "32-bit");
	} else if (kvm_ns > 0 && soft_ns > 0 && kvm_ns > soft_ns) {
		choose(ret, HS_BACKEND_SOFT, "this KVM takes %s an instruction at CPL 0, the software CPU %s", kvm,
		       soft);
	} else if (probe->hardware == HS_ANSWER_NO) {
		choose(ret, HS_BACKEND_SOFT, "this processor has no VMX or SVM, and KVM without is slow");
	} else if (probe->vectors == HS_ANSWER_NO) {
		choose(ret, HS_BACKEND_SOFT, "this KVM does not execute SSE2 at CPL 0");
	} else if (missing) {
		choose(ret, HS_BACKEND_SOFT, "%s", missing);
	} else if (kvm_ns > 0 && soft_ns > 0) {
		choose(ret, HS_BACKEND_KVM, "KVM takes %s an instruction at CPL 0, the software CPU %s", kvm, soft);
	} else {
		choose(ret, HS_BACKEND_KVM, "nothing speaks against KVM");
	}
}

void hs_choice_here(enum hs_arch arch, bool debugger, struct hs_choice *ret)
{
	struct hs_probe probe;

	hs_probe_arch(arch, &probe);
	hs_choice_of(&probe, arch, false, ret);
	if (debugger && ret->backend == HS_BACKEND_KVM) {
		hs_probe(&probe);
		hs_choice_of(&probe, arch, true, ret);
	}
}
