/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The loop: from operation to operation until something has to leave the CPU.
 *
 * A row of operations runs without a look at anything but the instruction limit and cpu->attention. In careful mode,
 * and on pages with breakpoints, each instruction is a row of its own, with debug.c's look before it and the traps
 * behind it.
 */
#include "vmm/soft/access.h"
#include "vmm/soft/flags.h"
#include "vmm/soft/handler.h"
#include "vmm/soft/mxcsr.h"
#include "vmm/soft/operand.h"
#include "vmm/soft/x87.h"

#include <string.h>

enum hs_soft_flow hs_soft_leave(struct hs_soft_cpu *cpu, enum hs_exit_kind kind)
{
	cpu->exit = (struct hs_exit){ .kind = kind };
	cpu->why = HS_SOFT_WHY_EXIT;
	return HS_SOFT_FAULT;
}

bool hs_soft_can_go(struct hs_soft_cpu *cpu, uint64_t rip)
{
	bool can = cpu->mode == HS_SOFT_MODE_64 ? hs_soft_canonical(cpu, rip) : rip <= cpu->seg[HS_CS].limit;

	if (!can) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
	}
	return can;
}

enum hs_soft_flow hs_soft_go(struct hs_soft_cpu *cpu, uint64_t rip)
{
	if (!hs_soft_can_go(cpu, rip)) {
		return HS_SOFT_FAULT;
	}
	cpu->r[HS_SOFT_RIP] = rip;
	return HS_SOFT_BRANCH;
}

static void advance(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t next = cpu->r[HS_SOFT_RIP] + op->length;

	cpu->r[HS_SOFT_RIP] = cpu->mode == HS_SOFT_MODE_64 ? next : (uint32_t)next;
}

/* The operation at rip, if it was there before. */
static inline const struct hs_soft_op *known_op(struct hs_soft_cpu *cpu)
{
	uint64_t gva = (cpu->seg_base[HS_CS] + cpu->r[HS_SOFT_RIP]) & cpu->linear_mask;
	const struct hs_soft_jump *jump = &cpu->jumps[gva % HS_SOFT_JUMPS];

	return HS_SOFT_LIKELY(jump->key == (gva ^ cpu->jump_key)) ? jump->op : NULL;
}

/* Whether to look around between two instructions. */
HS_SOFT_INLINE bool has_to_look(struct hs_soft_cpu *cpu, bool limited)
{
	return HS_SOFT_UNLIKELY((limited && cpu->executed >= cpu->limit) ||
				atomic_load_explicit(&cpu->attention, memory_order_relaxed));
}

/*
 * Run a row from op on. HS_SOFT_NEXT when it was left between two instructions. Handlers see rip and the count, and
 * those that change either do not return HS_SOFT_NEXT: so neither is read back from memory between two instructions,
 * which would have each wait for the one before.
 */
HS_SOFT_INLINE enum hs_soft_flow run_row(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool limited)
{
	uint64_t rip = cpu->r[HS_SOFT_RIP];
	uint64_t executed = cpu->executed;
	enum hs_soft_flow flow;

	for (;;) {
		flow = op->execute(cpu, op);
		if (HS_SOFT_UNLIKELY(flow != HS_SOFT_NEXT)) {
			break;
		}
		rip += op->length;
		executed++;
		cpu->r[HS_SOFT_RIP] = rip;
		cpu->executed = executed;
		if (has_to_look(cpu, limited)) {
			break;
		}
		op++;
	}
	if (flow != HS_SOFT_FAULT && flow != HS_SOFT_AGAIN && flow != HS_SOFT_NEXT) {
		cpu->executed++;
		cpu->repeat_at = flow == HS_SOFT_REPEAT ? cpu->executed : UINT64_MAX;
	}
	if (cpu->mode != HS_SOFT_MODE_64) {
		cpu->r[HS_SOFT_RIP] = (uint32_t)cpu->r[HS_SOFT_RIP];
	}
	return flow;
}

/*
 * Run rows, one after the other while branches lead to code that is known. What begins careful mode asks for attention,
 * so it need not be looked at. `limited`: there is a limit on instructions; a constant, as without that look they are
 * executed a tenth faster.
 */
HS_SOFT_INLINE enum hs_soft_flow run_rows(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool limited)
{
	enum hs_soft_flow flow;

	do {
		flow = run_row(cpu, op, limited);
		if (HS_SOFT_UNLIKELY(flow != HS_SOFT_BRANCH && flow != HS_SOFT_AGAIN) || has_to_look(cpu, limited)) {
			break;
		}
		op = known_op(cpu);
	} while (op);
	return flow;
}

/* One instruction with everything that may happen behind it. */
static enum hs_soft_flow run_one(struct hs_soft_cpu *cpu, const struct hs_soft_op *op)
{
	uint64_t rflags = cpu->rflags; /* RF and TF are what counts */
	bool shadow = cpu->shadow;
	enum hs_soft_flow flow;

	cpu->shadow = false;
	cpu->tf_has_told = false;
	cpu->rflags &= ~(uint64_t)HS_FLAG_RF; /* iret may set it again */
	flow = op->execute(cpu, op);
	if (flow == HS_SOFT_FAULT || flow == HS_SOFT_AGAIN) {
		cpu->shadow = shadow;
		cpu->rflags |= rflags & HS_FLAG_RF;
		return flow;
	}
	cpu->executed++;
	if (flow == HS_SOFT_NEXT) {
		advance(cpu, op);
	}
	hs_soft_behind(cpu, rflags, flow == HS_SOFT_REPEAT);
	return flow;
}

