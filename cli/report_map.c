/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address spaces drawn. A whole space cannot be to scale on a screen: a kernel's lies 2^47 bytes from a program's. So
 * it is cut where nothing is mapped for long, and each piece is drawn to a scale of its own, which it names.
 */
#include "cli/report_html.h"

#include "base/utf8.h"
#include "cli/report_values.h"
#include "cli/term.h"

#include <inttypes.h>
#include <stdio.h>

/* A gap is cut out when it is longer than this, and this often longer than the piece so far. */
#define GAP_BYTES_MIN (UINT64_C(1) << 20)
#define GAP_TIMES 4u
/* Pieces that are drawn of one space; all are listed. */
#define PIECES_MAX 24u
/* Width of a drawing, in its own units, and the least that can be seen in it. */
#define WIDTH 1000.0
#define WIDTH_MIN 2.0

void hs_html_text(const char *text, struct hs_buf *out)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t length = hs_utf8_length(at);

		if (length == 0) {
			hs_buf_append_string(out, "\xEF\xBF\xBD");
			length = 1;
		} else if (*at == '&' || *at == '<' || *at == '>' || *at == '"' || *at == '\'') {
			hs_buf_printf(out, "&#%u;", *at);
		} else if (hs_utf8_printable_length(at) == 0 && *at != '\t' && *at != '\n') {
			hs_buf_append_byte(out, '?');
		} else {
			hs_buf_append(out, at, length);
		}
		at += length;
	}
}

/* Areas that lie near each other, and the address that faulted where it is within or near. */
struct piece {
	size_t first, count;
	uint64_t start, last;
};

static const char *class_of(const struct hs_report_area *area)
{
	bool write = area->prot & HS_PROT_WRITE;
	bool exec = area->prot & HS_PROT_EXEC;

	return area->cow ? "cow" : write && exec ? "wx" : write ? "w" : exec ? "x" : "r";
}

static uint64_t last_of(const struct hs_report_area *area)
{
	return area->start + (area->length - 1);
}

static bool is_far(const struct piece *piece, const struct hs_report_area *next)
{
	uint64_t gap = next->start - piece->last - 1;
	uint64_t length = piece->last - piece->start + 1;

	return gap > GAP_BYTES_MIN && gap / GAP_TIMES > length;
}

/* The piece that begins at area number first. */
static struct piece find_piece(const struct hs_report_space *space, size_t first)
{
	const struct hs_report_area *areas = space->areas;
	struct piece piece = {
		.first = first, .count = 1, .start = areas[first].start, .last = last_of(&areas[first])
	};

	while (first + piece.count < space->area_count && !is_far(&piece, &areas[first + piece.count])) {
		piece.last = last_of(&areas[first + piece.count]);
		piece.count++;
	}
	return piece;
}

static double scale(const struct piece *piece, uint64_t bytes)
{
	return (double)bytes / ((double)(piece->last - piece->start) + 1.0) * WIDTH;
}

static void put_box(const char *class, double x, double width, const char *title, struct hs_buf *out)
{
	width = width < WIDTH_MIN ? WIDTH_MIN : width;
	x = x > WIDTH - width ? WIDTH - width : x;
	hs_buf_printf(out,
		      "<rect class=\"%s\" x=\"%.2f\" y=\"0\" width=\"%.2f\" height=\"28\"><title>%s</title></rect>",
		      class, x, width, title);
}

static void put_piece(const struct hs_report *report, const struct hs_report_space *space, const struct piece *piece,
		      bool with_fault, struct hs_buf *out)
{
	char size[32], rights[4], class[16], title[96];

	hs_term_size(piece->last - piece->start + 1, size, sizeof(size));
	hs_buf_append_string(out, "<figure><svg viewBox=\"0 0 1000 28\" preserveAspectRatio=\"none\" role=\"img\">");
	for (size_t i = piece->first; i < piece->first + piece->count; i++) {
		const struct hs_report_area *area = &space->areas[i];

		hs_report_rights(area->prot, rights);
		snprintf(class, sizeof(class), "a-%s", class_of(area));
		snprintf(title, sizeof(title), "0x%" PRIx64 " to 0x%" PRIx64 " %s%s", area->start, last_of(area),
			 rights, area->cow ? " copy-on-write" : "");
		put_box(class, scale(piece, area->start - piece->start), scale(piece, area->length), title, out);
	}
	if (with_fault && report->fault_address >= piece->start && report->fault_address <= piece->last) {
		snprintf(title, sizeof(title), "0x%" PRIx64, report->fault_address);
		put_box("mark", scale(piece, report->fault_address - piece->start), WIDTH_MIN + 1, title, out);
	}
	hs_buf_printf(out,
		      "</svg><figcaption class=\"mono\"><span>0x%" PRIx64 "</span><span>%s</span><span>0x%" PRIx64
		      "</span></figcaption></figure>\n",
		      piece->start, size, piece->last);
}

