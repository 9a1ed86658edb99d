/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mutation_client PORT PID DATA CODE COUNT SEED: so many packets, good and spoilt, to the stub of a guest that shall
 * live on. DATA is where 4 KiB of the guest may be written to, CODE where it runs over eight instructions of a byte
 * each; both in hex. Of the process PID (0: of none) the memory is compared, after the first tenth of the packets and
 * at the end.
 *
 * Each connection is of one kind, so that the guest has nothing to die of: one moves registers, and puts them back at
 * its end; one writes to the data; one runs, steps, interrupts and detaches. It ends by a detach, in the middle of a
 * packet, by a reset, or in order. Nothing may end the process, nothing may take longer than patience lasts, and a
 * packet of which the reply is known gets that reply behind every batch.
 */
#include "client.h"
#include "packets.h"

#include "lib/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_MAX 32u
#define BATCH_BYTES (64u << 10)
#define DATA_LENGTH 4096u
/* Instructions of one byte. */
#define CODE_LENGTH 8u
/* An address above belongs to nobody. */
#define ADDRESS_END (UINT64_C(1) << 47)
#define REGISTERS_TEXT 16384
/* Registers from here on are asked for by no packet of packets.c. */
#define MARKS_FROM 8u
#define MARKS 12u
#define MARK_TEXT 512
/* How long a client that is gone may be taken for one that is there. */
#define REFUSED_SECONDS 10
/* What a process may have more at the end: the stub's buffers are all in use by the first tenth. */
#define GROWTH_KIB_MAX 1024

enum kind { MOVES_REGISTERS, WRITES_MEMORY, RUNS, KIND_COUNT };

