/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/drive.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "cli/cli.h"
#include "cli/save.h"

#include <hindsight/abi.h>
#include <hindsight/sandbox.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A result has up to the bytes of the guest's output buffer, each of which may become six characters. */
#define LINE_MAX_BYTES (1u << 30)
/** Instead of an exit status: the session is over, and whoever ended it knows why; or it begins again. */
#define GIVEN_UP (-1)

bool hs_drive_wanted(const struct hs_drive_spec *spec)
{
	return spec->calls.count > 0 || spec->save;
}

static const char *guest_name(const struct hs_drive *drive)
{
	return hs_base_name(hs_vm_image(hs_session_vm(drive->session))->path);
}

void hs_drive_output(void *ctx, const void *bytes, size_t length)
{
	struct hs_drive *drive = ctx;

	if (length > 0) {
		hs_progress_end(&drive->progress);
		drive->mid_line = ((const char *)bytes)[length - 1] != '\n';
		hs_console_write(drive->output, bytes, length);
	}
}

/* The guest's own words may be anything: no byte of them is to move a cursor. */
void hs_drive_log(void *ctx, uint32_t level, const char *text, size_t length)
{
	static const char *const names[] = {
		[HS_LOG_ERROR] = "error", [HS_LOG_WARNING] = "warning", [HS_LOG_INFO] = "info",
		[HS_LOG_DEBUG] = "debug", [HS_LOG_TRACE] = "trace",
	};
	struct hs_drive *drive = ctx;
	struct hs_buf line;

	hs_buf_init(&line, LINE_MAX_BYTES);
	hs_call_text_escape(text, length, &line);
	hs_buf_append_byte(&line, 0);
	if (!line.failed) {
		const bool known = level < sizeof(names) / sizeof(names[0]) && names[level];

		hs_progress_end(&drive->progress);
		fprintf(stderr, "%s: %s: %s\n", guest_name(drive), known ? names[level] : "log",
			(const char *)line.data);
	}
	hs_buf_deinit(&line);
}

static void flush(struct hs_drive *drive)
{
	hs_console_flush(drive->output, drive->output->cancel_fd);
	hs_console_flush(drive->results, drive->results->cancel_fd);
}

/* Before a line of ours on stderr: what comes before it in time stands before it, and not on the same line. */
static void before_line(struct hs_drive *drive)
{
	if (drive->mid_line && drive->output->at_once) {
		hs_drive_output(drive, "\n", 1);
	}
	flush(drive);
	hs_progress_end(&drive->progress);
}

static void put_result(struct hs_drive *drive, const struct hs_buf *line)
{
	if (drive->mid_line && drive->results == drive->output) {
		hs_drive_output(drive, "\n", 1);
	}
	hs_progress_end(&drive->progress);
	hs_console_write(drive->results, line->data, line->length);
	hs_console_write(drive->results, "\n", 1);
}

/* The guest has not come back to where calls are welcome. The exit status. */
static int settle_end(struct hs_drive *drive, const char *what, enum hs_status st, const struct hs_error *err)
{
	if (st == HS_ERR_INTERRUPTED) {
		return GIVEN_UP;
	}
	before_line(drive);
	if (st == HS_ERR_FORMAT) {
		return HS_EXIT_NOT_ALL; /* a crash, which has been reported */
	}
	if (st != HS_ERR_GUEST) {
		return hs_cli_failed(err);
	}
	hs_cli_say("%s: %s", what, err->message);
	return HS_EXIT_NOT_ALL;
}

/* Until the guest is ready. HS_EXIT_OK, or how the command ends. */
static int start(struct hs_drive *drive)
{
	struct hs_sandbox *sandbox = hs_session_sandbox(drive->session);
	uint64_t features = hs_vm_image(hs_session_vm(drive->session))->features;
	struct hs_error err;
	enum hs_status st = hs_sandbox_start(sandbox, &err);

	if (!st) {
		return HS_EXIT_OK;
	}
	if (hs_sandbox_state(sandbox) != HS_SANDBOX_EXITED) {
		return settle_end(drive, guest_name(drive), st, &err);
	}
	before_line(drive);
	if (drive->spec->save) {
		hs_cli_say("no snapshot: %s before it was ready", err.message);
		return HS_EXIT_FAILED;
	}
	hs_cli_say("%s: %s before it was ready for calls%s", guest_name(drive), err.message,
		   features & HS_FEATURE_CALLS ? "" : ": it has no functions");
	return HS_EXIT_NOT_ALL;
}

/* What a call has come to, as text. */
static enum hs_status call(struct hs_drive *drive, const struct hs_call_text *what, struct hs_buf *ret,
			   struct hs_error *err)
{
	struct hs_value result;
	enum hs_status st;

	hs_session_limit_again(drive->session);
	st = hs_sandbox_call(hs_session_sandbox(drive->session), what->name, what->arguments, what->count, &result,
			     err);
	if (st && hs_session_again(drive->session)) {
		drive->again = true;
		return HS_ERR_INTERRUPTED;
	}
	hs_call_list_print(what, st ? NULL : &result, st ? err->message : NULL, drive->spec->json, ret);
	hs_buf_append_byte(ret, 0);
	if (ret->failed) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a result");
	}
	ret->length--;
	return st;
}

/* In the first cycle: a result is printed, an error too. */
static void show(struct hs_drive *drive, enum hs_status st, const struct hs_buf *text)
{
	drive->failed |= st != HS_OK;
	if (!st || drive->spec->json) {
		put_result(drive, text);
		return;
	}
	if (drive->mid_line) {
		hs_drive_output(drive, "\n", 1);
	}
	before_line(drive);
	hs_cli_say("%s", (const char *)text->data);
}

