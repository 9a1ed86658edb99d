/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that run the target, stop it, let go of it or end it. */
#include "gdbstub/stub.h"

#include "base/bytes.h"

#include <string.h>

enum hs_reply hs_handle_stop_reason(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_stop stop = { .kind = HS_STOP_INTERRUPTED };

	(void)request;
	gdb->control.ops->stop_current(gdb->control.ctx, &stop);
	hs_gdb_put_stop(gdb, &stop);
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_thread_stop(struct hs_gdb *gdb, const struct hs_request *request)
{
	if (!hs_gdb_names_thread(gdb, request->id)) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such thread");
	}
	return hs_handle_stop_reason(gdb, request);
}

enum hs_reply hs_handle_resume_kinds(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return hs_reply_text(gdb, "vCont;c;C;s;S;t;r");
}

/* "c ADDR": the instruction pointer moves first. */
static enum hs_status move_to(struct hs_gdb *gdb, hs_gva gva)
{
	struct hs_cpu_state cpu;
	enum hs_status st = gdb->target.ops->cpu_read(gdb->target.ctx, &cpu, &gdb->err);

	if (st) {
		return st;
	}
	cpu.rip = gva.v;
	return gdb->target.ops->cpu_write(gdb->target.ctx, &cpu, &gdb->err);
}

/*
 * The leftmost action that names the CPU's thread. Of a client that lets another process run alone, whose turn it is
 * not, it is the first that names any: there is one CPU, and it has to go on for that to come.
 */
static const struct hs_action *choose_action(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct hs_action *actions = request->resume.actions;
	uint32_t process = hs_gdb_cpu_process(gdb);
	const struct hs_action *any = NULL;

	for (size_t i = 0; i < request->resume.count; i++) {
		struct hs_thread_id id = actions[i].id;

		if (!hs_gdb_names_thread(gdb, id)) {
			continue;
		}
		if (id.process == HS_ID_ANY || id.process == HS_ID_ALL || id.process == process) {
			return &actions[i];
		}
		any = any ? any : &actions[i];
	}
	return any;
}

/*
 * The target stands where it stood, and the user is to learn why. gdb shows all of an error behind a resume, whether or
 * not it takes text for one elsewhere. lldb takes any error there for a lost connection: it is told by what looks like
 * output of the guest, and by the stop, once more. One that is no fault is an interrupt then: of the end of a step lldb
 * would think that its own has come so far, and step on.
 */
static enum hs_reply refuse_resume(struct hs_gdb *gdb, enum hs_status st)
{
	struct hs_stop stop = { .kind = HS_STOP_INTERRUPTED };
	enum hs_reply reply = hs_reply_status(gdb, st);

	if (!gdb->client.error_strings) {
		hs_gdb_put_error(gdb, true);
		return HS_REPLY_PAYLOAD;
	}
	if (gdb->ended) {
		return reply;
	}
	hs_buf_append_byte(&gdb->payload, 'O');
	hs_buf_append_hex(&gdb->payload, gdb->err.message, strlen(gdb->err.message));
	hs_buf_append_hex(&gdb->payload, "\n", 1);
	hs_gdb_send_payload(gdb);
	hs_buf_clear(&gdb->payload);
	gdb->control.ops->stop_current(gdb->control.ctx, &stop);
	stop.kind = stop.kind == HS_STOP_SIGNAL ? HS_STOP_SIGNAL : HS_STOP_INTERRUPTED;
	hs_gdb_put_stop(gdb, &stop);
	return HS_REPLY_PAYLOAD;
}

enum hs_reply hs_handle_resume(struct hs_gdb *gdb, const struct hs_request *request)
{
	const struct hs_action *action = choose_action(gdb, request);
	enum hs_status st;

