/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight pagetable list: what each root maps, a line or an object a range, as the walk finds them. Nothing is
 * collected, so an endless space takes no memory; the budget ends it.
 */
#include "cli/cli.h"
#include "cli/pagetable.h"

#include <inttypes.h>

/** How the walk of one root ended. */
static bool ended_whole(const struct hs_root *root, enum hs_status st, const struct hs_error *err)
{
	if (st != HS_ERR_BUDGET) {
		return true;
	}
	hs_cli_say("root 0x%" PRIx64 ": %s (--start 0x%" PRIx64 " goes on there)", root->base.v, err->message,
		   err->where);
	return false;
}

static bool list_text(const struct hs_root *root, struct hs_iter *iter, FILE *out)
{
	struct hs_range range;
	struct hs_error err;
	enum hs_status st;

	hs_pagetable_root_text(root, out);
	hs_pagetable_columns_text(root, out);
	while ((st = hs_iter_next(iter, &range, &err)) == HS_OK) {
		hs_pagetable_line_text(root, &range, out);
	}
	return ended_whole(root, st, &err);
}

static bool list_json(const struct hs_root *root, struct hs_iter *iter, FILE *out)
{
	const char *separator = "";
	struct hs_range range;
	struct hs_error err;
	enum hs_status st;

	putc('{', out);
	hs_pagetable_root_json(root, out);
	fprintf(out, ", \"ranges\": [");
	while ((st = hs_iter_next(iter, &range, &err)) == HS_OK) {
		fprintf(out, "%s{", separator);
		hs_pagetable_range_json(root, &range, out);
		putc('}', out);
		separator = ", ";
	}
	bool whole = ended_whole(root, st, &err);

	fprintf(out, "], \"complete\": %s, \"reached\": ", whole ? "true" : "false");
	if (whole) {
		fprintf(out, "null}");
	} else {
		fprintf(out, "\"0x%" PRIx64 "\"}", err.where);
	}
	return whole;
}

static void start(const struct hs_pagetable_source *source, const struct hs_pagetable_options *options, size_t index,
		  struct hs_iter *ret)
{
	hs_iter_init(ret, &source->phys, &source->roots[index], hs_gva_of(options->start), 0, options->budget);
}

static bool list_all_json(const struct hs_pagetable_source *source, const struct hs_pagetable_options *options,
			  bool *ret_whole, FILE *out)
{
	struct hs_iter iter;

	fprintf(out, "{\"file\": ");
	if (!hs_pagetable_string_json(source->file, out)) {
		return false;
	}
	fprintf(out, ", \"spaces\": [");
	for (size_t i = 0; i < source->root_count; i++) {
		start(source, options, i, &iter);
		fprintf(out, "%s", i == 0 ? "" : ", ");
		*ret_whole = list_json(&source->roots[i], &iter, out) && *ret_whole;
	}
	fprintf(out, "]}\n");
	return true;
}

bool hs_pagetable_list(const struct hs_pagetable_source *source, const struct hs_pagetable_options *options,
		       bool *ret_whole, FILE *out)
{
	struct hs_iter iter;

	*ret_whole = true;
	if (options->json) {
		return list_all_json(source, options, ret_whole, out);
	}
	for (size_t i = 0; i < source->root_count; i++) {
		start(source, options, i, &iter);
		fprintf(out, "%s", i == 0 ? "" : "\n");
		*ret_whole = list_text(&source->roots[i], &iter, out) && *ret_whole;
	}
	return true;
}
