/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM for a guest that was booted elsewhere: its backend, and of its image and layout what a snapshot says. Its memory
 * and its registers come with the first restore.
 */
#include "vmm/memory.h"

#include "base/arith.h"
#include "base/error.h"
#include "vmm/vm_private.h"

#include <hindsight/abi.h>

#include <stdio.h>
#include <string.h>

#define MEMORY_DEFAULT (UINT64_C(1) << 30)

/* SDM vol. 1 13.1: state components, as people call them. */
static const struct component {
	uint64_t bits;
	const char *name;
} components[] = {
	{ 0x1, "x87" },      { 0x2, "SSE" },    { 0x4, "AVX" },     { 0x18, "MPX" },
	{ 0xe0, "AVX-512" }, { 0x200, "PKRU" }, { 0x60000, "AMX" }, { ~UINT64_C(0x603ff), "further" },
};

/* As "AVX-512 and PKRU". */
static void name_components(uint64_t bits, char *ret, size_t size)
{
	size_t length = 0;
	unsigned int named = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < sizeof(components) / sizeof(components[0]) && length < size; i++) {
		if (bits & components[i].bits) {
			bits &= ~components[i].bits;
			length += (size_t)snprintf(ret + length, size - length, "%s%s",
						   named == 0 ? ""
						   : bits     ? ", "
							      : " and ",
						   components[i].name);
			named++;
		}
	}
}

enum hs_status hs_vm_check_registers(const struct hs_vm *vm, const struct hs_cpu_state *cpu, struct hs_error *err)
{
	bool soft = vm->ops == &hs_soft_backend_ops;
	uint64_t missing = cpu->xcr0 & ~hs_vm_xcr0_offered(vm);
	char names[64];

	if (missing == 0) {
		return HS_OK;
	}
	name_components(missing, names, sizeof(names));
	return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0, "the snapshot needs %s registers (XCR0 0x%llx), which %s",
			    names, (unsigned long long)cpu->xcr0,
			    soft ? "the software CPU does not have here (--backend kvm where there is KVM)"
				 : "this host's CPU does not have");
}

/* The file at the image's path, if it is what the guest was booted from. */
static void find_image(struct hs_vm *vm, const struct hs_vm_image *known)
{
	struct hs_image *image;

	if (known->path[0] == '\0' || hs_image_open(known->path, &image, NULL)) {
		return;
	}
	if (image->arch == known->arch && image->entry == known->entry && image->phnum == known->phnum &&
	    image->build_id_length == known->build_id_length &&
	    memcmp(image->build_id, known->build_id, known->build_id_length) == 0) {
		vm->image = image;
	} else {
		hs_image_close(image);
	}
}

/* The segments lie in the guest where they lay, but the pages behind them have moved: gpa is 0 for all. */
static void describe_segments(struct hs_vm *vm)
{
	for (size_t i = 0; i < vm->image->segment_count; i++) {
		const struct hs_image_segment *segment = &vm->image->segments[i];
		uint64_t start = hs_align_down(segment->gva.v, HS_PAGE_SIZE);
		uint64_t end = segment->gva.v + segment->length;

		vm->segments[i] = (struct hs_vm_segment){
			.gva = hs_gva_of(start),
			.length = hs_align_down(end + HS_PAGE_SIZE - 1, HS_PAGE_SIZE) - start,
			.file_offset = segment->file_offset,
			.file_length = segment->file_length,
			.prot = segment->prot,
		};
	}
	vm->public_image.segment_count = vm->image->segment_count;
	vm->public_image.segments = vm->segments;
}

static void describe_image(struct hs_vm *vm, const struct hs_vm_image *known)
{
	struct hs_vm_image *public = &vm->public_image;

	*public = *known;
	public->path = vm->image_path;
	public->fd = vm->image ? vm->image->fd : -1;
	public->native = vm->image && vm->image->kind == HS_IMAGE_NATIVE;
	public->segment_count = 0;
	public->segments = vm->segments;
	if (vm->image) {
		describe_segments(vm);
	}
}

static void know_image(struct hs_vm *vm, const struct hs_vm_image *known)
{
	snprintf(vm->image_path, sizeof(vm->image_path), "%s", known->path);
	hs_image_close(vm->image);
	vm->image = NULL;
	find_image(vm, known);
	describe_image(vm, known);
}

/* By its build-id, or where it has none, by what else is known of it. */
static bool is_same_image(const struct hs_vm_image *a, const struct hs_vm_image *b)
{
	return a->build_id_length == b->build_id_length && memcmp(a->build_id, b->build_id, a->build_id_length) == 0 &&
	       (a->build_id_length > 0 || (a->entry == b->entry && strcmp(a->path, b->path) == 0));
}

void hs_vm_set_image(struct hs_vm *vm, const struct hs_vm_image *image)
{
	if (!is_same_image(&vm->public_image, image)) {
		know_image(vm, image);
	}
}

/* Scratch ends where the arch's space does; how large it is the image of the memory says. */
static void describe_layout(struct hs_vm *vm, const struct hs_vm_origin *origin, const struct hs_vm_config *config)
{
	const struct hs_memory_image *memory = origin->memory;
	bool wide = origin->image.arch == HS_ARCH_AMD64;
	struct hs_layout *layout = &vm->layout;
	uint64_t bytes = memory->scratch_length;

	for (size_t i = 0; i < memory->part_count; i++) {
		bytes += memory->parts[i].length;
	}
	layout->arch = origin->image.arch;
	layout->scratch_gpa = hs_gpa_of((wide ? HS_AMD64_SCRATCH_TOP_GPA : HS_I686_SCRATCH_TOP_GPA) + UINT64_C(1));
	layout->scratch_gva = hs_gva_of((wide ? HS_AMD64_SCRATCH_TOP_GVA : HS_I686_SCRATCH_TOP_GVA) + UINT64_C(1));
	layout->memory_bytes = config->memory_bytes ? config->memory_bytes : hs_max_u64(bytes, MEMORY_DEFAULT);
}

static enum hs_status make(struct hs_vm *vm, const struct hs_vm_origin *origin, const struct hs_vm_config *config,
			   struct hs_error *err)
{
	enum hs_status st = hs_vm_choose_backend(config, origin->image.arch, &vm->ops, err);

	st = st ? st : vm->ops->create(&vm->backend, err);
	st = st ? st : hs_vm_check_registers(vm, origin->cpu, err);
	if (st) {
		return st;
	}
	know_image(vm, &origin->image);
	describe_layout(vm, origin, config);
	vm->bus.console = config->console;
	vm->bus.console_ctx = config->console_ctx;
	vm->bus.calls = config->calls;
	vm->unusable = true;
	return HS_OK;
}

enum hs_status hs_vm_create_for(const struct hs_vm_origin *origin, const struct hs_vm_config *config,
				struct hs_vm **ret, struct hs_error *err)
{
	static const struct hs_vm_config defaults;
	struct hs_vm *vm;
	enum hs_status st;

	if (config && config->mapping_count > 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "a guest that was booted already takes no mappings");
	}
	st = hs_vm_allocate(&vm, err);
	if (st) {
		return st;
	}
	st = make(vm, origin, config ? config : &defaults, err);
	if (st) {
		hs_vm_destroy(vm);
		return st;
	}
	*ret = vm;
	return HS_OK;
}
