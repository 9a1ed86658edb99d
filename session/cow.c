/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/cow.h"

#include "base/bytes.h"
#include "base/error.h"

#include <hindsight/abi.h>
#include <hindsight/spaces.h>

#define PAGE_MASK (~(uint64_t)(HS_PAGE_SIZE - 1))
#define ENTRY_WRITABLE UINT64_C(2)
/* The counter's page and the last one, which the provided allocator gives to nobody. */
#define RESERVED_BYTES (2 * (uint64_t)HS_PAGE_SIZE)

static uint64_t scratch_end(const struct hs_vm_image *image)
{
	return (image->arch == HS_ARCH_I686 ? HS_I686_SCRATCH_TOP_GPA : HS_AMD64_SCRATCH_TOP_GPA) + UINT64_C(1);
}

/* A free page, which is the guest's to give until `word` says that it is taken: the caller writes it. */
static enum hs_status find_page(const struct hs_phys *phys, uint64_t end, uint64_t *ret, struct hs_error *err)
{
	uint64_t limit = end - RESERVED_BYTES;
	uint64_t page;
	uint8_t word[8];
	enum hs_status st =
		phys->ops->read(phys->ctx, hs_gpa_of(end - HS_SCRATCH_NEXT_FREE_OFFSET), word, sizeof(word), err);

	if (st) {
		return st;
	}
	page = (hs_get_le64(word) + (HS_PAGE_SIZE - 1)) & PAGE_MASK;
	if (page > limit || limit - page < HS_PAGE_SIZE) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0,
				    "the page is copy-on-write, and scratch memory has no page left for the copy "
				    "(--scratch)");
	}
	*ret = page;
	return HS_OK;
}

/* The entry at the new page, writable, with no tag; all other bits as they were. */
static enum hs_status lead_entry(const struct hs_phys *phys, const struct hs_path *path, unsigned int entry_bytes,
				 uint64_t page, struct hs_error *err)
{
	const struct hs_path_level *leaf = &path->levels[path->count - 1];
	uint64_t entry = leaf->entry - path->range.gpa.v + page;
	uint8_t bytes[8];

	hs_put_le64(bytes, (entry & ~(uint64_t)HS_ENTRY_COW_MASK) | ENTRY_WRITABLE);
	return phys->ops->write(phys->ctx, leaf->place, bytes, entry_bytes, err);
}

static enum hs_status copy_page(struct hs_vm *vm, const struct hs_path *path, unsigned int entry_bytes,
				struct hs_error *err)
{
	struct hs_phys phys = hs_vm_phys(vm);
	uint64_t end = scratch_end(hs_vm_image(vm));
	uint8_t bytes[HS_PAGE_SIZE];
	uint8_t word[8];
	uint64_t page = 0;
	enum hs_status st = find_page(&phys, end, &page, err);

	st = st ? st : phys.ops->read(phys.ctx, path->range.gpa, bytes, sizeof(bytes), err);
	st = st ? st : phys.ops->write(phys.ctx, hs_gpa_of(page), bytes, sizeof(bytes), err);
	if (st) {
		return st;
	}
	hs_put_le64(word, page + HS_PAGE_SIZE);
	st = phys.ops->write(phys.ctx, hs_gpa_of(end - HS_SCRATCH_NEXT_FREE_OFFSET), word, sizeof(word), err);
	return st ? st : lead_entry(&phys, path, entry_bytes, page, err);
}

enum hs_status hs_cow_break(struct hs_vm *vm, const struct hs_root *root, hs_gva gva, size_t length,
			    struct hs_error *err)
{
	struct hs_phys phys = hs_vm_phys(vm);
	unsigned int entry_bytes = root->format == HS_PAGING_32BIT ? 4 : 8;
	uint64_t last = length > 0 && gva.v + (length - 1) >= gva.v ? gva.v + (length - 1) : gva.v;
	bool changed = false;
	enum hs_status st = HS_OK;

	if (!(hs_vm_image(vm)->features & HS_FEATURE_COW)) {
		return HS_OK;
	}
	for (uint64_t page = gva.v & PAGE_MASK; page <= last && !st; page += HS_PAGE_SIZE) {
		struct hs_path path;

		hs_path_find(&phys, root, hs_gva_of(page), &path);
		if (path.range.kind == HS_RANGE_MAPPED && path.range.cow && path.range.page_bytes == HS_PAGE_SIZE) {
			st = copy_page(vm, &path, entry_bytes, err);
			changed = changed || !st;
		}
		if (page > UINT64_MAX - HS_PAGE_SIZE) {
			break;
		}
	}
	if (changed) {
		enum hs_status told = hs_vm_tables_written(vm, st ? NULL : err);

		st = st ? st : told;
	}
	return st;
}
