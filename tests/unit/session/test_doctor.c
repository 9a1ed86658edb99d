/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session/doctor: for each kind of KVM in docs/hosts.md, the choice of the debugger and the advice that follow. */
#include "session/doctor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define TEXT_MAX 65536

static struct hs_probe hardware(void)
{
	return (struct hs_probe){
		.kvm_usable = true,
		.kvm_module = "kvm_intel",
		.hardware = HS_ANSWER_YES,
		.paging_amd64 = HS_ANSWER_YES,
		.paging_32bit = HS_ANSWER_YES,
		.paging_pae = HS_ANSWER_YES,
		.int3 = HS_INT3_DEBUG_EXIT,
		.hlt_exits = HS_ANSWER_YES,
		.hardware_execute = HS_ANSWER_YES,
		.hardware_data = HS_ANSWER_YES,
		.single_step = HS_ANSWER_YES,
		.sync_regs = HS_ANSWER_YES,
		.vectors = HS_ANSWER_YES,
		.ns_per_instruction = 0.5,
		.soft_ns_per_instruction = 6,
		.soft_vectors = HS_ANSWER_YES,
		.soft_avx2 = HS_ANSWER_YES,
	};
}

static struct hs_probe pvm(void)
{
	struct hs_probe probe = hardware();

	strcpy(probe.kvm_module, "kvm_pvm");
	probe.paging_32bit = probe.paging_pae = probe.hardware_data = HS_ANSWER_NO;
	probe.int3 = HS_INT3_EMULATION_FAILURE;
	probe.vectors = probe.hardware = HS_ANSWER_NO;
	probe.ns_per_instruction = 1000;
	return probe;
}

static struct hs_probe tcg(void)
{
	struct hs_probe probe = hardware();

	strcpy(probe.kvm_module, "kvm_amd");
	probe.int3 = HS_INT3_GUEST;
	probe.hardware_execute = probe.hardware_data = HS_ANSWER_NO;
	probe.ns_per_instruction = 30;
	probe.soft_ns_per_instruction = 200;
	return probe;
}

static void expect(const struct hs_probe *probe, bool json, const char *part, bool present)
{
	struct hs_buf out;

	hs_buf_init(&out, TEXT_MAX);
	if (json) {
		hs_doctor_json(probe, &out);
	} else {
		hs_doctor_text(probe, false, &out);
	}
	hs_buf_append_byte(&out, 0);
	assert_false(out.failed);
	if ((strstr((const char *)out.data, part) != NULL) != present) {
		fail_msg("'%s' %s in:\n%s", part, present ? "missing" : "unexpected", (const char *)out.data);
	}
	hs_buf_deinit(&out);
}

static void test_doctor_hardware_needs_no_advice(void **state)
{
	struct hs_probe probe = hardware();

	(void)state;
	expect(&probe, false, "What to do", false);
	expect(&probe, false, "  software breakpoints      planted int3\n", true);
	expect(&probe, false, "  watchpoints               debug registers\n", true);
	expect(&probe, true, "\"advice\": []", true);
	expect(&probe, true, "\"speed\": \"native\"", true);
	expect(&probe, false, "  speed at CPL 0            below 1 ns/instruction\n", true);
	expect(&probe, false, "  amd64                     kvm   because KVM takes less than 1 ns", true);
	expect(&probe, false, "--gdb", false);
}

static void test_doctor_pvm_steps_for_watchpoints_and_takes_the_software_cpu(void **state)
{
	struct hs_probe probe = pvm();

	(void)state;
	expect(&probe, false, "  32-bit paging             no                  i686 guests do not run\n", true);
	expect(&probe, false, "  int3 at CPL 0             emulation failure\n", true);
	expect(&probe, false, "planted int3, seen as an emulation failure of KVM\n", true);
	expect(&probe, false, "  watchpoints               single steps that compare addresses\n", true);
	expect(&probe, false, "What to do", false);
	expect(&probe, false,
	       "  amd64                     soft  because this KVM takes 1000 ns an instruction at CPL 0, the software "
	       "CPU 6.0 ns\n",
	       true);
	expect(&probe, false, "  i686                      soft  because this KVM has no 32-bit paging\n", true);
	expect(&probe, true, "\"i686\": {\"backend\": \"soft\", \"reason\": \"this KVM has no 32-bit paging\"", true);
	expect(&probe, true, "\"paging_32bit\": false", true);
	expect(&probe, true, "\"speed\": \"emulated\"", true);
}

static void test_doctor_tcg_plants_hlt(void **state)
{
	struct hs_probe probe = tcg();

	(void)state;
	expect(&probe, false, "  software breakpoints      planted hlt\n", true);
	expect(&probe, false, "  hardware breakpoints      planted hlt\n", true);
	expect(&probe, true, "\"hardware_execute\": false", true);
	expect(&probe, true, "\"speed\": \"slow\"", true);
	expect(&probe, false, "  amd64                     kvm   because KVM takes 30 ns", true);
	expect(&probe, false, "  amd64 with --gdb          soft  because this KVM has no watchpoints", true);
	expect(&probe, true, "\"backend_with_debugger\": \"soft\"", true);
}

static void test_doctor_unknown_is_said(void **state)
{
	struct hs_probe probe = { .kvm_usable = true };

	(void)state;
	expect(&probe, false, "  64-bit paging             unknown\n", true);
	expect(&probe, false, "  speed at CPL 0            unknown\n", true);
	expect(&probe, false, "  stepping                  none\n", true);
	expect(&probe, true, "\"paging_amd64\": null", true);
}

static void test_doctor_no_kvm_says_why_and_what_to_do(void **state)
{
	struct hs_probe probe = { .kvm_error = { .status = HS_ERR_NOT_FOUND, .message = "no \"KVM\"" } };

	(void)state;
	expect(&probe, false, "not usable          no \"KVM\"\n", true);
	expect(&probe, false, "modprobe", true);
	expect(&probe, false, "  i686                      soft  because there is no usable /dev/kvm\n", true);
	expect(&probe, true, "\"error\": \"no \\\"KVM\\\"\"", true);
	probe.kvm_error.status = HS_ERR_PERMISSION;
	expect(&probe, false, "usermod -aG kvm", true);
	expect(&probe, false, "modprobe", false);
}

static void test_doctor_software_cpu_without_vectors_says_why(void **state)
{
	struct hs_probe probe = pvm();

	(void)state;
	expect(&probe, false, "  MMX, SSE to SSE4.2        yes\n  AVX, AVX2, FMA            yes\n", true);
	probe.soft_avx2 = HS_ANSWER_NO;
	expect(&probe, false, "  AVX, AVX2, FMA            no                  not all", true);
	expect(&probe, false, "What to do", false);
	probe.soft_vectors = HS_ANSWER_NO;
	expect(&probe, false, "  MMX, SSE to SSE4.2        no                  no executable memory", true);
	expect(&probe, false, "What to do\n  MMX and SSE on the software CPU: let hindsight map executable", true);
	expect(&probe, true, "\"soft_vectors\": false, \"soft_avx2\": false, ", true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doctor_hardware_needs_no_advice),
		cmocka_unit_test(test_doctor_pvm_steps_for_watchpoints_and_takes_the_software_cpu),
		cmocka_unit_test(test_doctor_tcg_plants_hlt),
		cmocka_unit_test(test_doctor_unknown_is_said),
		cmocka_unit_test(test_doctor_software_cpu_without_vectors_says_why),
		cmocka_unit_test(test_doctor_no_kvm_says_why_and_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
