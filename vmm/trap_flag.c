/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/trap_flag.h"

#include "base/bytes.h"

#include <hindsight/paging.h>

#define RFLAGS_TF 0x100u
#define EFER_LMA 0x400u
#define RPL_MASK 3u

/* The stack pointers in a TSS (SDM vol. 3A figures 7-2 and 7-11): RSP0 and IST1 to IST7; ESP0. */
#define TSS64_RSP0 4u
#define TSS64_IST1 36u
#define TSS64_STACKS 7u
#define TSS32_ESP0 4u

/* One step, and the size of a word in its frames. */
struct step {
	const struct hs_phys *phys;
	const struct hs_insn *insn;
	const struct hs_cpu_state *before;
	struct hs_root root;
	unsigned int word_bytes;
};

static bool read_words(const struct step *step, uint64_t gva, unsigned int count, uint64_t *ret)
{
	uint8_t bytes[5 * 8];
	size_t wanted = (size_t)count * step->word_bytes;
	size_t length;

	if (hs_vmem_read(step->phys, &step->root, hs_gva_of(gva), bytes, wanted, &length, NULL) || length != wanted) {
		return false;
	}
	for (unsigned int i = 0; i < count; i++) {
		ret[i] = hs_get_le(bytes + (size_t)i * step->word_bytes, step->word_bytes);
	}
	return true;
}

/* TF is bit 0 of the second byte. */
static void clear_stored(const struct step *step, uint64_t flags_gva)
{
	hs_gva byte_gva = hs_gva_of(flags_gva + 1);
	uint8_t byte;
	size_t length;

	if (hs_vmem_read(step->phys, &step->root, byte_gva, &byte, 1, &length, NULL) == HS_OK && (byte & 1)) {
		byte &= (uint8_t)~1u;
		(void)!hs_vmem_write(step->phys, &step->root, byte_gva, &byte, 1, NULL);
	}
}

/* The frame of an exception of this very instruction, if the stack that ends at top begins with it (SDM vol. 3A 6.12.1,
 * 6.14.2). An error code, where there is one, follows it. */
static void clean_frame(const struct step *step, uint64_t top, bool has_stack)
{
	enum { IP, CS, FLAGS, SP, WORDS_WITH_STACK = 5, WORDS = 3 };
	const struct hs_cpu_state *before = step->before;
	unsigned int count = has_stack ? WORDS_WITH_STACK : WORDS;
	uint64_t frame = top - (uint64_t)count * step->word_bytes;
	uint64_t words[WORDS_WITH_STACK] = { 0 };

	if (!read_words(step, frame, count, words)) {
		return;
	}
	if ((words[IP] == before->rip || words[IP] == before->rip + step->insn->length) &&
	    (uint16_t)words[CS] == before->seg[HS_CS].selector && (!has_stack || words[SP] == before->gpr[HS_RSP])) {
		clear_stored(step, frame + (uint64_t)FLAGS * step->word_bytes);
	}
}

static void clean_frames64(const struct step *step)
{
	uint64_t tss = step->before->seg[HS_TR].base;
	uint64_t top;

	/* The CPU aligns the stack first. */
	clean_frame(step, step->before->gpr[HS_RSP] & ~15ull, true);
	if (read_words(step, tss + TSS64_RSP0, 1, &top)) {
		clean_frame(step, top & ~15ull, true);
	}
	for (unsigned int i = 0; i < TSS64_STACKS; i++) {
		if (read_words(step, tss + TSS64_IST1 + 8ull * i, 1, &top)) {
			clean_frame(step, top & ~15ull, true);
		}
	}
}

static void clean_frames32(const struct step *step)
{
	const struct hs_cpu_state *before = step->before;
	uint64_t top;

	if (!(before->seg[HS_CS].selector & RPL_MASK)) {
		clean_frame(step, before->seg[HS_SS].base + before->gpr[HS_RSP], false);
	} else if (read_words(step, before->seg[HS_TR].base + TSS32_ESP0, 1, &top)) {
		clean_frame(step, top, true);
	}
}

/* Whether the instruction has loaded the guest's own. An iret is not stepped where that can be helped (run.c). */
static bool has_loaded(const struct step *step, const struct hs_cpu_state *cpu)
{
	const struct hs_cpu_state *before = step->before;
	hs_gva flags_gva = hs_gva_of(before->gpr[HS_RSP] + before->seg[HS_SS].base + 1);
	uint8_t byte;
	size_t length;

	if (step->insn->is_sysret) {
		return (before->gpr[HS_R11] & RFLAGS_TF) && (cpu->seg[HS_CS].selector & RPL_MASK) == RPL_MASK;
	}
	return step->insn->is_popf && cpu->rip == before->rip + step->insn->length &&
	       !hs_vmem_read(step->phys, &step->root, flags_gva, &byte, 1, &length, NULL) && (byte & 1);
}

bool hs_trap_flag_hide(const struct hs_phys *phys, const struct hs_insn *insn, const struct hs_cpu_state *before,
		       struct hs_cpu_state *cpu)
{
	bool is_long = before->msr.efer & EFER_LMA;
	struct step step = { .phys = phys, .insn = insn, .before = before, .word_bytes = is_long ? 8 : 4 };

	if (before->rflags & RFLAGS_TF) {
		return false; /* the guest's own */
	}
	hs_root_of_cpu(cpu, &step.root);
	if (has_loaded(&step, cpu)) {
		cpu->rflags |= RFLAGS_TF;
		return true;
	}
	if (insn->is_pushf) {
		clear_stored(&step, cpu->gpr[HS_RSP] + cpu->seg[HS_SS].base);
	}
	if (insn->is_syscall && (cpu->gpr[HS_R11] & RFLAGS_TF)) {
		cpu->gpr[HS_R11] &= ~(uint64_t)RFLAGS_TF;
		return true;
	}
	if (cpu->rip == before->rip || cpu->rip == before->rip + insn->length) {
		return false; /* no exception has come between */
	}
	if (is_long) {
		clean_frames64(&step);
	} else {
		clean_frames32(&step);
	}
	return false;
}

bool hs_trap_flag_is_set(const struct hs_cpu_state *cpu)
{
	return cpu->rflags & RFLAGS_TF;
}
