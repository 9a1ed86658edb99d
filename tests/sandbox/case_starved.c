/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host runs out of memory, at each place where it may: every operation is tried again and again with the nth
 * request refused, until there are no more to refuse. Nothing is left behind and nothing is lost: the state is what it
 * was, or it is one that a restore mends. That nothing leaks the leak checker of the sanitizers' build sees.
 */
#include "cases.h"
#include "starved.h"

#include <hindsight/abi.h>

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

/* A guard: no operation asks for so much. */
#define MANY 2000

/* In the working directory, where there is nothing else. */
static const char *const path = "starved.snap";

/* A guest that has counted once, and was put back; two snapshots, of a count of 0 and of 1. */
struct scene {
	struct hs_sandbox *sandbox;
	struct hs_snapshot *zero, *one;
	/* What a trial makes; NULL before it. */
	struct hs_snapshot *taken;
	struct hs_sandbox *made;
};

static enum hs_status square(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			     struct hs_error *err)
{
	(void)ctx;
	(void)count;
	(void)err;
	*ret = an_int(arguments[0].i * arguments[0].i);
	return HS_OK;
}

static size_t files_in(const char *name)
{
	DIR *folder = opendir(name);
	const struct dirent *entry;
	size_t count = 0;

	CHECK(folder);
	while ((entry = readdir(folder))) {
		count += entry->d_name[0] != '.';
	}
	closedir(folder);
	return count;
}

static void set_up(struct scene *scene)
{
	struct hs_error err;

	*scene = (struct scene){ .sandbox = started(NULL) };
	EXPECT(hs_sandbox_register(scene->sandbox, "square", "i(i)", square, NULL, &err), HS_OK, "");
	scene->zero = snapshot_of(scene->sandbox);
	CHECK(counted(scene->sandbox) == 1);
	scene->one = snapshot_of(scene->sandbox);
	restore(scene->sandbox, scene->zero);
}

static void take_down(struct scene *scene)
{
	hs_sandbox_destroy(scene->sandbox);
	hs_snapshot_unref(scene->zero);
	hs_snapshot_unref(scene->one);
}

/* What is tried, after what prepares it; both may be NULL but the trial. */
struct trial {
	const char *name;
	void (*prepare)(struct scene *scene);
	enum hs_status (*run)(struct scene *scene, struct hs_error *err);
	/* With the status that it had. */
	void (*check)(struct scene *scene, enum hs_status st);
};

static enum hs_status create(struct scene *scene, struct hs_error *err)
{
	const struct hs_roots_spec roots = { .kind = HS_ROOTS_SYMBOL, .symbol = "calls", .stride = 8, .count = 1 };
	struct hs_sandbox_config config = configured();

	config.limit_ns = UINT64_C(60000000000);
	config.roots = roots;
	return hs_sandbox_create(image(), &config, &scene->made, err);
}

static enum hs_status create_from(struct scene *scene, struct hs_error *err)
{
	struct hs_sandbox_config config = configured();

	return hs_sandbox_create_from(scene->one, &config, &scene->made, err);
}

static void check_made(struct scene *scene, enum hs_status st)
{
	CHECK(!st == !!scene->made);
}

static void check_stands(struct scene *scene, enum hs_status st)
{
	check_made(scene, st);
	CHECK(st || counted(scene->made) == 2);
}

static void make(struct scene *scene)
{
	scene->made = made(NULL);
}

static enum hs_status start(struct scene *scene, struct hs_error *err)
{
	return hs_sandbox_start(scene->made, err);
}

static void check_started(struct scene *scene, enum hs_status st)
{
	CHECK(hs_sandbox_state(scene->made) == (st ? HS_SANDBOX_POISONED : HS_SANDBOX_READY));
	restore(scene->made, scene->one);
	CHECK(counted(scene->made) == 2);
}

static enum hs_status add_function(struct scene *scene, struct hs_error *err)
{
	return hs_sandbox_register(scene->made, "square", "i(i)", square, NULL, err);
}

/* The name is free after a failure, and taken after a success. */
static void check_function(struct scene *scene, enum hs_status st)
{
	struct hs_error err;

	EXPECT(add_function(scene, &err), st ? HS_OK : HS_ERR_BUSY, "'square'");
}

static enum hs_status call_host(struct scene *scene, struct hs_error *err)
{
	return call_back(scene->sandbox, "square", err);
}

static enum hs_status take(struct scene *scene, struct hs_error *err)
{
	return hs_sandbox_snapshot(scene->sandbox, &scene->taken, err);
}

/* The sandbox is as it was. */
static void check_taken(struct scene *scene, enum hs_status st)
{
	CHECK(!st == !!scene->taken && hs_sandbox_state(scene->sandbox) == HS_SANDBOX_READY);
	CHECK(counted(scene->sandbox) == 1);
	if (!st) {
		restore(scene->sandbox, scene->taken);
		CHECK(counted(scene->sandbox) == 1);
	}
}

/* Something to put back. */
static void count_once(struct scene *scene)
{
	CHECK(counted(scene->sandbox) == 1);
}

static enum hs_status go_back(struct scene *scene, struct hs_error *err)
{
	return hs_sandbox_restore(scene->sandbox, scene->zero, err);
}

