/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/space_view.h"

#include "base/error.h"
#include "session/monitor_words.h"
#include "session/pagetable_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a debugger shows at once. */
#define LINES_MAX 1000u

uint32_t hs_space_view_number(const struct hs_space_view *view)
{
	if (view->used == HS_SPACE_CPU) {
		return view->current;
	}
	if (view->used) {
		return view->used;
	}
	return view->chosen ? view->chosen : view->current;
}

const struct hs_root *hs_space_view_root(const struct hs_space_view *view, uint32_t number)
{
	if (number == view->current) {
		return &view->cpu;
	}
	return number - 1 < view->count ? &view->roots[number - 1] : NULL;
}

enum hs_status hs_space_view_missing(const struct hs_space_view *view, uint32_t number, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_NOT_FOUND, 0, number, "there is no address space %u: the guest has %u",
			    (unsigned int)number, (unsigned int)(view->count > 0 ? view->count : 1));
}

void hs_space_view_list(const struct hs_space_view *view, struct hs_target_space *items, uint32_t max,
			uint32_t *ret_count)
{
	uint32_t count = view->count > 0 ? view->count : 1;

	for (uint32_t number = 1; number <= count && number <= max; number++) {
		const struct hs_root *root = hs_space_view_root(view, number);

		items[number - 1] = (struct hs_target_space){
			.number = number,
			.root = root->base,
			.format = hs_paging_format_name(root->format),
			.current = number == view->current,
		};
	}
	*ret_count = count;
}

static void put_root(const struct hs_space_view *view, uint32_t number, struct hs_buf *out)
{
	const struct hs_root *root = hs_space_view_root(view, number);
	bool unnamed = number == view->current && view->count > 0 && root->base.v != view->roots[number - 1].base.v;

	hs_buf_printf(out, "%6u  0x%-12" PRIx64 "  %-8s", (unsigned int)number, root->base.v,
		      hs_paging_format_name(root->format));
	if (view->pointers && number <= view->count) {
		hs_buf_printf(out, "  kept at 0x%" PRIx64, view->pointers[number - 1].gva.v);
	}
	hs_buf_append_string(out, number == view->current ? "  current" : "");
	hs_buf_append_string(out, number == view->chosen ? "  chosen" : "");
	hs_buf_append_string(out, unnamed ? "  not named by the guest" : "");
	hs_buf_append_byte(out, '\n');
}

void hs_space_put_roots(const struct hs_space_view *view, struct hs_buf *out)
{
	uint32_t count = view->count > 0 ? view->count : 1;

	hs_buf_append_string(out, "number  root            paging\n");
	for (uint32_t number = 1; number <= count && number <= LINES_MAX; number++) {
		put_root(view, number, out);
	}
	if (count > LINES_MAX) {
		hs_buf_printf(out, "and %u more\n", (unsigned int)(count - LINES_MAX));
	}
}

static enum hs_status parse_space(const struct hs_space_view *view, const char *argument, uint32_t *ret,
				  struct hs_error *err)
{
	uint64_t number;

	if (!hs_monitor_number(argument, &number) || number > UINT32_MAX) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "'%s' is no address space: give the number that 'monitor roots' shows", argument);
	}
	if (number == 0 || !hs_space_view_root(view, (uint32_t)number)) {
		return hs_space_view_missing(view, (uint32_t)number, err);
	}
	*ret = (uint32_t)number;
	return HS_OK;
}

enum hs_status hs_space_choose(const struct hs_space_view *view, const char *argument, struct hs_buf *out,
			       uint32_t *ret, struct hs_error *err)
{
	uint32_t number = 0;
	enum hs_status st = strcmp(argument, "current") == 0 ? HS_OK : parse_space(view, argument, &number, err);

	if (st) {
		return st;
	}
	*ret = number;
	if (number == 0) {
		hs_buf_append_string(out, "addresses are those of the space that the CPU is in\n");
	} else {
		hs_buf_printf(out,
			      "addresses are those of space %u, those of breakpoints that are inserted too; in gdb, "
			      "'maintenance flush dcache' forgets what was read before\n",
			      (unsigned int)number);
	}
	return HS_OK;
}

