/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Roots and ranges, for people and as JSON. See pagetable.h. */
#include "cli/pagetable.h"

#include "base/json.h"
#include "paging/format.h"

#include <inttypes.h>
#include <string.h>

void hs_pagetable_rights_json(int prot, bool user, FILE *out)
{
	fprintf(out, "\"access\": \"%s%s%s\", \"user\": %s", prot & HS_PROT_READ ? "r" : "",
		prot & HS_PROT_WRITE ? "w" : "", prot & HS_PROT_EXEC ? "x" : "", user ? "true" : "false");
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
