/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a fuzz target gives: one function over bytes, in libFuzzer's form (llvm.org/docs/LibFuzzer.html, "Fuzz Target").
 */
#ifndef HS_TESTS_FUZZ_DRIVER_H
#define HS_TESTS_FUZZ_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/** Work on the bytes and abort() where something does not hold; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
