/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight core report: what happened to the guest of a core, from the file alone and the image if it is there. */
#include "base/error.h"
#include "cli/cli.h"
#include "cli/core_words.h"
#include "cli/opts.h"
#include "cli/parse.h"
#include "cli/report_print.h"
#include "cli/term.h"

#include <hindsight/coredump.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct report_options {
	bool json;
	const char *html;
	const char *image;
	const char *debug_dir;
};

static const struct hs_opt report_rows[] = {
	{ "json", HS_OPT_FLAG, offsetof(struct report_options, json), NULL, "print one JSON object", NULL },
	{ "html", HS_OPT_STRING, offsetof(struct report_options, html), "FILE", "write one HTML page to FILE (new)",
	  NULL },
	{ "image", HS_OPT_STRING, offsetof(struct report_options, image), "FILE",
	  "take symbols from FILE, not from the image that the core names", NULL },
	{ "debug-dir", HS_OPT_STRING, offsetof(struct report_options, debug_dir), "DIR",
	  "find debug files by build-id under DIR [/usr/lib/debug]", NULL },
};

static const struct hs_opts report_opts = {
	.command = "core report",
	.operands = "FILE",
	.summary = "Tell what happened to the guest: reason, source, backtrace, registers, memory",
	.rows = report_rows,
	.count = sizeof(report_rows) / sizeof(report_rows[0]),
};

/* All of it into a file that is not there yet. */
static enum hs_status write_page(const char *path, const struct hs_buf *page, struct hs_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	bool whole;

	if (!file) {
		return hs_error_os(err, errno, "%s", path);
	}
	whole = fwrite(page->data, 1, page->length, file) == page->length;
	whole = fclose(file) == 0 && whole;
	if (!whole) {
		int error = errno;

		unlink(path);
		return hs_error_os(err, error, "%s", path);
	}
	return HS_OK;
}

static enum hs_status print_report(const struct report_options *options, const struct hs_report *report,
				   struct hs_error *err)
{
	enum hs_status st = HS_OK;
	struct hs_buf buf;

	hs_buf_init(&buf, HS_REPORT_BYTES_MAX);
	if (options->json) {
		hs_report_json(report, &buf);
	} else if (options->html) {
		hs_report_html(report, &buf);
	} else {
		hs_report_text(report, true, hs_term_colour(STDOUT_FILENO), &buf);
	}
	if (buf.failed) {
		st = hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory to show all of it");
	} else if (options->html) {
		st = write_page(options->html, &buf, err);
	} else {
		errno = 0;
		if (fwrite(buf.data, 1, buf.length, stdout) != buf.length) {
			st = hs_error_os(err, errno, "cannot write the output");
		}
	}
	hs_buf_deinit(&buf);
	return st;
}

int hs_core_report(int argc, char **argv)
{
	struct report_options options = { 0 };
	const char *file;
	struct hs_report report;
	struct hs_core *core;
	struct hs_error err;
	enum hs_status st;
	int status;

	if (!hs_cli_parse_file(&report_opts, argc, argv, &options, &file, &status)) {
		return status;
	}
	if (options.json && options.html) {
		hs_error_set(&err, HS_ERR_INVALID, 0, 0, "--json and --html do not go together");
		return hs_cli_misused(report_opts.command, &err);
	}
	if (hs_core_open(file, &core, &err)) {
		return hs_cli_failed(&err);
	}
	st = hs_report_of_core(core, options.image, options.debug_dir, &report, &err);
	if (!st) {
		st = print_report(&options, &report, &err);
		hs_report_deinit(&report);
	}
	hs_core_close(core);
	return st ? hs_cli_failed(&err) : HS_EXIT_OK;
}
