/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Task switches outside long mode (SDM vol. 3A 7): by far jumps and calls, task gates, and iret with NT.
 *
 * Up to a point everything is checked and nothing changes; there the old task is saved and the new one's registers
 * are loaded, and what goes wrong with its segments after that is an exception of the new task (7.3). A task of
 * virtual-8086 mode is refused with #TS.
 */
#include "vmm/soft/flags.h"
#include "vmm/soft/segment.h"

#include "base/bytes.h"
#include "vmm/tss32.h"

#define TSS_BYTES_MAX HS_TSS_BYTES
#define TSS_TRAP 100u /* bit 0 of a 32-bit TSS: #DB in the new task */
#define DR6_BT (1u << 15)
#define DR7_LOCAL 0x155u /* L0 to L3, LE */

#define FLAGS_ALWAYS 2u
#define FLAGS_KNOWN 0x3f7fd7u

/* Where a TSS has what (SDM vol. 3A figures 7-2, 7-10). The general and segment registers stand in a row each. */
struct layout {
	uint8_t word; /* bytes of a field */
	uint8_t bytes;
	uint8_t ip, flags, gpr, seg, segs, ldt;
};

static const struct layout layouts[] = {
	{ .word = 2, .bytes = 44, .ip = 14, .flags = 16, .gpr = 18, .seg = 34, .segs = 4, .ldt = 42 },
	{
		.word = 4,
		.bytes = HS_TSS_BYTES,
		.ip = HS_TSS32_EIP,
		.flags = HS_TSS32_EFLAGS,
		.gpr = HS_TSS32_GPR,
		.seg = HS_TSS32_SEG,
		.segs = 6,
		.ldt = HS_TSS32_LDT,
	},
};

static const struct layout *layout_of(const struct hs_segment *tss)
{
	return &layouts[tss->type & HS_SOFT_TYPE_32 ? 1 : 0];
}

/* A switch under way. */
struct task {
	struct hs_soft_descriptor tss;
	const struct layout *layout;
	uint8_t bytes[TSS_BYTES_MAX];
};

static bool find_selector(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request, uint16_t *ret)
{
	const struct hs_segment *tr = &cpu->seg[HS_TR];
	uint8_t bytes[2];

	if (request->cause != HS_SOFT_TASK_RETURN) {
		*ret = request->selector;
		return true;
	}
	if (!hs_soft_system_load(cpu, hs_soft_system_gva(cpu, tr->base, HS_TSS32_BACK_LINK), sizeof(bytes), bytes)) {
		return false;
	}
	*ret = hs_get_le16(bytes);
	return true;
}

/* The new TSS: available, or busy for a return to it. */
static bool find_task(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request, struct task *ret)
{
	bool is_return = request->cause == HS_SOFT_TASK_RETURN;
	uint8_t vector = is_return ? HS_VECTOR_TS : HS_VECTOR_GP;
	const struct hs_segment *tss = &ret->tss.segment;
	uint16_t selector;
	uint8_t type;

	if (!find_selector(cpu, request, &selector)) {
		return false;
	}
	if (hs_soft_is_null(selector) || (selector & HS_SELECTOR_TI)) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	if (!hs_soft_read_descriptor(cpu, selector, vector, &ret->tss)) {
		return false;
	}
	type = is_return ? tss->type & ~HS_SOFT_TYPE_BUSY : tss->type;
	if (tss->s || (type != HS_SOFT_TYPE_TSS && type != HS_SOFT_TYPE_TSS16) ||
	    (is_return && !(tss->type & HS_SOFT_TYPE_BUSY))) {
		return hs_soft_refuse(cpu, vector, selector);
	}
	if (!tss->present) {
		return hs_soft_refuse(cpu, HS_VECTOR_NP, selector);
	}
	ret->layout = layout_of(tss);
	return tss->limit >= ret->layout->bytes - 1u || hs_soft_refuse(cpu, HS_VECTOR_TS, selector);
}

/* Whether everything that is written to memory can be, and the new task's registers. */
static bool check_memory(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request,
			 const struct hs_soft_descriptor *old, struct task *task)
{
	const struct layout *layout = layout_of(&cpu->seg[HS_TR]);
	uint64_t old_tss = hs_soft_system_gva(cpu, cpu->seg[HS_TR].base, layout->ip);
	uint64_t new_tss = hs_soft_system_gva(cpu, task->tss.segment.base, 0);
	bool links = request->cause == HS_SOFT_TASK_CALL || request->cause == HS_SOFT_TASK_EVENT;

	return hs_soft_linear_check(cpu, HS_SOFT_SUPERVISOR, old_tss, layout->ldt - layout->ip, HS_PROT_WRITE) &&
	       hs_soft_check_type(cpu, old) && hs_soft_check_type(cpu, &task->tss) &&
	       (!links || hs_soft_linear_check(cpu, HS_SOFT_SUPERVISOR, new_tss, 2, HS_PROT_WRITE)) &&
	       hs_soft_linear_load(cpu, HS_SOFT_SUPERVISOR, new_tss, task->layout->bytes, task->bytes);
}

