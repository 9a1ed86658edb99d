/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole sessions with a fake target: clients come, send packets good and spoilt, interrupt, detach, hang up in the
 * middle of a packet and come back, while the target stops for reasons of its own. What must hold all the time:
 *
 *   - each packet gets its one acknowledgement while there are any, and its one reply: at once, or at the next stop for
 *     one that resumes and whose stop is not passed over, or never for those that the protocol has no reply for;
 *   - nothing is asked of a running target;
 *   - a client that is gone leaves no breakpoint behind, and a target that stands; one that has detached leaves one
 *     that runs;
 *   - the next client finds nothing of the one before;
 *   - memory and output have their bounds.
 *
 * An input is a string of bytes that decide what happens next.
 */
#include "../driver.h"
#include "fake_target.h"
#include "packets.h"

#include "gdbstub/stub.h"

#include <stdlib.h>
#include <string.h>

#define DATA_ADDRESS 0x1000u
#define CODE_ADDRESS 0x4000u
#define EVENTS_MAX 400u

/* More may never wait in the output: what is waited for at most, the packet sent again, a reply and a stop reply. */
#define OUTPUT_MOST (HS_GDB_OUTPUT_HIGH + 3 * (2 * (size_t)HS_GDB_REPLY_MAX + 16))
/* All that one connection may take: output, the packet sent again, payload, raw memory, and the packet that comes. */
#define MEMORY_MOST (OUTPUT_MOST + 2 * (size_t)HS_GDB_REPLY_MAX + 16 + 3 * (size_t)HS_GDB_PACKET_SIZE)

struct session {
	struct fake_target fake;
	struct hs_gdb *gdb;
	const uint8_t *input, *end;
	bool no_ack;  /* the client has been told OK to QStartNoAckMode */
	bool owed;    /* a packet has been taken whose reply is the next stop */
	bool held;    /* a packet has been taken that waits until the target stands */
	bool unknown; /* bytes that are no packets have been sent: what is owed to whom, nobody knows */
	uint8_t held_packet[PACKET_ROOM + 1];
};

/* What is in the output. */
struct output {
	unsigned int acks, naks, packets;
	unsigned int texts; /* packets for the user while the target runs, not counted above */
	bool last_is_ok;
};

static uint8_t take(struct session *session)
{
	return session->input < session->end ? *session->input++ : 0;
}

static struct output drain(struct session *session)
{
	struct output output = { .acks = 0 };
	size_t length;
	const uint8_t *bytes = hs_gdb_output(session->gdb, &length);

	CHECK(length <= OUTPUT_MOST);
	for (size_t i = 0; i < length; i++) {
		const uint8_t *hash;

		if (bytes[i] == '+' || bytes[i] == '-') {
			output.acks += bytes[i] == '+';
			output.naks += bytes[i] == '-';
			continue;
		}
		CHECK(bytes[i] == '$');
		hash = memchr(bytes + i, '#', length - i);
		CHECK(hash && hash + 2 < bytes + length);
		if (bytes[i + 1] == 'O' && bytes[i + 2] != 'K') {
			output.texts++;
		} else {
			output.packets++;
			output.last_is_ok = hash == bytes + i + 3 && memcmp(bytes + i + 1, "OK", 2) == 0;
		}
		i = (size_t)(hash + 2 - bytes);
	}
	hs_gdb_output_consume(session->gdb, length);
	return output;
}

static void check_bounds(const struct session *session)
{
	const struct hs_gdb *gdb = session->gdb;

	CHECK(session->fake.misuses == 0);
	CHECK(gdb->out.capacity + gdb->last.capacity + gdb->payload.capacity + gdb->scratch.capacity +
		      gdb->framer.payload.capacity <=
	      MEMORY_MOST);
}

static bool begins(const uint8_t *payload, const char *word)
{
	return strncmp((const char *)payload, word, strlen(word)) == 0;
}

static bool is_silent(const uint8_t *payload)
{
	return *payload == 'k' || *payload == 'R';
}

/* Its reply may be a stop, later. */
static bool may_resume(const uint8_t *payload)
{
	static const char *const words[] = { "c", "s", "C", "S", "vCont", "vAttach", "vRun", "bc", "bs", "i", "I" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (begins(payload, words[i])) {
			return true;
		}
	}
	return false;
}

