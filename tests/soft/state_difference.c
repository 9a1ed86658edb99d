/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state_difference.h"

#include <stdio.h>
#include <string.h>

#define FIELD(text, member, member_mask)                                                                               \
	{                                                                                                              \
		.name = (text), .offset = offsetof(struct hs_cpu_state, member), .mask = (member_mask)                 \
	}
#define ALL (~UINT64_C(0))

struct field {
	const char *name;
	size_t offset;
	uint64_t mask;
};

static const struct field core[] = {
	FIELD("rip", rip, ALL),
	FIELD("rax", gpr[HS_RAX], ALL),
	FIELD("rcx", gpr[HS_RCX], ALL),
	FIELD("rdx", gpr[HS_RDX], ALL),
	FIELD("rbx", gpr[HS_RBX], ALL),
	FIELD("rsp", gpr[HS_RSP], ALL),
	FIELD("rbp", gpr[HS_RBP], ALL),
	FIELD("rsi", gpr[HS_RSI], ALL),
	FIELD("rdi", gpr[HS_RDI], ALL),
	FIELD("r8", gpr[HS_R8], ALL),
	FIELD("r9", gpr[HS_R9], ALL),
	FIELD("r10", gpr[HS_R10], ALL),
	FIELD("r11", gpr[HS_R11], ALL),
	FIELD("r12", gpr[HS_R12], ALL),
	FIELD("r13", gpr[HS_R13], ALL),
	FIELD("r14", gpr[HS_R14], ALL),
	FIELD("r15", gpr[HS_R15], ALL),
	FIELD("gdtr.base", gdt.base, ALL),
	FIELD("gdtr.limit", gdt.limit, 0xFFFF),
	FIELD("idtr.base", idt.base, ALL),
	FIELD("idtr.limit", idt.limit, 0xFFFF),
	FIELD("cr0", cr0, ALL),
	FIELD("cr2", cr2, ALL),
	FIELD("cr3", cr3, ALL),
	FIELD("cr4", cr4, ALL),
	FIELD("cr8", cr8, ALL),
	FIELD("efer", msr.efer, ALL),
};

static const struct field msrs[] = {
	FIELD("star", msr.star, ALL),
	FIELD("lstar", msr.lstar, ALL),
	FIELD("cstar", msr.cstar, ALL),
	FIELD("fmask", msr.fmask, ALL),
	FIELD("kernel_gs_base", msr.kernel_gs_base, ALL),
	FIELD("sysenter_cs", msr.sysenter_cs, ALL),
	FIELD("sysenter_esp", msr.sysenter_esp, ALL),
	FIELD("sysenter_eip", msr.sysenter_eip, ALL),
	FIELD("pat", msr.pat, ALL),
	FIELD("tsc_aux", msr.tsc_aux, ALL),
};

static const struct field debug[] = {
	FIELD("dr0", dr[0], ALL), FIELD("dr1", dr[1], ALL), FIELD("dr2", dr[2], ALL),
	FIELD("dr3", dr[3], ALL), FIELD("dr6", dr[6], ALL), FIELD("dr7", dr[7], ALL),
};

static const char *const segments[] = { "es", "cs", "ss", "ds", "fs", "gs", "tr", "ldtr" };

static uint64_t value_of(const struct hs_cpu_state *cpu, const struct field *field)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)cpu + field->offset, field->mask == 0xFFFF ? 2 : 8);
	return value;
}

static const char *say(const char *name, uint64_t is, uint64_t should, char *buffer, size_t bytes)
{
	snprintf(buffer, bytes, "%s is 0x%llx, not 0x%llx", name, (unsigned long long)is, (unsigned long long)should);
	return buffer;
}

static const char *compare_fields(const struct field *fields, size_t count, const struct hs_cpu_state *a,
				  const struct hs_cpu_state *b, char *buffer, size_t bytes)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t is = value_of(a, &fields[i]);
		uint64_t should = value_of(b, &fields[i]);

		if (is != should) {
			return say(fields[i].name, is, should, buffer, bytes);
		}
	}
	return NULL;
}

static const char *compare_segments(const struct hs_cpu_state *a, const struct hs_cpu_state *b, char *buffer,
				    size_t bytes)
{
	for (size_t i = 0; i < HS_SEG_COUNT; i++) {
		const struct hs_segment *is = &a->seg[i];
		const struct hs_segment *should = &b->seg[i];

		if (is->selector != should->selector) {
			return say(segments[i], is->selector, should->selector, buffer, bytes);
		}
		if (!(is->unusable && should->unusable) && memcmp(is, should, sizeof(*is)) != 0) {
			snprintf(buffer, bytes,
				 "%s is base 0x%llx limit 0x%x type %u p %u dpl %u db %u s %u l %u g %u avl %u "
				 "unusable %u, not 0x%llx 0x%x %u %u %u %u %u %u %u %u %u",
				 segments[i], (unsigned long long)is->base, is->limit, is->type, is->present, is->dpl,
				 is->db, is->s, is->l, is->g, is->avl, is->unusable, (unsigned long long)should->base,
				 should->limit, should->type, should->present, should->dpl, should->db, should->s,
				 should->l, should->g, should->avl, should->unusable);
			return buffer;
		}
	}
	return NULL;
}

static const char *compare_fpu(const struct hs_cpu_state *a, const struct hs_cpu_state *b, char *buffer, size_t bytes)
{
	for (size_t i = 0; i < HS_XSAVE_SIZE; i++) {
		/* The mask of MXCSR is the CPU's, bytes 464 to 511 are software's (SDM vol. 1 10.5.1), and which
		 * components are in their initial state (XSTATE_BV) is for the CPU to say (13.6). */
		bool compared = !(i >= HS_XSAVE_MXCSR_MASK && i < HS_XSAVE_MXCSR_MASK + 4) &&
				!(i >= 464 && i < HS_XSAVE_XCOMP_BV);

		if (compared && a->xsave[i] != b->xsave[i]) {
			char name[32];

			snprintf(name, sizeof(name), "xsave[%zu]", i);
			return say(name, a->xsave[i], b->xsave[i], buffer, bytes);
		}
	}
	return a->xcr0 != b->xcr0 ? say("xcr0", a->xcr0, b->xcr0, buffer, bytes) : NULL;
}

const char *state_difference(const struct hs_cpu_state *a, const struct hs_cpu_state *b,
			     const struct state_rules *rules, char *buffer, size_t bytes)
{
	const char *text = compare_fields(core, sizeof(core) / sizeof(core[0]), a, b, buffer, bytes);

	if (!text && ((a->rflags ^ b->rflags) & ~rules->rflags)) {
		text = say("rflags", a->rflags, b->rflags, buffer, bytes);
	}
	if (!text) {
		text = compare_segments(a, b, buffer, bytes);
	}
	if (!text && !rules->no_msrs) {
		text = compare_fields(msrs, sizeof(msrs) / sizeof(msrs[0]), a, b, buffer, bytes);
	}
	if (!text && !rules->no_debug) {
		text = compare_fields(debug, sizeof(debug) / sizeof(debug[0]), a, b, buffer, bytes);
	}
	if (!text && !rules->no_fpu) {
		text = compare_fpu(a, b, buffer, bytes);
	}
	return text;
}
