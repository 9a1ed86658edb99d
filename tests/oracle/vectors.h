/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The x87, SSE and AVX state that an instruction finds, and what those with addresses and lengths in vectors need. */
#ifndef ORACLE_VECTORS_H
#define ORACLE_VECTORS_H

#include "lanes.h"
#include "scene.h"

/** Control words, flags, and all registers; those that are operands by their types. */
void oracle_choose_vectors(struct oracle_lanes *lanes, const struct oracle_code *code, struct oracle_case *test);
/** The first bytes of an image for fxrstor, with control words that mostly are valid. */
enum { ORACLE_IMAGE_BYTES = 32 };
void oracle_choose_image(struct oracle_random *random, uint8_t image[ORACLE_IMAGE_BYTES]);
/** Whether an operand is in memory at as many addresses as a vector has elements. */
bool oracle_is_gather(const ZydisDecodedOperand *operand);
/** Base register's value, indexes and mask of a gather. The base, when there is one, goes to *ret_base. */
void oracle_choose_gather(struct oracle_random *random, struct oracle_code *code, const ZydisDecodedOperand *operand,
			  struct oracle_case *test, uint64_t *ret_base);

#endif
