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
/** Instead of an exit status: the session is over, and whoever ended it knows why; or the guest was put back, and
 *  hs_drive_run() is called again. */
#define GIVEN_UP (-1)

/* What the guest is let run for: hs_place.step. */
enum step {
	STEP_START, /* until it is ready */
	STEP_CALL,
	STEP_END, /* until it ends */
};

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

/* Until the guest is ready. `inside`: it is on its way. HS_EXIT_OK, or how the command ends. */
static int start(struct hs_drive *drive, bool inside)
{
	static const struct hs_place place = { .step = STEP_START };
	struct hs_sandbox *sandbox = hs_session_sandbox(drive->session);
	uint64_t features = hs_vm_image(hs_session_vm(drive->session))->features;
	struct hs_error err;
	enum hs_status st;

	if (inside) {
		st = hs_session_finish_start(drive->session, &err);
	} else {
		hs_session_set_place(drive->session, &place);
		st = hs_sandbox_start(sandbox, &err);
	}
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

/* What a call has come to, as text. `inside`: the guest is in the middle of it. */
static enum hs_status call(struct hs_drive *drive, const struct hs_place *place, bool inside, struct hs_buf *ret,
			   struct hs_error *err)
{
	const struct hs_call_text *what = &drive->spec->calls.calls[place->call];
	struct hs_value result;
	enum hs_status st;

	if (inside) {
		st = hs_session_finish_call(drive->session, what->name, &result, err);
	} else {
		hs_session_limit_again(drive->session);
		hs_session_set_place(drive->session, place);
		st = hs_sandbox_call(hs_session_sandbox(drive->session), what->name, what->arguments, what->count,
				     &result, err);
	}
	hs_call_list_print(what, st ? NULL : &result, st ? err->message : NULL, drive->spec->json, ret);
	hs_buf_append_byte(ret, 0);
	if (ret->failed) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a result");
	}
	ret->length--;
	return st;
}

