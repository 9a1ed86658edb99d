/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The byte machine: struct hs_gdb's life, its client's coming and going, bytes in and out, and the target's stops. It
 * decides when a packet may be looked at; what the packet asks for is decode's and dispatch's business.
 */
#include "gdbstub/stub.h"

#include "base/arith.h"
#include "base/error.h"

#include <stdlib.h>

/* The output never holds more than the high-water mark, one retransmitted packet, one reply and one stop reply, each of
 * which may double by its escapes. */
#define OUTPUT_LIMIT (HS_GDB_OUTPUT_HIGH + 3 * (2 * (size_t)HS_GDB_REPLY_MAX + 16))

static void describe_target(struct hs_gdb *gdb)
{
	gdb->target.ops->info(gdb->target.ctx, &gdb->info);
	gdb->reg_count = hs_regs_of(gdb->info.arch, gdb->info.xcr0, gdb->regs);
}

struct hs_agent_cpu hs_gdb_agent_cpu(const struct hs_gdb *gdb)
{
	return (struct hs_agent_cpu){ .arch = gdb->info.arch, .regs = gdb->regs, .reg_count = gdb->reg_count };
}

/* hs_break_filter_fn. The points do not change while the target runs. */
static bool is_false(void *ctx, const struct hs_break_hit *hit)
{
	const struct hs_gdb *gdb = ctx;
	struct hs_agent_scene scene = { .hit = *hit, .cpu = hs_gdb_agent_cpu(gdb) };

	return gdb->points.programmed > 0 && hs_agent_points_passed(&gdb->points, &scene);
}

enum hs_status hs_gdb_create(const struct hs_target *target, bool running, struct hs_gdb **ret, struct hs_error *err)
{
	struct hs_gdb *gdb = calloc(1, sizeof(*gdb));

	if (!gdb) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "debugger stub: no memory");
	}
	gdb->target = *target;
	gdb->control = target->ops->step ? hs_stepper_control(gdb) : *target;
	hs_stepper_reset(gdb);
	describe_target(gdb);
	gdb->running = running;
	gdb->goal = HS_GOAL_FREE;
	hs_packet_framer_init(&gdb->framer, HS_GDB_PACKET_SIZE);
	hs_buf_init(&gdb->out, OUTPUT_LIMIT);
	hs_buf_init(&gdb->last, 2 * (size_t)HS_GDB_REPLY_MAX + 16);
	hs_buf_init(&gdb->payload, HS_GDB_REPLY_MAX);
	hs_buf_init(&gdb->scratch, HS_GDB_REPLY_MAX);
	if (gdb->target.ops->break_filter) {
		gdb->target.ops->break_filter(gdb->target.ctx, is_false, gdb);
	}
	*ret = gdb;
	return HS_OK;
}

void hs_gdb_destroy(struct hs_gdb *gdb)
{
	if (!gdb) {
		return;
	}
	if (gdb->target.ops->break_filter) {
		gdb->target.ops->break_filter(gdb->target.ctx, NULL, NULL);
	}
	hs_packet_framer_deinit(&gdb->framer);
	hs_buf_deinit(&gdb->out);
	hs_buf_deinit(&gdb->last);
	hs_buf_deinit(&gdb->payload);
	hs_buf_deinit(&gdb->scratch);
	hs_agent_points_clear(&gdb->points);
	free(gdb);
}

/* Nothing of one client may reach the next one. */
static void forget_client(struct hs_gdb *gdb)
{
	gdb->client = (struct hs_gdb_client){ 0 };
	gdb->held = false;
	hs_packet_framer_reset(&gdb->framer);
	hs_buf_clear(&gdb->out);
	hs_buf_clear(&gdb->last);
}

void hs_gdb_connect(struct hs_gdb *gdb)
{
	forget_client(gdb);
	gdb->client.connected = true;
}

