/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ranges compared field by field: between the fields is padding, which says nothing. For tests with cmocka. */
#ifndef HS_TESTS_PAGING_SAME_RANGE_H
#define HS_TESTS_PAGING_SAME_RANGE_H

#include <hindsight/paging.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static inline void check_same_range(const struct hs_range *a, const struct hs_range *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->start.v, b->start.v);
	assert_int_equal(a->length, b->length);
	assert_int_equal(a->gpa.v, b->gpa.v);
	assert_int_equal(a->prot, b->prot);
	assert_int_equal(a->user, b->user);
	assert_int_equal(a->cow, b->cow);
	assert_int_equal(a->level, b->level);
	assert_int_equal(a->page_bytes, b->page_bytes);
	assert_int_equal(a->leaf, b->leaf);
}

#endif
