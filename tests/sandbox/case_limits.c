/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sandboxes at their limits: interrupts and callbacks at every moment, and hosts that have no more to give. */
#include "cases.h"

#include <hindsight/abi.h>

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#define SANDBOXES 1000
#define DESCRIPTORS 64
/* More address space than the program has by then, and less than a thousand guests take. */
#define MORE_BYTES (UINT64_C(32) << 20)

/* An interrupt ends what runs or, if nothing does, what runs next: once, however often it was asked for. */
void case_interrupt_moments(void)
{
	struct hs_sandbox *sandbox = made(NULL);
	struct hs_snapshot *snapshot;
	struct hs_error err;

	/* Before the start. */
	hs_sandbox_interrupt(sandbox);
	EXPECT(hs_sandbox_start(sandbox, &err), HS_ERR_INTERRUPTED, "interrupted");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_POISONED);
	hs_sandbox_destroy(sandbox);

	sandbox = started(NULL);
	snapshot = snapshot_of(sandbox);
	/* Twice before a call. */
	hs_sandbox_interrupt(sandbox);
	hs_sandbox_interrupt(sandbox);
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_INTERRUPTED, "interrupted");
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1);
	/* Between a call and a restore: nobody has seen it, so it is for the call behind that. */
	hs_sandbox_interrupt(sandbox);
	restore(sandbox, snapshot);
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_INTERRUPTED, "interrupted");
	/* Between a call that was interrupted and the restore. */
	hs_sandbox_interrupt(sandbox);
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE, "ended badly");
	restore(sandbox, snapshot);
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_INTERRUPTED, "interrupted");
	/* A call that is refused before it runs does not use it up. */
	restore(sandbox, snapshot);
	hs_sandbox_interrupt(sandbox);
	EXPECT(hs_sandbox_call(sandbox, "no name", NULL, 0, NULL, &err), HS_ERR_INVALID, "");
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_INTERRUPTED, "interrupted");
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

struct storm {
	struct hs_sandbox *sandbox;
	volatile bool over;
};

static void *interrupt_on_and_on(void *context)
{
	struct storm *storm = context;

	while (!__atomic_load_n(&storm->over, __ATOMIC_ACQUIRE)) {
		hs_sandbox_interrupt(storm->sandbox);
	}
	return NULL;
}

/* Whenever they come, a call has its result or was interrupted, and a restore mends it. */
void case_interrupt_storm(void)
{
	struct storm storm = { .sandbox = started(NULL) };
	struct hs_snapshot *snapshot = snapshot_of(storm.sandbox);
	pthread_t thread;
	struct hs_error err;

	CHECK(pthread_create(&thread, NULL, interrupt_on_and_on, &storm) == 0);
	for (int i = 0; i < 200; i++) {
		struct hs_value result = { .ul = 0 };
		enum hs_status st = hs_sandbox_call(storm.sandbox, "counter", NULL, 0, &result, &err);

		CHECK(st ? st == HS_ERR_INTERRUPTED && hs_sandbox_state(storm.sandbox) == HS_SANDBOX_POISONED
			 : result.ul == 1);
		restore(storm.sandbox, snapshot);
	}
	__atomic_store_n(&storm.over, true, __ATOMIC_RELEASE);
	CHECK(pthread_join(thread, NULL) == 0);
	/* One may be left. */
	(void)!hs_sandbox_call(storm.sandbox, "nothing", NULL, 0, NULL, &err);
	restore(storm.sandbox, snapshot);
	CHECK(counted(storm.sandbox) == 1);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(storm.sandbox);
}

/* What the guest has in a word at the top of its scratch memory. */
static uint64_t bookkeeping(struct hs_sandbox *sandbox, uint32_t offset)
{
	const struct hs_value argument = { .type = HS_TYPE_UINT, .u = offset };
	struct hs_value result;
	struct hs_error err;

	EXPECT(hs_sandbox_call(sandbox, "bookkeeping", &argument, 1, &result, &err), HS_OK, "");
	return result.ul;
}

