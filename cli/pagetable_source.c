/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where hindsight pagetable finds tables: the file as physical memory, and the roots. See pagetable.h. */
#include "cli/pagetable.h"

#include "base/error.h"
#include "coredump/physfile.h"
#include "paging/format.h"
#include "paging/walk.h"

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
	bool has_root = source->core != NULL && hs_core_info(source->core)->has_root;
	bool takes_root = options->roots.count == 0 && options->format != HS_PAGING_NONE;

	if (has_root) {
		root = hs_core_info(source->core)->root;
	} else if (options->format < 0 || takes_root) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0,
				    "%s: the core does not say where its page tables are (give --format and --root)",
				    source->file);
	}
	/* Its CR3 names tables of its own format only. */
	if (options->format >= 0 && takes_root && (int)root.format != options->format) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s: paging of the core is %s: --format %s needs --root",
				    source->file, hs_paging_format_name(root.format),
				    hs_paging_format_name((enum hs_paging_format)options->format));
	}
	if (options->format >= 0) {
		root.format = (enum hs_paging_format)options->format;
	}
	root.nxe = root.nxe && !options->no_nxe;
	root.pdpte_a = options->pdpte_a;
	root.pse = root.pse && !options->no_pse;
	if (options->physical_bits != 0) {
		root.maxphyaddr = (uint8_t)options->physical_bits;
	}
	*ret = root;
	return HS_OK;
}

/**
 * Put what was given as CR3 or TTBR into a root: the address of the table. Beside it the register may hold flags of its
 * format; other bits are a mistake of the command line.
 */
static enum hs_status set_base(uint64_t value, struct hs_root *root, struct hs_error *err)
{
	const struct hs_format *format = hs_format_of(root->format);
	uint64_t wrong = value & ~((format->root_address & hs_walk_physical(root)) | format->root_flags);

	if (format->levels == 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, value,
				    "--root 0x%" PRIx64 ": without paging there are no tables", value);
	}
	if (wrong != 0) {
		return hs_error_set(err, HS_ERR_INVALID, 0, value,
				    "--root 0x%" PRIx64
				    ": not a root of %s: the address of a table has no bits 0x%" PRIx64,
				    value, format->name, wrong);
	}
	root->base = hs_gpa_of(value & format->root_address);
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
			    source->core != NULL && hs_core_info(source->core)->has_root
				    ? " (a core has the memory that its guest had mapped)"
				    : "");
}

static enum hs_status find_roots(const struct hs_pagetable_options *options, struct hs_pagetable_source *source,
				 struct hs_error *err)
{
	struct hs_root root = { 0 };
	enum hs_status st = first_root(options, source, &root, err);

	if (st) {
		return st;
	}
	source->root_count = options->roots.count > 0 ? options->roots.count : 1;
	for (size_t i = 0; i < source->root_count && !st; i++) {
		source->roots[i] = root;
		if (options->roots.count > 0) {
			st = set_base(options->roots.values[i], &source->roots[i], err);
		}
		st = st ? st : check_root(source, &source->roots[i], err);
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