static uint64_t field(const struct task *task, unsigned int offset)
{
	return hs_get_le(task->bytes + offset, task->layout->word);
}

/* ip, flags, general and segment registers of the present task into its TSS, which hold together. */
static void save_task(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request)
{
	const struct layout *layout = layout_of(&cpu->seg[HS_TR]);
	uint64_t gva = hs_soft_system_gva(cpu, cpu->seg[HS_TR].base, layout->ip);
	unsigned int length = layout->ldt - layout->ip;
	uint8_t bytes[TSS_BYTES_MAX] = { 0 };

	/* The upper halves of selectors are reserved, and stay. */
	(void)!hs_soft_linear_load(cpu, HS_SOFT_SUPERVISOR, gva, length, bytes + layout->ip);
	hs_put_le(bytes + layout->ip, request->rip, layout->word);
	hs_put_le(bytes + layout->flags, request->rflags, layout->word);
	for (unsigned int i = 0; i < 8; i++) {
		hs_put_le(bytes + layout->gpr + i * layout->word, cpu->r[i], layout->word);
	}
	for (unsigned int i = 0; i < layout->segs; i++) {
		hs_put_le16(bytes + layout->seg + i * layout->word, cpu->seg[i].selector);
	}
	(void)!hs_soft_linear_store(cpu, HS_SOFT_SUPERVISOR, gva, length, bytes + layout->ip);
}

/* Busy bits and the back link. */
static void link_tasks(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request,
		       const struct hs_soft_descriptor *old, const struct task *task)
{
	bool nests = request->cause == HS_SOFT_TASK_CALL || request->cause == HS_SOFT_TASK_EVENT;
	uint64_t new_tss = hs_soft_system_gva(cpu, task->tss.segment.base, HS_TSS32_BACK_LINK);
	uint8_t link[2];

	if (nests) {
		hs_put_le16(link, cpu->seg[HS_TR].selector);
		(void)!hs_soft_linear_store(cpu, HS_SOFT_SUPERVISOR, new_tss, sizeof(link), link);
	} else {
		hs_soft_set_type(cpu, old, old->segment.type & ~HS_SOFT_TYPE_BUSY);
	}
	if (request->cause != HS_SOFT_TASK_RETURN) {
		hs_soft_set_type(cpu, &task->tss, task->tss.segment.type | HS_SOFT_TYPE_BUSY);
	}
}

/* Everything but what descriptors are needed for: the segments are unusable, with their selectors. */
static void load_registers(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request, const struct task *task)
{
	const struct layout *layout = task->layout;
	bool nests = request->cause == HS_SOFT_TASK_CALL || request->cause == HS_SOFT_TASK_EVENT;
	uint64_t upper = layout->word == 2 ? 0xffff0000 : 0;

	cpu->seg[HS_TR] = task->tss.segment;
	cpu->seg[HS_TR].type |= HS_SOFT_TYPE_BUSY;
	cpu->cr0 |= HS_CR0_TS;
	cpu->dr[7] &= ~(uint64_t)DR7_LOCAL;
	for (unsigned int i = 0; i < 8; i++) {
		cpu->r[i] = upper | field(task, layout->gpr + i * layout->word);
	}
	for (unsigned int i = 0; i < 6; i++) {
		uint16_t selector = i < layout->segs ? (uint16_t)field(task, layout->seg + i * layout->word) : 0;

		cpu->seg[i] = (struct hs_segment){ .selector = selector, .unusable = 1 };
	}
	cpu->seg[HS_LDTR] = (struct hs_segment){ .selector = (uint16_t)field(task, layout->ldt), .unusable = 1 };
	cpu->r[HS_SOFT_RIP] = field(task, layout->ip);
	hs_soft_set_rflags(cpu, (field(task, layout->flags) & FLAGS_KNOWN & ~(uint64_t)HS_FLAG_VM) |
					(nests ? HS_FLAG_NT : 0) | FLAGS_ALWAYS);
	cpu->cpl = cpu->seg[HS_CS].selector & HS_SELECTOR_RPL;
	cpu->seg[HS_SS].dpl = cpu->cpl;
	cpu->shadow = false;
	if (cpu->paging && layout->word == 4) {
		cpu->cr3 = hs_get_le32(task->bytes + HS_TSS32_CR3);
		hs_soft_flush(cpu);
	}
	hs_soft_refresh(cpu);
}

