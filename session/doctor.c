/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/doctor.h"

#include "base/json.h"
#include "vmm/backend.h"
#include "vmm/choice.h"
#include "vmm/kvm/probe.h"

#include <stdio.h>
#include <string.h>

/* From here on, an instruction at CPL 0 is taken to be executed by KVM's emulator and not by the CPU: a CPU needs a
 * few ns even under software that emulates a machine as a whole, KVM's emulator about 1000 (docs/hosts.md). */
#define EMULATED_NS 300.0
#define NATIVE_NS 5.0

#define ADVICE_MAX 8

/** A yes-or-no question of the probe. */
struct row {
	const char *section; /* as text; NULL: that of the row before */
	const char *label;
	const char *json; /* its member of "host" */
	size_t offset;    /* of its enum hs_answer in struct hs_probe */
	const char *yes;  /* what follows, or NULL */
	const char *no;
};

static const struct row soft_rows[] = {
	{ NULL, "MMX, SSE to SSE4.2", "soft_vectors", offsetof(struct hs_probe, soft_vectors), NULL,
	  "no executable memory for this process; moves and bitwise operations of SSE work" },
	{ NULL, "AVX, AVX2, FMA", "soft_avx2", offsetof(struct hs_probe, soft_avx2), NULL,
	  "not all of them work on this host" },
};

#define SOFT_ROW_COUNT (sizeof(soft_rows) / sizeof(soft_rows[0]))

