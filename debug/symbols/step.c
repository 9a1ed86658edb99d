/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From one frame to the next: by call-frame information, or else by what compilers leave on the stack. See step.h. */
#include "symbols/step.h"

#include "symbols/code.h"
#include "symbols/expression.h"

#include "base/bytes.h"

#include <string.h>

/** Numbers of an architecture (unwind.h names the psABIs). */
struct numbers {
	unsigned int word, sp, fp, pc; /* bytes; DWARF registers */
	uint32_t saved;                /* registers that a function keeps for its caller, as bits */
};

/** rbx, rbp, r12 to r15; ebx, ebp, esi, edi. */
static const struct numbers AMD64 = { 8, 7, 6, 16, 1u << 3 | 1u << 6 | 0xFu << 12 };
static const struct numbers I686 = { 4, 4, 5, 8, 1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 };

/** One step. */
struct stepping {
	const struct hs_unwind_input *input;
	const struct numbers *numbers;
	const struct hs_step_state *from;
	struct hs_step_state to;
	struct hs_step *ret;
};

static uint64_t fit(const struct stepping *stepping, uint64_t value)
{
	return stepping->numbers->word == 4 ? (uint32_t)value : value;
}

static bool read_memory(const struct stepping *stepping, uint64_t address, void *ret, size_t length)
{
	const struct hs_unwind_memory *memory = &stepping->input->memory;

	return memory->read(memory->context, hs_gva_of(fit(stepping, address)), ret, length);
}

static bool read_word(const struct stepping *stepping, uint64_t address, uint64_t *ret)
{
	uint8_t bytes[8];

	if (!read_memory(stepping, address, bytes, stepping->numbers->word)) {
		return false;
	}
	*ret = hs_get_le(bytes, stepping->numbers->word);
	return true;
}

static bool get(const struct stepping *stepping, uint64_t reg, uint64_t *ret)
{
	const struct hs_unwind_registers *registers = &stepping->from->registers;

	if (reg >= HS_UNWIND_REGISTERS || !(registers->known >> reg & 1)) {
		return false;
	}
	*ret = registers->value[reg];
	return true;
}

static void set(struct stepping *stepping, unsigned int reg, uint64_t value)
{
	stepping->to.registers.value[reg] = fit(stepping, value);
	stepping->to.registers.known |= 1u << reg;
}

/** There is no further frame. */
static bool end(struct stepping *stepping, enum hs_unwind_end why, uint64_t where)
{
	stepping->ret->end = why;
	stepping->ret->where = where;
	return false;
}

static uint64_t pc_of(const struct stepping *stepping)
{
	return stepping->from->registers.value[stepping->numbers->pc];
}

static bool is_code(const struct stepping *stepping, uint64_t address)
{
	uint8_t byte;

	return stepping->input->symbols != NULL ? hs_symbols_is_code(stepping->input->symbols, address)
						: read_memory(stepping, address, &byte, 1);
}

static bool evaluate(const struct stepping *stepping, const struct hs_cfi_rule *rule, const uint64_t *initial,
		     uint64_t *ret)
{
	const struct hs_expression_context context = {
		.registers = &stepping->from->registers,
		.memory = &stepping->input->memory,
		.address_bytes = stepping->numbers->word,
	};

	return hs_expression_evaluate(&context, rule->expression, rule->expression_length, initial, ret);
}

/** The value that a rule gives. False when it gives none; *ret_unreadable is where memory could not be read then. */
static bool apply(struct stepping *stepping, const struct hs_cfi_rule *rule, unsigned int reg, uint64_t *ret,
		  uint64_t *ret_unreadable)
{
	uint64_t cfa = stepping->ret->cfa, at = cfa + (uint64_t)rule->offset;

	switch (rule->how) {
	case HS_CFI_SAME:
		return get(stepping, reg, ret);
	case HS_CFI_REGISTER:
		return get(stepping, rule->reg, ret);
	case HS_CFI_VAL_OFFSET:
		*ret = at;
		return true;
	case HS_CFI_VAL_EXPRESSION:
		return evaluate(stepping, rule, &cfa, ret);
	case HS_CFI_EXPRESSION:
		if (!evaluate(stepping, rule, &cfa, &at)) {
			return false;
		}
		break;
	case HS_CFI_OFFSET:
		break;
	default:
		return false;
	}
	*ret_unreadable = fit(stepping, at);
	return read_word(stepping, at, ret);
}

