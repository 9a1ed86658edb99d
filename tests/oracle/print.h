/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ORACLE_PRINT_H
#define ORACLE_PRINT_H

#include "case.h"

/** Of a case that is looked at alone: all of it, and what the host made of it. */
void oracle_print_case(const struct oracle_case *test, const struct oracle_result *host);

#endif
