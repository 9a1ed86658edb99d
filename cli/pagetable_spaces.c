/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hindsight pagetable spaces: what all roots map and which tables they share, each root after the other, as the walk
 * over all of them finds it; and what it comes to in all.
 */
#include "cli/cli.h"
#include "cli/pagetable.h"
#include "cli/pagetable_survey.h"
#include "cli/term.h"

#include "paging/format.h"

#include <inttypes.h>
#include <string.h>

/** The answer on its way out: the walk, and the item that comes next. */
struct view {
	const struct hs_pagetable_source *source;
	FILE *out;
	struct hs_pagetable_survey survey;
	struct hs_space_item item; /* when st is HS_OK */
	enum hs_status st;
	struct hs_error err; /* when it is neither that nor HS_ERR_NOT_FOUND, the end */
};

static void next(struct view *view)
{
	view->st = hs_pagetable_survey_next(&view->survey, &view->item, &view->err);
}

static bool is_of(const struct view *view, size_t space)
{
	return view->st == HS_OK && view->item.space == space;
}

/** Whether all of a root has been seen, once its last item has. */
static bool is_whole(const struct view *view, size_t space)
{
	return view->st == HS_OK || view->st == HS_ERR_NOT_FOUND || space < view->survey.spaces.space;
}

/** Whether the walk ended before this root began. */
static bool is_missed(const struct view *view, size_t space)
{
	return !is_whole(view, space) && space > view->survey.spaces.space;
}

/** A table is called as its entries are but for their last letter: a PTE is in a PT (SDM vol. 3A 4.2). */
static void put_table_name(const struct view *view, const struct hs_space_item *item)
{
	const struct hs_format *format = hs_format_of(view->source->roots[item->space].format);
	const char *name = format->level[item->depth].name;

	fprintf(view->out, "%.*s", (int)strcspn(name, "E"), name);
}

/** An alias as a line: it stands where a range would, the table where the memory would be. */
static void put_alias(const struct view *view, const struct hs_space_item *item)
{
	const struct hs_root *root = &view->source->roots[item->space];
	const struct hs_root *owner = &view->source->roots[item->owner];

	if (item->depth == 0) {
		fprintf(view->out, "  the same tables as root 0x%" PRIx64 " above\n", owner->base.v);
		return;
	}
	hs_pagetable_extent_text(root, item->gva, item->length, view->out);
	fprintf(view->out, "0x%-12" PRIx64 "  ", item->table.v);
	hs_pagetable_rights_text(item->prot, item->user, view->out);
	fprintf(view->out, "  ");
	put_table_name(view, item);
	fprintf(view->out, " of ");
	if (item->owner == item->space) {
		fprintf(view->out, "this root");
	} else {
		fprintf(view->out, "root 0x%" PRIx64, owner->base.v);
	}
	fprintf(view->out, " at 0x%0*" PRIx64 "\n", hs_pagetable_digits(root), item->owner_gva.v);
}

/** All that one root has, beginning with the item at hand. */
static void put_space(struct view *view, size_t space)
{
	const struct hs_root *root = &view->source->roots[space];
	uint64_t tables = 0, aliases = 0;

	hs_pagetable_root_text(root, view->out);
	if (is_of(view, space) && view->item.kind != HS_SPACE_ALIAS) {
		hs_pagetable_columns_text(root, view->out);
	}
	for (; is_of(view, space); next(view)) {
		switch (view->item.kind) {
		case HS_SPACE_TABLE:
			tables++;
			break;
		case HS_SPACE_ALIAS:
			aliases++;
			put_alias(view, &view->item);
			break;
		case HS_SPACE_RANGE:
			hs_pagetable_line_text(root, &view->item.range, view->out);
			break;
		}
	}
	if (is_missed(view, space)) {
		fprintf(view->out, "  not reached\n");
		return;
	}
	fprintf(view->out, "  tables: %" PRIu64 " of its own, %" PRIu64 " shared%s\n", tables, aliases,
		is_whole(view, space) ? "" : ", so far");
}

static void put_totals(const struct view *view, const struct hs_pagetable_totals *totals)
{
	const struct hs_pagetable_survey *survey = &view->survey;
	size_t roots = view->source->root_count;
	char size[32];

	fprintf(view->out, "\n%zu root%s, %" PRIu64 " tables%s, %" PRIu64 " of them named more than once", roots,
		roots == 1 ? "" : "s", survey->tables, view->st == HS_ERR_NOT_FOUND ? "" : " so far",
		totals->shared_tables);
	if (totals->has_separate && roots > 1) {
		uint64_t saved = totals->separate_tables - survey->tables;

		hs_term_size(saved * HS_PAGE_SIZE, size, sizeof(size));
		fprintf(view->out, ": %" PRIu64 " fewer (%s) than if no two roots shared any", saved, size);
	}
	hs_term_size(totals->mapped_bytes, size, sizeof(size));
	fprintf(view->out, "\n%s of physical memory mapped\n", size);
	if (survey->unreadable + survey->reserved > 0) {
		fprintf(view->out, "faults in the tables: %" PRIu64 " unreadable, %" PRIu64 " with reserved bits\n",
			survey->unreadable, survey->reserved);
	}
}