	if (!action) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such thread");
	}
	/* vCont;t asks a stopped target to stop: the reply is where it stands. */
	if (action->nothing) {
		return hs_handle_stop_reason(gdb, request);
	}
	if (request->resume.at_given) {
		st = move_to(gdb, request->resume.at);
		if (st) {
			return refuse_resume(gdb, st);
		}
	}
	st = gdb->control.ops->resume(gdb->control.ctx, &action->how, &gdb->err);
	if (st) {
		return refuse_resume(gdb, st);
	}
	gdb->running = true;
	gdb->goal = HS_GOAL_REPORT;
	gdb->resume = action->how;
	gdb->resume.signal = 0; /* is delivered once */
	gdb->interrupt_asked = gdb->client.interrupt_due;
	gdb->client.interrupt_due = false;
	if (gdb->interrupt_asked) {
		hs_gdb_interrupt(gdb);
	}
	return HS_REPLY_STOP;
}

/* vCtrlC is 0x03 as a packet. The stop it causes is the reply of the resume, not of this. */
enum hs_reply hs_handle_interrupt(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	if (gdb->running && gdb->client.attached) {
		gdb->interrupt_asked = true;
		hs_gdb_interrupt(gdb);
	}
	return HS_REPLY_OK;
}

/* Another address space; or, after a detach in extended mode, the guest again. */
enum hs_reply hs_handle_attach(struct hs_gdb *gdb, const struct hs_request *request)
{
	if (gdb->ended) {
		return hs_reply_error(gdb, HS_ERR_STATE, "the guest has ended");
	}
	/* The next stop is owed to a resume, or to another attach, or is a kill's already. */
	if (gdb->running && gdb->client.attached) {
		return hs_reply_error(gdb, HS_ERR_STATE, "the guest is running");
	}
	if (!hs_gdb_attach_process(gdb, request->id.process)) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "no such process: 'info os processes' lists them");
	}
	gdb->client.attached = true;
	gdb->client.detached = false;
	gdb->client.attaching = request->id.process;
	if (!gdb->running) {
		return hs_handle_stop_reason(gdb, request);
	}
	gdb->goal = HS_GOAL_REPORT;
	hs_gdb_interrupt(gdb);
	return HS_REPLY_STOP;
}

enum hs_reply hs_handle_detach(struct hs_gdb *gdb, const struct hs_request *request)
{
	struct hs_stop stop = { .kind = HS_STOP_INTERRUPTED };
	uint32_t process = request->id.process;

	if (gdb->client.detached || gdb->ended) {
		return HS_REPLY_OK;
	}
	/* Without the extension the number says nothing: there is one process. */
	if (gdb->client.processes.named && process != HS_ID_ANY) {
		if (!hs_gdb_names_process(gdb, process)) {
			return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "not attached to this process");
		}
		if (gdb->running && gdb->client.processes.count > 1) {
			return hs_reply_error(gdb, HS_ERR_STATE, "the guest is running");
		}
		if (hs_gdb_detach_process(gdb, process)) {
			return HS_REPLY_OK;
		}
	}
	gdb->client.attached = false;
	gdb->client.detached = true;
	if (gdb->running) {
		gdb->clear_breaks = true;
		gdb->goal = HS_GOAL_DETACH;
		hs_gdb_interrupt(gdb);
		return HS_REPLY_OK;
	}
	gdb->control.ops->stop_current(gdb->control.ctx, &stop);
	hs_gdb_clear_breaks(gdb);
	hs_gdb_run_free(gdb, &stop);
	return HS_REPLY_OK;
}

void hs_gdb_kill(struct hs_gdb *gdb)
{
	if (gdb->ended || gdb->killed) {
		return;
	}
	if (gdb->running) {
		gdb->goal = HS_GOAL_KILL;
		hs_gdb_interrupt(gdb);
		return;
	}
	if (gdb->target.ops->kill) {
		gdb->target.ops->kill(gdb->target.ctx);
	}
	gdb->killed = true;
}