static bool find_cfa(struct stepping *stepping, const struct hs_cfi_rule *rule)
{
	uint64_t value;

	if (rule->how == HS_CFI_REGISTER ? !get(stepping, rule->reg, &value)
					 : !evaluate(stepping, rule, NULL, &value)) {
		return false;
	}
	stepping->ret->cfa = fit(stepping, value + (rule->how == HS_CFI_REGISTER ? (uint64_t)rule->offset : 0));
	stepping->ret->has_cfa = true;
	return true;
}

/** The caller's registers but for its pc. Those of which nothing is said are as the psABI has it. */
static void restore_registers(struct stepping *stepping, const struct hs_cfi_row *row)
{
	const struct numbers *numbers = stepping->numbers;

	for (unsigned int reg = 0; reg < numbers->pc; reg++) {
		struct hs_cfi_rule rule = row->registers[reg];
		uint64_t value, unreadable;

		if (rule.how == HS_CFI_UNSPECIFIED && reg == numbers->sp) {
			rule.how = HS_CFI_VAL_OFFSET;
		} else if (rule.how == HS_CFI_UNSPECIFIED && (row->is_signal_frame || numbers->saved >> reg & 1)) {
			rule.how = HS_CFI_SAME;
		}
		if (apply(stepping, &rule, reg, &value, &unreadable)) {
			set(stepping, reg, value);
		}
	}
}

static bool step_by_cfi(struct stepping *stepping, const struct hs_cfi_row *row)
{
	const struct hs_cfi_rule *rule = &row->registers[row->return_column];
	uint64_t pc = 0, unreadable = 0;

	if (rule->how == HS_CFI_UNDEFINED) {
		return end(stepping, HS_UNWIND_END_OUTERMOST, 0);
	}
	if (!find_cfa(stepping, &row->cfa) || rule->how == HS_CFI_SAME ||
	    !apply(stepping, rule, row->return_column, &pc, &unreadable)) {
		return end(stepping, unreadable != 0 ? HS_UNWIND_END_UNREADABLE : HS_UNWIND_END_BROKEN_INFO,
			   unreadable);
	}
	stepping->ret->is_signal_frame = row->is_signal_frame;
	/* Who jumped to 0 may have been interrupted there; nobody calls from there. */
	if (pc == 0 && !row->is_signal_frame) {
		return end(stepping, HS_UNWIND_END_OUTERMOST, 0);
	}
	restore_registers(stepping, row);
	set(stepping, stepping->numbers->pc, pc);
	stepping->to.is_return = !row->is_signal_frame;
	stepping->to.method = HS_UNWIND_CFI;
	return true;
}

/** Whether address is in code and behind a call: E8 with a distance, or FF /2 (SDM vol. 2A, CALL). */
static bool is_behind_call(const struct stepping *stepping, uint64_t address)
{
	uint8_t before[8]; /* the longest FF /2 has ModRM, SIB and four bytes of displacement */

	if (address < sizeof(before) || !is_code(stepping, address - 1) ||
	    !read_memory(stepping, address - sizeof(before), before, sizeof(before))) {
		return false;
	}
	for (unsigned int length = 2; length <= 7; length++) {
		const uint8_t *at = before + sizeof(before) - length;

		if (at[0] == 0xFF && (at[1] >> 3 & 7) == 2) {
			return true;
		}
	}
	return before[sizeof(before) - 5] == 0xE8;
}

/** The frame before, whose return address is in the stack slot at `slot`. */
static bool step_by_slot(struct stepping *stepping, uint64_t slot, uint64_t pc, enum hs_unwind_method method)
{
	stepping->ret->cfa = fit(stepping, slot + stepping->numbers->word);
	stepping->ret->has_cfa = true;
	if (pc == 0) {
		return end(stepping, HS_UNWIND_END_OUTERMOST, 0);
	}
	for (unsigned int reg = 0; reg < stepping->numbers->pc; reg++) {
		uint64_t value;

		if (stepping->numbers->saved >> reg & 1 && get(stepping, reg, &value)) {
			set(stepping, reg, value);
		}
	}
	set(stepping, stepping->numbers->sp, stepping->ret->cfa);
	set(stepping, stepping->numbers->pc, pc);
	stepping->to.is_return = true;
	stepping->to.method = method;
	return true;
}