/* The nth snapshot on a path is of generation n; a restore goes back on the path, and the guest sees where it is. */
void case_generation(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *first = snapshot_of(sandbox);
	struct hs_snapshot *second, *other;

	CHECK(hs_snapshot_info(first)->guest.generation == 1);
	/* Taking one changes nothing in the guest. */
	CHECK(bookkeeping(sandbox, HS_SCRATCH_GENERATION_OFFSET) == 0);
	second = snapshot_of(sandbox);
	CHECK(hs_snapshot_info(second)->guest.generation == 2);
	restore(sandbox, second);
	CHECK(bookkeeping(sandbox, HS_SCRATCH_GENERATION_OFFSET) == 2);
	restore(sandbox, first);
	CHECK(bookkeeping(sandbox, HS_SCRATCH_GENERATION_OFFSET) == 1);
	other = snapshot_of(sandbox);
	CHECK(hs_snapshot_info(other)->guest.generation == 2 && other != second);
	hs_snapshot_unref(first);
	hs_snapshot_unref(second);
	hs_snapshot_unref(other);
	hs_sandbox_destroy(sandbox);
}

struct listener {
	struct hs_sandbox *sandbox;
	struct hs_snapshot *snapshot;
	int heard;
};

/* From within a call: nothing may be done to the sandbox there. */
static void refuse_all(struct listener *listener)
{
	const struct hs_roots_spec roots = { .kind = HS_ROOTS_CURRENT };
	struct hs_sandbox *sandbox = listener->sandbox;
	struct hs_snapshot *none;
	struct hs_error err;

	if (!listener->snapshot) {
		return;
	}
	listener->heard++;
	EXPECT(hs_sandbox_restore(sandbox, listener->snapshot, &err), HS_ERR_STATE, "the guest runs");
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE, "the guest runs");
	EXPECT(hs_sandbox_start(sandbox, &err), HS_ERR_STATE, "the guest runs");
	EXPECT(hs_sandbox_snapshot(sandbox, &none, &err), HS_ERR_STATE, "the guest runs");
	EXPECT(hs_sandbox_set_roots(sandbox, &roots, &err), HS_ERR_STATE, "the guest runs");
}

static void hear_log(void *ctx, uint32_t level, const char *text, size_t length)
{
	(void)level;
	(void)text;
	(void)length;
	refuse_all(ctx);
}

static void hear_output(void *ctx, const void *bytes, size_t length)
{
	(void)bytes;
	(void)length;
	refuse_all(ctx);
}

void case_listeners(void)
{
	const struct hs_value arguments[] = { { .type = HS_TYPE_UINT, .u = HS_LOG_ERROR }, a_string("log") };
	struct hs_sandbox_config config = configured();
	struct listener listener = { .heard = 0 };
	struct hs_error err;

	config.log = hear_log;
	config.log_ctx = &listener;
	config.vm.console = hear_output;
	config.vm.console_ctx = &listener;
	listener.sandbox = started(&config);
	listener.snapshot = snapshot_of(listener.sandbox);
	EXPECT(hs_sandbox_call(listener.sandbox, "write_log", arguments, 2, NULL, &err), HS_OK, "");
	CHECK(listener.heard == 1);
	EXPECT(call_text(listener.sandbox, "print", "text", &err), HS_OK, "");
	CHECK(listener.heard == 2);
	restore(listener.sandbox, listener.snapshot);
	CHECK(counted(listener.sandbox) == 1);
	hs_snapshot_unref(listener.snapshot);
	hs_sandbox_destroy(listener.sandbox);
}

static enum hs_status give_nul(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			       struct hs_error *err)
{
	(void)ctx;
	(void)arguments;
	(void)count;
	(void)err;
	*ret = (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { "a\0b", 3 } };
	return HS_OK;
}

static enum hs_status give_much(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
				struct hs_error *err)
{
	static const uint8_t much[1 << 16];

	(void)ctx;
	(void)arguments;
	(void)count;
	(void)err;
	*ret = (struct hs_value){ .type = HS_TYPE_BYTES, .bytes = { much, sizeof(much) } };
	return HS_OK;
}

/* What a host function gives that cannot be given is an error for the guest, by what is wrong with it. */
void case_host_results(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_error err;

	EXPECT(hs_sandbox_register(sandbox, "nul", "s(i)", give_nul, NULL, &err), HS_OK, "");
	EXPECT(hs_sandbox_register(sandbox, "much", "y(i)", give_much, NULL, &err), HS_OK, "");
	EXPECT(hs_sandbox_register(sandbox, "type", "i(i)", give_nul, NULL, &err), HS_OK, "");
	EXPECT(call_back(sandbox, "nul", &err), HS_ERR_GUEST, "nul failed with 3: value 1 is a string with a NUL");
	EXPECT(call_back(sandbox, "much", &err), HS_ERR_GUEST, "much failed with 4: ");
	EXPECT(call_back(sandbox, "type", &err), HS_ERR_GUEST, "type failed with 3: ");
	CHECK(counted(sandbox) == 1);
	hs_sandbox_destroy(sandbox);
}

