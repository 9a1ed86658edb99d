/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots for what they are and not for what they do: their identity, what they record. */
#include "cases.h"

#include <stdlib.h>
#include <unistd.h>

struct hash {
	uint8_t bytes[HS_SNAPSHOT_HASH_BYTES];
};

static struct hash hash_of(struct hs_snapshot *snapshot)
{
	struct hash hash;

	hs_snapshot_hash(snapshot, hash.bytes);
	return hash;
}

/* Of the sandbox as it is now. */
static struct hash hash_now(struct hs_sandbox *sandbox)
{
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	struct hash hash = hash_of(snapshot);

	hs_snapshot_unref(snapshot);
	return hash;
}

static bool same(const struct hash *a, const struct hash *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Through a file and back. */
static struct hs_snapshot *reopened(struct hs_snapshot *snapshot)
{
	char directory[] = "/tmp/hs-snapshots-XXXXXX";
	struct hs_snapshot *opened;
	char path[64];
	struct hs_error err;

	CHECK(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a.snap", directory);
	EXPECT(hs_snapshot_save(snapshot, path, false, &err), HS_OK, "");
	EXPECT(hs_snapshot_open(path, false, &opened, &err), HS_OK, "");
	CHECK(unlink(path) == 0 && rmdir(directory) == 0);
	return opened;
}

/* In another VM, of its own. */
static void check_elsewhere(struct hs_snapshot *snapshot, const struct hash *wanted)
{
	struct hs_sandbox_config config = configured();
	struct hs_sandbox *sandbox;
	struct hash hash;
	struct hs_error err;

	for (int debugger = 0; debugger < 2; debugger++) {
		config.vm.debugger = debugger == 1;
		EXPECT(hs_sandbox_create_from(snapshot, &config, &sandbox, &err), HS_OK, "");
		hash = hash_now(sandbox);
		CHECK(same(&hash, wanted));
		CHECK(counted(sandbox) == 1);
		hash = hash_now(sandbox);
		CHECK(!same(&hash, wanted));
		restore(sandbox, snapshot);
		hash = hash_now(sandbox);
		CHECK(same(&hash, wanted));
		hs_sandbox_destroy(sandbox);
	}
}

/* The same content is the same hash, whichever way it took. */
void case_identity(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *snapshot = snapshot_of(sandbox);
	struct hs_snapshot *again = snapshot_of(sandbox);
	struct hs_snapshot *opened = reopened(snapshot);
	struct hash wanted = hash_of(snapshot);
	struct hash hash = hash_of(again);

	CHECK(again != snapshot && same(&hash, &wanted));
	hash = hash_of(opened);
	CHECK(same(&hash, &wanted));
	check_elsewhere(snapshot, &wanted);
	check_elsewhere(opened, &wanted);
	hs_snapshot_unref(snapshot);
	hs_snapshot_unref(again);
	hs_snapshot_unref(opened);
	hs_sandbox_destroy(sandbox);
}

/* One bit of a register, and one of the guest's code, from outside. */
void case_identity_changes(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_vm *vm = hs_sandbox_vm(sandbox);
	hs_gva code = { hs_vm_image(vm)->entry };
	struct hash wanted = hash_now(sandbox), hash;
	struct hs_cpu_state cpu;
	struct hs_error err;
	size_t length;
	uint8_t byte;

	EXPECT(hs_vm_cpu_get(vm, &cpu, &err), HS_OK, "");
	EXPECT(hs_vm_mem_read(vm, code, &byte, 1, &length, &err), HS_OK, "");
	CHECK(length == 1);
	for (int turn = 0; turn < 4; turn++) {
		cpu.gpr[HS_RBX] ^= turn < 2;
		byte ^= turn >= 2;
		EXPECT(hs_vm_cpu_set(vm, &cpu, &err), HS_OK, "");
		EXPECT(hs_vm_mem_write(vm, code, &byte, 1, &err), HS_OK, "");
		hash = hash_now(sandbox);
		CHECK(same(&hash, &wanted) == (turn % 2 == 1));
	}
	hs_sandbox_destroy(sandbox);
}

static enum hs_status square(void *ctx, const struct hs_value *arguments, size_t count, struct hs_value *ret,
			     struct hs_error *err)
{
	(void)ctx;
	(void)count;
	(void)err;
	*ret = an_int(arguments[0].i * arguments[0].i);
	return HS_OK;
}

static void check_recorded(const struct hs_snapshot *snapshot, uint32_t count)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);

	CHECK(info->function_count == count);
	CHECK(strcmp(info->functions[0].name, "square") == 0 && strcmp(info->functions[0].signature, "i(i)") == 0);
	CHECK(count < 2 || strcmp(info->functions[1].name, "more") == 0);
	CHECK(count < 2 || strcmp(info->functions[1].signature, "v(iuIUfdbsy)") == 0);
}

/* On a snapshot that was taken with square: nothing is refused before the guest calls what is not there. */
static void check_without(struct hs_snapshot *snapshot)
{
	struct hs_sandbox_config config = configured();
	struct hs_sandbox *sandbox;
	struct hs_error err;

	EXPECT(hs_sandbox_create_from(snapshot, &config, &sandbox, &err), HS_OK, "");
	CHECK(counted(sandbox) == 1);
	EXPECT(call_back(sandbox, "square", &err), HS_ERR_GUEST,
	       "the host has no function 'square' (the snapshot was taken with i(i))");
	EXPECT(call_back(sandbox, "nope", &err), HS_ERR_GUEST, "the host has no function 'nope'");
	CHECK(!strstr(err.message, "taken with"));
	CHECK(hs_sandbox_state(sandbox) == HS_SANDBOX_READY && counted(sandbox) == 2);
	EXPECT(hs_sandbox_register(sandbox, "square", "i(s)", square, NULL, &err), HS_OK, "");
	EXPECT(call_back(sandbox, "square", &err), HS_ERR_GUEST, "(the snapshot was taken with i(i))");
	hs_sandbox_destroy(sandbox);
	/* With the same one, and arguments that neither takes, there is nothing more to say. */
	EXPECT(hs_sandbox_create_from(snapshot, &config, &sandbox, &err), HS_OK, "");
	EXPECT(hs_sandbox_register(sandbox, "square", "i(i)", square, NULL, &err), HS_OK, "");
	EXPECT(call_back(sandbox, "square", &err), HS_OK, "");
	hs_sandbox_destroy(sandbox);
}

void case_recorded_functions(void)
{
	struct hs_sandbox *sandbox = started(NULL);
	struct hs_snapshot *without = snapshot_of(sandbox);
	struct hs_snapshot *snapshot, *opened, *more;
	struct hs_error err;

	CHECK(hs_snapshot_info(without)->function_count == 0 && !hs_snapshot_info(without)->functions);
	restore(sandbox, without);
	EXPECT(hs_sandbox_register(sandbox, "square", "i(i)", square, NULL, &err), HS_OK, "");
	snapshot = snapshot_of(sandbox);
	check_recorded(snapshot, 1);
	restore(sandbox, snapshot);
	EXPECT(hs_sandbox_register(sandbox, "more", "v(iuIUfdbsy)", square, NULL, &err), HS_OK, "");
	more = snapshot_of(sandbox);
	check_recorded(snapshot, 1);
	check_recorded(more, 2);
	opened = reopened(more);
	check_recorded(opened, 2);
	check_without(snapshot);
	check_without(opened);
	hs_sandbox_destroy(sandbox);
	hs_snapshot_unref(without);
	hs_snapshot_unref(snapshot);
	hs_snapshot_unref(opened);
	hs_snapshot_unref(more);
}
