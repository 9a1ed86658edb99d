/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making and unmaking a VM, and everything about it that does not run: registers, memory, breakpoints, facts. */
#include "vmm/peek.h"
#include "vmm/registers.h"
#include "vmm/vm_private.h"

#include "base/error.h"
#include "vmm/choice.h"
#include "vmm/rewind.h"

#include <hindsight/paging.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum hs_status hs_vm_choose_backend(const struct hs_vm_config *config, enum hs_arch arch,
				    const struct hs_backend_ops **ret, struct hs_error *err)
{
	struct hs_choice choice = { .backend = config->backend };
	const struct hs_backend_ops *ops;
	enum hs_status st;

	if (config->backend == HS_BACKEND_AUTO) {
		hs_choice_here(arch, config->debugger, &choice);
	}
	ops = choice.backend == HS_BACKEND_SOFT ? &hs_soft_backend_ops : &hs_kvm_backend_ops;
	st = ops->check(arch, err);
	if (!st) {
		*ret = ops;
	}
	return st;
}

static void describe_image(struct hs_vm *vm)
{
	const struct hs_image *image = vm->image;
	struct hs_vm_image *public = &vm->public_image;

	for (size_t i = 0; i < image->segment_count; i++) {
		hs_layout_segment(&vm->layout, image, i, &vm->segments[i]);
	}
	*public = (struct hs_vm_image){
		.arch = image->arch,
		.path = image->path,
		.fd = image->fd,
		.entry = image->entry,
		.phdr = image->phdr,
		.phentsize = image->phentsize,
		.phnum = image->phnum,
		.native = image->kind == HS_IMAGE_NATIVE,
		.features = image->features,
		.build_id_length = image->build_id_length,
		.segment_count = image->segment_count,
		.segments = vm->segments,
	};
	memcpy(public->build_id, image->build_id, sizeof(public->build_id));
}

static void on_memory_written(void *ctx, hs_gpa gpa, uint64_t length)
{
	struct hs_vm *vm = ctx;
	uint64_t page = gpa.v & ~(uint64_t)(HS_PAGE_SIZE - 1);

	/* What is put back is not written to. */
	for (; hs_vm_is_restored(vm) && page < gpa.v + length; page += HS_PAGE_SIZE) {
		hs_dirty_note(&vm->written, page);
	}
	hs_vm_tell_written(vm, gpa, length);
}

enum hs_status hs_vm_make_memory(struct hs_vm *vm, struct hs_error *err)
{
	static const struct hs_ram_source snapshot = { .name = "snapshot region" };
	static const struct hs_ram_source scratch = { .name = "scratch region" };
	enum hs_status st = hs_ram_add(&vm->ram, vm->layout.snapshot_gpa, vm->layout.snapshot_bytes, &snapshot, err);

	if (!st) {
		st = hs_ram_add(&vm->ram, vm->layout.scratch_gpa, vm->layout.scratch_bytes, &scratch, err);
	}
	if (!st) {
		st = hs_mappings_add(&vm->mappings, &vm->layout, &vm->ram, err);
	}
	for (size_t i = 0; !st && i < vm->ram.count; i++) {
		const struct hs_ram_region *region = &vm->ram.regions[i];

		st = vm->ops->map(vm->backend, region->gpa, region->length, region->host, region->read_only, err);
	}
	return st;
}

/* The boot composes a state from nothing; what it does not mention is what the CPU has after its reset. */
static enum hs_status set_entry_state(struct hs_vm *vm, const struct hs_cpu_state *entry, struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_ALL, err);
	struct hs_msrs reset = vm->cpu.msr;
	uint64_t dr6 = vm->cpu.dr[6];
	uint64_t dr7 = vm->cpu.dr[7];

	if (st) {
		return st;
	}
	vm->cpu = *entry;
	vm->cpu.msr.tsc = reset.tsc;
	vm->cpu.msr.tsc_aux = reset.tsc_aux;
	vm->cpu.msr.apic_base = reset.apic_base;
	vm->cpu.dr[6] = dr6;
	vm->cpu.dr[7] = dr7;
	hs_root_of_cpu(&vm->cpu, &vm->last_root);
	vm->dirty = HS_STATE_ALL;
	return hs_vm_flush(vm, err);
}

static enum hs_status make(struct hs_vm *vm, const char *image_path, const struct hs_vm_config *asked,
			   struct hs_error *err)
{
	struct hs_vm_config resolved = *asked;
	const struct hs_vm_config *config = &resolved;
	struct hs_cpu_state entry;
	struct hs_phys phys;
	enum hs_status st = hs_image_open(image_path, &vm->image, err);

