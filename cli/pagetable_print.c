/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Roots and ranges, for people and as JSON. See pagetable.h. */
#include "cli/pagetable.h"

#include "base/json.h"
#include "paging/format.h"

#include <inttypes.h>
#include <string.h>

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

void hs_pagetable_rights_json(int prot, bool user, FILE *out)
{
	fprintf(out, "\"access\": \"%s%s%s\", \"user\": %s", prot & HS_PROT_READ ? "r" : "",
		prot & HS_PROT_WRITE ? "w" : "", prot & HS_PROT_EXEC ? "x" : "", user ? "true" : "false");
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
	const char *separator = "";

	for (unsigned int i = 0; i < fields->count; i++) {
		const struct hs_entry_field *field = &fields->fields[i];

		if (field->value == 0) {
			continue;
		}
		fprintf(out, "%s%s%s", separator, quote, field->name);
		/* The values of RSVD and IGN are the bits where they stand. */
		if ((field->mask & (field->mask - 1)) != 0 || field->value != 1) {
			fprintf(out, "=0x%" PRIx64, field->value);
		}
		fprintf(out, "%s", quote);
		separator = between;
	}
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

void hs_pagetable_root_json(const struct hs_root *root, FILE *out)
{
	fprintf(out, "\"root\": \"0x%" PRIx64 "\", \"format\": \"%s\"", root->base.v,
		hs_paging_format_name(root->format));
}

void hs_pagetable_range_json(const struct hs_root *root, const struct hs_range *range, FILE *out)
{
	static const char *const kinds[] = {
		[HS_RANGE_MAPPED] = "mapped",
		[HS_RANGE_HOLE] = "hole",
		[HS_RANGE_UNREADABLE] = "unreadable",
		[HS_RANGE_RESERVED] = "reserved",
		[HS_RANGE_NON_CANONICAL] = "non-canonical",
	};
	struct hs_entry_fields fields;

	/* A length can be 2^64 - n, which is more than the 53 bits that many readers keep of a number. */
	fprintf(out, "\"kind\": \"%s\", \"address\": \"0x%" PRIx64 "\", \"length\": \"0x%" PRIx64 "\"",
		kinds[range->kind], range->start.v, range->length);
	if (range->kind == HS_RANGE_UNREADABLE || range->kind == HS_RANGE_RESERVED) {
		fprintf(out, ", \"where\": \"0x%" PRIx64 "\"", range->gpa.v);
	}
	if (range->kind != HS_RANGE_MAPPED) {
		return;
	}
	fprintf(out, ", \"physical\": \"0x%" PRIx64 "\", ", range->gpa.v);
	hs_pagetable_rights_json(range->prot, range->user, out);
	fprintf(out, ", \"cow\": %s", range->cow ? "true" : "false");
	fprintf(out, ", \"page\": %" PRIu64 ", \"attributes\": [", range->page_bytes);
	hs_leaf_describe(root, range->leaf, &fields);
	hs_pagetable_put_fields(&fields, "\"", ", ", out);
	putc(']', out);
}

bool hs_pagetable_string_json(const char *text, FILE *out)
{
	struct hs_buf buf;

	/* Each byte becomes at most \u00xx. */
	hs_buf_init(&buf, 6 * strlen(text) + 2);
	hs_json_string(&buf, text);
	bool made = !buf.failed;

	if (made) {
		fwrite(buf.data, 1, buf.length, out);
	}
	hs_buf_deinit(&buf);
	return made;
}