/* One packet has been looked at: the replies to it. */
static void check_replies(struct session *session, const uint8_t *payload, const struct output *output)
{
	bool detaches = begins(payload, "D") && output->last_is_ok;

	CHECK(output->packets <= 1 && output->texts == 0);
	if (output->packets == 0) {
		CHECK(is_silent(payload) || (may_resume(payload) && hs_gdb_target_running(session->gdb)));
		session->owed |= !is_silent(payload);
	}
	if (detaches) {
		/* What it had resumed is nobody's any more. */
		session->owed = false;
	}
	if (strcmp((const char *)payload, "QStartNoAckMode") == 0 && output->last_is_ok) {
		session->no_ack = true;
	}
}

static void client_leaves(struct session *session);

/* A client goes when it is told to, as the server has it. */
static void look_at_phase(struct session *session)
{
	enum hs_gdb_phase phase = hs_gdb_phase(session->gdb);

	CHECK(phase != HS_GDB_BROKEN);
	if (phase == HS_GDB_LEAVING || phase == HS_GDB_EXITED || phase == HS_GDB_KILLED) {
		client_leaves(session);
	}
}

/* The target has stopped, if it has. */
static void deliver_stop(struct session *session)
{
	bool stops = session->fake.announced;
	struct output output;
	bool killed;
	bool passed; /* at a breakpoint whose condition is false */

	hs_gdb_target_stopped(session->gdb);
	killed = session->gdb->killed;
	output = drain(session);
	passed = session->owed && session->gdb->points.programmed > 0 && hs_gdb_target_running(session->gdb);
	if (session->unknown || !stops) {
		CHECK(session->unknown || output.packets == 0);
		return;
	}
	if (session->held) {
		session->held = false;
		/* The acknowledgement of a held packet has been sent when it came. */
		check_replies(session, session->held_packet, &output);
		return;
	}
	CHECK(output.packets == (session->owed && !killed && !passed ? 1u : 0u));
	CHECK(output.texts <= (session->owed ? 1u : 0u));
	session->owed = passed;
}

static void client_comes(struct session *session)
{
	size_t length;

	hs_gdb_connect(session->gdb);
	session->no_ack = false;
	session->owed = false;
	session->held = false;
	session->unknown = false;
	(void)hs_gdb_output(session->gdb, &length);
	CHECK(length == 0);
	CHECK(hs_gdb_wants_input(session->gdb));
}

/* A client hangs up, wherever it was. */
static void client_leaves(struct session *session)
{
	bool detached = session->gdb->client.detached;
	bool attached = session->gdb->client.attached;
	bool killing = session->gdb->goal == HS_GOAL_KILL;

	hs_gdb_disconnect(session->gdb);
	session->owed = false;
	session->held = false;
	for (int i = 0; i < 3 && session->fake.announced; i++) {
		hs_gdb_target_stopped(session->gdb);
	}
	CHECK(drain(session).packets == 0);
	if (session->fake.ended) {
		return;
	}
	if (attached && !killing) {
		CHECK(session->fake.break_count == 0);
		CHECK(!session->fake.running || session->gdb->goal == HS_GOAL_FREE);
	}
	if (detached) {
		CHECK(session->fake.break_count == 0 && session->fake.running);
	}
}

/* payload is terminated, and has no '#' or '$' in it. */
static void send_packet(struct session *session, const uint8_t *payload, size_t length)
{
	bool was_held = session->held;
	bool holds = hs_gdb_target_running(session->gdb) && !session->gdb->client.attached &&
		     !session->gdb->client.detached && !session->fake.ended;
	bool acked = !session->no_ack;
	uint8_t bytes[PACKET_ROOM + 4];
	size_t framed = packet_frame(payload, length, bytes);
	size_t taken = hs_gdb_feed(session->gdb, bytes, framed);
	struct output output;

	CHECK(session->unknown || taken == (was_held ? 0 : framed));
	output = drain(session);
	if (session->unknown || was_held) {
		return;
	}
	CHECK(output.acks == (acked ? 1u : 0u) && output.naks == 0);
	/* Or a guest that is to run again, and still runs: what it was let run for is nobody's any more. */
	if (holds || session->gdb->held) {
		CHECK(output.packets == 0);
		session->owed = session->owed && holds;
		session->held = true;
		memcpy(session->held_packet, payload, length + 1);
		return;
	}
	check_replies(session, payload, &output);
}