/** By the chain of frame pointers: at fp the caller's fp, above it the return address. */
static bool step_by_frame_pointer(struct stepping *stepping)
{
	uint64_t fp, sp, caller_fp, pc;
	unsigned int word = stepping->numbers->word;

	if (!get(stepping, stepping->numbers->fp, &fp) || !get(stepping, stepping->numbers->sp, &sp) || fp < sp ||
	    !read_word(stepping, fp, &caller_fp) || !read_word(stepping, fp + word, &pc) ||
	    (pc != 0 && !is_behind_call(stepping, pc))) {
		bool in_code = is_code(stepping, pc_of(stepping) - stepping->from->is_return);

		return end(stepping, in_code ? HS_UNWIND_END_NO_CALLER : HS_UNWIND_END_NO_CODE, pc_of(stepping));
	}
	if (!step_by_slot(stepping, fp + word, pc, HS_UNWIND_FRAME_POINTER)) {
		return false;
	}
	set(stepping, stepping->numbers->fp, caller_fp);
	return true;
}

/**
 * How many words a function has pushed at pc, if it begins as functions with a frame pointer do: [endbr], push fp,
 * mov sp to fp. 0 or 1; -1 when the frame pointer stands; -2 when it does not begin so.
 */
static int pushed_words(const struct stepping *stepping)
{
	static const uint8_t ENDBR[] = { 0xF3, 0x0F, 0x1E }; /* then FA or FB */
	uint64_t pc = pc_of(stepping), start, push;
	uint8_t code[8];

	if (stepping->input->symbols == NULL || !hs_symbols_function_start(stepping->input->symbols, pc, &start) ||
	    !read_memory(stepping, start, code, sizeof(code))) {
		return -2;
	}
	push = memcmp(code, ENDBR, sizeof(ENDBR)) == 0 ? 4 : 0;
	if (code[push] != 0x55) { /* push rbp */
		return -2;
	}
	if (pc - start <= push + 1) {
		return pc - start <= push ? 0 : 1;
	}
	/* mov rsp, rbp: [REX.W] 89 E5 or [REX.W] 8B EC */
	return pc - start >= push + 1 + (stepping->numbers->word == 8 ? 3 : 2) ? -1 : 1;
}

/** Nothing is known of the code at pc, or there is none: a jump through a bad pointer. */
static bool step_by_stack(struct stepping *stepping)
{
	int pushed = stepping->from->is_return ? -1 : pushed_words(stepping);
	uint64_t sp, pc;

	if (pushed == -1 || !get(stepping, stepping->numbers->sp, &sp)) {
		return step_by_frame_pointer(stepping);
	}
	sp += pushed == 1 ? stepping->numbers->word : 0;
	if (read_word(stepping, sp, &pc) && is_behind_call(stepping, pc)) {
		return step_by_slot(stepping, sp, pc, HS_UNWIND_RETURN_ADDRESS);
	}
	return step_by_frame_pointer(stepping);
}

bool hs_step(const struct hs_unwind_input *input, struct hs_step_state *state, struct hs_step *ret)
{
	struct stepping stepping = {
		.input = input,
		.numbers = input->arch == HS_ARCH_AMD64 ? &AMD64 : &I686,
		.from = state,
		.ret = ret,
	};
	enum hs_symbols_row found = HS_SYMBOLS_ROW_NONE;
	struct hs_cfi_row row;
	bool more;

	*ret = (struct hs_step){ 0 };
	if (input->symbols != NULL) {
		found = hs_symbols_row_at(input->symbols, pc_of(&stepping) - state->is_return, &row);
	}
	if (found == HS_SYMBOLS_ROW_FOUND) {
		more = step_by_cfi(&stepping, &row);
	} else {
		more = step_by_stack(&stepping);
		if (!more && found == HS_SYMBOLS_ROW_BROKEN) {
			ret->end = HS_UNWIND_END_BROKEN_INFO;
		}
	}
	if (more) {
		*state = stepping.to;
	}
	return more;
}