void hs_gdb_disconnect(struct hs_gdb *gdb)
{
	bool vanished = gdb->client.attached;

	forget_client(gdb);
	if (!vanished || gdb->ended || gdb->killed) {
		return;
	}
	if (!gdb->running) {
		hs_gdb_clear_breaks(gdb);
		return;
	}
	/* A detach or kill on its way still takes place. Else the target stops for the next client. */
	gdb->clear_breaks = true;
	if (gdb->goal == HS_GOAL_REPORT || gdb->goal == HS_GOAL_ATTACH) {
		gdb->goal = HS_GOAL_STAY;
		hs_gdb_interrupt(gdb);
	}
}

void hs_gdb_clear_breaks(struct hs_gdb *gdb)
{
	gdb->control.ops->break_clear(gdb->control.ctx);
	hs_agent_points_clear(&gdb->points);
}

void hs_gdb_run_free(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	struct hs_resume resume = { .kind = HS_RESUME_CONTINUE };

	if (stop->kind == HS_STOP_SIGNAL) {
		resume.signal = stop->signal;
	}
	if (gdb->control.ops->resume(gdb->control.ctx, &resume, NULL) == HS_OK) {
		gdb->running = true;
		gdb->goal = HS_GOAL_FREE;
	}
}

/* A complete packet. The first one of a client that finds the target running stops it, and waits for that. */
static void take_packet(struct hs_gdb *gdb)
{
	if (!gdb->client.attached && !gdb->client.detached && !gdb->ended) {
		gdb->client.attached = true;
		if (gdb->running) {
			gdb->goal = gdb->goal == HS_GOAL_KILL ? HS_GOAL_KILL : HS_GOAL_ATTACH;
			gdb->held = true;
			hs_gdb_interrupt(gdb);
			return;
		}
		describe_target(gdb);
	}
	gdb->client.knows_stop = true;
	hs_gdb_dispatch(gdb, gdb->framer.payload.data, gdb->framer.payload.length);
}

static void acknowledge(struct hs_gdb *gdb, uint8_t sign)
{
	if (!gdb->client.no_ack) {
		hs_buf_append_byte(&gdb->out, sign);
	}
}

/* A packet that was damaged is asked for again; where there are no acknowledgements an error is the only answer that
 * does not leave the client waiting. */
static void take_corrupt(struct hs_gdb *gdb)
{
	acknowledge(gdb, '-');
	if (gdb->client.no_ack) {
		hs_gdb_refuse_packet(gdb, HS_ERR_FORMAT, "the packet's checksum is wrong");
	}
}

/*
 * Ctrl-C may come too late, when the target has stopped by itself: the client is about to learn that, and
 * nothing is owed. And it may come too early: a user who is quick makes gdb send 0x03 before the resume that
 * it is meant for (it checks for Ctrl-C while it sends). A client that has spoken since the stop knows that
 * nothing runs, so it can only mean what comes next. Nor is the end of a step what its user waits for: gdb steps off a
 * breakpoint, or through a line, and goes on by itself. So it is kept as well where the target was about to end a step
 * when it was asked: report().
 */
static void take_interrupt(struct hs_gdb *gdb)
{
	if (!gdb->client.attached) {
		return;
	}
	if (gdb->running) {
		gdb->interrupt_asked = true;
		hs_gdb_interrupt(gdb);
	} else {
		gdb->client.interrupt_due = gdb->client.knows_stop || gdb->client.stepped;
	}
}

static void take_event(struct hs_gdb *gdb, enum hs_packet_event event)
{
	switch (event) {
	case HS_PACKET_COMPLETE:
		acknowledge(gdb, '+');
		gdb->client.received++;
		take_packet(gdb);
		break;
	case HS_PACKET_CORRUPT:
		take_corrupt(gdb);
		break;
	case HS_PACKET_OVERLONG:
		acknowledge(gdb, '+');
		hs_gdb_refuse_packet(gdb, HS_ERR_RANGE, "the packet is longer than PacketSize");
		break;
	case HS_PACKET_INTERRUPT:
		take_interrupt(gdb);
		break;
	case HS_PACKET_NAK:
		if (!gdb->client.no_ack) {
			hs_buf_append(&gdb->out, gdb->last.data, gdb->last.length);
		}
		break;
	case HS_PACKET_ACK:
	case HS_PACKET_NONE:
		break;
	}
}

