/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Roots and ranges, for people and as JSON. See pagetable.h. */
#include "cli/pagetable.h"

#include "base/json.h"
#include "paging/format.h"

#include <inttypes.h>
#include <string.h>

int hs_pagetable_digits(const struct hs_root *root)
{
	return hs_format_of(root->format)->has_high ? 16 : 8;
}

void hs_pagetable_root_text(const struct hs_root *root, FILE *out)
{
	fprintf(out, "root 0x%" PRIx64 ", %s\n", root->base.v, hs_paging_format_name(root->format));
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
		fprintf(out, "0x%-*" PRIx64 "  %c%c%c%c  ", width, range->gpa.v, range->prot & HS_PROT_READ ? 'r' : '-',
			range->prot & HS_PROT_WRITE ? 'w' : '-', range->prot & HS_PROT_EXEC ? 'x' : '-',
			range->user ? 'u' : '-');
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
	fprintf(out, ", \"physical\": \"0x%" PRIx64 "\", \"access\": \"%s%s%s\", \"user\": %s, \"cow\": %s",
		range->gpa.v, range->prot & HS_PROT_READ ? "r" : "", range->prot & HS_PROT_WRITE ? "w" : "",
		range->prot & HS_PROT_EXEC ? "x" : "", range->user ? "true" : "false", range->cow ? "true" : "false");
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
