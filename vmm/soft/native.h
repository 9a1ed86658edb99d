/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Machine code of the host's, made while the program runs: the instructions that the software CPU hands to the host's.
 *
 * Code is written through one mapping and executed through another of the same memory, so that none is ever both
 * writable and executable. It lives as long as the process: operations point to it, those of all CPUs and threads.
 */
#ifndef HS_SOFT_NATIVE_H
#define HS_SOFT_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How much of it a process makes, bytes; a forked child begins with what its parent had left. More than all there is:
 *  some 70,000 instructions that differ in more than their registers, most of them in an immediate, take 7 MiB. */
#define HS_SOFT_NATIVE_MAX (UINT64_C(16) << 20)

/** Code that was made. A caller whose code takes more, or returns something else, casts it. */
typedef uint64_t hs_soft_native_fn(void *call);

/**
 * Executable code with these bytes, which must not depend on where they are. Bytes that were asked for before give the
 * code that is there. Takes a lock: for decoding, not for executing.
 *
 * @return NULL when HS_SOFT_NATIVE_MAX is reached, or where hs_soft_native_works() says no
 */
hs_soft_native_fn *hs_soft_native_code(const uint8_t *code, size_t length);

/** Whether the host lets this process have executable memory. The answer is the same for as long as the process lives;
 *  where it is no, no instruction may be offered that needs it. */
bool hs_soft_native_works(void);

#endif
