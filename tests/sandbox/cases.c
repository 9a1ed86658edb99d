/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cases.h"

#include <hindsight/abi.h>

#include <pthread.h>
#include <signal.h>

/** Longer than a start takes in the rig, where each step is emulated twice. */
#define LIMIT_NS 2000000000u

static void case_fresh(void)
{
	struct hs_sandbox *sandbox = made(NULL);
	struct hs_snapshot *snapshot;
	struct hs_error err;

	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_FRESH);
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE, "not been started");
	EXPECT(hs_sandbox_snapshot(sandbox, &snapshot, &err), HS_ERR_STATE, "not been started");
	EXPECT(hs_sandbox_start(sandbox, &err), HS_OK, "");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_READY);
	EXPECT(hs_sandbox_start(sandbox, &err), HS_ERR_STATE, "has been started");
	CHECK(counted(sandbox) == 1);
	hs_sandbox_destroy(sandbox);
}

/* What the caller has done wrong, and what the function says, leaves the guest ready. */
static void case_ready(void)
{
	static uint8_t many[1 << 20];
	const struct hs_value ints[17] = { an_int(1), an_int(2) };
	const struct hs_value much = { .type = HS_TYPE_UINT, .u = 65536 };
	const struct hs_value large = { .type = HS_TYPE_BYTES, .bytes = { many, sizeof(many) } };
	struct hs_sandbox *sandbox = started(NULL);
	char name[HS_CALL_NAME_MAX + 2];
	struct hs_value result;
	struct hs_error err;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	EXPECT(hs_sandbox_call(sandbox, "nope", NULL, 0, NULL, &err), HS_ERR_NOT_FOUND, "nope: ");
	EXPECT(hs_sandbox_call(sandbox, name, NULL, 0, NULL, &err), HS_ERR_INVALID, "63");
	EXPECT(hs_sandbox_call(sandbox, "a b", NULL, 0, NULL, &err), HS_ERR_INVALID, "no name");
	EXPECT(hs_sandbox_call(sandbox, "add", ints, 1, NULL, &err), HS_ERR_INVALID, "i(ii)");
	EXPECT(hs_sandbox_call(sandbox, "add", ints, 17, NULL, &err), HS_ERR_INVALID, "16");
	EXPECT(hs_sandbox_call(sandbox, "sum_bytes", &large, 1, NULL, &err), HS_ERR_RANGE, "");
	EXPECT(hs_sandbox_call(sandbox, "big_result", &much, 1, NULL, &err), HS_ERR_RANGE, "");
	EXPECT(hs_sandbox_call(sandbox, "wrong_type", NULL, 0, NULL, &err), HS_ERR_INVALID, "");
	EXPECT(call_text(sandbox, "fail", "no luck", &err), HS_ERR_GUEST, "fail: no luck");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_READY && !hs_sandbox_crash(sandbox));
	EXPECT(hs_sandbox_call(sandbox, "add", ints, 2, &result, &err), HS_OK, "");
	CHECK(result.type == HS_TYPE_INT && result.i == 3);
	hs_sandbox_destroy(sandbox);
}

static void case_poisoned(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	struct hs_snapshot *none;
	struct hs_error err;

	CHECK(counted(sandbox) == 1);
	EXPECT(call_text(sandbox, "abort_in_call", "out of luck", &err), HS_ERR_GUEST, "abort: out of luck");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_POISONED);
	CHECK(hs_sandbox_crash(sandbox)->reason == HS_CRASH_ABORT && hs_sandbox_crash(sandbox)->signal == SIGABRT);
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE, "ended badly");
	EXPECT(hs_sandbox_snapshot(sandbox, &none, &err), HS_ERR_STATE, "ended badly");
	EXPECT(hs_sandbox_start(sandbox, &err), HS_ERR_STATE, "ended badly");
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void case_exited(void)
{
	const struct hs_value status = an_int(3);
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	struct hs_error err;

	EXPECT(hs_sandbox_call(sandbox, "exit_in_call", &status, 1, NULL, &err), HS_ERR_GUEST, "status 3");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_EXITED && !hs_sandbox_crash(sandbox));
	EXPECT(hs_sandbox_call(sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE, "has ended");
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void case_unready(void)
{
	struct hs_sandbox_config config = configured();
	const char *words[] = { "functions", "unready" };
	struct hs_sandbox *sandbox;
	struct hs_error err;

	config.vm.args = words;
	config.vm.args_count = 2;
	sandbox = made(&config);
	EXPECT(hs_sandbox_start(sandbox, &err), HS_ERR_GUEST, "status 3");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_EXITED);
	hs_sandbox_destroy(sandbox);
}