/* What is written to a stream, appended to out. */
struct stream {
	FILE *file;
	char *text;
	size_t length;
};

static enum hs_status stream_open(struct stream *stream, struct hs_error *err)
{
	*stream = (struct stream){ 0 };
	stream->file = open_memstream(&stream->text, &stream->length);
	return stream->file ? HS_OK : hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the answer");
}

static enum hs_status stream_close(struct stream *stream, struct hs_buf *out, struct hs_error *err)
{
	bool whole = fclose(stream->file) == 0;

	if (whole) {
		hs_buf_append(out, stream->text, stream->length);
	}
	free(stream->text);
	return whole ? HS_OK : hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the answer");
}

enum hs_status hs_space_put_walk(const struct hs_space_view *view, const char *argument, struct hs_buf *out,
				 struct hs_error *err)
{
	uint32_t number = hs_space_view_number(view);
	const struct hs_root *root = hs_space_view_root(view, number);
	struct stream stream;
	struct hs_path path;
	uint64_t address;
	enum hs_status st;

	if (!hs_monitor_number(argument, &address)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "'%s' is no address", argument);
	}
	if (!root) {
		return hs_space_view_missing(view, number, err);
	}
	st = stream_open(&stream, err);
	if (st) {
		return st;
	}
	hs_path_find(&view->phys, root, hs_gva_of(address), &path);
	hs_pagetable_walk_text(&view->phys, root, &path, address, stream.file);
	return stream_close(&stream, out, err);
}

/* Ranges that follow each other and differ in nothing but where their memory is. */
static bool goes_on(const struct hs_range *range, const struct hs_range *next)
{
	return range->kind == next->kind && range->start.v + range->length == next->start.v &&
	       range->prot == next->prot && range->user == next->user && range->cow == next->cow &&
	       range->kind == HS_RANGE_MAPPED;
}

static void put_map(const struct hs_root *root, const struct hs_range *range, FILE *out)
{
	hs_pagetable_extent_text(root, range->start, range->length, out);
	if (range->kind == HS_RANGE_MAPPED) {
		hs_pagetable_rights_text(range->prot, range->user, out);
		fputs(range->cow ? "  cow" : "", out);
	} else {
		hs_pagetable_range_text(root, range, 0, out);
	}
	putc('\n', out);
}

static void put_maps(const struct hs_space_view *view, const struct hs_root *root, FILE *out)
{
	struct hs_range last = { .length = 0 };
	struct hs_range range;
	unsigned int lines = 0;
	struct hs_iter iter;
	enum hs_status st;

	hs_pagetable_root_text(root, out);
	hs_iter_init(&iter, &view->phys, root, hs_gva_of(0), 0, hs_budget_default());
	while ((st = hs_iter_next(&iter, &range, NULL)) == HS_OK && lines < LINES_MAX) {
		if (goes_on(&last, &range)) {
			last.length += range.length;
			continue;
		}
		if (last.length > 0) {
			put_map(root, &last, out);
			lines++;
		}
		last = range;
	}
	if (last.length > 0) {
		put_map(root, &last, out);
	}
	if (st != HS_ERR_NOT_FOUND) {
		fprintf(out, "  and more behind 0x%" PRIx64 "\n", last.start.v + (last.length - 1));
	}
}

enum hs_status hs_space_put_maps(const struct hs_space_view *view, const char *argument, struct hs_buf *out,
				 struct hs_error *err)
{
	uint32_t number = hs_space_view_number(view);
	enum hs_status st = argument[0] ? parse_space(view, argument, &number, err) : HS_OK;
	const struct hs_root *root = hs_space_view_root(view, number);
	struct stream stream;

	if (!st && !root) {
		st = hs_space_view_missing(view, number, err);
	}
	st = st ? st : stream_open(&stream, err);
	if (st) {
		return st;
	}
	put_maps(view, root, stream.file);
	return stream_close(&stream, out, err);
}