/* The image of another program, beside the one that is tested. */
static struct hs_sandbox *of_another_image(void)
{
	struct hs_sandbox_config config = configured();
	struct hs_sandbox *sandbox;
	char path[4096];
	struct hs_error err;

	snprintf(path, sizeof(path), "%.*s/hostile_calls.elf", (int)(strrchr(image(), '/') - image()), image());
	EXPECT(hs_sandbox_create(path, &config, &sandbox, &err), HS_OK, "");
	EXPECT(hs_sandbox_start(sandbox, &err), HS_OK, "");
	return sandbox;
}

static bool is_of(const char *path, const char *name)
{
	return strstr(path, name) && strcmp(strstr(path, name), name) == 0;
}

/* A sandbox on the snapshot of another program's is one of that program, for whoever looks at it or takes another. */
void case_other_image(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_sandbox *other = of_another_image();
	struct hs_snapshot *own = snapshot_of(sandbox);
	struct hs_snapshot *foreign = snapshot_of(other);
	const struct hs_vm_image *seen = hs_vm_image(hs_sandbox_vm(sandbox));
	struct hs_snapshot *again;

	restore(sandbox, foreign);
	CHECK(is_of(seen->path, "/hostile_calls.elf") && seen->fd >= 0 && seen->segment_count > 0);
	CHECK(seen->entry == hs_vm_image(hs_sandbox_vm(other))->entry);
	again = snapshot_of(sandbox);
	CHECK(is_of(hs_snapshot_info(again)->guest.path, "/hostile_calls.elf"));
	CHECK(memcmp(hs_snapshot_info(again)->guest.build_id, hs_snapshot_info(foreign)->guest.build_id, 20) == 0);
	restore(sandbox, own);
	CHECK(is_of(seen->path, "/functions.elf") && counted(sandbox) == 1);
	hs_snapshot_unref(again);
	hs_snapshot_unref(own);
	hs_snapshot_unref(foreign);
	hs_sandbox_destroy(sandbox);
	hs_sandbox_destroy(other);
}

/* As many sandboxes on a snapshot as the host gives; the first that it does not give is an error that says why, and
 * those that are there work on. */
static void fill_host(struct hs_snapshot *snapshot, const char *why)
{
	static struct hs_sandbox *all[SANDBOXES];
	struct hs_sandbox_config config = configured();
	struct hs_error err = { 0 };
	size_t count = 0;

	while (count < SANDBOXES && !hs_sandbox_create_from(snapshot, &config, &all[count], &err)) {
		count++;
	}
	CHECK(count > 3 && count < SANDBOXES);
	if (!strstr(err.message, why)) {
		fprintf(stderr, "%zu sandboxes, then: %s\n", count, err.message);
	}
	CHECK(strstr(err.message, why));
	/* What goes makes room, also for what a call takes. */
	for (size_t left = count / 2; count > left;) {
		hs_sandbox_destroy(all[--count]);
	}
	EXPECT(hs_sandbox_create_from(snapshot, &config, &all[count++], &err), HS_OK, "");
	CHECK(counted(all[0]) == 1 && counted(all[count - 1]) == 1);
	restore(all[count - 1], snapshot);
	CHECK(counted(all[count - 1]) == 1);
	while (count > 0) {
		hs_sandbox_destroy(all[--count]);
	}
}

static void limit(int resource, uint64_t most)
{
	struct rlimit limits;

	CHECK(getrlimit(resource, &limits) == 0);
	limits.rlim_cur = most;
	CHECK(setrlimit(resource, &limits) == 0);
}

void case_descriptors(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);

	limit(RLIMIT_NOFILE, DESCRIPTORS);
	fill_host(snapshot, "Too many open files");
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

/* Bytes of address space that this program has. */
static uint64_t address_space(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	CHECK(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return (uint64_t)pages * HS_PAGE_SIZE;
}

void case_address_space(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);

	limit(RLIMIT_AS, address_space() + MORE_BYTES);
	fill_host(snapshot, "Cannot allocate memory");
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}
