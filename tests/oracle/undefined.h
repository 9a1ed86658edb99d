/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the manual leaves open, instruction by instruction: flags and, seldom, results. Only that is not compared.
 */
#ifndef ORACLE_UNDEFINED_H
#define ORACLE_UNDEFINED_H

#include "scene.h"

struct oracle_undefined {
	uint32_t flags; /* of FLAG_STATUS */
	bool result;    /* the first operand: its register, or what memory holds */
};

/** What is undefined after the instruction was executed from this state. */
void oracle_undefined(const struct oracle_code *code, const struct oracle_case *test, struct oracle_undefined *ret);

/** The table as text, a line for each group of instructions. */
void oracle_undefined_print(void);

#endif
