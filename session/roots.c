/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/roots.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "symbols/variable.h"
#include "vmm/memory.h"

#include <hindsight/abi.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct finding {
	struct hs_vm *vm;
	struct hs_phys phys;
	struct hs_root current;
	struct hs_roots found; /* with room for all that there may be */
};

_Static_assert(HS_ROOTS_MAX == HS_ROOTS_FOUND_MAX, "a guest may register as many as are found");

static enum hs_status read_at(const struct finding *finding, uint64_t gva, void *ret, size_t length,
			      struct hs_error *err)
{
	size_t got = 0;

	if (hs_vmem_read(&finding->phys, &finding->current, hs_gva_of(gva), ret, length, &got, NULL) || got < length) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva + got,
				    "the guest's list of page-table roots is not in its memory: 0x%llx",
				    (unsigned long long)(gva + got));
	}
	return HS_OK;
}

static enum hs_status add_root(struct finding *finding, uint64_t base, struct hs_error *err)
{
	uint64_t alignment = finding->current.format == HS_PAGING_PAE ? 32 : HS_PAGE_SIZE;
	struct hs_roots *found = &finding->found;
	uint8_t entry[8];

	if (base % alignment) {
		return hs_error_set(err, HS_ERR_INVALID, 0, base, "a page-table root at 0x%llx is not aligned",
				    (unsigned long long)base);
	}
	for (uint32_t i = 0; i < found->count; i++) {
		if (found->items[i].base.v == base) {
			return hs_error_set(err, HS_ERR_INVALID, 0, base, "the page-table root 0x%llx is named twice",
					    (unsigned long long)base);
		}
	}
	if (finding->phys.ops->read(finding->phys.ctx, hs_gpa_of(base), entry, sizeof(entry), NULL)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, base,
				    "the page-table root 0x%llx is not in the guest's memory",
				    (unsigned long long)base);
	}
	found->items[found->count] = finding->current;
	found->items[found->count].base = hs_gpa_of(base);
	found->count++;
	return HS_OK;
}

/* Numbers in the guest's memory, that point to roots, or are 0. */
static enum hs_status find_in_memory(struct finding *finding, uint64_t gva, uint64_t stride, uint64_t count,
				     unsigned int bytes, struct hs_error *err)
{
	if (count > HS_ROOTS_FOUND_MAX) {
		return hs_error_set(err, HS_ERR_RANGE, 0, count, "%llu page-table roots are more than %u",
				    (unsigned long long)count, HS_ROOTS_FOUND_MAX);
	}
	for (uint64_t i = 0; i < count; i++) {
		struct hs_roots *found = &finding->found;
		uint64_t at = gva + i * stride;
		uint8_t word[8] = { 0 };
		enum hs_status st = read_at(finding, at, word, bytes, err);

		if (st) {
			return st;
		}
		if (hs_get_le64(word) == 0) {
			continue;
		}
		st = add_root(finding, hs_get_le64(word), err);
		if (st) {
			return st;
		}
		found->pointers[found->pointer_count++] =
			(struct hs_root_pointer){ .gva = hs_gva_of(at), .bytes = bytes };
	}
	return HS_OK;
}

static unsigned int pointer_bytes(const struct finding *finding)
{
	return hs_vm_image(finding->vm)->arch == HS_ARCH_I686 ? 4 : 8;
}

static enum hs_status find_registered(struct finding *finding, struct hs_error *err)
{
	struct hs_vm_guest guest = hs_vm_guest(finding->vm);
	uint8_t bytes[sizeof(struct hs_abi_roots)];
	enum hs_status st;

	if (guest.variable.count > 0) {
		return find_in_memory(finding, guest.variable.gva, guest.variable.stride, guest.variable.count,
				      pointer_bytes(finding), err);
	}
	if (guest.roots == 0) {
		return HS_OK;
	}
	st = read_at(finding, guest.roots, bytes, sizeof(bytes), err);
	return st ? st
		  : find_in_memory(finding, hs_get_le64(bytes + offsetof(struct hs_abi_roots, list)), 8,
				   hs_get_le64(bytes + offsetof(struct hs_abi_roots, count)), 8, err);
}

static enum hs_status find_by_symbol(struct finding *finding, const struct hs_roots_spec *spec, struct hs_error *err)
{
	const struct hs_vm_image *image = hs_vm_image(finding->vm);
	struct hs_vm_guest guest = hs_vm_guest(finding->vm);
	unsigned int bytes = pointer_bytes(finding);
	hs_gva gva;
	enum hs_status st;

