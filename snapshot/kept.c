/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/kept.h"

#include "base/bytes.h"

#define DESCRIPTOR_BYTES 8u

/* Pages below a stack's top: what an exception handler needs before it can tell what has happened, amply. */
#define STACK_BYTES (4 * (uint64_t)HS_PAGE_SIZE)

/* TSSs (SDM vol. 3A figures 7-2 and 7-11): where in them the stacks are that the CPU switches to. */
#define TSS_BYTES 104u
#define TSS32_ESP 56u
#define TSS64_RSP 4u  /* of rings 0 to 2 */
#define TSS64_IST 36u /* IST1 to IST7 */

struct finding {
	const struct hs_snapshot_input *input;
	const struct hs_root *root;
	struct hs_plan_kept *ret;
	size_t count;
};

static bool read_bytes(const struct hs_snapshot_input *input, const struct hs_root *root, uint64_t gva, void *ret,
		       size_t length)
{
	size_t got;

	return hs_vmem_read(input->phys, root, hs_gva_of(gva), ret, length, &got, NULL) == HS_OK && got == length;
}

bool hs_kept_tss32(const struct hs_snapshot_input *input, const struct hs_root *root, uint32_t offset,
		   uint32_t *ret_base)
{
	uint8_t bytes[DESCRIPTOR_BYTES];

	/* Present, a system descriptor, type 9 or 11: an available or a busy 32-bit TSS. */
	if (!read_bytes(input, root, input->cpu->gdt.base + offset, bytes, sizeof(bytes)) ||
	    (bytes[5] & 0x9d) != 0x89) {
		return false;
	}
	*ret_base = bytes[2] | (uint32_t)bytes[3] << 8 | (uint32_t)bytes[4] << 16 | (uint32_t)bytes[7] << 24;
	return true;
}

static void keep(struct finding *finding, uint64_t gva, uint64_t length)
{
	if (finding->count < HS_KEPT_MAX) {
		finding->ret[finding->count++] = (struct hs_plan_kept){ { gva }, length };
	}
}

/* A top of 0 is a field that is not used. */
static void keep_stack(struct finding *finding, uint64_t top)
{
	if (top >= STACK_BYTES) {
		keep(finding, top - STACK_BYTES, STACK_BYTES);
	}
}

static void keep_tss64(struct finding *finding, uint64_t base)
{
	uint8_t bytes[TSS_BYTES];

	keep(finding, base, TSS_BYTES);
	if (!read_bytes(finding->input, finding->root, base, bytes, sizeof(bytes))) {
		return;
	}
	for (unsigned int i = 0; i < 3; i++) {
		keep_stack(finding, hs_get_le64(bytes + TSS64_RSP + 8 * i));
	}
	for (unsigned int i = 0; i < 7; i++) {
		keep_stack(finding, hs_get_le64(bytes + TSS64_IST + 8 * i));
	}
}

static void keep_tss32(struct finding *finding, uint32_t base)
{
	uint8_t bytes[TSS_BYTES];

	keep(finding, base, TSS_BYTES);
	if (!read_bytes(finding->input, finding->root, base, bytes, sizeof(bytes))) {
		return;
	}
	/* Of rings 0 to 2, each a pointer and a selector; and the one that a task has when it is switched to. */
	for (unsigned int i = 0; i < 3; i++) {
		keep_stack(finding, hs_get_le32(bytes + 4 + 8 * i));
	}
	keep_stack(finding, hs_get_le32(bytes + TSS32_ESP));
}

/* Outside long mode an exception may be a switch to any task of the GDT. */
static void keep_tasks(struct finding *finding)
{
	const struct hs_cpu_state *cpu = finding->input->cpu;

	for (uint32_t at = DESCRIPTOR_BYTES; at + (DESCRIPTOR_BYTES - 1) <= cpu->gdt.limit; at += DESCRIPTOR_BYTES) {
		uint32_t base;

		if (hs_kept_tss32(finding->input, finding->root, at, &base)) {
			keep_tss32(finding, base);
		}
	}
}

size_t hs_kept_find(const struct hs_snapshot_input *input, const struct hs_root *root, struct hs_plan_kept *ret)
{
	const struct hs_cpu_state *cpu = input->cpu;
	struct finding finding = { input, root, ret, 0 };

	keep(&finding, cpu->gdt.base, cpu->gdt.limit + UINT64_C(1));
	if (cpu->seg[HS_LDTR].selector & ~3u) {
		keep(&finding, cpu->seg[HS_LDTR].base, cpu->seg[HS_LDTR].limit + UINT64_C(1));
	}
	keep_stack(&finding, cpu->gpr[HS_RSP] + HS_PAGE_SIZE);
	if (root->format >= HS_PAGING_4LEVEL) {
		keep_tss64(&finding, cpu->seg[HS_TR].base);
	} else {
		keep_tasks(&finding);
	}
	return finding.count;
}
