/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots for what they are and not for what they do: their identity. */
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