bool hs_gdb_wants_input(const struct hs_gdb *gdb)
{
	return gdb->client.connected && !gdb->held && gdb->out.length < HS_GDB_OUTPUT_HIGH && !gdb->out.failed;
}

size_t hs_gdb_feed(struct hs_gdb *gdb, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	size_t used = 0;

	while (used < length && hs_gdb_wants_input(gdb)) {
		enum hs_packet_event event;

		used += hs_packet_feed(&gdb->framer, at + used, length - used, &event);
		take_event(gdb, event);
	}
	return used;
}

const uint8_t *hs_gdb_output(const struct hs_gdb *gdb, size_t *ret_length)
{
	*ret_length = gdb->out.length;
	return gdb->out.data;
}

bool hs_gdb_target_running(const struct hs_gdb *gdb)
{
	return gdb->running && !gdb->parked;
}

static void report(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	hs_buf_clear(&gdb->payload);
	hs_gdb_put_stop(gdb, stop);
	gdb->client.knows_stop = false;
	gdb->client.stepped = stop->kind == HS_STOP_STEPPED;
	gdb->client.interrupt_due = gdb->client.stepped && gdb->interrupt_asked;
	hs_gdb_send_payload(gdb);
}

static void release_held(struct hs_gdb *gdb)
{
	if (gdb->held) {
		gdb->held = false;
		describe_target(gdb);
		hs_gdb_dispatch(gdb, gdb->framer.payload.data, gdb->framer.payload.length);
	}
}

/* The target stands still: do what it was awaited for. */
static void settle(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	enum hs_goal goal = gdb->goal;

	gdb->running = false;
	gdb->goal = HS_GOAL_STAY;
	gdb->ended = stop->kind == HS_STOP_EXITED || stop->kind == HS_STOP_KILLED;
	if (gdb->clear_breaks && !gdb->ended) {
		hs_gdb_clear_breaks(gdb);
	}
	gdb->clear_breaks = false;
	switch (goal) {
	case HS_GOAL_FREE:
	case HS_GOAL_DETACH:
		if (!gdb->ended) {
			hs_gdb_run_free(gdb, stop);
		}
		break;
	case HS_GOAL_REPORT:
		report(gdb, stop);
		break;
	case HS_GOAL_ATTACH:
	case HS_GOAL_STAY:
		break;
	case HS_GOAL_KILL:
		hs_gdb_kill(gdb);
		break;
	}
	release_held(gdb);
}

/* The stop as the target has it, for one that was not reported when it came. */
static void settle_now(struct hs_gdb *gdb)
{
	struct hs_stop stop = { .kind = HS_STOP_INTERRUPTED };

	gdb->control.ops->stop_current(gdb->control.ctx, &stop);
	settle(gdb, &stop);
}

/*
 * Go on from a hit that the client does not want to know of. What was asked for while the target stood there has not
 * reached it, so it is asked again: an interrupt is never lost to hits that follow each other.
 */
static void go_on(struct hs_gdb *gdb)
{
	if (gdb->control.ops->resume(gdb->control.ctx, &gdb->resume, NULL) != HS_OK) {
		settle_now(gdb);
		return;
	}
	gdb->running = true;
	if (gdb->interrupt_asked) {
		gdb->control.ops->interrupt(gdb->control.ctx);
	}
}

/* Text for the client's user, while the target runs (gdb manual, Stop Reply Packets, "O"). */
static void send_text(struct hs_gdb *gdb)
{
	size_t length = hs_min_u64(gdb->scratch.length, (HS_GDB_REPLY_MAX - 1) / 2);

	if (length > 0) {
		hs_buf_clear(&gdb->payload);
		hs_buf_append_byte(&gdb->payload, 'O');
		hs_buf_append_hex(&gdb->payload, gdb->scratch.data, length);
		hs_gdb_send_payload(gdb);
	}
	hs_buf_clear(&gdb->scratch);
}

