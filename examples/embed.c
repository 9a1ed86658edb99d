/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * embed GUEST [kvm|soft]: how to embed hindsight, from a guest's image to its functions called in four threads.
 *
 *   cc embed.c $(pkg-config --cflags --libs hindsight) -pthread -o embed
 *   ./embed functions.elf
 *
 * A sandbox is made of the image, given a function of the host, and started. It is called, and a snapshot is taken of
 * it. A call that crashes it is mended by going back to the snapshot. Then four threads make a sandbox of their own
 * from the snapshot, and go back to it and call, a thousand times altogether.
 *
 * The guest is guest/programs/functions.c. Of its functions, "add" adds two ints, "counter" counts its own calls,
 * "call_back" calls a function of the host and says what that gave, and "abort_in_call" ends badly.
 */
#include <hindsight/sandbox.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define THREADS 4
#define CYCLES 250

/* A call of the guest that takes longer is ended. */
#define LIMIT_NS UINT64_C(10000000000)

/* Whatever fails says why in one sentence; what it gives is untouched, and nothing of it is left to free. */
static bool fail(const char *what, const struct hs_error *err)
{
	fprintf(stderr, "embed: %s: %s\n", what, err->message);
	return false;
}

static struct hs_value an_int(int32_t i)
{
	return (struct hs_value){ .type = HS_TYPE_INT, .i = i };
}

static struct hs_value a_string(const char *text)
{
	return (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { text, strlen(text) } };
}

/* A function of the host, "i(i)": its arguments have been checked against that. An error would be the guest's. */
static enum hs_status square(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			     struct hs_error *err)
{
	int *calls = ctx;
	uint32_t number = arguments[0].u;

	(void)count;
	(void)err;
	(*calls)++;
	*ret = (struct hs_value){ .type = HS_TYPE_INT, .u = number * number };
	return HS_OK;
}

/* What the guest prints. What it logs would come to a function of its own: config.log. */
static void on_output(void *ctx, const void *bytes, size_t length)
{
	fwrite(bytes, 1, length, ctx);
}

static struct hs_sandbox_config configured(enum hs_backend_choice backend)
{
	return (struct hs_sandbox_config){
		.vm = { .backend = backend, .console = on_output, .console_ctx = stdout },
		.limit_ns = LIMIT_NS,
	};
}

/* Call the guest, and let it call the host. */
static bool call(struct hs_sandbox *sandbox)
{
	const struct hs_value sum[] = { an_int(40), an_int(2) };
	const struct hs_value back[] = { a_string("square"), an_int(7) };
	struct hs_value result;
	struct hs_error err;

	if (hs_sandbox_call(sandbox, "add", sum, 2, &result, &err)) {
		return fail("add", &err);
	}
	printf("add(40, 2) = %d\n", result.i);
	if (hs_sandbox_call(sandbox, "call_back", back, 2, &result, &err)) {
		return fail("call_back", &err);
	}
	/* A string of a result is the sandbox's until the next call. */
	printf("call_back(\"square\", 7): %s\n", (const char *)result.bytes.data);
	if (hs_sandbox_call(sandbox, "counter", NULL, 0, NULL, &err)) {
		return fail("counter", &err);
	}
	return true;
}

/* A guest that has crashed takes no calls, until it is put back to where it was. */
static bool crash_and_mend(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot)
{
	const struct hs_value why = a_string("out of luck");
	struct hs_error err;

	if (!hs_sandbox_call(sandbox, "abort_in_call", &why, 1, NULL, &err)) {
		fprintf(stderr, "embed: a call that ends badly has gone well\n");
		return false;
	}
	printf("abort_in_call: %s\n", err.message);
	if (hs_sandbox_state(sandbox) != HS_SANDBOX_POISONED) {
		return fail("abort_in_call", &err);
	}
	if (hs_sandbox_restore(sandbox, snapshot, &err)) {
		return fail("restore", &err);
	}
	return call(sandbox);
}

struct worker {
	pthread_t thread;
	enum hs_backend_choice backend;
	struct hs_snapshot *snapshot; /* borrowed: all of them stand on this one */
	int host_calls;
	bool good;
};