/* The operation at rip; *ret_one: it is to be run alone. NULL for a fault: breakpoints come before those of the fetch
 * (SDM vol. 3A, 6.9). */
static const struct hs_soft_op *next_op(struct hs_soft_cpu *cpu, bool *ret_one)
{
	uint64_t gva = (cpu->seg_base[HS_CS] + cpu->r[HS_SOFT_RIP]) & cpu->linear_mask;
	const struct hs_soft_op *op = cpu->careful ? NULL : known_op(cpu);

	*ret_one = false;
	if (HS_SOFT_LIKELY(op)) {
		return op;
	}
	*ret_one = cpu->careful || hs_soft_page_has_breaks(cpu, gva);
	if (*ret_one && !hs_soft_before(cpu)) {
		return NULL;
	}
	op = hs_soft_look_up(cpu);
	if (op && !*ret_one && !hs_soft_is_straddler(cpu, op)) {
		cpu->jumps[gva % HS_SOFT_JUMPS] = (struct hs_soft_jump){ gva ^ cpu->jump_key, op };
		hs_soft_use(cpu->jumps_used, gva % HS_SOFT_JUMPS);
	}
	return op;
}

static bool finish(struct hs_soft_cpu *cpu, enum hs_exit_kind kind)
{
	cpu->exit = (struct hs_exit){ .kind = kind };
	return false;
}

static bool report_watch(struct hs_soft_cpu *cpu)
{
	cpu->watch_hit = false;
	finish(cpu, HS_EXIT_WATCH);
	cpu->exit.watch = cpu->watch_index;
	return false;
}

/* Between two instructions. False when cpu->exit is to be returned. A trap belongs to the instruction before it: steps
 * end behind its delivery. */
static bool look_around(struct hs_soft_cpu *cpu)
{
	unsigned int attention = atomic_load_explicit(&cpu->attention, memory_order_relaxed);

	if (attention & ~(unsigned int)HS_SOFT_INTERRUPT) {
		atomic_fetch_and_explicit(&cpu->attention, HS_SOFT_INTERRUPT, memory_order_relaxed);
	}
	if (cpu->watch_hit) {
		return report_watch(cpu);
	}
	if (cpu->trap_dr6 && !cpu->shadow) {
		if (!hs_soft_deliver_trap(cpu)) {
			return false;
		}
		if (cpu->watch_hit) {
			return report_watch(cpu);
		}
	}
	if (cpu->executed >= cpu->limit) {
		return finish(cpu, HS_EXIT_STEPPED);
	}
	if (attention & HS_SOFT_INTERRUPT) {
		atomic_fetch_and_explicit(&cpu->attention, ~(unsigned int)HS_SOFT_INTERRUPT, memory_order_relaxed);
		return finish(cpu, HS_EXIT_INTERRUPTED);
	}
	return true;
}

/* An instruction was not executed. What it has touched on the way does not count, unless it goes on when the exit has
 * been dealt with. `held` is of the mov ss before it. False when cpu->exit is to be returned. */
static bool handle_fault(struct hs_soft_cpu *cpu, uint64_t held)
{
	if (!cpu->pending_in.active) {
		cpu->watch_hit = false;
		cpu->trap_dr6 = held;
	}
	if (cpu->why == HS_SOFT_WHY_EXIT) {
		return false;
	}
	cpu->shadow = false;
	if (held) {
		hs_soft_attend(cpu, HS_SOFT_TRAP);
	}
	return hs_soft_deliver(cpu);
}

static inline enum hs_soft_flow run_from(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, bool one)
{
	if (one) {
		return run_one(cpu, op);
	}
	return HS_SOFT_LIKELY(cpu->limit == UINT64_MAX) ? run_rows(cpu, op, false) : run_rows(cpu, op, true);
}

/* Run until cpu->exit says why not. */
static void run(struct hs_soft_cpu *cpu)
{
	for (;;) {
		const struct hs_soft_op *op;
		enum hs_soft_flow flow;
		uint64_t held;
		bool one;

		if (HS_SOFT_UNLIKELY(cpu->executed >= cpu->limit ||
				     atomic_load_explicit(&cpu->attention, memory_order_relaxed))) {
			if (!look_around(cpu)) {
				return;
			}
			if (cpu->trap_dr6 && !cpu->shadow) {
				continue; /* the frame of a #DB was pushed to where DR0-3 watch */
			}
		}
		held = cpu->trap_dr6;
		op = next_op(cpu, &one);
		if (HS_SOFT_UNLIKELY(!op)) {
			flow = HS_SOFT_FAULT;
		} else {
			flow = run_from(cpu, op, one);
		}
		if (HS_SOFT_UNLIKELY(flow == HS_SOFT_EXIT)) {
			return;
		}
		if (HS_SOFT_UNLIKELY(flow == HS_SOFT_FAULT) && !handle_fault(cpu, held)) {
			return;
		}
	}
}

enum hs_status hs_soft_run(struct hs_backend *backend, struct hs_exit *ret, struct hs_error *err)
{
	struct hs_soft_cpu *cpu = &backend->cpu;
	uint64_t steps = cpu->debugger.instructions ? cpu->debugger.instructions : 1;

	(void)err;
	hs_soft_check_leaves(cpu);
	hs_soft_finish_in(cpu);
	if (cpu->trap_dr6) {
		hs_soft_attend(cpu, HS_SOFT_TRAP); /* it came with the last exit */
	}
	cpu->limit = cpu->debugger.step && steps < UINT64_MAX - cpu->executed ? cpu->executed + steps : UINT64_MAX;
	run(cpu);
	hs_soft_mxcsr_return(cpu);
	hs_soft_x87_park(cpu);
	*ret = cpu->exit;
	return HS_OK;
}
