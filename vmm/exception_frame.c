/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the CPU pushed, or saved in a TSS, put back into the registers. Two ways in: a frame on the stack (interrupt
 * gates, both arches) and the TSS of the interrupted task (i686 task gates). The state is composed aside and copied
 * when all of it has been found good.
 *
 * Sources: SDM vol. 3A 6.12.1 (frames), 6.14.2 (64-bit frames), 7.3 (task switching); abi.h.
 */
#include "vmm/exception_frame.h"

#include "arch/exception.h"
#include "base/bytes.h"
#include "base/error.h"
#include "vmm/descriptor.h"
#include "vmm/segment_load.h"
#include "vmm/tss32.h"

#include <hindsight/paging.h>

#include <string.h>

/* Words of the frame, in either size. */
enum frame_word { WORD_VECTOR, WORD_ERROR, WORD_IP, WORD_CS, WORD_FLAGS, WORD_SP, WORD_SS, WORD_COUNT };

/* EFLAGS (SDM vol. 1 figure 3-8). */
#define FLAGS_ALWAYS_ONE 0x2u
#define FLAGS_NT 0x4000u
#define FLAGS_VM 0x20000u
#define FLAGS_DEFINED 0x3F7FD7u

#define EFER_LMA 0x400u
#define CR0_TS 0x8u

#define RPL_MASK 3u

/* The frame as read, and where from. */
struct frame {
	const struct hs_cpu_state *cpu;
	struct hs_root root;
	struct hs_segment_source source;
	unsigned int word_bytes;
	uint64_t sp; /* linear address of the frame */
	uint64_t words[WORD_COUNT];
};

static void frame_init(struct frame *frame, const struct hs_phys *phys, const struct hs_cpu_state *cpu)
{
	bool is_64bit = (cpu->msr.efer & EFER_LMA) && cpu->seg[HS_CS].l;
	uint64_t sp = cpu->gpr[HS_RSP];

	*frame = (struct frame){
		.cpu = cpu,
		.word_bytes = is_64bit ? 8 : 4,
		.sp = is_64bit ? sp : (uint32_t)(cpu->seg[HS_SS].base + (uint32_t)sp),
	};
	hs_root_of_cpu(cpu, &frame->root);
	frame->source = (struct hs_segment_source){
		.phys = phys,
		.root = &frame->root,
		.gdt = &cpu->gdt,
		.ldtr = &cpu->seg[HS_LDTR],
	};
}

/* Read words [first, first + count) of the frame. */
static enum hs_status read_words(struct frame *frame, unsigned int first, unsigned int count, struct hs_error *err)
{
	uint8_t bytes[WORD_COUNT * 8];
	enum hs_status st = hs_segment_read(&frame->source, frame->sp + first * frame->word_bytes, bytes,
					    (size_t)count * frame->word_bytes, err);

	if (st) {
		return st;
	}
	for (unsigned int i = 0; i < count; i++) {
		frame->words[first + i] = hs_get_le(bytes + i * frame->word_bytes, frame->word_bytes);
	}
	return HS_OK;
}

static enum hs_status refuse(const struct frame *frame, const char *what, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_FORMAT, 0, frame->sp, "no exception frame at 0x%llx: %s",
			    (unsigned long long)frame->sp, what);
}

static enum hs_status check_flags(const struct frame *frame, uint64_t flags, struct hs_error *err)
{
	if (!(flags & FLAGS_ALWAYS_ONE) || (flags & ~(uint64_t)FLAGS_DEFINED)) {
		return refuse(frame, "the flags are none", err);
	}
	if (flags & FLAGS_VM) {
		return refuse(frame, "virtual-8086 mode is not supported", err);
	}
	return HS_OK;
}

/* CS of the interrupted code. With the selector that is loaded now the hidden part is at hand, which holds even when
 * the guest has loaded another GDT since. */
static enum hs_status take_code(const struct frame *frame, struct hs_cpu_state *state, struct hs_error *err)
{
	uint16_t selector = (uint16_t)frame->words[WORD_CS];
	uint16_t current = frame->cpu->seg[HS_CS].selector;

	if ((selector & RPL_MASK) < (current & RPL_MASK)) {
		return refuse(frame, "the interrupted code had more privilege than the handler has", err);
	}
	if (selector == current) {
		return HS_OK;
	}
	return hs_segment_load_code(&frame->source, selector, &state->seg[HS_CS], err);
}

static enum hs_status take_stack(const struct frame *frame, struct hs_cpu_state *state, struct hs_error *err)
{
	uint16_t selector = (uint16_t)frame->words[WORD_SS];
	uint8_t cpl = state->seg[HS_CS].selector & RPL_MASK;

	state->gpr[HS_RSP] = frame->words[WORD_SP];
	if (selector == frame->cpu->seg[HS_SS].selector && cpl == (frame->cpu->seg[HS_CS].selector & RPL_MASK)) {
		return HS_OK;
	}
	return hs_segment_load_stack(&frame->source, selector, &state->seg[HS_CS], &state->seg[HS_SS], err);
}

/* A frame that an interrupt gate has made; vector and error code are read. */
static enum hs_status rewind_stack(struct frame *frame, struct hs_cpu_state *state, struct hs_error *err)
{
	bool has_stack = true;
	enum hs_status st = read_words(frame, WORD_IP, WORD_SP - WORD_IP, err);