/* The address that faulted, between two pieces or outside of all. */
static void put_nowhere(const struct hs_report *report, struct hs_buf *out)
{
	hs_buf_printf(out, "<p class=\"nowhere mono\">0x%" PRIx64 ": nothing here</p>\n", report->fault_address);
}

static void put_drawing(const struct hs_report *report, const struct hs_report_space *space, bool with_fault,
			struct hs_buf *out)
{
	bool pending = with_fault;
	size_t drawn = 0;

	for (size_t first = 0; first < space->area_count && drawn < PIECES_MAX; drawn++) {
		struct piece piece = find_piece(space, first);

		if (pending && report->fault_address < piece.start) {
			put_nowhere(report, out);
		}
		pending = pending && report->fault_address > piece.last;
		put_piece(report, space, &piece, with_fault, out);
		first += piece.count;
	}
	if (pending) {
		put_nowhere(report, out);
	}
}

static void put_list(const struct hs_report *report, const struct hs_report_space *space, struct hs_buf *out)
{
	int digits = hs_report_digits(report);
	char size[32], rights[4];

	hs_buf_printf(out,
		      "<details><summary>all %zu areas</summary><div class=\"scroll\"><table><tr><th></th><th>from</th>"
		      "<th>to</th><th>size</th><th>access</th><th>physical</th></tr>\n",
		      space->area_count);
	for (size_t i = 0; i < space->area_count; i++) {
		const struct hs_report_area *area = &space->areas[i];

		hs_report_rights(area->prot, rights);
		hs_term_size(area->length, size, sizeof(size));
		hs_buf_printf(out,
			      "<tr><td class=\"key\"><i class=\"k-%s\"></i></td><td>0x%0*" PRIx64
			      "</td><td>0x%0*" PRIx64 "</td><td>%s</td><td>%s%s%s</td><td>0x%" PRIx64 "%s</td></tr>\n",
			      class_of(area), digits, area->start, digits, last_of(area), size, rights,
			      area->user ? " user" : "", area->cow ? " copy-on-write" : "", area->gpa.v,
			      area->contiguous ? "" : ", scattered");
	}
	hs_buf_append_string(out, "</table></div>");
	if (space->omitted > 0) {
		hs_buf_printf(out, "<p class=\"dim\">and %" PRIu64 " more</p>", space->omitted);
	}
	hs_buf_append_string(out, "</details>\n");
}

void hs_report_map(const struct hs_report *report, struct hs_buf *out)
{
	char size[32];

	hs_buf_append_string(out, "<section><h2>Address space</h2><div class=\"key\">"
				  "<span><i class=\"k-x\"></i>code</span><span><i class=\"k-r\"></i>read-only</span>"
				  "<span><i class=\"k-w\"></i>writable</span>"
				  "<span><i class=\"k-cow\"></i>copy-on-write</span>"
				  "<span><i class=\"k-wx\"></i>writable code</span>");
	if (report->has_fault) {
		hs_buf_printf(out, "<span><i class=\"k-mark\"></i>0x%" PRIx64 "</span>", report->fault_address);
	}
	hs_buf_append_string(out, "</div>\n");
	for (size_t i = 0; i < report->space_count; i++) {
		const struct hs_report_space *space = &report->spaces[i];

		hs_term_size(space->bytes, size, sizeof(size));
		hs_buf_printf(out, "<h3>%s%s, root 0x%" PRIx64 "</h3><p class=\"dim\">%s mapped%s</p>\n",
			      i == 0 && report->space_count > 1 ? "current: " : "",
			      hs_paging_format_name(space->root.format), space->root.base.v, size,
			      space->partial ? "; the walk was cut short" : "");
		put_drawing(report, space, i == 0 && report->has_fault, out);
		put_list(report, space, out);
	}
	hs_buf_append_string(out, "</section>\n");
}