	if (!st) {
		st = hs_mappings_open(asked, &vm->mappings, err);
		resolved.mappings = vm->mappings.list;
	}
	if (!st) {
		st = hs_layout_plan(vm->image, config, &vm->layout, err);
	}
	if (!st) {
		st = hs_vm_choose_backend(config, vm->image->arch, &vm->ops, err);
	}
	if (!st) {
		st = vm->ops->create(&vm->backend, err);
	}
	if (!st) {
		st = hs_vm_make_memory(vm, err);
	}
	if (st) {
		return st;
	}
	phys = hs_ram_phys(&vm->ram);
	st = hs_boot_write(&phys, vm->image, &vm->layout, config, &entry, err);
	if (!st) {
		st = set_entry_state(vm, &entry, err);
	}
	describe_image(vm);
	vm->guest = (struct hs_vm_guest){
		.features = vm->image->features,
		.boot_idt = hs_layout_area(&vm->layout, HS_AREA_IDT)->gva.v,
		.guard = hs_layout_area(&vm->layout, HS_AREA_GUARD)->gva.v,
		.guard_bytes = hs_layout_area(&vm->layout, HS_AREA_GUARD)->length,
		.input_bytes = hs_layout_area(&vm->layout, HS_AREA_INPUT)->length,
		.output_bytes = hs_layout_area(&vm->layout, HS_AREA_OUTPUT)->length,
	};
	vm->bus.console = config->console;
	vm->bus.console_ctx = config->console_ctx;
	vm->bus.calls = config->calls;
	return st;
}

enum hs_status hs_vm_allocate(struct hs_vm **ret, struct hs_error *err)
{
	/* Zero, and of what is never used, most lists among it, nothing comes to be: there may be thousands. */
	struct hs_vm *vm = mmap(NULL, sizeof(*vm), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (vm == MAP_FAILED) {
		return hs_error_os(err, errno, "cannot allocate the VM");
	}
	hs_ram_init(&vm->ram);
	vm->ram.written = on_memory_written;
	vm->ram.written_ctx = vm;
	*ret = vm;
	return HS_OK;
}

enum hs_status hs_vm_create(const char *image_path, const struct hs_vm_config *config, struct hs_vm **ret,
			    struct hs_error *err)
{
	static const struct hs_vm_config defaults;
	struct hs_vm *vm;
	enum hs_status st = hs_vm_allocate(&vm, err);

	if (st) {
		return st;
	}
	st = make(vm, image_path, config ? config : &defaults, err);
	if (st) {
		hs_vm_destroy(vm);
		return st;
	}
	*ret = vm;
	return HS_OK;
}

void hs_vm_destroy(struct hs_vm *vm)
{
	if (!vm) {
		return;
	}
	if (vm->ops) {
		vm->ops->destroy(vm->backend);
	}
	hs_ram_deinit(&vm->ram);
	hs_mappings_close(&vm->mappings);
	hs_debug_spaces_deinit(&vm->debug.spaces);
	hs_dirty_deinit(&vm->written);
	free(vm->record);
	hs_image_close(vm->image);
	munmap(vm, sizeof(*vm));
}

enum hs_status hs_vm_fetch(struct hs_vm *vm, unsigned int parts, struct hs_error *err)
{
	enum hs_status st = vm->unretired ? hs_vm_retire(vm, err) : HS_OK;
	unsigned int missing = parts & ~vm->have;

	if (!st && missing) {
		st = vm->ops->get_state(vm->backend, missing, &vm->cpu, err);
	}
	if (!st) {
		vm->have |= missing;
	}
	return st;
}

enum hs_status hs_vm_flush(struct hs_vm *vm, struct hs_error *err)
{
	enum hs_status st = HS_OK;

	if (vm->dirty) {
		st = vm->ops->set_state(vm->backend, vm->dirty, &vm->cpu, err);
		vm->have |= vm->dirty;
		vm->dirty = 0;
	}
	if (st) {
		vm->have = 0;
	}
	return st;
}

enum hs_status hs_vm_cpu_get(struct hs_vm *vm, struct hs_cpu_state *ret, struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_ALL, err);

	if (!st) {
		*ret = vm->cpu;
	}
	return st;
}

const struct hs_cpu_state *hs_vm_peek(struct hs_vm *vm, bool all, struct hs_error *err)
{
	return hs_vm_fetch(vm, all ? HS_STATE_ALL : HS_STATE_CORE, err) ? NULL : &vm->cpu;
}

