/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a fuzz target gives: one function over bytes, in libFuzzer's form (llvm.org/docs/LibFuzzer.html, "Fuzz Target");
 * and what it checks with.
 */
#ifndef HS_TESTS_FUZZ_DRIVER_H
#define HS_TESTS_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** Something that must hold whatever the bytes are. */
#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);                  \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

/** Work on the bytes and abort() where something does not hold; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
