/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where hindsight pagetable finds tables: the file as physical memory, and the roots. See pagetable.h. */
#include "cli/pagetable.h"

#include "base/error.h"
#include "coredump/physfile.h"
#include "paging/format.h"

#include <inttypes.h>

enum hs_status hs_pagetable_check(const struct hs_pagetable_options *options, struct hs_error *err)
{
	const char *missing = NULL;

	if (options->physical_bits != 0 && (options->physical_bits < 32 || options->physical_bits > 52)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--physical-bits: %" PRIu64 " is not 32 to 52",
				    options->physical_bits);
	}
	if (options->image == NULL) {
		return options->base == 0 ? HS_OK : hs_error_set(err, HS_ERR_INVALID, 0, 0, "--base goes with --image");
	}
	if (options->format < 0) {
		missing = "--format";
	} else if (options->roots.count == 0 && options->format != HS_PAGING_NONE) {
		missing = "--root";
	}
	return missing == NULL ? HS_OK : hs_error_set(err, HS_ERR_INVALID, 0, 0, "--image needs %s", missing);
}

/** The root as all options but --root say it: that of the core, or one like a present-day CPU's. An image without a
 * root was refused already. */
static enum hs_status first_root(const struct hs_pagetable_options *options, const struct hs_pagetable_source *source,
				 struct hs_root *ret, struct hs_error *err)
{
	struct hs_root root = { .pse = true, .nxe = true, .wp = true };

	bool rootless = options->format < 0 || (options->roots.count == 0 && options->format != HS_PAGING_NONE);

	if (source->core != NULL && hs_core_info(source->core)->has_root) {
		root = hs_core_info(source->core)->root;
	} else if (rootless) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0,
				    "%s: the core does not say where its page tables are (give --format and --root)",
				    source->file);
	}
	if (options->format >= 0) {
		root.format = (enum hs_paging_format)options->format;
	}
	root.nxe = root.nxe && !options->no_nxe;
	root.pse = root.pse && !options->no_pse;
	if (options->physical_bits != 0) {
		root.maxphyaddr = (uint8_t)options->physical_bits;
	}
	*ret = root;
	return HS_OK;
}

/** A root that is nowhere would make everything unreadable: it is more likely a mistake of the command line. */
static enum hs_status check_root(const struct hs_pagetable_source *source, const struct hs_root *root,
				 struct hs_error *err)
{
	const struct hs_format *format = hs_format_of(root->format);
	uint64_t table = root->base.v & format->root_address;
	uint8_t entry[8];

	if (format->levels == 0 ||
	    source->phys.ops->read(source->phys.ctx, hs_gpa_of(table), entry, format->entry_bytes, NULL) == HS_OK) {
		return HS_OK;
	}
	return hs_error_set(err, HS_ERR_UNREADABLE, 0, table, "%s: the root table at 0x%" PRIx64 " is not in it%s",
			    source->file, table,
			    source->core != NULL ? " (a core has the memory that its guest had mapped)" : "");
}

static enum hs_status find_roots(const struct hs_pagetable_options *options, struct hs_pagetable_source *source,
				 struct hs_error *err)
{
	struct hs_root root = { 0 };
	enum hs_status st = first_root(options, source, &root, err);

	if (st) {
		return st;
	}
	source->roots[0] = root;
	source->root_count = options->roots.count > 0 ? options->roots.count : 1;
	for (size_t i = 0; i < source->root_count && !st; i++) {
		if (options->roots.count > 0) {
			source->roots[i] = root;
			source->roots[i].base = hs_gpa_of(options->roots.values[i]);
		}
		st = check_root(source, &source->roots[i], err);
	}
	return st;
}

enum hs_status hs_pagetable_open(const struct hs_pagetable_options *options, const char *core,
				 struct hs_pagetable_source *ret, struct hs_error *err)
{
	enum hs_status st;

	*ret = (struct hs_pagetable_source){ .file = options->image != NULL ? options->image : core };
	if (options->image != NULL) {
		st = hs_physfile_open(options->image, hs_gpa_of(options->base), &ret->memory, err);
	} else {
		st = hs_core_open(core, &ret->core, err);
		st = st ? st : hs_physfile_of_core(ret->core, &ret->memory, err);
	}
	if (st == HS_OK) {
		hs_physfile_phys(ret->memory, &ret->phys);
		st = find_roots(options, ret, err);
	}
	if (st) {
		hs_pagetable_close(ret);
	}
	return st;
}

void hs_pagetable_close(struct hs_pagetable_source *source)
{
	hs_physfile_close(source->memory);
	hs_core_close(source->core);
	source->memory = NULL;
	source->core = NULL;
}