/* All calls once. HS_EXIT_OK, or how the command ends. */
static int call_each(struct hs_drive *drive, uint64_t cycle)
{
	const struct hs_call_list *list = &drive->spec->calls;
	int status = HS_EXIT_OK;

	for (size_t i = 0; i < list->count && status == HS_EXIT_OK; i++) {
		struct hs_error err;
		struct hs_buf text;
		enum hs_status st;

		hs_buf_init(&text, LINE_MAX_BYTES);
		st = call(drive, &list->calls[i], &text, &err);
		if (st == HS_ERR_INTERRUPTED || st == HS_ERR_NOMEM ||
		    hs_sandbox_state(hs_session_sandbox(drive->session)) != HS_SANDBOX_READY) {
			status = settle_end(drive, list->calls[i].name, st, &err);
		} else if (cycle == 1) {
			show(drive, st, &text);
			hs_buf_deinit(&drive->first[i]);
			drive->first[i] = text;
			continue;
		} else if (strcmp((const char *)text.data, (const char *)drive->first[i].data) != 0) {
			before_line(drive);
			hs_cli_say("cycle %" PRIu64 ": %s, and in cycle 1: %s", cycle, (const char *)text.data,
				   (const char *)drive->first[i].data);
			status = HS_EXIT_NOT_ALL;
		}
		hs_buf_deinit(&text);
	}
	return status;
}

/* The same, anew when a debugger has put the guest back meanwhile. */
static int call_all(struct hs_drive *drive, uint64_t cycle)
{
	int status;

	do {
		drive->again = false;
		status = call_each(drive, cycle);
	} while (status == GIVEN_UP && drive->again);
	return status;
}

static void say_cycles(struct hs_drive *drive, uint64_t took_ns)
{
	const uint64_t cycles = drive->spec->cycles;
	const double micros = (double)took_ns / 1000.0 / (double)cycles;
	char text[96];

	if (drive->spec->json) {
		struct hs_buf line = { .data = (uint8_t *)text };

		line.length = (size_t)snprintf(text, sizeof(text), "{\"cycles\":%" PRIu64 ",\"microseconds\":%.1f}",
					       cycles, micros);
		put_result(drive, &line);
		return;
	}
	before_line(drive);
	if (drive->timed) {
		hs_cli_say("%" PRIu64 " cycles, %.1f us each", cycles, micros);
	} else {
		hs_cli_say("%" PRIu64 " cycles", cycles);
	}
}

/* Cycles of restore and call, all from the same snapshot. */
static int cycle_all(struct hs_drive *drive, struct hs_snapshot *snapshot)
{
	struct hs_sandbox *sandbox = hs_session_sandbox(drive->session);
	const uint64_t began = hs_now_ns();
	struct hs_error err;
	int status = HS_EXIT_OK;

	hs_progress_init("cycles", &drive->progress);
	drive->progress.counts = true;
	for (uint64_t cycle = 1; cycle <= drive->spec->cycles && status == HS_EXIT_OK; cycle++) {
		if (hs_sandbox_restore(sandbox, snapshot, &err)) {
			before_line(drive);
			return hs_cli_failed(&err);
		}
		status = call_all(drive, cycle);
		if (drive->timed && !drive->mid_line) {
			hs_progress_tell(&drive->progress, cycle, drive->spec->cycles);
		}
	}
	if (status == HS_EXIT_OK) {
		say_cycles(drive, hs_now_ns() - began);
	}
	return status;
}

/* The guest is ready: everything that was to be done then. */
static int go_on(struct hs_drive *drive, struct hs_snapshot *snapshot)
{
	const struct hs_drive_spec *spec = drive->spec;
	struct hs_error err;
	int status;

	if (spec->save && hs_cli_save_snapshot(snapshot, spec->save, &err)) {
		before_line(drive);
		return hs_cli_failed(&err);
	}
	drive->ready = true;
	if (spec->calls.count == 0) {
		hs_session_limit_again(drive->session);
		return hs_session_run_to_end(drive->session);
	}
	drive->first = calloc(spec->calls.count, sizeof(*drive->first));
	if (!drive->first) {
		hs_error_os(&err, ENOMEM, "cannot keep the results");
		return hs_cli_failed(&err);
	}
	status = spec->cycles > 1 ? cycle_all(drive, snapshot) : call_all(drive, 1);
	flush(drive);
	for (size_t i = 0; i < spec->calls.count; i++) {
		hs_buf_deinit(&drive->first[i]);
	}
	free(drive->first);
	drive->first = NULL;
	return status == HS_EXIT_OK && drive->failed ? HS_EXIT_NOT_ALL : status;
}

int hs_drive_run(void *ctx, struct hs_session *session)
{
	struct hs_drive *drive = ctx;
	const struct hs_drive_spec *spec = drive->spec;
	struct hs_snapshot *snapshot = spec->snapshot ? hs_snapshot_ref(spec->snapshot) : NULL;
	struct hs_error err;
	int status = HS_EXIT_OK;

	drive->session = session;
	if (!snapshot) {
		status = start(drive);
	}
	if (status == HS_EXIT_OK && !snapshot && (spec->save || spec->cycles > 1) &&
	    hs_sandbox_snapshot(hs_session_sandbox(session), &snapshot, &err)) {
		before_line(drive);
		hs_error_prefix(&err, "no snapshot");
		status = hs_cli_failed(&err);
	}
	if (status == HS_EXIT_OK) {
		status = go_on(drive, snapshot);
	}
	hs_progress_end(&drive->progress);
	hs_snapshot_unref(snapshot);
	return status;
}
