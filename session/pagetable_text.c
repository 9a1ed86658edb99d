/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/pagetable_text.h"

#include "base/phys.h"
#include "paging/format.h"
#include "session/path_step.h"

#include <inttypes.h>

int hs_pagetable_digits(const struct hs_root *root)
{
	return hs_format_of(root->format)->stretch_bits > 32 ? 16 : 8;
}

void hs_pagetable_root_text(const struct hs_root *root, FILE *out)
{
	fprintf(out, "root 0x%" PRIx64 ", %s\n", root->base.v, hs_paging_format_name(root->format));
}

void hs_pagetable_columns_text(const struct hs_root *root, FILE *out)
{
	int width = hs_pagetable_digits(root) + 2;

	fprintf(out, "  %-*s  %-*s  %-14s  %-14s  %-4s  %s\n", width, "first", width, "last", "length", "physical", "",
		"page");
}

void hs_pagetable_extent_text(const struct hs_root *root, hs_gva first, uint64_t length, FILE *out)
{
	int digits = hs_pagetable_digits(root);

	fprintf(out, "  0x%0*" PRIx64 "  0x%0*" PRIx64 "  0x%-12" PRIx64 "  ", digits, first.v, digits,
		first.v + (length - 1), length);
}

void hs_pagetable_line_text(const struct hs_root *root, const struct hs_range *range, FILE *out)
{
	hs_pagetable_extent_text(root, range->start, range->length, out);
	hs_pagetable_range_text(root, range, 12, out);
	putc('\n', out);
}

void hs_pagetable_rights_text(int prot, bool user, FILE *out)
{
	fprintf(out, "%c%c%c%c", prot & HS_PROT_READ ? 'r' : '-', prot & HS_PROT_WRITE ? 'w' : '-',
		prot & HS_PROT_EXEC ? 'x' : '-', user ? 'u' : '-');
}

/** "4K", "2M", "4M", "1G". */
static void put_page(uint64_t bytes, FILE *out)
{
	static const char units[] = "KMG";
	size_t unit = 0;

	for (bytes /= 1024; bytes >= 1024 && unit + 2 < sizeof(units); unit++) {
		bytes /= 1024;
	}
	fprintf(out, "%" PRIu64 "%c", bytes, units[unit]);
}

void hs_pagetable_put_fields(const struct hs_entry_fields *fields, const char *quote, const char *between, FILE *out)
{
	char text[HS_PATH_FIELDS_BYTES];

	hs_path_fields(fields, quote, between, text);
	fputs(text, out);
}

void hs_pagetable_range_text(const struct hs_root *root, const struct hs_range *range, int width, FILE *out)
{
	struct hs_entry_fields fields;

	switch (range->kind) {
	case HS_RANGE_MAPPED:
		fprintf(out, "0x%-*" PRIx64 "  ", width, range->gpa.v);
		hs_pagetable_rights_text(range->prot, range->user, out);
		fprintf(out, "  ");
		put_page(range->page_bytes, out);
		fprintf(out, "%s%s", range->cow ? "  cow" : "", range->leaf == 0 ? "" : range->cow ? " " : "  ");
		hs_leaf_describe(root, range->leaf, &fields);
		hs_pagetable_put_fields(&fields, "", " ", out);
		return;
	case HS_RANGE_HOLE:
		fprintf(out, "not mapped");
		return;
	case HS_RANGE_UNREADABLE:
		fprintf(out, "unreadable table at 0x%" PRIx64, range->gpa.v);
		return;
	case HS_RANGE_RESERVED:
		fprintf(out, "reserved bits in the entry at 0x%" PRIx64, range->gpa.v);
		return;
	case HS_RANGE_NON_CANONICAL:
		fprintf(out, "non-canonical: no address of this format");
		return;
	}
}

static void put_level(const struct hs_root *root, const struct hs_path *path, unsigned int depth, FILE *out)
{
	struct hs_path_step step;

	hs_path_step(root, path, depth, &step);
	fprintf(out, "  %-5s  0x%-12" PRIx64 "  %5" PRIu64 "  ", step.name, step.table, step.index);
	if (!step.readable) {
		fprintf(out, "not in physical memory\n");
		return;
	}
	fprintf(out, "0x%0*" PRIx64 "  ", step.digits, step.entry);
	if (step.leads_on) {
		fprintf(out, "0x%-12" PRIx64 "  ", step.leads_to);
	} else {
		fprintf(out, "%-14s  ", "");
	}
	if (step.fields.present) {
		hs_pagetable_put_fields(&step.fields, "", " ", out);
	} else {
		fprintf(out, "%s is 0", step.fields.fields[0].name);
	}
	putc('\n', out);
}

struct hs_range hs_pagetable_result(const struct hs_path *path, uint64_t address)
{
	struct hs_range range = path->range;

	if (range.kind == HS_RANGE_MAPPED) {
		range.gpa.v += address - range.start.v;
	}
	return range;
}

void hs_pagetable_walk_text(const struct hs_phys *phys, const struct hs_root *root, const struct hs_path *path,
			    uint64_t address, FILE *out)
{
	int digits = hs_pagetable_digits(root);
	const struct hs_range *range = &path->range;
	struct hs_range result = hs_pagetable_result(path, address);

	hs_pagetable_root_text(root, out);
	if (path->count > 0) {
		fprintf(out, "  %-5s  %-14s  %5s  %-*s  %s\n", "entry", "table", "index",
			2 * hs_format_of(root->format)->entry_bytes + 2, "value", "leads to");
	}
	for (unsigned int depth = 0; depth < path->count; depth++) {
		put_level(root, path, depth, out);
	}
	fprintf(out, "  0x%0*" PRIx64 ": ", digits, address);
	hs_pagetable_range_text(root, &result, 0, out);
	if (range->kind == HS_RANGE_MAPPED && !hs_phys_has(phys, result.gpa)) {
		fprintf(out, "  not in physical memory");
	}
	fprintf(out, "\n  the same from 0x%0*" PRIx64 " to 0x%0*" PRIx64 "\n", digits, range->start.v, digits,
		range->start.v + (range->length - 1));
}
