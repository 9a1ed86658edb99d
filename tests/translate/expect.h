/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must happen when a page is touched, by what hs_translate() and hs_access_rights() say of it. */
#ifndef HS_TESTS_TRANSLATE_EXPECT_H
#define HS_TESTS_TRANSLATE_EXPECT_H

#include "../../guest/programs/touch.h"

#include <hindsight/paging.h>

#include <stdint.h>

/** TOUCH_WORKED or TOUCH_FAULT(): the error code is SDM vol. 3A 4.7's. */
uint32_t expect_touch(const struct hs_root *root, const struct hs_range *range, enum touch_way way);

#endif
