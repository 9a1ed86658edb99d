/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The x87's last opcode and its pointers to the last instruction and operand. AMD's processors keep them only while an
 * exception is pending (APM vol. 1, 6.2.5; vol. 2, 11.4.4); without one, what the host has there is no oracle.
 */
#ifndef ORACLE_POINTERS_H
#define ORACLE_POINTERS_H

#include "excuse.h"

/** With no exception pending: put into the host's result what the SDM says that they are (vol. 1 8.1.8). */
void oracle_pointers_settle(const struct oracle_code *code, const struct oracle_case *test, struct oracle_result *host);

#endif
