/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images as hs_image_open() would give them, without a file, and what a plan for one is expected to be. For cmocka
 * tests. */
#ifndef HS_TEST_LAYOUT_ASSERTS_H
#define HS_TEST_LAYOUT_ASSERTS_H

#include "vmm/layout.h"

/** No segments yet. */
void layout_image_init(struct hs_image *image, enum hs_arch arch);
/** Add one; in ascending order. The first one is the entry. */
void layout_image_add(struct hs_image *image, uint64_t gva, uint64_t length, int prot);
/** Constants, text and data as linkers place them. */
void layout_image_usual(struct hs_image *image, enum hs_arch arch);

/** Plan it; the test fails when that is refused or the result breaks a rule of layout_check(). */
void layout_plan_good(const struct hs_image *image, const struct hs_vm_config *config, struct hs_layout *ret);
/** The plan is refused with this status and text; the output is untouched. */
void layout_assert_refused(const struct hs_image *image, const struct hs_vm_config *config, enum hs_status status,
			   const char *problem, struct hs_error *err);

#endif
