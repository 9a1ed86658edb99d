/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small snapshot that never ran: 8 pages, two roots, registers that are all different. For tests of its file. */
#ifndef HS_TESTS_SESSION_SAVED_H
#define HS_TESTS_SESSION_SAVED_H

#include <hindsight/snapshot.h>

#include <stdbool.h>

#define SAVED_PAGE UINT64_C(0x1000)
#define SAVED_SCRATCH_GPA UINT64_C(0x40000000)
#define SAVED_SCRATCH_BYTES (8 * SAVED_PAGE)

/** Make it, ready for calls or at a crash; a failure fails the test. The address space it is on is physical memory
 *  itself. */
struct hs_snapshot *saved_create(enum hs_arch arch, bool crashed);

#endif