struct run {
	struct client client;
	uint16_t port;
	int pid;
	uint64_t data, code, count, random;
	uint64_t sent, connections;
	enum kind kind;
	unsigned int mark;
	char marks[MARKS][MARK_TEXT]; /* the replies to qRegisterInfo of so many registers */
	char registers[REGISTERS_TEXT];
	char last[PACKET_ROOM + 1];
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool begins(const char *text, const char *word)
{
	return strncmp(text, word, strlen(word)) == 0;
}

/* Whether [address, address + length) is part of a range. */
static bool is_within(uint64_t address, uint64_t length, uint64_t start, uint64_t room)
{
	return address >= start && address - start < room && length <= room - (address - start);
}

/* "ADDR,LENGTH..." that is within what may be written, or that is nowhere. */
static bool may_be_written(const struct run *run, const char *text)
{
	char *end;
	uint64_t address = strtoull(text, &end, 16);

	if (end == text || *end != ',' || address >= ADDRESS_END) {
		return true;
	}
	return is_within(address, strtoull(end + 1, NULL, 16), run->data, DATA_LENGTH);
}

/* "ADDR,..." where a breakpoint replaces an instruction, or nothing that is executed. */
static bool may_be_planted(const struct run *run, const char *text)
{
	uint64_t address = strtoull(text, NULL, 16);

	return address >= ADDRESS_END || is_within(address, 1, run->data, DATA_LENGTH) ||
	       is_within(address, 1, run->code, CODE_LENGTH);
}

/* Monitor commands that begin like core, restore and snapshot: no packet here is one, but many are not far from it. */
static bool makes_files(const char *text)
{
	return begins(text, "qRcmd,63") || begins(text, "qRcmd,72") || begins(text, "qRcmd,73");
}

/* Whether the guest survives this packet on a connection of this kind. */
static bool is_survived(const struct run *run, const char *text)
{
	bool moves = *text == 'G' || *text == 'P';
	bool writes = *text == 'M' || *text == 'X';
	/* To the beginning, stack and all: registers of before do not go with that. */
	bool restarts = *text == 'R' || begins(text, "vRun");
	/* Without an address to go on at, and without a signal, which would be that of a crash. */
	bool resumes = strcmp(text, "c") == 0 || strcmp(text, "s") == 0 || begins(text, "vCont") || *text == 'D' ||
		       begins(text, "vAttach");

	if (*text == 'k' || begins(text, "vKill") || begins(text, "QNonStop:1") || makes_files(text) ||
	    (begins(text, "Z0,") && !may_be_planted(run, text + 3))) {
		return false;
	}
	if (!resumes && (*text == 'c' || *text == 's' || *text == 'C' || *text == 'S' || *text == 'b' || *text == 'i' ||
			 *text == 'I')) {
		return false;
	}
	switch (run->kind) {
	case MOVES_REGISTERS:
		return !resumes && !writes && !restarts;
	case WRITES_MEMORY:
		return !resumes && !moves && (!writes || may_be_written(run, text + 1));
	default:
		return !moves && !writes;
	}
}

/* A packet into a batch, in a frame that is good or not; returns its length. */
static size_t make_packet(struct run *run, uint8_t *ret)
{
	uint8_t payload[PACKET_ROOM + 1];
	uint64_t dice = random_next(&run->random);
	size_t length;

	do {
		length = packet_any(&run->random, run->data, run->code, payload);
		if (dice % 3) {
			length = packet_spoil(&run->random, payload, length);
		}
		payload[length] = '\0';
	} while (!is_survived(run, (char *)payload));
	memcpy(run->last, payload, length + 1);
	length = packet_frame(payload, length, ret);
	switch (dice >> 8 & 63) {
	case 0: /* a checksum that does not fit */
		ret[length - 1] ^= 1;
		return length;
	case 1: /* one digit of it */
		return length - 1;
	case 2: /* none */
		return length - 2;
	case 3: /* no end */
		return length - 3;
	case 4:
		ret[length] = '\x03';
		return length + 1;
	case 5:
		ret[length] = dice >> 16 & 1 ? '+' : '-';
		return length + 1;
	default:
		return length;
	}
}

/* What holds a '#' or a '$' may be cut into packets that nobody has looked at. */
static bool is_whole(const uint8_t *packet, size_t length)
{
	for (size_t i = 1; i + 4 < length; i++) {
		if (packet[i] == '#' || packet[i] == '$') {
			return false;
		}
	}
	return true;
}

static void lost(const struct run *run)
{
	client_fail("after %llu packets the stub has hung up; the last one was '%s'", (unsigned long long)run->sent,
		    run->last);
}

/* Ask what has a reply of its own, and read up to it. False: the other side has hung up. */
static bool catch_up(struct run *run)
{
	char packet[32];
	const char *reply;

	run->mark = (run->mark + 1) % MARKS;
	snprintf(packet, sizeof(packet), "qRegisterInfo%x", MARKS_FROM + run->mark);
	client_send_packet(&run->client, packet);
	do {
		reply = client_receive(&run->client);
	} while (reply && strcmp(reply, run->marks[run->mark]) != 0);
	return reply != NULL;
}

static bool send_batch(struct run *run)
{
	static uint8_t bytes[BATCH_BYTES];
	size_t count = 1 + random_next(&run->random) % BATCH_MAX;
	size_t length = 0;
	size_t cut;

	while (count > 0 && length + 2 * PACKET_ROOM < BATCH_BYTES) {
		size_t packet = make_packet(run, bytes + length);

		if (is_whole(bytes + length, packet)) {
			length += packet;
			count--;
			run->sent++;
		}
	}
	cut = random_next(&run->random) % (length + 1);
	client_send(&run->client, bytes, cut);
	client_send(&run->client, bytes + cut, length - cut);
	/* A guest that runs answers most packets as well, but for what it is asked to stop for. */
	if (run->kind == RUNS) {
		client_send(&run->client, "\x03", 1);
	}
	return !run->client.ended && catch_up(run);
}

/* A packet of a client, and its reply. */
static const char *ask(struct run *run, const char *payload)
{
	const char *reply;

	client_send_packet(&run->client, payload);
	reply = client_receive(&run->client);
	if (!reply) {
		lost(run);
	}
	return reply;
}

/*
 * A client that has vanished leaves a guest that stands, one that has detached a guest that runs: it is stopped. What
 * the last one still had on its way when it closed is read first, and until then this one is refused.
 */
static void open_connection(struct run *run)
{
	double until = now() + REFUSED_SECONDS;
	const char *reply;

	client_open(&run->client, run->port);
	run->connections++;
	reply = ask(run, "?");
	while (begins(reply, "E.another debugger") && now() < until) {
		client_close(&run->client, false);
		client_open(&run->client, run->port);
		reply = ask(run, "?");
	}
	if (*reply != 'T') {
		client_fail("after %llu packets the guest stands at '%s'", (unsigned long long)run->sent, reply);
	}
	client_send(&run->client, "+", 1);
}

/* Give the registers back what they had. */
static void restore_registers(struct run *run)
{
	const char *reply;

	/* What was spoilt may have been just the packet that catch_up() waits for the reply of: once more. */
	if (!catch_up(run)) {
		lost(run);
	}
	client_send_packet(&run->client, run->registers);
	reply = client_receive(&run->client);
	if (!reply || strcmp(reply, "OK") != 0) {
		client_fail("after %llu packets G is answered with '%s'", (unsigned long long)run->sent,
			    reply ? reply : "nothing");
	}
}

static void keep_registers(struct run *run)
{
	const char *reply;

	/* A client that has asked which there are has more of them; one of the packets that come may ask. */
	(void)ask(run, "qRegisterInfo0");
	client_send(&run->client, "+", 1);
	reply = ask(run, "g");
	client_send(&run->client, "+", 1);
	run->registers[0] = 'G';
	client_expand(reply, run->registers + 1, sizeof(run->registers) - 1);
}

static void close_connection(struct run *run)
{
	uint64_t how = random_next(&run->random) % 4;

	if (run->client.ended) {
		client_close(&run->client, false);
		return;
	}
	if (how == 0) {
		/* In extended mode a client stays when it has detached. */
		client_send_packet(&run->client, "D");
		(void)catch_up(run);
	} else if (how == 1) {
		client_send(&run->client, "$m1000,", 7);
	}
	client_close(&run->client, how == 2);
}

static void connect_once(struct run *run)
{
	size_t batches = 1 + random_next(&run->random) % 24;

	run->kind = (enum kind)(random_next(&run->random) % KIND_COUNT);
	open_connection(run);
	if (run->kind == MOVES_REGISTERS) {
		keep_registers(run);
	}
	while (batches-- > 0 && run->sent < run->count) {
		if (!send_batch(run)) {
			break;
		}
	}
	if (run->kind != RUNS && run->client.ended) {
		lost(run);
	}
	if (run->kind == MOVES_REGISTERS) {
		restore_registers(run);
	}
	close_connection(run);
}

/* The largest packets once, so that the buffers are what they will be; and the replies that catch_up() waits for. */
static void prepare(struct run *run)
{
	char *large = malloc(400000);
	char packet[64];

	if (!large) {
		client_fail("no memory");
	}
	open_connection(run);
	snprintf(packet, sizeof(packet), "x%llx,40000", (unsigned long long)run->data);
	(void)ask(run, packet);
	client_send(&run->client, "-", 1);
	(void)client_receive(&run->client);
	snprintf(packet, sizeof(packet), "m%llx,20000", (unsigned long long)run->data);
	(void)ask(run, packet);
	memset(large, 'a', 399999);
	large[399999] = '\0';
	(void)ask(run, large);
	free(large);
	client_close(&run->client, false);
	open_connection(run);
	for (unsigned int i = 0; i < MARKS; i++) {
		snprintf(packet, sizeof(packet), "qRegisterInfo%x", MARKS_FROM + i);
		snprintf(run->marks[i], MARK_TEXT, "%s", ask(run, packet));
	}
	client_close(&run->client, false);
}

/* Memory of the process in KiB; 0 of none. */
static long memory_of(int pid)
{
	char path[64];
	char line[256];
	long kib = 0;
	FILE *file;

	if (pid == 0) {
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	if (!file) {
		client_fail("process %d has ended", pid);
	}
	while (fgets(line, sizeof(line), file) && sscanf(line, "VmRSS: %ld", &kib) != 1) {
	}
	fclose(file);
	return kib;
}

static void run_all(struct run *run)
{
	double began = now();
	long before = 0;
	long after;

	prepare(run);
	while (run->sent < run->count) {
		connect_once(run);
		if (before == 0 && run->sent >= run->count / 10) {
			before = memory_of(run->pid);
		}
	}
	after = memory_of(run->pid);
	printf("%llu packets, %llu connections, %.1f s, %ld KiB after a tenth of them, %ld KiB at the end\n",
	       (unsigned long long)run->sent, (unsigned long long)run->connections, now() - began, before, after);
	if (after - before > GROWTH_KIB_MAX) {
		client_fail("the process has grown");
	}
}

int main(int argc, char **argv)
{
	static struct run run;

	if (argc != 7) {
		fprintf(stderr, "usage: mutation_client PORT PID DATA CODE COUNT SEED\n");
		return 2;
	}
	run.port = (uint16_t)strtoul(argv[1], NULL, 10);
	run.pid = atoi(argv[2]);
	run.data = strtoull(argv[3], NULL, 16);
	run.code = strtoull(argv[4], NULL, 16);
	run.count = strtoull(argv[5], NULL, 10);
	run.random = strtoull(argv[6], NULL, 10);
	run_all(&run);
	return 0;
}
