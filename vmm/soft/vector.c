/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Vector instructions that run on the host's CPU: what is around the thunk. Whether they may be executed, their memory,
 * the exceptions that MXCSR does not mask, and where the results go.
 *
 * Of an operation here, `immediate` is the thunk, `bytes` the width of the operand in memory, and `aux` the rest.
 */
#include "vmm/soft/isa.h"
#include "vmm/soft/mxcsr.h"
#include "vmm/soft/thunk.h"
#include "vmm/soft/vector.h"

/* op->aux behind HS_SOFT_AUX_ALIGNMENT: enum hs_soft_thunk_trait, which operand is a general register. */
#define AUX_TRAITS_AT 8
#define AUX_VALUE_AT 16
#define AUX_COMPUTES (1u << 24) /* with MXCSR */
#define AUX_VEX (1u << 25)

#define MEMORY_MAX 32u

/* ---- Memory ---- */

/* Only operands that need not be aligned may raise #AC. */
static bool linear_of(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, int prot, uint64_t *ret)
{
	uint64_t offset = hs_soft_ea(cpu, op);
	uint32_t bits = op->aux & HS_SOFT_AUX_ALIGNMENT;

	return bits ? hs_soft_linear_aligned(cpu, op->segment, offset, op->bytes, bits + 1, prot, ret)
		    : hs_soft_linear(cpu, op->segment, offset, op->bytes, prot, ret);
}

static __attribute__((noinline)) uint8_t *load_slowly(struct hs_soft_cpu *cpu, const struct hs_soft_op *op,
						      uint8_t *buffer)
{
	uint64_t gva;

	return linear_of(cpu, op, HS_PROT_READ, &gva) && hs_soft_linear_load(cpu, cpu->space, gva, op->bytes, buffer)
		       ? buffer
		       : NULL;
}

/* The operand's bytes: the guest's memory itself, or the buffer that they were read to. NULL: a fault. */
HS_SOFT_INLINE uint8_t *source(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint8_t *buffer)
{
	uint8_t *memory = hs_soft_vector_direct(cpu, op, op->bytes, HS_PROT_READ);

	return HS_SOFT_LIKELY(memory) ? memory : load_slowly(cpu, op, buffer);
}

/* ---- The usual ones ---- */

HS_SOFT_INLINE hs_soft_thunk_fn *thunk_of(const struct hs_soft_op *op)
{
	return (hs_soft_thunk_fn *)(uintptr_t)op->immediate;
}

HS_SOFT_INLINE uint8_t *place(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int i)
{
	return hs_soft_xmm(cpu, op->operand[i].reg);
}

HS_SOFT_INLINE bool is_usable(struct hs_soft_cpu *cpu, bool vex)
{
	return vex ? hs_soft_avx_usable(cpu) : hs_soft_sse_usable(cpu);
}

HS_SOFT_INLINE void mark(struct hs_soft_cpu *cpu, bool vex)
{
	hs_soft_mark_component(cpu, HS_SOFT_SSE);
	if (vex) {
		hs_soft_mark_component(cpu, HS_SOFT_AVX);
	}
}

HS_SOFT_INLINE bool has(const struct hs_soft_op *op, enum hs_soft_thunk_trait trait)
{
	return op->aux & (uint32_t)trait << AUX_TRAITS_AT;
}

HS_SOFT_INLINE const struct hs_soft_operand *value_of(const struct hs_soft_op *op)
{
	return &op->operand[op->aux >> AUX_VALUE_AT & 3];
}

HS_SOFT_INLINE uint64_t call(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool vex, uint8_t *memory,
			     struct hs_soft_scalars *scalars)
{
	/* Without VEX a third operand is an immediate, and what is implied is xmm0. */
	return thunk_of(op)(place(cpu, op, 0), place(cpu, op, 1), vex ? place(cpu, op, 2) : NULL,
			    vex ? place(cpu, op, 3) : hs_soft_xmm(cpu, 0), memory, scalars);
}

/* With a general register or the status flags. */
HS_SOFT_INLINE void call_with_scalars(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool vex, uint8_t *memory)
{
	struct hs_soft_scalars scalars;
	uint64_t flags;

	scalars.value = cpu->r[value_of(op)->reg];
	flags = call(cpu, op, vex, memory, &scalars);
	if (has(op, HS_SOFT_THUNK_WRITES_FLAGS)) {
		hs_soft_set_status(cpu, flags & HS_FLAG_STATUS);
	} else if (has(op, HS_SOFT_THUNK_WRITES_VALUE)) {
		hs_soft_set_reg(cpu, value_of(op)->reg, value_of(op)->bytes, scalars.value);
	}
}

