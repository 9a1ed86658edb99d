/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/snapshot.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "session/roots.h"
#include "vmm/memory.h"

#include <hindsight/abi.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(((struct hs_snapshot_guest *)NULL)->roots_symbol) ==
		       sizeof(((struct hs_vm_guest *)NULL)->variable.symbol),
	       "a name that one of them has fits into the other");

void hs_snapshot_describe(const struct hs_vm *vm, const struct hs_snapshot_spec *spec, struct hs_snapshot_guest *ret)
{
	const struct hs_vm_image *image = hs_vm_image(vm);
	struct hs_vm_bounds bounds = hs_vm_bounds(vm);
	struct hs_vm_guest guest = hs_vm_guest(vm);

	*ret = (struct hs_snapshot_guest){
		.arch = image->arch,
		.build_id_length = image->build_id_length,
		.features = guest.features,
		.entry = image->entry,
		.phdr = image->phdr,
		.phentsize = image->phentsize,
		.phnum = image->phnum,
		.input_bytes = bounds.input_bytes,
		.output_bytes = bounds.output_bytes,
		.boot_idt = guest.boot_idt,
		.roots = guest.roots,
		.generation = spec->generation,
		.guard = guest.guard,
		.guard_bytes = guest.guard_bytes,
		.devices = hs_vm_devices(vm),
	};
	/* One that is not used is not kept up to date either. */
	if (!spec->roots || spec->roots->kind == HS_ROOTS_REGISTERED || spec->roots->kind == HS_ROOTS_SYMBOL) {
		ret->roots_variable = guest.variable.gva;
		ret->roots_stride = guest.variable.stride;
		ret->roots_count = guest.variable.count;
		memcpy(ret->roots_symbol, guest.variable.symbol, sizeof(ret->roots_symbol));
	}
	memcpy(ret->build_id, image->build_id, sizeof(ret->build_id));
	/* A path that does not fit is not remembered: cut, it would be another. */
	if (strlen(image->path) < sizeof(ret->path)) {
		memcpy(ret->path, image->path, strlen(image->path) + 1);
	}
}

static enum hs_status take(struct hs_vm *vm, const struct hs_snapshot_spec *spec, struct hs_cpu_state *cpu,
			   const struct hs_roots *roots, struct hs_snapshot **ret, struct hs_error *err)
{
	struct hs_vm_bounds bounds = hs_vm_bounds(vm);
	struct hs_phys phys = hs_vm_phys(vm);
	struct hs_snapshot_guest guest;
	struct hs_snapshot_input input = {
		.phys = &phys,
		.cpu = cpu,
		.roots = roots->items,
		.root_count = roots->count,
		.current = roots->current,
		.pointers = roots->pointers,
		.pointer_count = roots->pointer_count,
		.guest = &guest,
		.functions = spec->functions,
		.function_count = spec->function_count,
		.gpa = { HS_SNAPSHOT_BASE_GPA },
		.scratch_gpa = bounds.scratch_gpa,
		.scratch_gva = bounds.scratch_gva,
		.scratch_bytes = bounds.scratch_bytes,
	};
	const struct hs_vm_mapped *mappings;
	size_t mapping_count;

	hs_snapshot_describe(vm, spec, &guest);
	guest.dispatch = spec->ready ? cpu->rip : 0;
	/* What is mapped beside the guest's memory becomes part of it. */
	mappings = hs_vm_mappings(vm, &mapping_count);
	input.limit = bounds.memory_bytes;
	for (size_t i = 0; i < mapping_count; i++) {
		input.limit += hs_align_down(mappings[i].length + HS_PAGE_SIZE - 1, HS_PAGE_SIZE);
	}
	input.limit = hs_min_u64(input.limit, bounds.scratch_gpa.v - HS_SNAPSHOT_BASE_GPA);
	return hs_snapshot_take(&input, ret, err);
}

enum hs_status hs_snapshot_of_vm(struct hs_vm *vm, const struct hs_snapshot_spec *spec, struct hs_snapshot **ret,
				 struct hs_error *err)
{
	HS_FREE struct hs_cpu_state *cpu = HS_NEW_ALIGNED(struct hs_cpu_state);
	struct hs_roots roots;
	enum hs_status st;

	if (!cpu) {
		return hs_error_os(err, ENOMEM, "cannot take the snapshot");
	}
	st = hs_vm_cpu_get(vm, cpu, err);
	st = st ? st : hs_roots_find(vm, spec->roots, cpu, &roots, err);
	if (st) {
		return st;
	}
	st = take(vm, spec, cpu, &roots, ret, err);
	hs_roots_deinit(&roots);
	return st;
}

bool hs_snapshot_takes_calls(const struct hs_snapshot *snapshot)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);

	return !info->crashed && info->guest.dispatch != 0 && hs_snapshot_cpu(snapshot)->rip == info->guest.dispatch;
}

/* What a snapshot says of its guest's image. */
static struct hs_vm_image image_of(const struct hs_snapshot_guest *guest)
{
	struct hs_vm_image image = {
		.arch = guest->arch,
		.path = guest->path,
		.entry = guest->entry,
		.phdr = guest->phdr,
		.phentsize = guest->phentsize,
		.phnum = guest->phnum,
		.features = guest->features,
		.build_id_length = guest->build_id_length,
	};

	memcpy(image.build_id, guest->build_id, sizeof(guest->build_id));
	return image;
}

static void describe_guest(struct hs_vm *vm, const struct hs_snapshot_guest *known)
{
	struct hs_vm_guest guest; /* not the name, which mostly is none and takes longer than the rest */

	guest.features = known->features;
	guest.boot_idt = known->boot_idt;
	guest.roots = known->roots;
	guest.input_bytes = known->input_bytes;
	guest.output_bytes = known->output_bytes;
	guest.guard = known->guard;
	guest.guard_bytes = known->guard_bytes;
	guest.variable.gva = known->roots_variable;
	guest.variable.stride = known->roots_stride;
	guest.variable.count = known->roots_count;
	if (guest.variable.count > 0) {
		memcpy(guest.variable.symbol, known->roots_symbol, sizeof(guest.variable.symbol));
	}
	hs_vm_set_guest(vm, &guest);
}

enum hs_status hs_vm_stand_on(struct hs_vm *vm, const struct hs_snapshot *snapshot, bool share, struct hs_error *err)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	bool again = hs_vm_is_on(vm, &info->memory);
	enum hs_status st;

	if (info->guest.arch != hs_vm_image(vm)->arch) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0,
				    "the snapshot is of a guest of another architecture than this VM's");
	}
	st = hs_vm_restore(vm, &info->memory, share, hs_snapshot_cpu(snapshot), err);
	if (!st) {
		describe_guest(vm, &info->guest);
		hs_vm_set_devices(vm, &info->guest.devices);
	}
	if (!st && !again) {
		struct hs_vm_image image = image_of(&info->guest);

		hs_vm_set_image(vm, &image);
	}
	return st;
}

enum hs_status hs_vm_create_from(const struct hs_snapshot *snapshot, const struct hs_vm_config *config,
				 struct hs_vm **ret, struct hs_error *err)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	struct hs_vm_origin origin = {
		.image = image_of(&info->guest),
		.memory = &info->memory,
		.cpu = hs_snapshot_cpu(snapshot),
	};

	return hs_vm_create_for(&origin, config, ret, err);
}