/** A range, and beside the rights of its whole path those of its entry alone. */
static void put_range_json(const struct view *view, const struct hs_space_item *item)
{
	hs_pagetable_range_json(&view->source->roots[item->space], &item->range, view->out);
	if (item->range.kind == HS_RANGE_MAPPED) {
		fprintf(view->out, ", \"own\": {");
		hs_pagetable_rights_json(item->prot, item->user, view->out);
		putc('}', view->out);
	}
	fprintf(view->out, ", \"depth\": %u", item->depth);
}

static void put_table_json(const struct view *view, const struct hs_space_item *item)
{
	bool is_alias = item->kind == HS_SPACE_ALIAS;

	fprintf(view->out, "\"kind\": \"%s\", \"depth\": %u, \"name\": \"", is_alias ? "alias" : "table", item->depth);
	put_table_name(view, item);
	fprintf(view->out, "\", \"table\": \"0x%" PRIx64 "\"", item->table.v);
	/* No entry names the table of a root, and its reach is all there is. */
	if (item->depth > 0) {
		fprintf(view->out,
			", \"address\": \"0x%" PRIx64 "\", \"length\": \"0x%" PRIx64 "\", \"entry\": \"0x%" PRIx64
			"\", ",
			item->gva.v, item->length, item->entry);
		hs_pagetable_rights_json(item->prot, item->user, view->out);
	}
	if (is_alias) {
		fprintf(view->out, ", \"owner\": %" PRIu32 ", \"owner_address\": \"0x%" PRIx64 "\"", item->owner,
			item->owner_gva.v);
	}
}

static void put_space_json(struct view *view, size_t space)
{
	const char *separator = "";

	putc('{', view->out);
	hs_pagetable_root_json(&view->source->roots[space], view->out);
	fprintf(view->out, ", \"items\": [");
	for (; is_of(view, space); next(view)) {
		fprintf(view->out, "%s{", separator);
		if (view->item.kind == HS_SPACE_RANGE) {
			put_range_json(view, &view->item);
		} else {
			put_table_json(view, &view->item);
		}
		putc('}', view->out);
		separator = ", ";
	}
	if (is_whole(view, space)) {
		fprintf(view->out, "], \"complete\": true, \"reached\": null}");
	} else {
		fprintf(view->out, "], \"complete\": false, \"reached\": \"0x%" PRIx64 "\"}",
			is_missed(view, space) ? 0 : view->err.where);
	}
}

static void put_totals_json(const struct view *view, const struct hs_pagetable_totals *totals)
{
	const struct hs_pagetable_survey *survey = &view->survey;

	fprintf(view->out, "{\"tables\": %" PRIu64 ", \"aliases\": %" PRIu64 ", \"shared_tables\": %" PRIu64,
		survey->tables, survey->aliases, totals->shared_tables);
	if (totals->has_separate) {
		fprintf(view->out, ", \"separate_tables\": %" PRIu64, totals->separate_tables);
	} else {
		fprintf(view->out, ", \"separate_tables\": null");
	}
	fprintf(view->out, ", \"mapped\": \"0x%" PRIx64 "\", \"unreadable\": %" PRIu64 ", \"reserved\": %" PRIu64 "}",
		totals->mapped_bytes, survey->unreadable, survey->reserved);
}

/** What is still to be said when the last item is out. */
static void say_why(const struct view *view, const struct hs_pagetable_options *options)
{
	const struct hs_pagetable_survey *survey = &view->survey;
	bool ranges = survey->ranges + survey->aliases == options->budget.ranges;

	if (view->st == HS_ERR_BUDGET) {
		hs_cli_say("root 0x%" PRIx64 ": the walk of all roots stopped at 0x%" PRIx64
			   ": its budget of %s is used up (%s gives more)",
			   view->source->roots[survey->spaces.space].base.v, view->err.where,
			   ranges ? "ranges" : "tables", ranges ? "--ranges" : "--tables");
	}
}

static void put_all(struct view *view, bool json)
{
	struct hs_pagetable_totals totals;

	for (size_t i = 0; i < view->source->root_count; i++) {
		if (json) {
			fprintf(view->out, "%s", i == 0 ? "" : ", ");
			put_space_json(view, i);
		} else {
			fprintf(view->out, "%s", i == 0 ? "" : "\n");
			put_space(view, i);
		}
	}
	hs_pagetable_survey_total(&view->survey, view->st == HS_ERR_NOT_FOUND, &totals);
	if (json) {
		fprintf(view->out, "], \"totals\": ");
		put_totals_json(view, &totals);
		fprintf(view->out, "}\n");
	} else {
		put_totals(view, &totals);
	}
}

bool hs_pagetable_spaces(const struct hs_pagetable_source *source, const struct hs_pagetable_options *options,
			 bool *ret_whole, FILE *out)
{
	struct view view = { .source = source, .out = out };

	if (options->json) {
		fprintf(out, "{\"file\": ");
		if (!hs_pagetable_string_json(source->file, out)) {
			return false;
		}
		fprintf(out, ", \"spaces\": [");
	}
	hs_pagetable_survey_init(&view.survey, source, options->budget);
	next(&view);
	put_all(&view, options->json);
	say_why(&view, options);
	hs_pagetable_survey_deinit(&view.survey);
	*ret_whole = view.st == HS_ERR_NOT_FOUND;
	return view.st != HS_ERR_NOMEM;
}