/* A packet of a client: good, or with its payload spoilt but the frame good. */
static void send_any(struct session *session, bool spoil)
{
	uint64_t random = (uint64_t)take(session) << 8 | take(session);
	uint8_t payload[PACKET_ROOM + 1];
	size_t length = packet_any(&random, DATA_ADDRESS, CODE_ADDRESS, payload);
	size_t kept = 0;

	if (spoil) {
		length = packet_spoil(&random, payload, length);
	}
	for (size_t i = 0; i < length; i++) {
		if (payload[i] != '#' && payload[i] != '$') {
			payload[kept++] = payload[i];
		}
	}
	payload[kept] = '\0';
	send_packet(session, payload, kept);
}

/* A checksum that does not fit, where one knows what comes of it. */
static void send_corrupt(struct session *session)
{
	static const char packet[] = "$vCont;c#00";
	struct output output;
	unsigned int resumes = session->fake.resumes;

	if (session->held) {
		return;
	}
	(void)hs_gdb_feed(session->gdb, packet, sizeof(packet) - 1);
	output = drain(session);
	CHECK(session->fake.resumes == resumes);
	if (!session->unknown) {
		CHECK(output.acks == 0 && output.naks == (session->no_ack ? 0u : 1u));
		CHECK(output.packets == (session->no_ack ? 1u : 0u));
	}
}

/* Bytes as they come, with anything in them. */
static void send_noise(struct session *session)
{
	uint8_t bytes[64];
	size_t length = take(session) % sizeof(bytes);

	for (size_t i = 0; i < length; i++) {
		bytes[i] = take(session);
	}
	session->unknown = true;
	(void)hs_gdb_feed(session->gdb, bytes, length);
	/* Whatever it was, it is over. */
	(void)drain(session);
}

static void stop_target(struct session *session)
{
	uint8_t how = take(session);
	struct hs_stop stop = {
		.kind = (enum hs_stop_kind)(how % (HS_STOP_KILLED + 1)),
		.signal = how >> 3,
		.watch_kind = HS_WATCH_WRITE,
	};

	/* Ends are rare, as nothing comes after them. */
	if (stop.kind >= HS_STOP_EXITED && take(session) % 8) {
		stop.kind = HS_STOP_INTERRUPTED;
	}
	if (session->fake.running) {
		fake_stop(&session->fake, stop);
	}
}

static void interrupt(struct session *session)
{
	struct output output;

	(void)hs_gdb_feed(session->gdb, "\x03", 1);
	output = drain(session);
	CHECK(session->unknown || output.packets + output.acks + output.naks == 0);
}

static void happen(struct session *session)
{
	static const char part[] = "$Z0,4000,1#b";
	uint8_t what = take(session);

	switch (what % 16) {
	case 0:
		stop_target(session);
		break;
	case 1:
	case 2:
		deliver_stop(session);
		break;
	case 3:
		interrupt(session);
		break;
	case 4:
		send_corrupt(session);
		break;
	case 5:
		/* In the middle of a packet, or of its checksum. */
		if (what & 16) {
			(void)hs_gdb_feed(session->gdb, part, (what >> 4) % (sizeof(part) - 1));
		}
		client_leaves(session);
		break;
	case 6:
		if (what >> 4 == 0) {
			send_noise(session);
		}
		break;
	default:
		send_any(session, what & 16);
		break;
	}
	check_bounds(session);
	look_at_phase(session);
	if (hs_gdb_phase(session->gdb) == HS_GDB_ABSENT) {
		client_comes(session);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session *session = calloc(1, sizeof(*session));
	uint8_t first;

	CHECK(session);
	session->input = data;
	session->end = data + size;
	first = take(session);
	fake_init(&session->fake, first & 1 ? HS_ARCH_I686 : HS_ARCH_AMD64);
	fake_add_memory(&session->fake, DATA_ADDRESS, 0x2000);
	fake_add_memory(&session->fake, CODE_ADDRESS, 0x1000);
	session->fake.simulate = first & 2;
	session->fake.running = first & 4;
	CHECK(hs_gdb_create(&session->fake.target, session->fake.running, &session->gdb, NULL) == HS_OK);
	client_comes(session);
	for (unsigned int i = 0; i < EVENTS_MAX && session->input < session->end && !session->fake.ended; i++) {
		happen(session);
	}
	if (hs_gdb_phase(session->gdb) != HS_GDB_ABSENT) {
		client_leaves(session);
	}
	hs_gdb_destroy(session->gdb);
	fake_deinit(&session->fake);
	free(session);
	return 0;
}
