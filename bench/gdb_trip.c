/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Round trips through the remote protocol, from a client's request to the reply: a step, and all registers.
 * Usage: OURS_PORT PEER_PORT [ROUNDS] (on 127.0.0.1; programs that stand and have many instructions before them)
 */
#include "gdb_client.h"
#include "harness.h"

#include <stdio.h>
#include <string.h>

#define TRIPS 500

struct server {
	struct hs_bench_client client;
	const char *request;
	char first; /* of the reply; 0: a hex digit */
};

static bool make_trips(void *ctx, double *ret_ns)
{
	struct server *server = ctx;
	double start = hs_bench_now();

	for (int i = 0; i < TRIPS; i++) {
		if (!hs_bench_client_ask(&server->client, server->request) ||
		    (server->first && *server->client.reply != server->first)) {
			fprintf(stderr, "gdb_trip: %s answered %s with %.40s\n", server->client.name, server->request,
				server->client.reply ? server->client.reply : "nothing");
			return false;
		}
	}
	*ret_ns = (hs_bench_now() - start) / TRIPS;
	return true;
}

static bool measure(struct server *ours, struct server *peer, const char *title, unsigned int rounds)
{
	const struct hs_bench bench = {
		.title = title,
		.unit = "us",
		.rounds = rounds,
		.ours = { "hindsight", make_trips, ours },
		.peer = { "gdbserver", make_trips, peer },
	};

	return hs_bench_run(&bench);
}

/* All registers: a reply that is short of run-length encoding in neither. */
static bool measure_registers(struct server *ours, struct server *peer, unsigned int rounds)
{
	ours->request = peer->request = "g";
	ours->first = peer->first = 0;
	return measure(ours, peer, "gdb remote protocol: a round trip of g", rounds);
}

static bool measure_steps(struct server *ours, struct server *peer, unsigned int rounds)
{
	ours->request = peer->request = "vCont;s";
	ours->first = peer->first = 'T';
	return measure(ours, peer, "gdb remote protocol: a step, up to its stop reply", rounds);
}

int main(int argc, char **argv)
{
	unsigned int rounds = hs_bench_rounds(argc == 4 ? argv[3] : NULL, 31);
	static struct server ours;
	static struct server peer;
	bool done;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: gdb_trip PORT PEER_PORT [ROUNDS]\n");
		return 2;
	}
	done = hs_bench_client_open(&ours.client, "hindsight", argv[1]) &&
	       hs_bench_client_open(&peer.client, "gdbserver", argv[2]) && measure_steps(&ours, &peer, rounds) &&
	       measure_registers(&ours, &peer, rounds);
	hs_bench_client_close(&ours.client);
	hs_bench_client_close(&peer.client);
	return done ? 0 : 1;
}