enum hs_reply hs_handle_kill(struct hs_gdb *gdb, const struct hs_request *request)
{
	/* gdb without the multiprocess extension has made a number up (42000; gdb's remote.c, magic_null_ptid).
	 * Whichever is killed, the guest ends: there is no ending a part of it. */
	if (gdb->client.processes.named && !hs_gdb_names_process(gdb, request->id.process)) {
		return hs_reply_error(gdb, HS_ERR_NOT_FOUND, "not attached to this process");
	}
	if (gdb->client.detached) {
		return hs_reply_error(gdb, HS_ERR_STATE, "detached from the guest");
	}
	hs_gdb_kill(gdb);
	return HS_REPLY_OK;
}

/*
 * 'k' has no reply (gdb manual, Packets): gdb closes the connection at once. lldb waits for one that tells of the
 * end, as lldb-server's does, by SIGKILL; where none comes it says that it has "failed to send the k packet".
 */
enum hs_reply hs_handle_kill_silently(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	if (!gdb->client.detached) {
		hs_gdb_kill(gdb);
	}
	return gdb->client.lists_threads ? hs_reply_text(gdb, "X09") : HS_REPLY_SILENCE;
}

/* To where the guest began, as a new process: with no breakpoint of the old one (gdb forgets that it has set any). */
static enum hs_status restart(struct hs_gdb *gdb)
{
	enum hs_status st = gdb->target.ops->restart(gdb->target.ctx, &gdb->err);

	if (st) {
		return st;
	}
	hs_gdb_clear_breaks(gdb);
	hs_stepper_reset(gdb);
	gdb->ended = false;
	gdb->killed = false;
	gdb->client.attached = true;
	gdb->client.detached = false;
	gdb->client.interrupt_due = false;
	if (gdb->client.processes.named) {
		/* One process again, whatever the client had opened of the old one. */
		gdb->client.processes = (struct hs_gdb_processes){ .named = false };
		hs_gdb_name_processes(gdb);
	}
	return HS_OK;
}

/* A guest that the client has detached from, or is about to kill, is stopped first; the packet waits until then. */
static void wait_for_stop(struct hs_gdb *gdb)
{
	gdb->client.attached = true;
	gdb->client.detached = false;
	gdb->held = true;
	gdb->goal = HS_GOAL_ATTACH;
	hs_gdb_interrupt(gdb);
}

/* Else the reply to what the client has resumed it with would be lost. */
static bool may_stop(const struct hs_gdb *gdb)
{
	return gdb->client.detached || gdb->goal == HS_GOAL_KILL;
}

enum hs_reply hs_handle_run(struct hs_gdb *gdb, const struct hs_request *request)
{
	enum hs_status st;

	if (!gdb->target.ops->restart) {
		return hs_reply_error(gdb, HS_ERR_UNSUPPORTED, "the guest cannot be started again");
	}
	if (!gdb->client.extended) {
		return hs_reply_error(gdb, HS_ERR_STATE, "only in extended mode ('target extended-remote')");
	}
	if (request->run.has_arguments) {
		return hs_reply_error(
			gdb, HS_ERR_UNSUPPORTED,
			"the guest's arguments are those that it was started with ('set args' has others)");
	}
	if (gdb->running && !may_stop(gdb)) {
		return hs_reply_error(gdb, HS_ERR_STATE, "the guest is running");
	}
	if (gdb->running) {
		wait_for_stop(gdb);
		return HS_REPLY_SILENCE;
	}
	st = restart(gdb);
	return st ? hs_reply_status(gdb, st) : hs_handle_stop_reason(gdb, request);
}

/* 'R' has no reply: gdb sends '?' behind it at once and would take one for that one's. */
enum hs_reply hs_handle_restart(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	if (!gdb->client.extended || !gdb->target.ops->restart) {
		return HS_REPLY_SILENCE;
	}
	if (!gdb->running) {
		(void)restart(gdb);
	} else if (may_stop(gdb)) {
		wait_for_stop(gdb);
	}
	return HS_REPLY_SILENCE;
}
