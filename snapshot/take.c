/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a guest to a snapshot. Beside the parts that the plan makes there is one more, the two pages at the top of
 * scratch: the words that the guest and the host keep there (abi.h), as they are right after a restore.
 */
#include "snapshot/snapshot.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd_io.h"
#include "snapshot/kept.h"

#include <hindsight/abi.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAME "the snapshot's memory"
#define SEAL_TRIES 20u

/* The top pages of scratch: bookkeeping and exception stack, and the guest counter. */
#define TOP_BYTES (2 * (uint64_t)HS_PAGE_SIZE)
/* What must be left of scratch for copies of pages and for tables that the guest makes. */
#define LEAST_FREE_BYTES (16 * (uint64_t)HS_PAGE_SIZE)

/* 32-bit TSSs (SDM vol. 3A 7.2.1 figure 7-2, 3.4.5): CR3 at offset 28, loaded by each switch to the task. */
#define TSS32_CR3 28
#define DESCRIPTOR_BYTES 8

struct making {
	const struct hs_snapshot_input *input;
	struct hs_compact_input compact;
	struct hs_root_pointer *pointers; /* owned */
	struct hs_plan_kept kept[HS_KEPT_MAX];
	struct hs_plan plan;
	uint8_t top[TOP_BYTES];
};

/* Whether a root has this address, whatever flags are in the low bits. */
static bool is_root(const struct hs_snapshot_input *input, uint32_t cr3)
{
	for (uint32_t i = 0; i < input->root_count; i++) {
		if ((input->roots[i].base.v ^ cr3) >> 5 == 0 || (input->roots[i].base.v ^ cr3) >> 12 == 0) {
			return true;
		}
	}
	return false;
}

/* The TSS that a descriptor of the GDT is of, if it is a 32-bit one whose CR3 is a root. */
static bool find_tss(const struct making *making, uint32_t index, struct hs_root_pointer *ret)
{
	const struct hs_snapshot_input *input = making->input;
	const struct hs_root *root = &input->roots[making->compact.current];
	uint8_t cr3[4];
	size_t length;
	uint32_t base;

	if (!hs_kept_tss32(input, root, index * DESCRIPTOR_BYTES, &base)) {
		return false;
	}
	if (hs_vmem_read(input->phys, root, hs_gva_of(base + TSS32_CR3), cr3, sizeof(cr3), &length, NULL) ||
	    length < sizeof(cr3) || !is_root(input, hs_get_le32(cr3))) {
		return false;
	}
	*ret = (struct hs_root_pointer){ .gva = { base + TSS32_CR3 }, .bytes = 4 };
	return true;
}

/* The caller's pointers, and those of TSSs: only outside long mode does a task switch load CR3. */
static enum hs_status find_pointers(struct making *making, struct hs_error *err)
{
	const struct hs_snapshot_input *input = making->input;
	bool tasks = input->roots[making->compact.current].format < HS_PAGING_4LEVEL;
	uint32_t descriptors = tasks ? (input->cpu->gdt.limit + 1u) / DESCRIPTOR_BYTES : 0;
	size_t count = input->pointer_count;

	making->pointers = reallocarray(NULL, count + descriptors + 1, sizeof(*making->pointers));
	if (!making->pointers) {
		return hs_error_os(err, ENOMEM, "cannot take the snapshot");
	}
	if (count > 0) {
		memcpy(making->pointers, input->pointers, count * sizeof(*making->pointers));
	}
	for (uint32_t i = 1; i < descriptors; i++) {
		count += find_tss(making, i, &making->pointers[count]);
	}
	making->compact.pointers = making->pointers;
	making->compact.pointer_count = count;
	return HS_OK;
}

static enum hs_status prepare(struct making *making, struct hs_error *err)
{
	const struct hs_snapshot_input *input = making->input;
	const struct hs_snapshot_guest *guest = input->guest;
	uint64_t buffers = guest->input_bytes + guest->output_bytes;
	uint64_t sp = input->cpu->gpr[HS_RSP];

	if (sp - 1 - input->scratch_gva.v < input->scratch_bytes) {
		return hs_error_set(err, HS_ERR_STATE, 0, sp,
				    "the stack pointer, 0x%llx, is in scratch memory, which a snapshot does not keep",
				    (unsigned long long)sp);
	}
	if (buffers + TOP_BYTES + LEAST_FREE_BYTES >= input->scratch_bytes) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0, "scratch of %llu bytes has no room for page tables",
				    (unsigned long long)input->scratch_bytes);
	}
	making->compact = (struct hs_compact_input){
		.phys = input->phys,
		.roots = input->roots,
		.root_count = input->root_count,
		.current = input->current,
		/* On the host's IDT the guest's handler is not there yet. */
		.cow = (guest->features & HS_FEATURE_COW) && input->cpu->idt.base != guest->boot_idt,
		.gpa = input->gpa,
		.limit = input->limit,
		.tables_gpa = { input->scratch_gpa.v + buffers },
		.tables_limit = input->scratch_bytes - buffers - TOP_BYTES - LEAST_FREE_BYTES,
		.scratch_gpa = input->scratch_gpa,
		.scratch_gva = input->scratch_gva,
		.scratch_bytes = input->scratch_bytes,
		.budget = input->budget,
	};
	if (making->compact.cow) {
		making->compact.kept = making->kept;
		making->compact.kept_count = hs_kept_find(input, &input->roots[input->current], making->kept);
	}
	return HS_OK;
}

