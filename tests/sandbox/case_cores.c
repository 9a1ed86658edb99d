/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cores of a sandbox's guest: of a crash, of a guest that is well, by itself, and while it runs. */
#include "cases.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define LIMIT_NS 2000000000u

static char directory[64];

/** What core_written() was told. */
struct told {
	struct hs_sandbox *sandbox; /* interrupted then; NULL for not */
	unsigned int count;
	enum hs_status status;
	struct hs_core_result result;
};

static void note(void *ctx, enum hs_status status, const struct hs_core_result *result, const struct hs_error *err)
{
	struct told *told = ctx;

	told->count++;
	told->status = status;
	told->result = *result;
	CHECK(status == HS_OK || err->message[0] != '\0');
	if (told->sandbox) {
		hs_sandbox_interrupt(told->sandbox);
	}
}

static void make_directory(void)
{
	strcpy(directory, "/tmp/hs-sandbox-XXXXXX");
	CHECK(mkdtemp(directory) != NULL);
}

/** How many files there were; they and the directory are gone. */
static unsigned int drop_directory(void)
{
	DIR *files = opendir(directory);
	unsigned int count = 0;

	for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
		count += unlinkat(dirfd(files), entry->d_name, 0) == 0;
	}
	closedir(files);
	CHECK(rmdir(directory) == 0);
	return count;
}

static void check_core(const char *path, const char *reason, int number)
{
	struct hs_core *core;
	struct hs_error err;

	EXPECT(hs_core_open(path, &core, &err), HS_OK, "");
	CHECK(strcmp(hs_core_info(core)->reason_name, reason) == 0);
	CHECK(hs_core_info(core)->signal == number);
	CHECK(strstr(hs_core_info(core)->command_line, "functions.elf") != NULL);
	EXPECT(hs_core_verify(core, &err), HS_OK, "");
	hs_core_close(core);
}

/** One of a crash has the crash; after the restore the next one has none, and both can be gone on from. */
void case_core_write(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	struct hs_snapshot *file;
	struct hs_core_result result;
	struct hs_error err;

	make_directory();
	EXPECT(call_text(sandbox, "abort_in_call", "out of luck", &err), HS_ERR_GUEST, "abort: out of luck");
	EXPECT(hs_sandbox_core_write(sandbox, directory, NULL, &result, &err), HS_OK, "");
	check_core(result.path, "abort", SIGABRT);
	restore(sandbox, snapshot);
	EXPECT(hs_sandbox_core_write(sandbox, directory, NULL, &result, &err), HS_OK, "");
	check_core(result.path, "", 0);
	EXPECT(hs_snapshot_open(result.path, true, &file, &err), HS_OK, "");
	hs_snapshot_unref(file);
	CHECK(counted(sandbox) == 1);
	EXPECT(hs_sandbox_core_write(sandbox, "/nowhere/at/all", NULL, &result, &err), HS_ERR_NOT_FOUND, "/nowhere/at");
	CHECK(drop_directory() == 2);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

/** By itself of each crash and of the time limit, and never of an interrupt or an error. */
void case_core_of_crash(void)
{
	struct hs_sandbox_config config = configured();
	struct told told = { .count = 0 };
	struct hs_snapshot *snapshot;
	struct hs_sandbox *sandbox;
	struct hs_error err;

	make_directory();
	config.cores = directory;
	config.core_written = note;
	config.core_ctx = &told;
	config.limit_ns = LIMIT_NS;
	sandbox = started(&config);
	snapshot = snapshot_of(sandbox);
	EXPECT(call_text(sandbox, "fail", "no luck", &err), HS_ERR_GUEST, "fail: no luck");
	hs_sandbox_interrupt(sandbox);
	EXPECT(hs_sandbox_call(sandbox, "hang", NULL, 0, NULL, &err), HS_ERR_INTERRUPTED, "interrupted");
	CHECK(told.count == 0);
	restore(sandbox, snapshot);
	EXPECT(call_text(sandbox, "abort_in_call", "out of luck", &err), HS_ERR_GUEST, "abort: out of luck");
	CHECK(told.count == 1 && told.status == HS_OK);
	check_core(told.result.path, "abort", SIGABRT);
	restore(sandbox, snapshot);
	EXPECT(hs_sandbox_call(sandbox, "hang", NULL, 0, NULL, &err), HS_ERR_TIMEOUT, "limit of 2 s");
	CHECK(told.count == 2 && told.status == HS_OK);
	check_core(told.result.path, "hang", SIGXCPU);
	CHECK(drop_directory() == 2);
	/* Without the directory there is none, and the call ends as it does. */
	restore(sandbox, snapshot);
	EXPECT(call_text(sandbox, "abort_in_call", "again", &err), HS_ERR_GUEST, "abort: again");
	CHECK(told.count == 3 && told.status == HS_ERR_NOT_FOUND);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void *request(void *sandbox)
{
	hs_sandbox_request_core(sandbox);
	return NULL;
}

/** From another thread while a call runs that has no end, and before one: the guest goes on behind it. */
void case_core_request(void)
{
	struct hs_sandbox_config config = configured();
	struct told told = { .count = 0 };
	struct hs_snapshot *snapshot;
	pthread_t thread;
	struct hs_error err;

	make_directory();
	config.cores = directory;
	config.core_written = note;
	config.core_ctx = &told;
	struct hs_sandbox *sandbox = started(&config);

	snapshot = snapshot_of(sandbox);
	hs_sandbox_request_core(sandbox);
	CHECK(counted(sandbox) == 1);
	CHECK(told.count == 1 && told.status == HS_OK && hs_sandbox_state(sandbox) == HS_SANDBOX_READY);
	check_core(told.result.path, "", 0);
	told.sandbox = sandbox;
	CHECK(pthread_create(&thread, NULL, request, sandbox) == 0);
	EXPECT(hs_sandbox_call(sandbox, "hang", NULL, 0, NULL, &err), HS_ERR_INTERRUPTED, "interrupted");
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(told.count == 2 && told.status == HS_OK);
	check_core(told.result.path, "", 0);
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1 && told.count == 2);
	CHECK(drop_directory() == 2);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static enum hs_status dump_us(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			      struct hs_error *err)
{
	struct hs_core_result result;

	(void)count;
	*ret = arguments[0];
	return hs_sandbox_core_write(ctx, directory, NULL, &result, err);
}

/** A host function sees the guest in the middle of its call. */
void case_core_in_host_function(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_error err;

	make_directory();
	EXPECT(hs_sandbox_register(sandbox, "dump", "i(i)", dump_us, sandbox, &err), HS_OK, "");
	EXPECT(call_back(sandbox, "dump", &err), HS_OK, "");
	CHECK(drop_directory() == 1);
	hs_sandbox_destroy(sandbox);
}
