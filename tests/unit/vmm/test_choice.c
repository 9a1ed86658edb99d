/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/choice: which backend `auto` takes for each kind of host in docs/hosts.md, and what it says about it. */
#include "vmm/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct hs_probe hardware(void)
{
	return (struct hs_probe){
		.kvm_usable = true,
		.hardware = HS_ANSWER_YES,
		.paging_amd64 = HS_ANSWER_YES,
		.paging_32bit = HS_ANSWER_YES,
		.paging_pae = HS_ANSWER_YES,
		.vectors = HS_ANSWER_YES,
		.int3 = HS_INT3_DEBUG_EXIT,
		.hlt_exits = HS_ANSWER_YES,
		.hardware_execute = HS_ANSWER_YES,
		.hardware_data = HS_ANSWER_YES,
		.single_step = HS_ANSWER_YES,
		.ns_per_instruction = 0.3,
		.soft_ns_per_instruction = 6,
	};
}

static void expect(const struct hs_probe *probe, enum hs_arch arch, bool debugger, enum hs_backend_choice backend,
		   const char *reason)
{
	struct hs_choice choice;

	hs_choice_of(probe, arch, debugger, &choice);
	assert_int_equal(choice.backend, backend);
	if (!strstr(choice.reason, reason)) {
		fail_msg("'%s' is not in '%s'", reason, choice.reason);
	}
}

static void expect_all(const struct hs_probe *probe, enum hs_backend_choice backend, const char *reason)
{
	for (int debugger = 0; debugger < 2; debugger++) {
		expect(probe, HS_ARCH_AMD64, debugger, backend, reason);
		expect(probe, HS_ARCH_I686, debugger, backend, reason);
	}
}

static void test_choice_hardware_takes_kvm(void **state)
{
	struct hs_probe probe = hardware();

	(void)state;
	expect_all(&probe, HS_BACKEND_KVM, "KVM takes less than 1 ns an instruction at CPL 0, the software CPU 6.0 ns");
}

static void test_choice_no_kvm_takes_soft(void **state)
{
	struct hs_probe probe = { .kvm_usable = false };

	(void)state;
	expect_all(&probe, HS_BACKEND_SOFT, "there is no usable /dev/kvm");
}

static void test_choice_no_paging_of_an_arch_takes_soft_for_that_arch_only(void **state)
{
	struct hs_probe probe = hardware();

	(void)state;
	probe.paging_32bit = HS_ANSWER_NO;
	expect(&probe, HS_ARCH_I686, false, HS_BACKEND_SOFT, "this KVM has no 32-bit paging");
	expect(&probe, HS_ARCH_AMD64, false, HS_BACKEND_KVM, "");
	probe = hardware();
	probe.paging_amd64 = HS_ANSWER_NO;
	expect(&probe, HS_ARCH_AMD64, false, HS_BACKEND_SOFT, "this KVM has no 64-bit paging");
	expect(&probe, HS_ARCH_I686, false, HS_BACKEND_KVM, "");
}

static void test_choice_slower_kvm_takes_soft(void **state)
{
	struct hs_probe probe = hardware();

	(void)state;
	probe.ns_per_instruction = 710;
	expect_all(&probe, HS_BACKEND_SOFT, "this KVM takes 710 ns an instruction at CPL 0, the software CPU 6.0 ns");
	/* A host that is emulated itself emulates the software CPU as well. */
	probe.ns_per_instruction = 30;
	probe.soft_ns_per_instruction = 200;
	expect_all(&probe, HS_BACKEND_KVM, "KVM takes 30 ns an instruction at CPL 0, the software CPU 200 ns");
}

static void test_choice_kvm_without_hardware_takes_soft_whatever_else_is_known(void **state)
{
	struct hs_probe probe = { .kvm_usable = true, .hardware = HS_ANSWER_NO };

	(void)state;
	expect_all(&probe, HS_BACKEND_SOFT, "this processor has no VMX or SVM");
	probe = hardware();
	probe.hardware = HS_ANSWER_NO;
	expect_all(&probe, HS_BACKEND_SOFT, "this processor has no VMX or SVM");
	/* A figure says more. */
	probe.ns_per_instruction = 710;
	expect_all(&probe, HS_BACKEND_SOFT, "this KVM takes 710 ns");
}

static void test_choice_instructions_that_kvm_cannot_emulate_take_soft(void **state)
{
	struct hs_probe probe = hardware();

	(void)state;
	probe.vectors = HS_ANSWER_NO;
	expect_all(&probe, HS_BACKEND_SOFT, "this KVM does not execute SSE2 at CPL 0");
}

static void expect_for_debugger(const struct hs_probe *probe, const char *reason)
{
	expect(probe, HS_ARCH_AMD64, true, HS_BACKEND_SOFT, reason);
	expect(probe, HS_ARCH_I686, true, HS_BACKEND_SOFT, reason);
	expect(probe, HS_ARCH_AMD64, false, HS_BACKEND_KVM, "");
	expect(probe, HS_ARCH_I686, false, HS_BACKEND_KVM, "");
}

static void test_choice_debugger_takes_soft_where_kvm_debugs_in_part(void **state)
{
	struct hs_probe probe = hardware();

	(void)state;
	probe.hardware_data = HS_ANSWER_NO;
	expect_for_debugger(&probe, "this KVM has no watchpoints but by single steps");
	probe = hardware();
	probe.hardware_execute = HS_ANSWER_NO;
	expect_for_debugger(&probe, "this KVM has no hardware breakpoints");
	probe = hardware();
	probe.single_step = HS_ANSWER_NO;
	expect_for_debugger(&probe, "this KVM has no single step");
	probe = hardware();
	probe.int3 = HS_INT3_GUEST;
	expect(&probe, HS_ARCH_AMD64, true, HS_BACKEND_KVM, ""); /* hlt does it as well */
	probe.hlt_exits = HS_ANSWER_NO;
	expect_for_debugger(&probe, "this KVM reports no planted breakpoint");
}

static void test_choice_unknown_counts_for_kvm(void **state)
{
	struct hs_probe probe = { .kvm_usable = true };

	(void)state;
	expect_all(&probe, HS_BACKEND_KVM, "nothing speaks against KVM");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice_hardware_takes_kvm),
		cmocka_unit_test(test_choice_no_kvm_takes_soft),
		cmocka_unit_test(test_choice_no_paging_of_an_arch_takes_soft_for_that_arch_only),
		cmocka_unit_test(test_choice_slower_kvm_takes_soft),
		cmocka_unit_test(test_choice_kvm_without_hardware_takes_soft_whatever_else_is_known),
		cmocka_unit_test(test_choice_instructions_that_kvm_cannot_emulate_take_soft),
		cmocka_unit_test(test_choice_debugger_takes_soft_where_kvm_debugs_in_part),
		cmocka_unit_test(test_choice_unknown_counts_for_kvm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