static void put_word(struct making *making, unsigned int offset, uint64_t value)
{
	hs_put_le64(making->top + TOP_BYTES - offset, value);
}

/* The words of the top pages: those that the guest has, and what a restore makes of the others. */
static enum hs_status fill_top(struct making *making, struct hs_error *err)
{
	const struct hs_snapshot_input *input = making->input;
	uint64_t end = input->scratch_gpa.v + input->scratch_bytes;
	uint64_t tables = making->plan.gpa[HS_PART_TABLES];
	uint8_t words[2][8];
	enum hs_status st =
		input->phys->ops->read(input->phys->ctx, hs_gpa_of(end - HS_SCRATCH_COUNTER_OFFSET), words[0], 8, err);

	st = st ? st
		: input->phys->ops->read(input->phys->ctx, hs_gpa_of(end - HS_SCRATCH_EXCEPTION_STACK_OFFSET), words[1],
					 8, err);
	if (st) {
		return st;
	}
	put_word(making, HS_SCRATCH_COUNTER_OFFSET, hs_get_le64(words[0]));
	put_word(making, HS_SCRATCH_EXCEPTION_STACK_OFFSET, hs_get_le64(words[1]));
	put_word(making, HS_SCRATCH_SIZE_OFFSET, input->scratch_bytes);
	put_word(making, HS_SCRATCH_NEXT_FREE_OFFSET, tables + making->plan.bytes[HS_PART_TABLES]);
	put_word(making, HS_SCRATCH_TABLES_OFFSET, tables);
	put_word(making, HS_SCRATCH_GENERATION_OFFSET, input->guest->generation);
	return HS_OK;
}

static void describe(const struct making *making, int fd, struct hs_snapshot_info *ret)
{
	const struct hs_snapshot_input *input = making->input;
	const struct hs_plan *plan = &making->plan;
	uint64_t end = plan->offset[HS_PART_TABLES] + plan->bytes[HS_PART_TABLES];

	*ret = (struct hs_snapshot_info){
		.guest = *input->guest,
		.memory = {
			.fd = fd,
			.part_count = HS_PART_COUNT + 1,
			.scratch_gpa = input->scratch_gpa,
			.scratch_length = input->scratch_bytes,
		},
		.roots = plan->roots,
		.root_count = input->root_count,
		.functions = input->functions,
		.function_count = input->function_count,
		.current = making->compact.current,
		.cow = making->compact.cow,
		.shared_bytes = plan->bytes[HS_PART_SHARED],
		.private_bytes = plan->bytes[HS_PART_PRIVATE],
		.table_bytes = plan->bytes[HS_PART_TABLES],
	};
	for (unsigned int i = 0; i < HS_PART_COUNT; i++) {
		ret->memory.parts[i] = (struct hs_memory_part){
			.gpa = { plan->gpa[i] },
			.length = plan->bytes[i],
			.offset = plan->offset[i],
			.shared = i == HS_PART_SHARED,
		};
	}
	ret->memory.parts[HS_PART_COUNT] = (struct hs_memory_part){
		.gpa = { input->scratch_gpa.v + input->scratch_bytes - TOP_BYTES },
		.length = TOP_BYTES,
		.offset = end,
	};
}

/*
 * Nobody can write to the file any more. Nothing of ours maps it; but the kernel itself may hold a page of it for a
 * moment, as when it moves memory about. It has waited for a tenth of a second when it says EBUSY (Linux, mm/memfd.c),
 * and all that a caller could do is to try again.
 */
static bool seal(int fd)
{
	for (unsigned int tries = 0; tries < SEAL_TRIES; tries++) {
		if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
			return true;
		}
		if (errno != EBUSY) {
			break;
		}
	}
	return false;
}

static enum hs_status make(struct making *making, int fd, struct hs_snapshot **ret, struct hs_error *err)
{
	struct hs_snapshot_info info;
	struct hs_cpu_state cpu = *making->input->cpu;
	uint64_t flags = cpu.cr3 - making->input->roots[making->compact.current].base.v;
	enum hs_status st = hs_plan_write(&making->plan, fd, NAME, err);

	st = st ? st : fill_top(making, err);
	if (!st) {
		describe(making, fd, &info);
		st = hs_fd_pwrite(fd, NAME, making->top, TOP_BYTES, info.memory.parts[HS_PART_COUNT].offset, err);
	}
	if (!st && !seal(fd)) {
		st = hs_error_os(err, errno, "cannot seal %s", NAME);
	}
	if (st) {
		close(fd);
		return st;
	}
	cpu.cr3 = making->plan.roots[making->compact.current].base.v + flags;
	return hs_snapshot_adopt(&info, &cpu, ret, err);
}

enum hs_status hs_snapshot_take(const struct hs_snapshot_input *input, struct hs_snapshot **ret, struct hs_error *err)
{
	HS_FREE struct making *making = calloc(1, sizeof(*making));
	enum hs_status st;
	int fd;

	if (!making) {
		return hs_error_os(err, ENOMEM, "cannot take the snapshot");
	}
	making->input = input;
	st = prepare(making, err);
	st = st ? st : find_pointers(making, err);
	if (!st) {
		st = hs_plan_init(&making->plan, &making->compact, err);
	}
	if (!st) {
		fd = memfd_create("hindsight-snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		st = fd < 0 ? hs_error_os(err, errno, "cannot make %s", NAME) : make(making, fd, ret, err);
		hs_plan_deinit(&making->plan);
	}
	free(making->pointers);
	return st;
}
