/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules that every layout keeps, whatever it was made for; the unit tests and the fuzz test ask the same
 * question. */
#ifndef HS_TEST_LAYOUT_CHECK_H
#define HS_TEST_LAYOUT_CHECK_H

#include "vmm/layout.h"

/** The rule that the layout breaks, or NULL. Quadratic in its areas and pages of nothing. */
const char *layout_check(const struct hs_image *image, const struct hs_layout *layout);

#endif
