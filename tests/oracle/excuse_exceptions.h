/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those of excuse.h that are about the exceptions of vector instructions: as its table has them. */
#ifndef ORACLE_EXCUSE_EXCEPTIONS_H
#define ORACLE_EXCUSE_EXCEPTIONS_H

#include "excuse.h"

bool oracle_excuse_dot_product(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_sha_alignment(const struct oracle_pair *pair, struct oracle_result *ours);
bool oracle_excuse_wide_element(const struct oracle_pair *pair, struct oracle_result *ours);

#endif
