/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The backtrace: frame after frame, each with its inlined functions. See unwind.h. How one frame leads to the next is
 * in step.c.
 */
#include "symbols/unwind.h"

#include "symbols/step.h"

#include "arch/regs.h"
#include "base/bytes.h"

/** Looks for a frame that was there before, by one that is remembered ever longer (Brent's algorithm). */
struct loop_check {
	uint64_t pc, cfa;
	size_t steps, limit;
};

static bool is_loop(struct loop_check *check, uint64_t pc, uint64_t cfa)
{
	if (check->steps > 0 && check->pc == pc && check->cfa == cfa) {
		return true;
	}
	if (check->steps++ == check->limit) {
		*check = (struct loop_check){ pc, cfa, 1, 2 * check->limit + 1 };
	}
	return false;
}

static void read_registers(const struct hs_unwind_input *input, struct hs_unwind_registers *ret)
{
	*ret = (struct hs_unwind_registers){ 0 };
	for (unsigned int i = 0; i <= hs_step_pc(input->arch); i++) {
		const struct hs_reg *reg = hs_reg_by_dwarf(input->arch, (int)i);
		uint8_t bytes[HS_REG_BYTES_MAX];

		if (reg != NULL && reg->bytes <= sizeof(ret->value[0])) {
			hs_reg_get(reg, input->cpu, bytes);
			ret->value[i] = hs_get_le(bytes, reg->bytes);
			ret->known |= 1u << i;
		}
	}
}

/** One frame, and what is inlined into it before it: how many that are. */
static size_t put_frames(const struct hs_unwind_input *input, const struct hs_step_state *state,
			 struct hs_unwind_frame *frames, size_t capacity)
{
	struct hs_symbol symbols[HS_SYMBOLS_FRAMES_MAX] = { { .function = "", .file = "" } };
	uint64_t pc = state->registers.value[hs_step_pc(input->arch)];
	size_t found = 0;

	if (input->symbols != NULL) {
		found = hs_symbols_frames(input->symbols, hs_gva_of(pc), state->is_return, symbols,
					  HS_SYMBOLS_FRAMES_MAX);
	}
	found = found > 0 ? found : 1;
	for (size_t i = 0; i < found && i < capacity; i++) {
		frames[i] = (struct hs_unwind_frame){
			.pc = pc,
			.is_inlined = i + 1 < found,
			.method = state->method,
			.symbol = symbols[i],
			.registers = state->registers,
		};
	}
	return found;
}

void hs_unwind(const struct hs_unwind_input *input, struct hs_unwind_frame *frames, size_t capacity,
	       struct hs_unwind_result *ret)
{
	struct hs_step_state state = { .method = HS_UNWIND_CPU };
	struct loop_check check = { 0 };

	*ret = (struct hs_unwind_result){ .end = HS_UNWIND_END_LIMIT };
	read_registers(input, &state.registers);
	for (;;) {
		size_t room = capacity - ret->count, found = put_frames(input, &state, frames + ret->count, room);
		uint64_t pc = frames[ret->count].pc;
		struct hs_step step;
		bool more = hs_step(input, &state, &step);

		for (size_t i = ret->count; i < ret->count + found && i < capacity; i++) {
			frames[i].cfa = step.cfa;
			frames[i].has_cfa = step.has_cfa;
			frames[i].is_signal_frame = step.is_signal_frame;
		}
		ret->count += found < room ? found : room;
		if (found > room) {
			return;
		}
		if (!more || is_loop(&check, pc, step.cfa)) {
			ret->end = more ? HS_UNWIND_END_LOOP : step.end;
			ret->where = more ? 0 : step.where;
			return;
		}
		if (ret->count == capacity) {
			return;
		}
	}
}

const char *hs_unwind_method_text(enum hs_unwind_method method)
{
	static const char *const TEXTS[] = {
		[HS_UNWIND_CPU] = "registers",
		[HS_UNWIND_CFI] = "call-frame information",
		[HS_UNWIND_FRAME_POINTER] = "frame pointer",
		[HS_UNWIND_RETURN_ADDRESS] = "return address",
	};

	return method < sizeof(TEXTS) / sizeof(TEXTS[0]) ? TEXTS[method] : "";
}

const char *hs_unwind_end_text(enum hs_unwind_end end)
{
	static const char *const TEXTS[] = {
		[HS_UNWIND_END_OUTERMOST] = "the outermost frame",
		[HS_UNWIND_END_LIMIT] = "there are more frames",
		[HS_UNWIND_END_LOOP] = "the frames repeat themselves",
		[HS_UNWIND_END_UNREADABLE] = "the stack cannot be read",
		[HS_UNWIND_END_NO_CODE] = "there is no code where the frame would go on",
		[HS_UNWIND_END_NO_CALLER] = "the function has no call-frame information and no frame pointer",
		[HS_UNWIND_END_BROKEN_INFO] = "the call-frame information is broken",
	};

	return end < sizeof(TEXTS) / sizeof(TEXTS[0]) ? TEXTS[end] : "";
}
