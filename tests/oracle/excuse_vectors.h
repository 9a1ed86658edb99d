/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those of excuse.h that are about x87, SSE and AVX: as its table has them. */
#ifndef ORACLE_EXCUSE_VECTORS_H
#define ORACLE_EXCUSE_VECTORS_H

#include "excuse.h"

bool oracle_excuse_image_pointers(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_mxcsr_mask(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_alignment_check(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_precision_beside(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_image_fault(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_masked_bytes(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_invalid_comparison(const struct oracle_pair *pair, struct oracle_result *ours);

#endif