/* Back to the snapshot, and call: whatever a call does to the guest, the next one does not see it. */
static bool cycle(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot)
{
	const struct hs_value back[] = { a_string("square"), an_int(7) };
	struct hs_value result;
	struct hs_error err;

	for (int i = 0; i < CYCLES; i++) {
		if (hs_sandbox_restore(sandbox, snapshot, &err) ||
		    hs_sandbox_call(sandbox, "call_back", back, 2, NULL, &err) ||
		    hs_sandbox_call(sandbox, "counter", NULL, 0, &result, &err)) {
			return fail("restore and call", &err);
		}
		/* It was called once before the snapshot. */
		if (result.ul != 2) {
			fprintf(stderr, "embed: the guest has counted %llu calls, not 2\n",
				(unsigned long long)result.ul);
			return false;
		}
	}
	return true;
}

static void *work(void *context)
{
	struct worker *worker = context;
	struct hs_sandbox_config config = configured(worker->backend);
	struct hs_sandbox *sandbox;
	struct hs_error err;

	if (hs_sandbox_create_from(worker->snapshot, &config, &sandbox, &err)) {
		fail("a sandbox on the snapshot", &err);
		return NULL;
	}
	/* Functions of the host belong to a sandbox and not to the snapshot. */
	if (hs_sandbox_register(sandbox, "square", "i(i)", square, &worker->host_calls, &err)) {
		fail("square", &err);
	} else {
		worker->good = cycle(sandbox, worker->snapshot);
	}
	hs_sandbox_destroy(sandbox);
	return NULL;
}

static bool work_in_threads(struct hs_snapshot *snapshot, enum hs_backend_choice backend)
{
	struct worker workers[THREADS] = { 0 };
	bool good = true;
	int host_calls = 0;
	int started = 0;

	for (; started < THREADS; started++) {
		struct worker *worker = &workers[started];

		worker->snapshot = snapshot;
		worker->backend = backend;
		if (pthread_create(&worker->thread, NULL, work, worker)) {
			fprintf(stderr, "embed: cannot start a thread\n");
			good = false;
			break;
		}
	}
	for (int i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		good = good && workers[i].good;
		host_calls += workers[i].host_calls;
	}
	if (good) {
		printf("%d threads: %d restores, and %d calls of the host\n", THREADS, THREADS * CYCLES, host_calls);
	}
	return good;
}

/* All that is done with a sandbox that has not run yet. */
static bool embed(struct hs_sandbox *sandbox, enum hs_backend_choice backend)
{
	struct hs_snapshot *snapshot;
	struct hs_error err;
	int host_calls = 0;
	bool good;

	if (hs_sandbox_register(sandbox, "square", "i(i)", square, &host_calls, &err)) {
		return fail("square", &err);
	}
	if (hs_sandbox_start(sandbox, &err)) {
		return fail("start", &err);
	}
	if (!call(sandbox)) {
		return false;
	}
	if (hs_sandbox_snapshot(sandbox, &snapshot, &err)) {
		return fail("snapshot", &err);
	}
	good = crash_and_mend(sandbox, snapshot) && work_in_threads(snapshot, backend);
	hs_snapshot_unref(snapshot);
	return good;
}

int main(int argc, char **argv)
{
	/* KVM where it is there and runs such a guest, else the software CPU. */
	enum hs_backend_choice backend = HS_BACKEND_AUTO;
	struct hs_sandbox_config config;
	struct hs_sandbox *sandbox;
	struct hs_error err;
	bool good;

	if (argc == 3) {
		backend = strcmp(argv[2], "kvm") == 0 ? HS_BACKEND_KVM : HS_BACKEND_SOFT;
	} else if (argc != 2) {
		fprintf(stderr, "usage: embed GUEST [kvm|soft]\n");
		return 2;
	}
	config = configured(backend);
	if (hs_sandbox_create(argv[1], &config, &sandbox, &err)) {
		fail("create", &err);
		return 1;
	}
	good = embed(sandbox, backend);
	hs_sandbox_destroy(sandbox);
	return good ? 0 : 1;
}