/* A hit at which the target has stopped. */
struct standing {
	const struct hs_target *target;
	struct hs_cpu_state cpu;
};

static const struct hs_cpu_state *standing_cpu(void *ctx, bool all)
{
	(void)all;
	return &((struct standing *)ctx)->cpu;
}

static enum hs_status standing_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				    struct hs_error *err)
{
	const struct hs_target *target = ((struct standing *)ctx)->target;

	return target->ops->mem_read(target->ctx, gva, buffer, length, ret_length, err);
}

/* Whether a stop that the client waits for is a breakpoint whose condition is false, or that was all done by its
 * commands. Their text is sent. */
static bool is_passed_over(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	struct standing standing = { .target = &gdb->target };
	struct hs_agent_scene scene = {
		.hit = { .cpu = standing_cpu, .mem_read = standing_read, .ctx = &standing },
		.cpu = hs_gdb_agent_cpu(gdb),
		.text = &gdb->scratch,
	};
	uint32_t space;
	bool wanted;

	if (gdb->goal != HS_GOAL_REPORT || gdb->points.programmed == 0 ||
	    (stop->kind != HS_STOP_SWBREAK && stop->kind != HS_STOP_HWBREAK) ||
	    gdb->target.ops->cpu_read(gdb->target.ctx, &standing.cpu, NULL) != HS_OK) {
		return false;
	}
	hs_buf_clear(&gdb->scratch);
	space = gdb->points.of_spaces > 0 ? hs_gdb_cpu_space(gdb) : 0;
	wanted = hs_agent_points_wanted(&gdb->points, &scene, space);
	send_text(gdb);
	return !wanted;
}

void hs_gdb_target_stopped(struct hs_gdb *gdb)
{
	struct hs_stop stop = { .kind = HS_STOP_INTERRUPTED };

	if (!gdb->running || gdb->parked || !gdb->control.ops->stop_take(gdb->control.ctx, &stop)) {
		return;
	}
	gdb->running = false;
	/* What is read before the next request is of the CPU that has stopped. */
	if (gdb->target.ops->space_use) {
		gdb->target.ops->space_use(gdb->target.ctx, HS_SPACE_CPU);
	}
	if (!is_passed_over(gdb, &stop)) {
		settle(gdb, &stop);
	} else if (gdb->out.length >= HS_GDB_OUTPUT_HIGH) {
		/* A guest that prints faster than its client reads waits for it. */
		gdb->parked = true;
		gdb->running = true;
	} else {
		go_on(gdb);
	}
}

void hs_gdb_interrupt(struct hs_gdb *gdb)
{
	if (gdb->parked) {
		gdb->parked = false;
		settle_now(gdb);
		return;
	}
	gdb->control.ops->interrupt(gdb->control.ctx);
}

void hs_gdb_output_consume(struct hs_gdb *gdb, size_t length)
{
	hs_buf_consume(&gdb->out, length);
	if (gdb->parked && gdb->out.length < HS_GDB_OUTPUT_HIGH) {
		gdb->parked = false;
		go_on(gdb);
	}
}

enum hs_gdb_phase hs_gdb_phase(const struct hs_gdb *gdb)
{
	/* In extended mode a client may run the guest again, and stays until it leaves. */
	bool may_run = gdb->client.extended && gdb->target.ops->restart;

	if ((gdb->killed || gdb->ended) && !may_run) {
		return gdb->killed ? HS_GDB_KILLED : HS_GDB_EXITED;
	}
	if (!gdb->client.connected) {
		return HS_GDB_ABSENT;
	}
	if (gdb->out.failed) {
		return HS_GDB_BROKEN;
	}
	/* In extended mode a client that has detached stays, and may attach again. */
	return gdb->client.detached && !gdb->client.extended ? HS_GDB_LEAVING : HS_GDB_PRESENT;
}
