/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots: all that a guest is between two calls, made dense. Pages that its address spaces reach, the tables that
 * map them, registers. Taken by hs_sandbox_snapshot() or opened from a file; never changed afterwards, so that any
 * number of VMs, in any number of threads, can stand on one.
 */
#ifndef HINDSIGHT_SNAPSHOT_H
#define HINDSIGHT_SNAPSHOT_H

#include <hindsight/call.h>
#include <hindsight/cpu.h>
#include <hindsight/crash.h>
#include <hindsight/error.h>
#include <hindsight/image.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hs_snapshot;

/** Longest path of an image that a snapshot remembers, with its NUL. */
#define HS_SNAPSHOT_PATH_MAX 1024
/** Longest name of a variable that names roots, with its NUL. */
#define HS_SNAPSHOT_SYMBOL_MAX 256

/** Bytes of a snapshot's hash: SHA-256. */
#define HS_SNAPSHOT_HASH_BYTES 32

/** What is remembered of the guest beside its memory and registers. Plain data. */
struct hs_snapshot_guest {
	enum hs_arch arch;
	char path[HS_SNAPSHOT_PATH_MAX]; /**< of the image, absolute; may be empty */
	uint8_t build_id[32];
	uint32_t build_id_length; /**< bytes, 0 when it has none */
	uint64_t features;        /**< HS_FEATURE_* of its note */
	uint64_t entry;           /**< gva of the image's entry point */
	uint64_t phdr;            /**< gva of its program headers, 0 when they are not in memory */
	uint16_t phentsize, phnum;
	uint64_t dispatch;                  /**< where the guest takes calls: rip there; 0 where it takes none */
	uint64_t input_bytes, output_bytes; /**< buffers of calls: at the beginning of scratch, one behind the other */
	uint64_t boot_idt;                  /**< gva of the IDT that the host has provided */
	uint64_t roots;                     /**< gva of what the guest has registered of its roots; 0 for nothing */
	uint64_t roots_variable;            /**< gva of a variable that holds roots; see the next two */
	uint64_t roots_stride, roots_count; /**< bytes from one to the next, and how many; 0 without such a variable */
	char roots_symbol[HS_SNAPSHOT_SYMBOL_MAX]; /**< its name */
	uint64_t generation;         /**< how many snapshots were taken on the way to this one, itself counted */
	uint64_t guard, guard_bytes; /**< below the stack of the boot: gva and length; a fault there is its overflow */
	struct hs_devices devices;
};

/** Bytes of a signature, with its NUL: a result, two parentheses, arguments. */
#define HS_SNAPSHOT_SIGNATURE_MAX (HS_CALL_ARGUMENTS_MAX + 4)

/** A function of the host that the guest could call. Plain data. */
struct hs_snapshot_function {
	char name[HS_CALL_NAME_MAX + 1];
	char signature[HS_SNAPSHOT_SIGNATURE_MAX]; /**< as <hindsight/call.h> says */
};

/** Facts of a snapshot; borrowed from it. */
struct hs_snapshot_info {
	struct hs_snapshot_guest guest;
	struct hs_memory_image memory;
	const struct hs_root *roots;
	uint32_t root_count;
	uint32_t current;                                  /**< index of the root that the CPU is on */
	bool cow;                                          /**< pages are copy-on-write for the guest's handler */
	uint64_t shared_bytes, private_bytes, table_bytes; /**< of memory, with its pages of zeros */
	/** Host functions of the sandbox when it was taken. They do not come with it: whoever goes on registers its
	 *  own, and a guest that calls one of these that is not there is told what it was. NULL for none. */
	const struct hs_snapshot_function *functions;
	uint32_t function_count;
	bool crashed; /**< the guest stands at a crash, that a core was made of: it goes on there */
	struct hs_crash crash;
};

/** One more owner. */
struct hs_snapshot *hs_snapshot_ref(struct hs_snapshot *snapshot);
/** One owner less; the last one frees it. NULL is fine. Any thread. */
void hs_snapshot_unref(struct hs_snapshot *snapshot);

const struct hs_snapshot_info *hs_snapshot_info(const struct hs_snapshot *snapshot);
/** The registers to resume with; borrowed. */
const struct hs_cpu_state *hs_snapshot_cpu(const struct hs_snapshot *snapshot);
/** The guest-physical memory, read-only, valid as long as the snapshot. */
struct hs_phys hs_snapshot_phys(const struct hs_snapshot *snapshot);

/**
 * The identity of a snapshot: equal content, equal hash, whether it was taken or opened from a file. In it are memory,
 * regions, roots, registers and what devices remember; not where the guest came from (path, build-id), which snapshot
 * on its way this is (generation), and the TSC, which goes on while the guest stands still (docs/snapshot.md,
 * "Identity").
 *
 * Computed when it is first asked for, which reads all of the memory, and kept. Any thread.
 */
void hs_snapshot_hash(struct hs_snapshot *snapshot, uint8_t ret[HS_SNAPSHOT_HASH_BYTES]);

/**
 * Write a snapshot to a file: an ELF core that debuggers open, and hs_snapshot_open() (docs/cores.md). It appears under
 * its name complete and synced to disk, or not at all. Pages of zeros are holes.
 *
 * HS_ERR_BUSY: the name is taken. Others as hs_core_write().
 *
 * @param path     of a file
 * @param replace  a regular file that has the name gives way; who has it open keeps it. A symbolic link never does
 */
HS_MUST_CHECK enum hs_status hs_snapshot_save(const struct hs_snapshot *snapshot, const char *path, bool replace,
					      struct hs_error *err);

/**
 * Open a file of hs_snapshot_save(), or a core of a crash that hindsight has written: such a guest resumes at the
 * instruction that failed. The file is mapped and not read, so that this costs the same whatever its size; nobody may
 * write to it or cut it off as long as the snapshot is in use (SIGBUS), but it may be removed, or replaced by another.
 *
 * HS_ERR_FORMAT: not a snapshot, or a broken one; the message says where. HS_ERR_UNSUPPORTED: one of another version.
 * Others as hs_core_open().
 *
 * @param verify  read all of the memory and compare it with its checksums, too
 * @param ret     with one owner, the caller
 */
HS_MUST_CHECK enum hs_status hs_snapshot_open(const char *path, bool verify, struct hs_snapshot **ret,
					      struct hs_error *err);

#ifdef __cplusplus
}
#endif
#endif