static const struct row rows[] = {
	{ "Guests on KVM", "VMX or SVM", "hardware", offsetof(struct hs_probe, hardware), NULL,
	  "KVM has other ways here" },
	{ NULL, "64-bit paging", "paging_amd64", offsetof(struct hs_probe, paging_amd64), "amd64 guests run",
	  "amd64 guests do not run" },
	{ NULL, "32-bit paging", "paging_32bit", offsetof(struct hs_probe, paging_32bit), "i686 guests run",
	  "i686 guests do not run" },
	{ NULL, "PAE paging", "paging_pae", offsetof(struct hs_probe, paging_pae), NULL, NULL },
	{ NULL, "SSE2 at CPL 0", "vectors", offsetof(struct hs_probe, vectors), NULL,
	  "what compilers emit to clear memory is an emulation failure" },
	{ NULL, "state after triple fault", "keeps_state_at_shutdown",
	  offsetof(struct hs_probe, keeps_state_at_shutdown), "kept: such a core has the registers of the fault",
	  "lost: such a core has no registers of the fault" },
	{ "Debugging on KVM", "hlt exits at CPL 0", "hlt_exits", offsetof(struct hs_probe, hlt_exits), NULL, NULL },
	{ NULL, "hardware breakpoints", "hardware_execute", offsetof(struct hs_probe, hardware_execute), NULL,
	  "debug registers never fire for execution" },
	{ NULL, "hardware watchpoints", "hardware_data", offsetof(struct hs_probe, hardware_data), NULL,
	  "debug registers never fire for data" },
	{ NULL, "single step", "single_step", offsetof(struct hs_probe, single_step), NULL, NULL },
	{ NULL, "step into a handler", "step_of_fault", offsetof(struct hs_probe, step_of_fault), NULL,
	  "all of the guest's handlers have breakpoints for a step" },
	{ "KVM offers", "registers in kvm_run", "sync_regs", offsetof(struct hs_probe, sync_regs), NULL,
	  "each look at registers costs system calls" },
	{ NULL, "XSAVE state", "xsave", offsetof(struct hs_probe, xsave), NULL, "no AVX state" },
	{ NULL, "XCR0", "xcrs", offsetof(struct hs_probe, xcrs), NULL, NULL },
	{ NULL, "debug registers", "debug_registers", offsetof(struct hs_probe, debug_registers), NULL, NULL },
	{ NULL, "read-only memory", "read_only_memory", offsetof(struct hs_probe, read_only_memory), NULL, NULL },
	{ NULL, "dirty log", "dirty_log", offsetof(struct hs_probe, dirty_log), NULL, NULL },
	{ NULL, "MSR filter", "msr_filter", offsetof(struct hs_probe, msr_filter), NULL, NULL },
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/** How the debugger gets at each thing on KVM here. */
struct way {
	const char *label;
	const char *json;
	const char *how;
};

#define WAYS 4

static enum hs_answer answer_of(const struct hs_probe *probe, const struct row *row)
{
	enum hs_answer answer;

	memcpy(&answer, (const char *)probe + row->offset, sizeof(answer));
	return answer;
}

static const char *int3_name(enum hs_int3_fate fate)
{
	switch (fate) {
	case HS_INT3_DEBUG_EXIT:
		return "debug exit";
	case HS_INT3_EMULATION_FAILURE:
		return "emulation failure";
	case HS_INT3_GUEST:
		return "goes to the guest";
	case HS_INT3_UNKNOWN:
		break;
	}
	return "unknown";
}

static const char *speed_class(const struct hs_probe *probe)
{
	if (probe->ns_per_instruction == 0) {
		return "unknown";
	}
	if (probe->ns_per_instruction >= EMULATED_NS) {
		return "emulated";
	}
	return probe->ns_per_instruction <= NATIVE_NS ? "native" : "slow";
}

static const char *speed_meaning(const struct hs_probe *probe)
{
	if (probe->ns_per_instruction >= EMULATED_NS) {
		return "KVM emulates every instruction at CPL 0";
	}
	return probe->ns_per_instruction > NATIVE_NS ? "this host is itself emulated" : "";
}

static void find_ways(const struct hs_probe *probe, struct way *ret)
{
	struct hs_backend_abilities can;
	bool planted;

	hs_kvm_abilities_of(probe, &can);
	planted = can.planted_opcode != 0;
	ret[0] = (struct way){ "software breakpoints", "software_breakpoints", "none" };
	if (can.planted_opcode == 0xCC) {
		ret[0].how = probe->int3 == HS_INT3_DEBUG_EXIT ? "planted int3"
							       : "planted int3, seen as an emulation failure of KVM";
	} else if (planted) {
		ret[0].how = "planted hlt";
	} else if (can.step) {
		ret[0].how = "single steps";
	}
	ret[1] = (struct way){ "hardware breakpoints", "hardware_breakpoints", ret[0].how };
	if (can.execute_slots > 0) {
		ret[1].how = "debug registers";
	}
	ret[2] =
		(struct way){ "watchpoints", "watchpoints", can.step ? "single steps that compare addresses" : "none" };
	if (can.data_slots > 0) {
		ret[2].how = "debug registers";
	}
	ret[3] = (struct way){ "stepping", "stepping", can.step ? "single step of KVM" : "none" };
}

static unsigned int advise(const struct hs_probe *probe, const char **ret)
{
	unsigned int count = 0;

	if (!probe->kvm_usable && probe->kvm_error.status == HS_ERR_PERMISSION) {
		ret[count++] = "/dev/kvm: join the group that owns it: sudo usermod -aG kvm $USER, then log in again";
	} else if (!probe->kvm_usable && probe->kvm_error.status == HS_ERR_NOT_FOUND) {
		ret[count++] = "/dev/kvm: load the module: sudo modprobe kvm_intel or kvm_amd; inside a VM, its host "
			       "must offer nested virtualisation";
	}
	if (probe->soft_vectors == HS_ANSWER_NO) {
		ret[count++] = "MMX and SSE on the software CPU: let hindsight map executable memory "
			       "(MemoryDenyWriteExecute= of systemd and execmem of SELinux forbid it)";
	}
	return count;
}

static void put_line(struct hs_buf *out, const char *label, const char *answer, const char *mark, const char *meaning)
{
	const char *end = mark[0] ? "\033[0m" : "";

	if (meaning && meaning[0]) {
		hs_buf_printf(out, "  %-26s%s%-20s%s%s\n", label, mark, answer, end, meaning);
	} else {
		hs_buf_printf(out, "  %-26s%s%s%s\n", label, mark, answer, end);
	}
}

static void put_answer(struct hs_buf *out, const struct hs_probe *probe, const struct row *row, bool colour)
{
	static const char *const names[] = { "unknown", "no", "yes" };
	static const char *const marks[] = { "", "\033[33m", "\033[32m" };
	enum hs_answer answer = answer_of(probe, row);
	const char *meaning = NULL;

	if (answer == HS_ANSWER_YES) {
		meaning = row->yes;
	} else if (answer == HS_ANSWER_NO) {
		meaning = row->no;
	}
	put_line(out, row->label, names[answer], colour ? marks[answer] : "", meaning);
}

static void put_speed(struct hs_buf *out, double ns, const char *meaning)
{
	char speed[48];

	/* Less than that is mostly the noise of the measurement. */
	if (ns < 1) {
		snprintf(speed, sizeof(speed), "below 1 ns/instruction");
	} else {
		snprintf(speed, sizeof(speed), "%.*f ns/instruction", ns < 10, ns);
	}
	put_line(out, "speed at CPL 0", ns > 0 ? speed : "unknown", "", meaning);
}

static void put_rows(struct hs_buf *out, const struct hs_probe *probe, bool colour)
{
	for (size_t i = 0; i < ROW_COUNT; i++) {
		if (rows[i].section) {
			hs_buf_printf(out, "\n%s\n", rows[i].section);
		}
		if (i == 0) {
			put_speed(out, probe->ns_per_instruction, speed_meaning(probe));
		}
		if (rows[i].section && rows[i].offset == offsetof(struct hs_probe, hlt_exits)) {
			put_line(out, "int3 at CPL 0", int3_name(probe->int3), "", NULL);
		}
		put_answer(out, probe, &rows[i], colour);
	}
}

/** Which guests are asked about. */
static const struct {
	enum hs_arch arch;
	const char *name;
	const char *debugged;
} archs[] = {
	{ HS_ARCH_AMD64, "amd64", "amd64 with --gdb" },
	{ HS_ARCH_I686, "i686", "i686 with --gdb" },
};

#define ARCH_COUNT (sizeof(archs) / sizeof(archs[0]))

static const char *backend_name(const struct hs_choice *choice)
{
	return choice->backend == HS_BACKEND_SOFT ? "soft" : "kvm";
}

static void put_choice(struct hs_buf *out, const char *label, const struct hs_choice *choice, bool colour)
{
	hs_buf_printf(out, "  %-26s%s%-6s%sbecause %s\n", label, colour ? "\033[32m" : "", backend_name(choice),
		      colour ? "\033[0m" : "", choice->reason);
}

/* What --backend auto takes; with a debugger, where that makes a difference. */
static void put_choices(struct hs_buf *out, const struct hs_probe *probe, bool colour)
{
	hs_buf_append_string(out, "Guests run on\n");
	for (size_t i = 0; i < ARCH_COUNT; i++) {
		struct hs_choice alone;
		struct hs_choice debugged;

		hs_choice_of(probe, archs[i].arch, false, &alone);
		hs_choice_of(probe, archs[i].arch, true, &debugged);
		put_choice(out, archs[i].name, &alone, colour);
		if (alone.backend != debugged.backend) {
			put_choice(out, archs[i].debugged, &debugged, colour);
		}
	}
}

void hs_doctor_text(const struct hs_probe *probe, bool colour, struct hs_buf *out)
{
	const char *advice[ADVICE_MAX];
	struct way ways[WAYS];
	unsigned int count = advise(probe, advice);

	put_choices(out, probe, colour);
	hs_buf_append_string(out, "\nSoftware CPU\n");
	put_speed(out, probe->soft_ns_per_instruction, NULL);
	for (size_t i = 0; i < SOFT_ROW_COUNT; i++) {
		put_answer(out, probe, &soft_rows[i], colour);
	}
	hs_buf_append_string(out, "\nKVM\n");
	if (probe->kvm_usable) {
		put_line(out, "/dev/kvm", "usable", colour ? "\033[32m" : "", NULL);
		put_line(out, "module", probe->kvm_module[0] ? probe->kvm_module : "unknown", "", NULL);
		put_rows(out, probe, colour);
		find_ways(probe, ways);
		hs_buf_append_string(out, "\nOn KVM the debugger uses\n");
		for (size_t i = 0; i < WAYS; i++) {
			put_line(out, ways[i].label, ways[i].how, "", NULL);
		}
	} else {
		put_line(out, "/dev/kvm", "not usable", colour ? "\033[31m" : "", probe->kvm_error.message);
	}
	if (count > 0) {
		hs_buf_append_string(out, "\nWhat to do\n");
	}
	for (unsigned int i = 0; i < count; i++) {
		hs_buf_printf(out, "  %s\n", advice[i]);
	}
}

static void put_json_member(struct hs_buf *out, const char *name, const char *text)
{
	hs_buf_printf(out, "\"%s\": ", name);
	hs_json_string(out, text);
}

static void put_json_host(struct hs_buf *out, const struct hs_probe *probe)
{
	static const char *const values[] = { "null", "false", "true" };

	hs_buf_append_string(out, "\"host\": {");
	for (size_t i = 0; i < ROW_COUNT; i++) {
		hs_buf_printf(out, "\"%s\": %s, ", rows[i].json, values[answer_of(probe, &rows[i])]);
	}
	for (size_t i = 0; i < SOFT_ROW_COUNT; i++) {
		hs_buf_printf(out, "\"%s\": %s, ", soft_rows[i].json, values[answer_of(probe, &soft_rows[i])]);
	}
	put_json_member(out, "int3", int3_name(probe->int3));
	hs_buf_printf(out, ", \"ns_per_instruction\": %.3f, \"soft_ns_per_instruction\": %.3f, ",
		      probe->ns_per_instruction, probe->soft_ns_per_instruction);
	put_json_member(out, "speed", speed_class(probe));
	hs_buf_append_string(out, "}");
}

static void put_json_choices(struct hs_buf *out, const struct hs_probe *probe)
{
	hs_buf_append_string(out, "\"auto\": {");
	for (size_t i = 0; i < ARCH_COUNT; i++) {
		struct hs_choice choice;

		hs_buf_printf(out, "%s\"%s\": {", i ? ", " : "", archs[i].name);
		hs_choice_of(probe, archs[i].arch, false, &choice);
		put_json_member(out, "backend", backend_name(&choice));
		hs_buf_append_string(out, ", ");
		put_json_member(out, "reason", choice.reason);
		hs_choice_of(probe, archs[i].arch, true, &choice);
		hs_buf_append_string(out, ", ");
		put_json_member(out, "backend_with_debugger", backend_name(&choice));
		hs_buf_append_string(out, ", ");
		put_json_member(out, "reason_with_debugger", choice.reason);
		hs_buf_append_byte(out, '}');
	}
	hs_buf_append_string(out, "}, ");
}

void hs_doctor_json(const struct hs_probe *probe, struct hs_buf *out)
{
	const char *advice[ADVICE_MAX];
	struct way ways[WAYS];
	unsigned int count = advise(probe, advice);

	hs_buf_append_byte(out, '{');
	put_json_choices(out, probe);
	hs_buf_printf(out, "\"kvm\": {\"usable\": %s, ", probe->kvm_usable ? "true" : "false");
	put_json_member(out, "module", probe->kvm_module);
	hs_buf_append_string(out, ", ");
	put_json_member(out, "error", probe->kvm_usable ? "" : probe->kvm_error.message);
	hs_buf_append_string(out, "}, ");
	put_json_host(out, probe);
	find_ways(probe, ways);
	hs_buf_append_string(out, ", \"debugger\": {");
	for (size_t i = 0; i < WAYS; i++) {
		hs_buf_append_string(out, i == 0 ? "" : ", ");
		put_json_member(out, ways[i].json, ways[i].how);
	}
	hs_buf_append_string(out, "}, \"advice\": [");
	for (unsigned int i = 0; i < count; i++) {
		hs_buf_append_string(out, i == 0 ? "" : ", ");
		hs_json_string(out, advice[i]);
	}
	hs_buf_append_string(out, "]}\n");
}