	if (st) {
		return st;
	}
	st = check_flags(frame, frame->words[WORD_FLAGS], err);
	if (st) {
		return st;
	}
	st = take_code(frame, state, err);
	if (st) {
		return st;
	}
	if (frame->word_bytes == 4) {
		has_stack = (state->seg[HS_CS].selector ^ frame->cpu->seg[HS_CS].selector) & RPL_MASK;
	}
	state->rip = frame->words[WORD_IP];
	state->rflags = frame->words[WORD_FLAGS];
	if (!has_stack) {
		state->gpr[HS_RSP] = (uint32_t)(frame->cpu->gpr[HS_RSP] + WORD_SP * frame->word_bytes);
		return HS_OK;
	}
	st = read_words(frame, WORD_SP, WORD_COUNT - WORD_SP, err);
	return st ? st : take_stack(frame, state, err);
}

/* The segment registers of a TSS, LDTR first, as the others may be in it. */
static enum hs_status take_task_segments(const struct frame *frame, const uint8_t *tss, struct hs_cpu_state *state,
					 struct hs_error *err)
{
	struct hs_segment_source source = frame->source;
	uint16_t selectors[HS_GS + 1];
	enum hs_status st = hs_segment_load_system(&source, hs_get_le16(tss + HS_TSS32_LDT), HS_DESCRIPTOR_LDT,
						   &state->seg[HS_LDTR], err);

	if (st) {
		return st;
	}
	source.ldtr = &state->seg[HS_LDTR];
	for (int i = HS_ES; i <= HS_GS; i++) {
		selectors[i] = hs_get_le16(tss + HS_TSS32_SEG + 4 * i);
	}
	st = hs_segment_load_code(&source, selectors[HS_CS], &state->seg[HS_CS], err);
	if (!st) {
		st = hs_segment_load_stack(&source, selectors[HS_SS], &state->seg[HS_CS], &state->seg[HS_SS], err);
	}
	for (int i = HS_ES; !st && i <= HS_GS; i++) {
		if (i != HS_CS && i != HS_SS) {
			st = hs_segment_load_data(&source, selectors[i], &state->seg[i], err);
		}
	}
	return st;
}

static enum hs_status check_tss(const struct frame *frame, const struct hs_segment *tr, struct hs_error *err)
{
	if (tr->unusable || tr->type != HS_DESCRIPTOR_TSS_BUSY || tr->limit < HS_TSS_BYTES - 1) {
		return refuse(frame, "a double fault by a task gate, without a 32-bit TSS behind it", err);
	}
	return HS_OK;
}

/* Find the TSS of the interrupted task by the back link of the current one, and read it. */
static enum hs_status read_previous_tss(const struct frame *frame, struct hs_segment *ret_tr, uint8_t *ret_tss,
					struct hs_error *err)
{
	const struct hs_segment *tr = &frame->cpu->seg[HS_TR];
	uint8_t link[2];
	enum hs_status st = check_tss(frame, tr, err);

	if (st) {
		return st;
	}
	st = hs_segment_read(&frame->source, tr->base + HS_TSS32_BACK_LINK, link, sizeof(link), err);
	if (st) {
		return st;
	}
	/* The interrupted task's TSS stays busy through a nested switch (SDM vol. 3A table 7-2). */
	st = hs_segment_load_system(&frame->source, hs_get_le16(link), HS_DESCRIPTOR_TSS_BUSY, ret_tr, err);
	if (st) {
		return st;
	}
	st = check_tss(frame, ret_tr, err);
	return st ? st : hs_segment_read(&frame->source, ret_tr->base, ret_tss, HS_TSS_BYTES, err);
}

static enum hs_status rewind_task(const struct frame *frame, struct hs_cpu_state *state, struct hs_error *err)
{
	uint8_t tss[HS_TSS_BYTES];
	enum hs_status st = read_previous_tss(frame, &state->seg[HS_TR], tss, err);

	if (st) {
		return st;
	}
	st = check_flags(frame, hs_get_le32(tss + HS_TSS32_EFLAGS), err);
	if (st) {
		return st;
	}
	for (int i = HS_RAX; i <= HS_RDI; i++) {
		state->gpr[i] = hs_get_le32(tss + HS_TSS32_GPR + 4 * i);
	}
	state->rip = hs_get_le32(tss + HS_TSS32_EIP);
	state->rflags = hs_get_le32(tss + HS_TSS32_EFLAGS);
	state->cr3 = hs_get_le32(tss + HS_TSS32_CR3);
	/* Set by the switch. What it was before is not known; guests leave it set for a while at most. */
	state->cr0 &= ~(uint64_t)CR0_TS;
	return take_task_segments(frame, tss, state, err);
}

enum hs_status hs_exception_frame_rewind(const struct hs_phys *phys, struct hs_cpu_state *cpu,
					 struct hs_exception_frame *ret, struct hs_error *err)
{
	struct hs_cpu_state state;
	struct hs_exception_frame exception;
	struct frame frame;
	enum hs_status st;

	frame_init(&frame, phys, cpu);
	if (frame.word_bytes == 4 && !cpu->seg[HS_CS].db) {
		return refuse(&frame, "16-bit code", err);
	}
	st = read_words(&frame, WORD_VECTOR, WORD_IP, err);
	if (st) {
		return st;
	}
	if (frame.words[WORD_VECTOR] > UINT8_MAX) {
		return refuse(&frame, "the vector is none", err);
	}
	exception.vector = (uint8_t)frame.words[WORD_VECTOR];
	exception.has_error_code = hs_exception_of(exception.vector)->has_error_code;
	exception.error_code = exception.has_error_code ? (uint32_t)frame.words[WORD_ERROR] : 0;
	memcpy(&state, cpu, sizeof(state));
	if (frame.word_bytes == 4 && exception.vector == HS_VECTOR_DF && (cpu->rflags & FLAGS_NT)) {
		st = rewind_task(&frame, &state, err);
	} else {
		st = rewind_stack(&frame, &state, err);
	}
	if (st) {
		return st;
	}
	memcpy(cpu, &state, sizeof(state));
	*ret = exception;
	return HS_OK;
}