static void *interrupt(void *sandbox)
{
	hs_sandbox_interrupt(sandbox);
	return NULL;
}

/* Whether it comes before the call or in it: that one ends, and only that one. */
static void case_interrupt(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	struct hs_error err;

	for (int i = 0; i < 10; i++) {
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, interrupt, sandbox) == 0);
		EXPECT(hs_sandbox_call(sandbox, "hang", NULL, 0, NULL, &err), HS_ERR_INTERRUPTED, "interrupted");
		CHECK(pthread_join(thread, NULL) == 0);
		CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_POISONED && !hs_sandbox_crash(sandbox));
		restore(sandbox, snapshot);
		CHECK(counted(sandbox) == 1);
	}
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static enum hs_status interrupt_us(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
				   struct hs_error *err)
{
	(void)count;
	(void)err;
	hs_sandbox_interrupt(ctx);
	*ret = arguments[0];
	return HS_OK;
}

/* Surely in the call, because the guest itself has come to it. */
static void case_interrupt_in_call(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	struct hs_error err;

	EXPECT(hs_sandbox_register(sandbox, "stop", "i(i)", interrupt_us, sandbox, &err), HS_OK, "");
	EXPECT(call_back(sandbox, "stop", &err), HS_ERR_INTERRUPTED, "interrupted");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_POISONED);
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void case_limit(void)
{
	struct hs_sandbox_config config = configured();
	struct hs_snapshot *snapshot;
	struct hs_sandbox *sandbox;
	struct hs_error err;

	config.limit_ns = LIMIT_NS;
	sandbox = started(&config);
	snapshot = snapshot_of(sandbox);
	EXPECT(hs_sandbox_call(sandbox, "hang", NULL, 0, NULL, &err), HS_ERR_TIMEOUT, "limit of 2 s");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_POISONED);
	CHECK(hs_sandbox_crash(sandbox)->reason == HS_CRASH_HANG && hs_sandbox_crash(sandbox)->signal == SIGXCPU);
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

/* An interrupt from an earlier time, that nobody has asked the sandbox for, neither ends a call nor its limit. */
static void case_limit_after_stray_interrupt(void)
{
	struct hs_sandbox_config config = configured();
	struct hs_sandbox *sandbox;
	struct hs_error err;

	config.limit_ns = LIMIT_NS;
	sandbox = started(&config);
	hs_vm_interrupt(hs_sandbox_vm(sandbox));
	CHECK(counted(sandbox) == 1);
	hs_vm_interrupt(hs_sandbox_vm(sandbox));
	EXPECT(hs_sandbox_call(sandbox, "hang", NULL, 0, NULL, &err), HS_ERR_TIMEOUT, "limit of 2 s");
	hs_sandbox_destroy(sandbox);
}

