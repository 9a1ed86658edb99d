/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest made by hand for core tests: memory, page tables and registers with known contents, of either architecture.
 * It never runs. The memory is 1 MiB at gpa 0x100000, after which come the page tables.
 */
#ifndef HS_TESTS_COREDUMP_GUEST_H
#define HS_TESTS_COREDUMP_GUEST_H

#include "ram.h"

#include <hindsight/coredump.h>

#define GUEST_RAM_GPA UINT64_C(0x100000)
#define GUEST_RAM_BYTES UINT64_C(0x100000)
#define GUEST_TABLES_GPA UINT64_C(0x80000000)
#define GUEST_TABLES_BYTES UINT64_C(0x200000)
#define GUEST_RW (HS_PROT_READ | HS_PROT_WRITE)
#define GUEST_RX (HS_PROT_READ | HS_PROT_EXEC)

struct guest {
	struct ram ram;
	struct hs_root root;
	struct hs_cpu_state cpu;
	struct hs_core_input input; /* refers to the above; a test may change it */
	char directory[64];         /* an empty one, removed with its files by guest_deinit() */
};

/** A guest with an empty address space; `pointers`: whether its memory can be pointed at. It must not be moved. */
void guest_init(struct guest *guest, enum hs_arch arch, bool pointers);
void guest_deinit(struct guest *guest);
/** Map pages; a failure fails the test. */
void guest_map(struct guest *guest, uint64_t gva, uint64_t gpa, uint64_t length, int prot);
/** Fill physical pages with bytes that tell the page: never all zero. */
void guest_fill(struct guest *guest, uint64_t gpa, uint64_t length);
/** What the registers are set to: a different value for each, made of its number in the table. */
uint64_t guest_register(enum hs_arch arch, size_t number);
/** Write the core into the guest's directory; a failure fails the test. */
void guest_dump(struct guest *guest, struct hs_core_result *ret);
/** Open a core; a failure fails the test. */
struct hs_core *guest_open(const char *path);
/** How many files are in the guest's directory. */
unsigned int guest_files(const struct guest *guest);

#endif
