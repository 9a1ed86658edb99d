/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host gives this program, until it gives no more: the linker puts starved.c in place of the calls of the
 * library. */
#ifndef TESTS_SANDBOX_STARVED_H
#define TESTS_SANDBOX_STARVED_H

#include <stdbool.h>

/** Refuse the nth of what comes, memory and requests to KVM; 0: the first. */
void starve(unsigned int nth);
/** Refuse nothing any more. Whether something was. */
bool feed(void);

#endif
