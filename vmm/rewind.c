/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/rewind.h"

#include "base/arith.h"
#include "vmm/insn.h"
#include "vmm/vm_private.h"

#include <hindsight/paging.h>

#include <string.h>

/* KVM hands over a memory access in parts of at most 8 bytes, within one page (api.rst 5, kvm_run.mmio). */
#define PART_BYTES_MAX 8u

/* What completing an instruction may write: 1024 iterations of 8 bytes (KVM's emulator goes no further in one go). */
#define ITERATIONS_MAX 1024u
#define DESTINATION_BYTES_MAX (ITERATIONS_MAX * 8u)

#define RFLAGS_DF (1ull << 10)

enum hs_status hs_vm_retire(struct hs_vm *vm, struct hs_error *err)
{
	enum hs_status st = vm->ops->complete(vm->backend, err);

	vm->unretired = false;
	vm->have = 0;
	return st ? st : hs_vm_fetch(vm, HS_STATE_CORE, err);
}

/* What is_culprit() looks for. */
struct access {
	struct hs_vm *vm;
	const struct hs_exit *exit;
};

static bool is_first_part(const struct hs_insn_access *access, uint8_t part_bytes)
{
	uint64_t in_page = HS_PAGE_SIZE - access->address % HS_PAGE_SIZE;

	return hs_min_u64(hs_min_u64(access->bytes, in_page), PART_BYTES_MAX) == part_bytes;
}

/* Whether an instruction begins with this access: what reads and writes the same place would have read first. */
static bool is_culprit(void *ctx, const struct hs_insn *insn)
{
	const struct access *access = ctx;
	const struct hs_exit *exit = access->exit;
	struct hs_phys phys = hs_ram_phys(&access->vm->ram);
	struct hs_root root;

	if (exit->kind == HS_EXIT_PORT_OUT) {
		return insn->is_out && insn->port == exit->port && insn->port_bytes == exit->size;
	}
	hs_root_of_cpu(&access->vm->cpu, &root);
	for (size_t i = 0; i < insn->access_count; i++) {
		const struct hs_insn_access *operand = &insn->accesses[i];
		struct hs_range range;

		hs_translate(&phys, &root, hs_gva_of(operand->address), &range);
		if (operand->write && !operand->read && is_first_part(operand, exit->size) &&
		    range.kind == HS_RANGE_MAPPED && range.gpa.v + (operand->address - range.start.v) == exit->gpa) {
			return true;
		}
	}
	return false;
}

/* A repeated string instruction that has iterations left is where rip still is. */
static bool is_unfinished(struct access *access, struct hs_cpu_state *ret)
{
	const struct hs_cpu_state *cpu = &access->vm->cpu;
	struct hs_phys phys = hs_ram_phys(&access->vm->ram);
	struct hs_cpu_state before = *cpu;
	struct hs_insn insn;

	if (hs_insn_decode(&phys, cpu, hs_gva_of(cpu->rip), &insn, NULL) || !insn.repeats) {
		return false;
	}
	hs_insn_undo(&insn, &before);
	if (hs_insn_decode(&phys, &before, hs_gva_of(before.rip), &insn, NULL) || !is_culprit(access, &insn)) {
		return false;
	}
	*ret = before;
	return true;
}

/* From the registers behind the instruction to those before it. A call has left for elsewhere, and what it wanted to
 * write is where it came from. */
static bool find_instruction(struct hs_vm *vm, const struct hs_exit *exit, struct hs_cpu_state *ret)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct access access = { vm, exit };

	return is_unfinished(&access, ret) ||
	       hs_insn_before(&phys, &vm->cpu, hs_gva_of(vm->cpu.rip), is_culprit, &access, ret) ||
	       (exit->kind != HS_EXIT_PORT_OUT &&
		hs_insn_before(&phys, &vm->cpu, hs_gva_of(exit->written), is_culprit, &access, ret));
}

/* Guest memory that an instruction is going to change when it is completed. */
struct destination {
	uint64_t start;
	size_t length;
	uint8_t bytes[DESTINATION_BYTES_MAX];
};

static void save_destination(struct hs_vm *vm, const struct hs_exit *exit, struct destination *ret)
{
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_insn insn;

	ret->length = 0;
	if (hs_insn_decode(&phys, &vm->cpu, hs_gva_of(exit->insn_rip), &insn, NULL)) {
		return;
	}
	for (size_t i = 0; i < insn.access_count; i++) {
		const struct hs_insn_access *access = &insn.accesses[i];
		uint64_t count = insn.repeats ? hs_min_u64(vm->cpu.gpr[HS_RCX], ITERATIONS_MAX) : 1;
		uint64_t length = hs_min_u64(count * access->bytes, sizeof(ret->bytes));

		if (access->write && length > 0) {
			ret->start = access->address;
			if (insn.repeats && (vm->cpu.rflags & RFLAGS_DF)) {
				ret->start -= length - access->bytes;
			}
			/* What is not there cannot be changed either. */
			if (hs_vm_mem_read(vm, hs_gva_of(ret->start), ret->bytes, length, &ret->length, NULL)) {
				ret->length = 0;
			}
		}
	}
}

/* Only where something has changed: what is read-only has not, and cannot be written to. */
static enum hs_status restore_destination(struct hs_vm *vm, const struct destination *destination, struct hs_error *err)
{
	uint8_t now[DESTINATION_BYTES_MAX];
	size_t length = 0;

	if (destination->length == 0 ||
	    (hs_vm_mem_read(vm, hs_gva_of(destination->start), now, destination->length, &length, NULL) == HS_OK &&
	     length == destination->length && memcmp(now, destination->bytes, length) == 0)) {
		return HS_OK;
	}
	return hs_vm_mem_write(vm, hs_gva_of(destination->start), destination->bytes, destination->length, err);
}

/* The exit came before the instruction: complete it, and then take back all that this has done. */
static enum hs_status undo_completion(struct hs_vm *vm, const struct hs_exit *exit, struct hs_error *err)
{
	struct destination destination;
	struct hs_cpu_state before;
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE | HS_STATE_FPU, err);

	if (st) {
		return st;
	}
	before = vm->cpu;
	before.rip = exit->insn_rip;
	save_destination(vm, exit, &destination);
	st = hs_vm_retire(vm, err);
	if (st) {
		return st;
	}
	vm->cpu = before;
	vm->dirty |= HS_STATE_CORE | HS_STATE_FPU;
	st = hs_vm_flush(vm, err);
	return st ? st : restore_destination(vm, &destination, err);
}

enum hs_status hs_vm_rewind_access(struct hs_vm *vm, const struct hs_exit *exit, struct hs_error *err)
{
	struct hs_cpu_state before;
	enum hs_status st;

	if (exit->insn_rip_known) {
		return undo_completion(vm, exit, err);
	}
	st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	before = vm->cpu;
	if (!st) {
		st = hs_vm_retire(vm, err);
	}
	if (st) {
		return st;
	}
	/* An out moves rip only now, unless KVM's emulator has executed it. */
	if (before.rip != vm->cpu.rip || find_instruction(vm, exit, &before)) {
		vm->cpu = before;
		vm->dirty |= HS_STATE_CORE;
	}
	return hs_vm_flush(vm, err);
}
