/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From one frame to its caller, or to the code that it interrupted. */
#ifndef HS_SYMBOLS_STEP_H
#define HS_SYMBOLS_STEP_H

#include "symbols/unwind.h"

/** A frame. */
struct hs_step_state {
	struct hs_unwind_registers registers;
	bool is_return; /* pc is where a call returns to, which may be in the next line or function already */
	enum hs_unwind_method method;
};

/** What was found about the frame that was left. */
struct hs_step {
	uint64_t cfa;
	bool has_cfa, is_signal_frame;
	enum hs_unwind_end end; /* only when there is no further frame */
	uint64_t where;
};

/** The DWARF number of the return address, which is a frame's pc. */
static inline unsigned int hs_step_pc(enum hs_arch arch)
{
	return arch == HS_ARCH_AMD64 ? 16 : 8;
}

/** Leave a frame: *state becomes the next one. False when there is none; *ret is filled either way. */
bool hs_step(const struct hs_unwind_input *input, struct hs_step_state *state, struct hs_step *ret);

#endif