/* A snapshot brings its buffers with it, whatever the sandbox was made with. */
static void case_other_buffers(void)
{
	static const uint8_t many[20000];
	const struct hs_value large = { .type = HS_TYPE_BYTES, .bytes = { many, sizeof(many) } };
	struct hs_sandbox_config config = configured();
	struct hs_sandbox *big, *small;
	struct hs_snapshot *of_big, *of_small;
	struct hs_value result;
	struct hs_error err;

	small = started(&config);
	config.vm.input_bytes = 64 << 10;
	config.vm.output_bytes = 32 << 10;
	config.vm.scratch_bytes = 1 << 20;
	big = started(&config);
	of_small = snapshot_of(small);
	of_big = snapshot_of(big);
	EXPECT(hs_sandbox_call(small, "echo_bytes", &large, 1, &result, &err), HS_ERR_RANGE, "16384");
	for (int i = 0; i < 2; i++) {
		restore(small, of_big);
		EXPECT(hs_sandbox_call(small, "echo_bytes", &large, 1, &result, &err), HS_OK, "");
		CHECK(result.bytes.length == sizeof(many));
		hs_snapshot_unref(of_big);
		/* From the other size, too, what is there is all of it. */
		of_big = snapshot_of(small);
		restore(big, of_small);
		CHECK(counted(big) == 1);
		EXPECT(hs_sandbox_call(big, "echo_bytes", &large, 1, &result, &err), HS_ERR_RANGE, "16384");
	}
	hs_snapshot_unref(of_big);
	hs_snapshot_unref(of_small);
	hs_sandbox_destroy(big);
	hs_sandbox_destroy(small);
}

/* Nothing has happened between two snapshots, so they are one. */
static void case_same_snapshot(void)
{
	const struct hs_roots_spec current = { .kind = HS_ROOTS_CURRENT };
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *first = snapshot_of(sandbox);
	struct hs_snapshot *again, *other;
	static struct hs_cpu_state cpu;
	struct hs_error err;

	restore(sandbox, first);
	again = snapshot_of(sandbox);
	CHECK(again == first);
	hs_snapshot_unref(again);
	counted(sandbox);
	other = snapshot_of(sandbox);
	CHECK(other != first);
	hs_snapshot_unref(other);

	restore(sandbox, first);
	other = snapshot_of(sandbox);
	restore(sandbox, other);
	/* With other registers it is another. */
	EXPECT(hs_vm_cpu_get(hs_sandbox_vm(sandbox), &cpu, &err), HS_OK, "");
	cpu.gpr[HS_RDI] ^= 1;
	EXPECT(hs_vm_cpu_set(hs_sandbox_vm(sandbox), &cpu, &err), HS_OK, "");
	again = snapshot_of(sandbox);
	CHECK(again != other && hs_snapshot_cpu(again)->gpr[HS_RDI] == cpu.gpr[HS_RDI]);
	hs_snapshot_unref(other);
	other = again;
	restore(sandbox, other);
	EXPECT(hs_sandbox_set_roots(sandbox, &current, &err), HS_OK, "");
	again = snapshot_of(sandbox);
	CHECK(again != other);
	hs_snapshot_unref(again);
	hs_snapshot_unref(other);
	hs_snapshot_unref(first);
	hs_sandbox_destroy(sandbox);
}

/* What this host has not, no restore pretends to put there; nothing changes then. */
static void case_registers_missing(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	/* Nobody can take such a snapshot here: this stands in for one of another host. Bit 62 is of no CPU today. */
	struct hs_cpu_state *cpu = (struct hs_cpu_state *)(uintptr_t)hs_snapshot_cpu(snapshot);
	struct hs_sandbox *none;
	struct hs_error err;

	cpu->xcr0 |= UINT64_C(1) << 62;
	CHECK(counted(sandbox) == 1);
	EXPECT(hs_sandbox_restore(sandbox, snapshot, &err), HS_ERR_UNSUPPORTED, "needs further registers");
	CHECK(counted(sandbox) == 2);
	EXPECT(hs_sandbox_create_from(snapshot, NULL, &none, &err), HS_ERR_UNSUPPORTED, "needs further registers");
	cpu->xcr0 &= ~(UINT64_C(1) << 62);
	if (configured().vm.backend == HS_BACKEND_SOFT) {
		cpu->xcr0 |= 0x2e0;
		EXPECT(hs_sandbox_restore(sandbox, snapshot, &err), HS_ERR_UNSUPPORTED,
		       "needs AVX-512 and PKRU registers (XCR0 0x2e");
		cpu->xcr0 &= ~UINT64_C(0x2e0);
	}
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 1);
	hs_snapshot_unref(snapshot);
	hs_sandbox_destroy(sandbox);
}

