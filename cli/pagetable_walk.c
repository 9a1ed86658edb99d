/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight pagetable walk: every entry on the way to an address, taken apart, and what comes of it. */
#include "cli/pagetable.h"

#include "base/phys.h"
#include "session/path_step.h"

#include <hindsight/spaces.h>

#include <inttypes.h>

static void put_level_json(const struct hs_root *root, const struct hs_path *path, unsigned int depth, FILE *out)
{
	struct hs_path_step step;

	hs_path_step(root, path, depth, &step);
	fprintf(out, "{\"name\": \"%s\", \"table\": \"0x%" PRIx64 "\", \"index\": %" PRIu64, step.name, step.table,
		step.index);
	if (!step.readable) {
		fprintf(out, ", \"entry\": null, \"bits\": [], \"leads_to\": null}");
		return;
	}
	fprintf(out, ", \"entry\": \"0x%" PRIx64 "\", \"bits\": [", step.entry);
	hs_pagetable_put_fields(&step.fields, "\"", ", ", out);
	if (step.leads_on) {
		fprintf(out, "], \"leads_to\": \"0x%" PRIx64 "\"}", step.leads_to);
	} else {
		fprintf(out, "], \"leads_to\": null}");
	}
}

static void put_json(const struct hs_phys *phys, const struct hs_root *root, const struct hs_path *path,
		     uint64_t address, FILE *out)
{
	putc('{', out);
	hs_pagetable_root_json(root, out);
	fprintf(out, ", \"levels\": [");
	for (unsigned int depth = 0; depth < path->count; depth++) {
		fprintf(out, "%s", depth == 0 ? "" : ", ");
		put_level_json(root, path, depth, out);
	}
	fprintf(out, "], \"physical\": ");
	if (path->range.kind == HS_RANGE_MAPPED) {
		hs_gpa gpa = hs_pagetable_result(path, address).gpa;

		fprintf(out, "\"0x%" PRIx64 "\", \"backed\": %s", gpa.v, hs_phys_has(phys, gpa) ? "true" : "false");
	} else {
		fprintf(out, "null, \"backed\": false");
	}
	fprintf(out, ", \"range\": {");
	hs_pagetable_range_json(root, &path->range, out);
	fprintf(out, "}}");
}

/** What stands before the first walk. */
static bool put_head(const struct hs_pagetable_source *source, const struct hs_pagetable_options *options, FILE *out)
{
	if (!options->json) {
		return true;
	}
	fprintf(out, "{\"file\": ");
	if (!hs_pagetable_string_json(source->file, out)) {
		return false;
	}
	fprintf(out, ", \"address\": \"0x%" PRIx64 "\", \"walks\": [", options->address);
	return true;
}

bool hs_pagetable_walk(const struct hs_pagetable_source *source, const struct hs_pagetable_options *options,
		       bool *ret_whole, FILE *out)
{
	*ret_whole = true;
	if (!put_head(source, options, out)) {
		return false;
	}
	for (size_t i = 0; i < source->root_count; i++) {
		const struct hs_root *root = &source->roots[i];
		struct hs_path path;

		hs_path_find(&source->phys, root, hs_gva_of(options->address), &path);
		*ret_whole = *ret_whole && path.range.kind == HS_RANGE_MAPPED;
		if (options->json) {
			fprintf(out, "%s", i == 0 ? "" : ", ");
			put_json(&source->phys, root, &path, options->address, out);
		} else {
			fprintf(out, "%s", i == 0 ? "" : "\n");
			hs_pagetable_walk_text(&source->phys, root, &path, options->address, out);
		}
	}
	if (options->json) {
		fprintf(out, "]}\n");
	}
	return true;
}