/* What compute() does: constants. */
enum {
	VEX = 1,
	COMPUTES = 2, /* with MXCSR */
	LOADS = 4,
	SCALARS = 8,
};

/* Registers, flags, and memory that is read. */
HS_SOFT_INLINE enum hs_soft_flow compute(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, unsigned int what)
{
	_Alignas(MEMORY_MAX) uint8_t buffer[MEMORY_MAX];
	uint8_t *memory = NULL;

	if (!is_usable(cpu, what & VEX)) {
		return HS_SOFT_FAULT;
	}
	if ((what & COMPUTES) && HS_SOFT_UNLIKELY(!hs_soft_mxcsr_ready(cpu))) {
		return hs_soft_execute_vector(cpu, op);
	}
	if (what & LOADS) {
		memory = source(cpu, op, buffer);
		if (HS_SOFT_UNLIKELY(!memory)) {
			return HS_SOFT_FAULT;
		}
	}
	if (what & SCALARS) {
		call_with_scalars(cpu, op, what & VEX, memory);
	} else {
		(void)call(cpu, op, what & VEX, memory, NULL);
	}
	mark(cpu, what & VEX);
	return HS_SOFT_NEXT;
}

/* Named by their bits. */
HS_SOFT_HANDLER(0, compute(cpu, op, 0))
HS_SOFT_HANDLER(1, compute(cpu, op, 1))
HS_SOFT_HANDLER(2, compute(cpu, op, 2))
HS_SOFT_HANDLER(3, compute(cpu, op, 3))
HS_SOFT_HANDLER(4, compute(cpu, op, 4))
HS_SOFT_HANDLER(5, compute(cpu, op, 5))
HS_SOFT_HANDLER(6, compute(cpu, op, 6))
HS_SOFT_HANDLER(7, compute(cpu, op, 7))
HS_SOFT_HANDLER(8, compute(cpu, op, 8))
HS_SOFT_HANDLER(9, compute(cpu, op, 9))
HS_SOFT_HANDLER(10, compute(cpu, op, 10))
HS_SOFT_HANDLER(11, compute(cpu, op, 11))
HS_SOFT_HANDLER(12, compute(cpu, op, 12))
HS_SOFT_HANDLER(13, compute(cpu, op, 13))
HS_SOFT_HANDLER(14, compute(cpu, op, 14))
HS_SOFT_HANDLER(15, compute(cpu, op, 15))

/* Registers that are stored, and nothing else. */
static enum hs_soft_flow execute_store(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint8_t *memory;

	if (!is_usable(cpu, op->aux & AUX_VEX)) {
		return HS_SOFT_FAULT;
	}
	memory = hs_soft_vector_direct(cpu, op, op->bytes, HS_PROT_WRITE);
	if (HS_SOFT_UNLIKELY(!memory)) {
		return hs_soft_execute_vector(cpu, op);
	}
	(void)call(cpu, op, op->aux & AUX_VEX, memory, NULL);
	return HS_SOFT_NEXT;
}

/* ---- All others ---- */

struct call {
	_Alignas(MEMORY_MAX) uint8_t buffer[MEMORY_MAX];
	uint8_t *vector[HS_SOFT_OPERANDS];
	uint8_t *memory;
	struct hs_soft_scalars scalars;
	uint64_t flags;
	/* A register that is written only if no exception comes: both halves, as far apart as in xsave. */
	uint8_t copy[HS_SOFT_HIGH_HALF + 16];
};

static void call_thunk(const struct hs_soft_op *op, struct call *call)
{
	call->flags = thunk_of(op)(call->vector[0], call->vector[1], call->vector[2], call->vector[3], call->memory,
				   &call->scalars);
}

/* The exceptions that it meets with this control word. */
static uint32_t flags_under(const struct hs_soft_op *op, struct call *call, uint32_t control)
{
	uint32_t host = hs_soft_mxcsr_begin_masked(control);

	call_thunk(op, call);
	return hs_soft_mxcsr_end_masked(host);
}

static void copy_register(uint8_t *to, const uint8_t *from, bool vex)
{
	memcpy(to, from, 16);
	if (vex) {
		memcpy(to + HS_SOFT_HIGH_HALF, from + HS_SOFT_HIGH_HALF, 16);
	}
}