static void *stand_and_count(void *snapshot)
{
	struct hs_sandbox_config config = configured();
	struct hs_sandbox *sandbox;
	struct hs_error err;

	EXPECT(hs_sandbox_create_from(snapshot, &config, &sandbox, &err), HS_OK, "");
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_READY);
	for (uint64_t i = 2; i < 5; i++) {
		CHECK(counted(sandbox) == i);
	}
	restore(sandbox, snapshot);
	CHECK(counted(sandbox) == 2);
	hs_sandbox_destroy(sandbox);
	return NULL;
}

/* Sandboxes on one snapshot, in threads of their own, do not see one another; nor does the one it was taken of. */
static void case_shared_snapshot(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_sandbox *other = made(NULL);
	struct hs_snapshot *snapshot;
	pthread_t threads[3];

	CHECK(counted(sandbox) == 1);
	snapshot = snapshot_of(sandbox);
	for (size_t i = 0; i < 3; i++) {
		CHECK(pthread_create(&threads[i], NULL, stand_and_count, snapshot) == 0);
	}
	CHECK(counted(sandbox) == 2);
	/* One that has never run. */
	restore(other, snapshot);
	CHECK(counted(other) == 2);
	restore(other, snapshot);
	hs_sandbox_destroy(sandbox);
	CHECK(counted(other) == 2);
	for (size_t i = 0; i < 3; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
	}
	hs_snapshot_unref(snapshot);
	/* It keeps what it stands on. */
	CHECK(counted(other) == 3);
	hs_sandbox_destroy(other);
}

struct host {
	struct hs_sandbox *sandbox;
	struct hs_snapshot *snapshot;
	int calls;
};

static enum hs_status refuse(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			     struct hs_error *err)
{
	struct host *host = ctx;

	(void)ret;
	CHECK(count == 1 && arguments[0].type == HS_TYPE_INT && arguments[0].i == 7);
	host->calls++;
	snprintf(err->message, sizeof(err->message), "out of order");
	return HS_ERR_IO;
}

/* The sandbox is in a call: it takes nothing else. */
static enum hs_status meddle(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			     struct hs_error *ignored)
{
	const struct hs_roots_spec roots = { .kind = HS_ROOTS_CURRENT };
	struct host *host = ctx;
	struct hs_snapshot *snapshot;
	struct hs_error err;

	(void)count;
	(void)ignored;
	EXPECT(hs_sandbox_call(host->sandbox, "nothing", NULL, 0, NULL, &err), HS_ERR_STATE, "host function");
	EXPECT(hs_sandbox_start(host->sandbox, &err), HS_ERR_STATE, "host function");
	EXPECT(hs_sandbox_snapshot(host->sandbox, &snapshot, &err), HS_ERR_STATE, "host function");
	EXPECT(hs_sandbox_restore(host->sandbox, host->snapshot, &err), HS_ERR_STATE, "host function");
	EXPECT(hs_sandbox_register(host->sandbox, "late", "v()", refuse, NULL, &err), HS_ERR_STATE, "host function");
	EXPECT(hs_sandbox_set_roots(host->sandbox, &roots, &err), HS_ERR_STATE, "host function");
	host->calls++;
	*ret = arguments[0];
	return HS_OK;
}