static enum hs_status go_elsewhere(struct scene *scene, struct hs_error *err)
{
	return hs_sandbox_restore(scene->sandbox, scene->one, err);
}

/* Another sandbox's snapshot, with scratch of another size: all regions are others. */
static enum hs_status go_far(struct scene *scene, struct hs_error *err)
{
	return hs_sandbox_restore(scene->made, scene->one, err);
}

static void make_larger(struct scene *scene)
{
	struct hs_sandbox_config config = configured();

	config.vm.scratch_bytes = 1 << 20;
	scene->made = started(&config);
}

static void check_restored(struct scene *scene, enum hs_status st)
{
	struct hs_sandbox *sandbox = scene->made ? scene->made : scene->sandbox;
	struct hs_error err;

	if (hs_sandbox_state(sandbox) == HS_SANDBOX_READY) {
		(void)counted(sandbox);
	} else {
		CHECK(st && hs_sandbox_state(sandbox) == HS_SANDBOX_UNUSABLE);
		EXPECT(hs_sandbox_call(sandbox, "counter", NULL, 0, NULL, &err), HS_ERR_STATE, "half-way");
		EXPECT(hs_sandbox_snapshot(sandbox, &scene->taken, &err), HS_ERR_STATE, "half-way");
	}
	restore(sandbox, scene->one);
	CHECK(counted(sandbox) == 2);
}

static enum hs_status save(struct scene *scene, struct hs_error *err)
{
	return hs_snapshot_save(scene->one, path, true, err);
}

/* All of the file or nothing: neither half of it nor the temporary one. */
static void check_saved(struct scene *scene, enum hs_status st)
{
	struct hs_error err;

	CHECK(files_in(".") == !st);
	if (!st) {
		EXPECT(hs_snapshot_open(path, true, &scene->taken, &err), HS_OK, "");
		CHECK(unlink(path) == 0);
	}
}

static void write_file(struct scene *scene)
{
	struct hs_error err;

	EXPECT(hs_snapshot_save(scene->one, path, true, &err), HS_OK, "");
}

static enum hs_status open_file(struct scene *scene, struct hs_error *err)
{
	(void)scene;
	return hs_snapshot_open(path, true, &scene->taken, err);
}

static void check_opened(struct scene *scene, enum hs_status st)
{
	CHECK(!st == !!scene->taken);
	if (!st) {
		restore(scene->sandbox, scene->taken);
		CHECK(counted(scene->sandbox) == 2);
	}
	CHECK(unlink(path) == 0);
}

static const struct trial trials[] = {
	{ "create", NULL, create, check_made },
	{ "create_from", NULL, create_from, check_stands },
	{ "start", make, start, check_started },
	{ "register", make, add_function, check_function },
	{ "call", NULL, call_host, NULL },
	{ "snapshot", NULL, take, check_taken },
	{ "restore", count_once, go_back, check_restored },
	{ "restore another", count_once, go_elsewhere, check_restored },
	{ "restore of another size", make_larger, go_far, check_restored },
	{ "save", NULL, save, check_saved },
	{ "open", write_file, open_file, check_opened },
};

/* With the nth request refused. False when there was none to refuse. */
static bool try_once(const struct trial *trial, struct scene *scene, unsigned int nth)
{
	static const struct hs_roots_spec registered = { .kind = HS_ROOTS_REGISTERED };
	struct hs_error err = { .message = "" };
	enum hs_status st;
	bool refused;

	scene->made = NULL;
	scene->taken = NULL;
	if (trial->prepare) {
		trial->prepare(scene);
	}
	starve(nth);
	st = trial->run(scene, &err);
	refused = feed();
	if (st && (!refused || err.status != st || !err.message[0])) {
		fprintf(stderr, "%s, %u: status %d '%s'\n", trial->name, nth, st, err.message);
	}
	CHECK(!st || (refused && err.status == st && err.message[0]));
	if (trial->check) {
		trial->check(scene, st);
	}
	hs_sandbox_destroy(scene->made);
	hs_snapshot_unref(scene->taken);
	/* Whatever has become of it, it can be put back. */
	restore(scene->sandbox, scene->one);
	CHECK(counted(scene->sandbox) == 2);
	restore(scene->sandbox, scene->zero);
	/* The snapshot that it took last is not held any more. */
	EXPECT(hs_sandbox_set_roots(scene->sandbox, &registered, &err), HS_OK, "");
	return refused;
}

void case_starved(void)
{
	struct scene scene;
	unsigned int all = 0;

	set_up(&scene);
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		size_t files = files_in("/proc/self/fd");
		unsigned int nth = 0;

		while (try_once(&trials[i], &scene, nth)) {
			CHECK(++nth < MANY);
		}
		if (files_in("/proc/self/fd") != files) {
			fprintf(stderr, "%s leaves files open\n", trials[i].name);
		}
		CHECK(files_in("/proc/self/fd") == files);
		printf("%s: %u refused\n", trials[i].name, nth);
		all += nth;
	}
	/* The calls of the library do come here. */
	CHECK(all > 100);
	take_down(&scene);
}