/*
 * With exceptions that are not masked. Underflow, if it is one of them, is met when the result is tiny, inexact or not
 * (SDM vol. 1 4.9.1.5), which flushing to zero shows. Flags are set, and nothing else is.
 */
static bool call_unmasked(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct call *call)
{
	uint32_t control = hs_soft_mxcsr_get(cpu);
	uint8_t *written = call->vector[0];
	bool vex = op->aux & AUX_VEX;
	uint32_t flags = 0;

	copy_register(call->copy, written, vex);
	call->vector[0] = call->copy;
	if (hs_soft_mxcsr_unmasked(control) & HS_SOFT_MXCSR_UNDERFLOW) {
		flags = flags_under(op, call, control | HS_SOFT_MXCSR_FTZ) & HS_SOFT_MXCSR_UNDERFLOW;
		control &= ~HS_SOFT_MXCSR_FTZ;
		copy_register(call->copy, written, vex);
	}
	if (!hs_soft_mxcsr_meet(cpu, flags | flags_under(op, call, control))) {
		return false;
	}
	copy_register(written, call->copy, vex);
	return true;
}

/* Read what it reads, and see that what it writes can be written. */
static bool prepare(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, struct call *call)
{
	unsigned int traits = op->aux >> AUX_TRAITS_AT;
	uint64_t gva;

	for (unsigned int i = 0; i < HS_SOFT_OPERANDS; i++) {
		call->vector[i] = place(cpu, op, i);
	}
	call->memory = call->buffer;
	if (traits & HS_SOFT_THUNK_READS_MEMORY) {
		call->memory = source(cpu, op, call->buffer);
	}
	if (!call->memory) {
		return false;
	}
	if (traits & HS_SOFT_THUNK_READS_VALUE) {
		(void)hs_soft_get(cpu, op, op->aux >> AUX_VALUE_AT & 3, &call->scalars.value);
	}
	call->scalars.lengths[0] = cpu->r[HS_RAX];
	call->scalars.lengths[1] = cpu->r[HS_RDX];
	return !(traits & HS_SOFT_THUNK_WRITES_MEMORY) ||
	       (linear_of(cpu, op, HS_PROT_WRITE, &gva) &&
		hs_soft_linear_check(cpu, cpu->space, gva, op->bytes, HS_PROT_WRITE));
}

/* What is not in vector registers. */
static bool finish(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, const struct call *call)
{
	unsigned int traits = op->aux >> AUX_TRAITS_AT;

	if (traits & HS_SOFT_THUNK_WRITES_MEMORY) {
		return hs_soft_store_bytes(cpu, op->segment, hs_soft_ea(cpu, op), op->bytes, call->buffer);
	}
	if (traits & HS_SOFT_THUNK_WRITES_VECTOR) {
		mark(cpu, op->aux & AUX_VEX);
	}
	if (traits & HS_SOFT_THUNK_WRITES_VALUE) {
		(void)hs_soft_put(cpu, op, op->aux >> AUX_VALUE_AT & 3, call->scalars.value);
	}
	if (traits & HS_SOFT_THUNK_WRITES_INDEX) {
		hs_soft_set_reg(cpu, HS_RCX, 4, call->scalars.index);
	}
	if (traits & HS_SOFT_THUNK_WRITES_FLAGS) {
		hs_soft_set_status(cpu, call->flags & HS_FLAG_STATUS);
	}
	return true;
}

enum hs_soft_flow hs_soft_execute_vector(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	struct call call;

	if (!is_usable(cpu, op->aux & AUX_VEX) || !prepare(cpu, op, &call)) {
		return HS_SOFT_FAULT;
	}
	if (!(op->aux & AUX_COMPUTES) || hs_soft_mxcsr_ready(cpu)) {
		call_thunk(op, &call);
	} else if (!call_unmasked(cpu, op, &call)) {
		return HS_SOFT_FAULT;
	}
	return finish(cpu, op, &call) ? HS_SOFT_NEXT : HS_SOFT_FAULT;
}

/* ---- Selection ---- */

enum hs_soft_flow hs_soft_execute_no_room(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	(void)op;
	hs_soft_leave(cpu, HS_EXIT_INTERNAL);
	cpu->exit.failure = "no memory for native code";
	return HS_SOFT_FAULT;
}