static bool load_ldt(struct hs_soft_cpu *cpu)
{
	uint16_t selector = cpu->seg[HS_LDTR].selector;
	struct hs_soft_descriptor found;

	if (hs_soft_is_null(selector)) {
		return true;
	}
	if (selector & HS_SELECTOR_TI) {
		return hs_soft_refuse(cpu, HS_VECTOR_TS, selector);
	}
	if (!hs_soft_read_descriptor(cpu, selector, HS_VECTOR_TS, &found)) {
		return false;
	}
	if (found.segment.s || found.segment.type != HS_SOFT_TYPE_LDT || !found.segment.present) {
		return hs_soft_refuse(cpu, HS_VECTOR_TS, selector);
	}
	cpu->seg[HS_LDTR] = found.segment;
	return true;
}

static bool take(struct hs_soft_cpu *cpu, unsigned int seg, const struct hs_soft_descriptor *found)
{
	if (!hs_soft_check_accessed(cpu, found)) {
		return false;
	}
	hs_soft_set_accessed(cpu, found);
	cpu->seg[seg] = found->segment;
	hs_soft_refresh(cpu);
	return true;
}

/* SDM vol. 3A table 7-1, in its order. */
static bool load_segments(struct hs_soft_cpu *cpu)
{
	static const uint8_t data[] = { HS_DS, HS_ES, HS_FS, HS_GS };
	struct hs_soft_descriptor found;
	const struct hs_segment *cs = &found.segment;
	unsigned int cpl = cpu->cpl;
	bool may;

	if (!load_ldt(cpu) || !hs_soft_read_code(cpu, cpu->seg[HS_CS].selector, HS_VECTOR_TS, &found)) {
		return false;
	}
	may = hs_soft_is_conforming(cs) ? cs->dpl <= cpl : cs->dpl == cpl;
	if (!hs_soft_accept_code(cpu, may, cpl, HS_VECTOR_TS, &found) || !take(cpu, HS_CS, &found)) {
		return false;
	}
	if (!hs_soft_find_stack(cpu, cpu->seg[HS_SS].selector, cpl, HS_VECTOR_TS, false, &found) ||
	    !take(cpu, HS_SS, &found)) {
		return false;
	}
	for (size_t i = 0; i < sizeof(data); i++) {
		if (!hs_soft_find_data(cpu, cpu->seg[data[i]].selector, cpl, HS_VECTOR_TS, &found) ||
		    !take(cpu, data[i], &found)) {
			return false;
		}
	}
	return true;
}

/* The new task's stack, and whether it can run at its eip at all. */
static bool start_task(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request, const struct task *task)
{
	struct hs_soft_frame frame = { .bytes = task->layout->word };
	struct hs_soft_stack stack;

	if (request->has_error_code) {
		hs_soft_present_stack(cpu, false, &stack);
		hs_soft_frame_add(&frame, request->error_code);
		if (!hs_soft_check_frame(cpu, &stack, &frame)) {
			return false;
		}
		hs_soft_push_frame(cpu, &stack, &frame);
		cpu->r[HS_RSP] = stack.sp;
	}
	if (cpu->r[HS_SOFT_RIP] > cpu->seg[HS_CS].limit) {
		hs_soft_raise(cpu, HS_VECTOR_GP, 0);
		return false;
	}
	if (task->layout->word == 4 && (task->bytes[TSS_TRAP] & 1)) {
		cpu->trap_dr6 |= DR6_BT;
		hs_soft_attend(cpu, HS_SOFT_TRAP);
	}
	return true;
}

bool hs_soft_switch_task(struct hs_soft_cpu *cpu, const struct hs_soft_task_switch *request)
{
	const struct hs_segment *tr = &cpu->seg[HS_TR];
	struct hs_soft_descriptor old;
	struct task task;

	if (tr->unusable || tr->limit < layout_of(tr)->bytes - 1u) {
		return hs_soft_refuse(cpu, HS_VECTOR_TS, tr->selector);
	}
	if (!find_task(cpu, request, &task) || !hs_soft_read_descriptor(cpu, tr->selector, HS_VECTOR_TS, &old) ||
	    !check_memory(cpu, request, &old, &task)) {
		return false;
	}
	if (task.layout->word == 4 && (field(&task, task.layout->flags) & HS_FLAG_VM)) {
		return hs_soft_refuse(cpu, HS_VECTOR_TS, task.tss.segment.selector);
	}
	save_task(cpu, request);
	link_tasks(cpu, request, &old, &task);
	load_registers(cpu, request, &task);
	return load_segments(cpu) && start_task(cpu, request, &task);
}