	if (!spec->symbol || strlen(spec->symbol) >= sizeof(guest.variable.symbol) || spec->count == 0 ||
	    spec->count > HS_ROOTS_FOUND_MAX || (spec->count > 1 && spec->stride < bytes)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "a finder of roots by a variable needs its name of up to %zu bytes, 1 to %u roots, "
				    "and a stride of %u bytes or more",
				    sizeof(guest.variable.symbol) - 1, HS_ROOTS_FOUND_MAX, bytes);
	}
	if (image->fd >= 0) {
		st = hs_variable_find(image->fd, image->path, spec->symbol, &gva, err);
		if (st) {
			return st;
		}
		guest.variable.gva = gva.v;
		memcpy(guest.variable.symbol, spec->symbol, strlen(spec->symbol) + 1);
	} else if (guest.variable.count == 0 || strcmp(guest.variable.symbol, spec->symbol) != 0) {
		/* Made of a snapshot: if that was taken with this variable, it has told where it is. */
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0,
				    "the guest has no image to find the variable '%s' in", spec->symbol);
	}
	guest.variable.stride = spec->stride;
	guest.variable.count = spec->count;
	st = find_in_memory(finding, guest.variable.gva, spec->stride, spec->count, bytes, err);
	if (!st) {
		hs_vm_set_guest(finding->vm, &guest);
	}
	return st;
}

static enum hs_status find_by_callback(struct finding *finding, const struct hs_roots_spec *spec, struct hs_error *err)
{
	HS_FREE hs_gpa *roots = reallocarray(NULL, HS_ROOTS_FOUND_MAX, sizeof(*roots));
	size_t count = 0;
	enum hs_status st;

	if (!roots) {
		return hs_error_os(err, ENOMEM, "cannot find the guest's page-table roots");
	}
	if (!spec->callback) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "a finder of roots by a function needs the function");
	}
	st = spec->callback(spec->ctx, &finding->phys, finding->current.base.v, roots, HS_ROOTS_FOUND_MAX, &count, err);
	if (!st && count > HS_ROOTS_FOUND_MAX) {
		return hs_error_set(err, HS_ERR_RANGE, 0, count, "%zu page-table roots are more than %u", count,
				    HS_ROOTS_FOUND_MAX);
	}
	for (size_t i = 0; i < count && !st; i++) {
		st = add_root(finding, roots[i].v, err);
	}
	return st;
}

static enum hs_status find(struct finding *finding, const struct hs_roots_spec *spec, struct hs_error *err)
{
	static const struct hs_roots_spec registered = { .kind = HS_ROOTS_REGISTERED };

	spec = spec ? spec : &registered;
	switch (spec->kind) {
	case HS_ROOTS_REGISTERED:
		return find_registered(finding, err);
	case HS_ROOTS_CURRENT:
		return HS_OK;
	case HS_ROOTS_SYMBOL:
		return find_by_symbol(finding, spec, err);
	case HS_ROOTS_CALLBACK:
		return find_by_callback(finding, spec, err);
	}
	return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%d is no kind of finder of roots", (int)spec->kind);
}

static void place_current(struct finding *finding)
{
	struct hs_roots *found = &finding->found;

	found->named = found->count;
	for (found->current = 0; found->current < found->count; found->current++) {
		if (found->items[found->current].base.v == finding->current.base.v) {
			return;
		}
	}
	found->items[found->count++] = finding->current;
}

enum hs_status hs_roots_find(struct hs_vm *vm, const struct hs_roots_spec *spec, const struct hs_cpu_state *cpu,
			     struct hs_roots *ret, struct hs_error *err)
{
	struct finding finding = { .vm = vm, .phys = hs_vm_phys(vm) };
	enum hs_status st = HS_OK;

	hs_root_of_cpu(cpu, &finding.current);
	finding.found.items = reallocarray(NULL, HS_ROOTS_FOUND_MAX + 1, sizeof(*finding.found.items));
	finding.found.pointers = reallocarray(NULL, HS_ROOTS_FOUND_MAX, sizeof(*finding.found.pointers));
	if (!finding.found.items || !finding.found.pointers) {
		st = hs_error_os(err, ENOMEM, "cannot find the guest's page-table roots");
	}
	st = st ? st : find(&finding, spec, err);
	if (st) {
		hs_roots_deinit(&finding.found);
		return st;
	}
	place_current(&finding);
	*ret = finding.found;
	return HS_OK;
}

void hs_roots_deinit(struct hs_roots *roots)
{
	free(roots->items);
	free(roots->pointers);
	*roots = (struct hs_roots){ 0 };
}

uint32_t hs_roots_current_space(const struct hs_roots *roots)
{
	return roots->current < roots->named ? roots->current + 1 : 1;
}