/* Which parts differ: writing all of them back would set the time stamp counter back, and cost more. */
static unsigned int changed_parts(const struct hs_cpu_state *a, const struct hs_cpu_state *b)
{
	struct hs_msrs a_msr = a->msr;
	struct hs_msrs b_msr = b->msr;
	unsigned int parts = 0;

	if (memcmp(a->xsave, b->xsave, sizeof(a->xsave)) != 0 || a->xcr0 != b->xcr0) {
		parts |= HS_STATE_FPU;
	}
	if (memcmp(a->dr, b->dr, sizeof(a->dr)) != 0) {
		parts |= HS_STATE_DEBUG;
	}
	if (a_msr.efer != b_msr.efer || a_msr.apic_base != b_msr.apic_base ||
	    memcmp(a, b, offsetof(struct hs_cpu_state, dr)) != 0) {
		parts |= HS_STATE_CORE;
	}
	a_msr.efer = b_msr.efer;
	a_msr.apic_base = b_msr.apic_base;
	if (memcmp(&a_msr, &b_msr, sizeof(a_msr)) != 0) {
		parts |= HS_STATE_MSR;
	}
	return parts;
}

enum hs_status hs_vm_cpu_set(struct hs_vm *vm, const struct hs_cpu_state *state, struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_ALL, err);
	struct hs_cpu_state before;
	unsigned int changed;

	st = st ? st : hs_registers_check(vm->ops, &vm->cpu, state, err);
	if (st) {
		return st;
	}
	before = vm->cpu;
	changed = changed_parts(&before, state);
	vm->touched = true;
	vm->dirty |= changed;
	vm->cpu = *state;
	st = hs_vm_flush(vm, err);
	if (st) {
		/* Parts before the refused one may have gone in. */
		vm->cpu = before;
		vm->dirty = HS_STATE_CORE | HS_STATE_FPU | HS_STATE_DEBUG | (changed & HS_STATE_MSR);
		(void)!hs_vm_flush(vm, NULL);
		return st;
	}
	vm->at_breakpoint = vm->at_breakpoint && vm->cpu.rip == before.rip;
	return HS_OK;
}

enum hs_status hs_vm_mem_read(struct hs_vm *vm, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
			      struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_root root;

	if (st) {
		return st;
	}
	hs_root_of_cpu(&vm->cpu, &root);
	return hs_vmem_read(&phys, &root, gva, buffer, length, ret_length, err);
}

enum hs_status hs_vm_mem_write(struct hs_vm *vm, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	struct hs_root root;

	if (st) {
		return st;
	}
	hs_root_of_cpu(&vm->cpu, &root);
	return hs_vmem_write(&phys, &root, gva, buffer, length, err);
}

enum hs_status hs_vm_break_insert(struct hs_vm *vm, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	enum hs_status st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	struct hs_phys phys = hs_ram_phys(&vm->ram);

	if (!st && !vm->debug.abilities_known) {
		st = vm->ops->abilities(vm->backend, &vm->debug.abilities, err);
		vm->debug.abilities_known = !st;
	}
	return st ? st : hs_debug_insert(&vm->debug, breakpoint, &phys, &vm->cpu, err);
}

enum hs_status hs_vm_break_remove(struct hs_vm *vm, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	return hs_debug_remove(&vm->debug, breakpoint, err);
}

void hs_vm_break_clear(struct hs_vm *vm)
{
	vm->debug.count = 0;
}

void hs_vm_break_clear_space(struct hs_vm *vm, uint32_t space)
{
	hs_debug_clear_space(&vm->debug, space);
}

bool hs_vm_break_has_spaces(const struct hs_vm *vm)
{
	return hs_debug_has_spaces(&vm->debug);
}

enum hs_status hs_vm_break_spaces(struct hs_vm *vm, const struct hs_root *roots, uint32_t count, struct hs_error *err)
{
	return hs_debug_spaces_set(&vm->debug.spaces, roots, count, err);
}

enum hs_status hs_vm_tables_written(struct hs_vm *vm, struct hs_error *err)
{
	return vm->ops->tables_written ? vm->ops->tables_written(vm->backend, err) : HS_OK;
}

struct hs_root hs_vm_last_root(const struct hs_vm *vm)
{
	return vm->last_root;
}

struct hs_phys hs_vm_phys(struct hs_vm *vm)
{
	return hs_ram_phys(&vm->ram);
}

const struct hs_vm_image *hs_vm_image(const struct hs_vm *vm)
{
	return &vm->public_image;
}

const struct hs_vm_mapped *hs_vm_mappings(const struct hs_vm *vm, size_t *ret_count)
{
	*ret_count = vm->mappings.count;
	return vm->mappings.mapped;
}

uint64_t hs_vm_xcr0_offered(const struct hs_vm *vm)
{
	return vm->ops->xcr0_offered(vm->backend);
}

const char *hs_vm_backend_name(const struct hs_vm *vm)
{
	return vm->ops->name;
}
