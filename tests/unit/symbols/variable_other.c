/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Variables that test_variable.c has, too. */
#include <stdint.h>

static volatile uint64_t of_two_files __attribute__((used)) = 5;
static volatile uint64_t hides_a_local __attribute__((used)) = 6;