static void case_host_functions(void)
{
	struct host host = { .sandbox = started(NULL) };
	struct hs_error err;

	host.snapshot = snapshot_of(host.sandbox);
	EXPECT(hs_sandbox_register(host.sandbox, "refuse", "i(i)", refuse, &host, &err), HS_OK, "");
	EXPECT(hs_sandbox_register(host.sandbox, "refuse", "i(i)", meddle, &host, &err), HS_ERR_BUSY, "'refuse'");
	EXPECT(hs_sandbox_register(host.sandbox, "a b", "i(i)", refuse, &host, &err), HS_ERR_INVALID, "'a b'");
	EXPECT(hs_sandbox_register(host.sandbox, "x", "i(v)", refuse, &host, &err), HS_ERR_INVALID, "");
	EXPECT(hs_sandbox_register(host.sandbox, "meddle", "i(i)", meddle, &host, &err), HS_OK, "");
	EXPECT(hs_sandbox_register(host.sandbox, "other", "i(s)", refuse, &host, &err), HS_OK, "");
	/* The guest handles the error: it says what it was told, and is ready. */
	EXPECT(call_back(host.sandbox, "refuse", &err), HS_ERR_GUEST, "refuse failed with 1: out of order");
	CHECK(host.calls == 1 && hs_sandbox_state(host.sandbox) == HS_SANDBOX_READY);
	EXPECT(call_back(host.sandbox, "meddle", &err), HS_OK, "");
	CHECK(host.calls == 2 && hs_sandbox_state(host.sandbox) == HS_SANDBOX_READY);
	EXPECT(call_back(host.sandbox, "nope", &err), HS_ERR_GUEST, "nope failed with 2: ");
	EXPECT(call_back(host.sandbox, "other", &err), HS_ERR_GUEST, "other failed with 3: ");
	CHECK(host.calls == 2 && counted(host.sandbox) == 1);
	/* A restore does not take them away. */
	restore(host.sandbox, host.snapshot);
	EXPECT(call_back(host.sandbox, "meddle", &err), HS_OK, "");
	hs_snapshot_unref(host.snapshot);
	hs_sandbox_destroy(host.sandbox);
}

static void keep_log(void *ctx, uint32_t level, const char *text, size_t length)
{
	snprintf(ctx, 64, "%u %.*s", (unsigned int)level, (int)length, text);
}

static void case_log(void)
{
	const struct hs_value arguments[] = { { .type = HS_TYPE_UINT, .u = HS_LOG_WARNING }, a_string("low") };
	struct hs_sandbox_config config = configured();
	struct hs_sandbox *sandbox;
	char seen[64] = "";
	struct hs_error err;

	config.log = keep_log;
	config.log_ctx = seen;
	sandbox = started(&config);
	EXPECT(hs_sandbox_call(sandbox, "write_log", arguments, 2, NULL, &err), HS_OK, "");
	CHECK(strcmp(seen, "2 low") == 0);
	hs_sandbox_destroy(sandbox);
}

const struct a_case cases[] = {
	{ "fresh", case_fresh },
	{ "ready", case_ready },
	{ "poisoned", case_poisoned },
	{ "exited", case_exited },
	{ "unready", case_unready },
	{ "interrupt", case_interrupt },
	{ "interrupt_in_call", case_interrupt_in_call },
	{ "limit", case_limit },
	{ "limit_after_stray_interrupt", case_limit_after_stray_interrupt },
	{ "other_buffers", case_other_buffers },
	{ "same_snapshot", case_same_snapshot },
	{ "registers_missing", case_registers_missing },
	{ "shared_snapshot", case_shared_snapshot },
	{ "host_functions", case_host_functions },
	{ "log", case_log },
	{ "starved", case_starved },
	{ "core_write", case_core_write },
	{ "core_of_crash", case_core_of_crash },
	{ "core_request", case_core_request },
	{ "core_in_host_function", case_core_in_host_function },
	{ "interrupt_moments", case_interrupt_moments },
	{ "interrupt_storm", case_interrupt_storm },
	{ "generation", case_generation },
	{ "identity", case_identity },
	{ "identity_changes", case_identity_changes },
	{ "recorded_functions", case_recorded_functions },
	{ "other_image", case_other_image },
	{ "listeners", case_listeners },
	{ "host_results", case_host_results },
	{ "descriptors", case_descriptors },
	{ "address_space", case_address_space },
};
const size_t case_count = sizeof(cases) / sizeof(cases[0]);