/* Those whose exceptions MXCSR governs; approximations have none but may look at how it treats denormal numbers. */
static bool computes(const ZydisDecodedInstruction *insn)
{
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_RCPPS:
	case ZYDIS_MNEMONIC_RCPSS:
	case ZYDIS_MNEMONIC_RSQRTPS:
	case ZYDIS_MNEMONIC_RSQRTSS:
	case ZYDIS_MNEMONIC_VRCPPS:
	case ZYDIS_MNEMONIC_VRCPSS:
	case ZYDIS_MNEMONIC_VRSQRTPS:
	case ZYDIS_MNEMONIC_VRSQRTSS:
		return true;
	default:
		break;
	}
	switch (insn->meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_SSE2:
	case ZYDIS_EXCEPTION_CLASS_SSE3:
	case ZYDIS_EXCEPTION_CLASS_AVX2:
	case ZYDIS_EXCEPTION_CLASS_AVX3:
	case ZYDIS_EXCEPTION_CLASS_AVX11:
		return true;
	default:
		return false;
	}
}

/* Of the fourth class, but not aligned all the same (SDM vol. 2A table 2-21). */
static bool is_exempt(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM:
		return true;
	default:
		return false;
	}
}

/* Bits of the address that must be zero (SDM vol. 2A 2.4, by classes of exceptions). */
static uint32_t alignment_of(const ZydisDecodedInstruction *insn, unsigned int bytes)
{
	switch (insn->meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_SSE1:
	case ZYDIS_EXCEPTION_CLASS_SSE2:
	case ZYDIS_EXCEPTION_CLASS_SSE4:
		return bytes == 16 && !is_exempt(insn->mnemonic) ? 15 : 0;
	case ZYDIS_EXCEPTION_CLASS_AVX1:
		return bytes - 1;
	default:
		return 0;
	}
}

static hs_soft_handler *handler_for(unsigned int traits, bool vex, bool computing)
{
	/* By the bits of what compute() does. */
	static hs_soft_handler *const handlers[] = {
		execute_0, execute_1, execute_2,  execute_3,  execute_4,  execute_5,  execute_6,  execute_7,
		execute_8, execute_9, execute_10, execute_11, execute_12, execute_13, execute_14, execute_15,
	};
	const unsigned int scalars = HS_SOFT_THUNK_WRITES_FLAGS | HS_SOFT_THUNK_READS_VALUE |
				     HS_SOFT_THUNK_WRITES_VALUE;

	if (traits == HS_SOFT_THUNK_WRITES_MEMORY && !computing) {
		return execute_store;
	}
	if (traits & (HS_SOFT_THUNK_WRITES_MEMORY | HS_SOFT_THUNK_READS_LENGTHS | HS_SOFT_THUNK_WRITES_INDEX)) {
		return hs_soft_execute_vector;
	}
	return handlers[(vex ? VEX : 0) | (computing ? COMPUTES : 0) |
			(traits & HS_SOFT_THUNK_READS_MEMORY ? LOADS : 0) | (traits & scalars ? SCALARS : 0)];
}

bool hs_soft_select_vector(const struct hs_soft_decoded *decoded, struct hs_soft_op *op)
{
	const ZydisDecodedInstruction *insn = &decoded->insn;
	bool vex = insn->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
	bool computing = computes(insn);
	struct hs_soft_thunk thunk;
	enum hs_soft_thunk_end end;

	/* Instructions of these sets that have no vectors, and those of MMX, are of no class. */
	if (insn->meta.exception_class == ZYDIS_EXCEPTION_CLASS_NONE || !hs_soft_isa_offered(insn->meta.isa_set)) {
		return false;
	}
	end = hs_soft_thunk_make(decoded, &thunk);
	if (end == HS_SOFT_THUNK_REFUSED) {
		return false;
	}
	if (end == HS_SOFT_THUNK_NO_ROOM) {
		op->execute = hs_soft_execute_no_room;
		return true;
	}
	if (thunk.traits & (HS_SOFT_THUNK_READS_MEMORY | HS_SOFT_THUNK_WRITES_MEMORY)) {
		op->bytes = op->operand[thunk.memory].bytes;
	}
	op->aux = alignment_of(insn, op->bytes) | thunk.traits << AUX_TRAITS_AT | thunk.value << AUX_VALUE_AT |
		  (computing ? AUX_COMPUTES : 0) | (vex ? AUX_VEX : 0);
	op->immediate = (uintptr_t)thunk.run;
	op->execute = hs_soft_vector_mover(insn, op);
	if (!op->execute) {
		op->execute = handler_for(thunk.traits, vex, computing);
	}
	return true;
}