/* In the first cycle: a result is printed, an error too. Both are kept to compare others with. */
static void show(struct hs_drive *drive, size_t number, enum hs_status st, const struct hs_buf *text)
{
	struct hs_drive_result *first = &drive->first[number];

	hs_buf_deinit(&first->text);
	*first = (struct hs_drive_result){ .text = *text, .failed = st != HS_OK };
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

/* HS_EXIT_OK, or how the command ends because of this call. */
static int call_one(struct hs_drive *drive, const struct hs_place *place, bool inside)
{
	const struct hs_buf *first = &drive->first[place->call].text;
	int status = HS_EXIT_OK;
	struct hs_error err;
	struct hs_buf text;
	enum hs_status st;

	hs_buf_init(&text, LINE_MAX_BYTES);
	st = call(drive, place, inside, &text, &err);
	if (st == HS_ERR_INTERRUPTED || st == HS_ERR_NOMEM ||
	    hs_sandbox_state(hs_session_sandbox(drive->session)) != HS_SANDBOX_READY) {
		status = settle_end(drive, drive->spec->calls.calls[place->call].name, st, &err);
	} else if (place->cycle <= 1) {
		show(drive, place->call, st, &text);
		return HS_EXIT_OK;
	} else if (strcmp((const char *)text.data, (const char *)first->data) != 0) {
		before_line(drive);
		hs_cli_say("cycle %" PRIu64 ": %s, and in cycle 1: %s", place->cycle, (const char *)text.data,
			   (const char *)first->data);
		status = HS_EXIT_NOT_ALL;
	}
	hs_buf_deinit(&text);
	return status;
}

/* The calls of a cycle from the one at place on. HS_EXIT_OK, or how the command ends. */
static int call_each(struct hs_drive *drive, struct hs_place place, bool inside)
{
	int status = HS_EXIT_OK;

	for (; place.call < drive->spec->calls.count && status == HS_EXIT_OK; place.call++) {
		status = call_one(drive, &place, inside);
		inside = false;
	}
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

/*
 * Cycles of restore and call, all from the same snapshot, from place on. `restored`: the first restore is done already;
 * `inside`: so is the beginning of the call.
 */
static int cycle_all(struct hs_drive *drive, struct hs_place place, bool restored, bool inside)
{
	struct hs_sandbox *sandbox = hs_session_sandbox(drive->session);
	struct hs_error err;
	int status = HS_EXIT_OK;

	hs_progress_init("cycles", &drive->progress);
	drive->progress.counts = true;
	for (; place.cycle <= drive->spec->cycles && status == HS_EXIT_OK; place.cycle++, place.call = 0) {
		if (!restored && hs_sandbox_restore(sandbox, place.snapshot, &err)) {
			before_line(drive);
			return hs_cli_failed(&err);
		}
		status = call_each(drive, place, inside);
		restored = false;
		inside = false;
		if (drive->timed && !drive->mid_line) {
			hs_progress_tell(&drive->progress, place.cycle, drive->spec->cycles);
		}
	}
	if (status == HS_EXIT_OK) {
		say_cycles(drive, hs_now_ns() - drive->began_ns);
	}
	return status;
}

static bool has_failed(const struct hs_drive *drive)
{
	for (size_t i = 0; i < drive->spec->calls.count; i++) {
		if (drive->first[i].failed) {
			return true;
		}
	}
	return false;
}

/* All calls of all cycles, from place on. */
static int call_all(struct hs_drive *drive, const struct hs_place *place, bool restored, bool inside)
{
	int status = drive->spec->cycles > 1 ? cycle_all(drive, *place, restored, inside)
					     : call_each(drive, *place, inside);

	flush(drive);
	return status == HS_EXIT_OK && has_failed(drive) ? HS_EXIT_NOT_ALL : status;
}

static int run_to_end(struct hs_drive *drive)
{
	static const struct hs_place place = { .step = STEP_END };

	hs_session_set_place(drive->session, &place);
	return hs_session_run_to_end(drive->session);
}

/* The guest is ready: everything that was to be done then. */
static int go_on(struct hs_drive *drive, struct hs_snapshot *snapshot)
{
	const struct hs_place place = { .step = STEP_CALL, .cycle = 1, .snapshot = snapshot };
	const struct hs_drive_spec *spec = drive->spec;
	struct hs_error err;

	/* A guest that a debugger has put back to before comes here again. */
	if (spec->save && !drive->ready && hs_cli_save_snapshot(snapshot, spec->save, &err)) {
		before_line(drive);
		return hs_cli_failed(&err);
	}
	drive->ready = true;
	if (spec->calls.count == 0) {
		hs_session_limit_again(drive->session);
		return run_to_end(drive);
	}
	drive->began_ns = hs_now_ns();
	return call_all(drive, &place, false, false);
}

/* From its start, which it may be on its way through, or from the snapshot that it stands on. */
static int begin(struct hs_drive *drive, bool inside)
{
	const struct hs_drive_spec *spec = drive->spec;
	struct hs_snapshot *snapshot = spec->snapshot ? hs_snapshot_ref(spec->snapshot) : NULL;
	int status = snapshot ? HS_EXIT_OK : start(drive, inside);
	struct hs_error err;

	if (status == HS_EXIT_OK && !snapshot && (spec->save || spec->cycles > 1) &&
	    hs_sandbox_snapshot(hs_session_sandbox(drive->session), &snapshot, &err)) {
		before_line(drive);
		hs_error_prefix(&err, "no snapshot");
		status = hs_cli_failed(&err);
	}
	if (status == HS_EXIT_OK) {
		status = go_on(drive, snapshot);
	}
	hs_snapshot_unref(snapshot);
	return status;
}

/* Where a debugger has put the guest back to; the snapshot of that place is one owner's longer than the place. */
static int resume(struct hs_drive *drive, struct hs_place place, bool inside)
{
	int status;

	if (place.step == STEP_START) {
		return begin(drive, inside);
	}
	if (place.step == STEP_END) {
		return run_to_end(drive);
	}
	if (place.snapshot) {
		hs_snapshot_ref(place.snapshot);
	}
	place.call = inside ? place.call : 0;
	status = call_all(drive, &place, true, inside);
	hs_snapshot_unref(place.snapshot);
	return status;
}

int hs_drive_run(void *ctx, struct hs_session *session)
{
	struct hs_drive *drive = ctx;
	struct hs_place place;
	enum hs_entry entry = hs_session_entry(session, &place);
	int status;

	drive->session = session;
	if (!drive->first) {
		drive->first = calloc(drive->spec->calls.count + 1, sizeof(*drive->first));
	}
	if (!drive->first) {
		struct hs_error err;

		hs_error_os(&err, ENOMEM, "cannot keep the results");
		return hs_cli_failed(&err);
	}
	if (entry == HS_ENTRY_BEGIN) {
		status = begin(drive, false);
	} else {
		status = resume(drive, place, entry == HS_ENTRY_INSIDE);
	}
	hs_progress_end(&drive->progress);
	return status;
}

void hs_drive_deinit(struct hs_drive *drive)
{
	for (size_t i = 0; drive->first && i < drive->spec->calls.count; i++) {
		hs_buf_deinit(&drive->first[i].text);
	}
	free(drive->first);
	drive->first = NULL;
}
