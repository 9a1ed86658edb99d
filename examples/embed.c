/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * embed GUEST: how to embed hindsight. A guest is made, given a function of the host, started, and called; a snapshot
 * is taken; then four threads with a sandbox each go back to it and call, a thousand times altogether.
 *
 *   cc embed.c $(pkg-config --cflags --libs hindsight) -lpthread -o embed
 *   ./embed functions.elf
 *
 * The guest is guest/programs/functions.c: "add" adds two ints, "counter" counts its own calls, "call_back" calls a
 * function of the host and says what that gave.
 */
#include <hindsight/sandbox.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4
#define CYCLES 250

static int fail(const char *what, const struct hs_error *err)
{
	fprintf(stderr, "embed: %s: %s\n", what, err->message);
	return 1;
}

/* A function of the host, "i(i)". Arguments have been checked against the signature. */
static enum hs_status square(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			     struct hs_error *err)
{
	(void)ctx;
	(void)count;
	(void)err;
	*ret = (struct hs_value){ .type = HS_TYPE_INT, .i = arguments[0].i * arguments[0].i };
	return HS_OK;
}

static struct hs_value an_int(int32_t i)
{
	return (struct hs_value){ .type = HS_TYPE_INT, .i = i };
}

static struct hs_value a_string(const char *text)
{
	return (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { text, strlen(text) } };
}

struct worker {
	struct hs_snapshot *snapshot; /* borrowed: all share it */
	pthread_t thread;
	int status;
};

/* Whatever a call does to the guest, the next one does not see it. */
static void *work(void *context)
{
	struct worker *worker = context;
	struct hs_sandbox *sandbox = NULL;
	struct hs_error err = { 0 };
	struct hs_value result = { 0 };

	worker->status = 1;
	if (hs_sandbox_create_from(worker->snapshot, NULL, &sandbox, &err) ||
	    hs_sandbox_register(sandbox, "square", "i(i)", square, NULL, &err)) {
		fail("a sandbox on the snapshot", &err);
		hs_sandbox_destroy(sandbox);
		return NULL;
	}
	for (int i = 0; i < CYCLES; i++) {
		if (hs_sandbox_restore(sandbox, worker->snapshot, &err) ||
		    hs_sandbox_call(sandbox, "counter", NULL, 0, &result, &err)) {
			fail("restore and call", &err);
			break;
		}
		if (result.ul != 2) {
			fprintf(stderr, "embed: the guest has counted %llu calls, and not 2\n",
				(unsigned long long)result.ul);
			break;
		}
		worker->status = i == CYCLES - 1 ? 0 : 1;
	}
	hs_sandbox_destroy(sandbox);
	return NULL;
}

static int cycle(struct hs_snapshot *snapshot)
{
	struct worker workers[THREADS];
	int status = 0;

	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .snapshot = snapshot };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			fprintf(stderr, "embed: cannot start a thread\n");
			exit(1);
		}
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		status |= workers[i].status;
	}
	return status;
}

/* The guest answers, calls back, and is at a snapshot in the end. */
static int show(struct hs_sandbox *sandbox, struct hs_snapshot **ret, struct hs_error *err)
{
	const struct hs_value arguments[] = { an_int(40), an_int(2) };
	const struct hs_value back[] = { a_string("square"), an_int(7) };
	struct hs_value result = { 0 };

	if (hs_sandbox_register(sandbox, "square", "i(i)", square, NULL, err) || hs_sandbox_start(sandbox, err)) {
		return fail("start", err);
	}
	if (hs_sandbox_call(sandbox, "add", arguments, 2, &result, err)) {
		return fail("add", err);
	}
	printf("add(40, 2) = %d\n", result.i);
	if (hs_sandbox_call(sandbox, "call_back", back, 2, &result, err)) {
		return fail("call_back", err);
	}
	/* The string is the sandbox's until the next call. */
	printf("call_back(\"square\", 7): %s\n", (const char *)result.bytes.data);
	if (hs_sandbox_call(sandbox, "counter", NULL, 0, NULL, err) || hs_sandbox_snapshot(sandbox, ret, err)) {
		return fail("snapshot", err);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct hs_sandbox *sandbox = NULL;
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err = { 0 };
	int status;

	if (argc != 2) {
		fprintf(stderr, "usage: embed GUEST\n");
		return 2;
	}
	if (hs_sandbox_create(argv[1], NULL, &sandbox, &err)) {
		return fail(argv[1], &err);
	}
	status = show(sandbox, &snapshot, &err);
	if (status == 0) {
		status = cycle(snapshot);
	}
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
	if (status == 0) {
		printf("%d threads: %d cycles of restore and call\n", THREADS, THREADS * CYCLES);
	}
	return status;
}
