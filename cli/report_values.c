/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/report_values.h"

#include "arch/exception.h"
#include "arch/regs.h"
#include "base/bytes.h"
#include "cli/core_info.h"

#include <stdio.h>
#include <string.h>

/* Of the control registers, those that say why an access faults. */
static bool is_shown(const struct hs_reg *reg)
{
	static const char *const control[] = { "cr0", "cr2", "cr3", "cr4", "efer" };

	for (size_t i = 0; i < sizeof(control) / sizeof(control[0]); i++) {
		if (strcmp(reg->name, control[i]) == 0) {
			return true;
		}
	}
	return reg->prstatus >= 0 && reg->feature != HS_REG_LINUX;
}

/* General registers, rip and rflags: those whose values at the last snapshot are kept. */
static bool is_general(const struct hs_reg *reg)
{
	return reg->feature == HS_REG_CORE && reg->offset < offsetof(struct hs_cpu_state, seg);
}

static uint64_t read_register(const struct hs_reg *reg, const struct hs_cpu_state *cpu)
{
	uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

	hs_reg_get(reg, cpu, bytes);
	return hs_get_le64(bytes);
}

bool hs_report_register(const struct hs_report *report, size_t index, struct hs_report_value *ret)
{
	size_t count;
	const struct hs_reg *rows = hs_regs(report->arch, &count);

	for (size_t i = 0; i < count; i++) {
		if (!is_shown(&rows[i]) || index-- > 0) {
			continue;
		}
		ret->name = rows[i].name;
		ret->digits = 2 * rows[i].bytes;
		ret->value = read_register(&rows[i], report->cpu);
		ret->before = report->has_before && is_general(&rows[i]) ? read_register(&rows[i], report->before)
									 : ret->value;
		return true;
	}
	return false;
}

bool hs_report_step(const struct hs_report *report, size_t index, struct hs_path_step *ret,
		    char ret_bits[HS_PATH_FIELDS_BYTES])
{
	if (!report->has_fault || index >= report->fault_path.count) {
		return false;
	}
	hs_path_step(&report->spaces[0].root, &report->fault_path, (unsigned int)index, ret);
	hs_path_fields(&ret->fields, "", " ", ret_bits);
	return true;
}

bool hs_report_log_line(const char **at, char ret[HS_REPORT_LINE_BYTES])
{
	size_t length = strcspn(*at, "\n");

	if (!**at) {
		return false;
	}
	snprintf(ret, HS_REPORT_LINE_BYTES, "%.*s",
		 (int)(length < HS_REPORT_LINE_BYTES ? length : HS_REPORT_LINE_BYTES - 1), *at);
	*at += length + ((*at)[length] == '\n');
	return true;
}

void hs_report_signal(const struct hs_report *report, char *ret, size_t size)
{
	const char *name = hs_signal_name(report->signal);
	const char *code = hs_core_code_name(report->signal, report->code);

	ret[0] = '\0';
	if (report->signal != 0) {
		snprintf(ret, size, "%s (%d)%s%s", name ? name : "unnamed", report->signal, code ? ", " : "",
			 code ? code : "");
	}
}

void hs_report_rights(int prot, char ret[4])
{
	ret[0] = prot & HS_PROT_READ ? 'r' : '-';
	ret[1] = prot & HS_PROT_WRITE ? 'w' : '-';
	ret[2] = prot & HS_PROT_EXEC ? 'x' : '-';
	ret[3] = '\0';
}

int hs_report_digits(const struct hs_report *report)
{
	return report->arch == HS_ARCH_AMD64 ? 16 : 8;
}
