/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hs_access_rights and hs_access_check sentence by sentence (SDM vol. 3A 4.6.1, 4.7). All combinations are the matter
 * of tests/model.
 */
#include <hindsight/cpu.h>
#include <hindsight/paging.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define R HS_PROT_READ
#define W HS_PROT_WRITE
#define X HS_PROT_EXEC

static const struct hs_root plain = { .format = HS_PAGING_4LEVEL, .nxe = true, .wp = true };

static struct hs_range page(int prot, bool user)
{
	return (struct hs_range){ .kind = HS_RANGE_MAPPED, .length = 4096, .prot = prot, .user = user };
}

static int rights(const struct hs_root *root, int prot, bool user, enum hs_access_by by)
{
	struct hs_range range = page(prot, user);

	return hs_access_rights(root, &range, by);
}

static void test_access_user_needs_user_pages(void **state)
{
	(void)state;
	assert_int_equal(rights(&plain, R | W | X, true, HS_ACCESS_BY_USER), R | W | X);
	assert_int_equal(rights(&plain, R, true, HS_ACCESS_BY_USER), R);
	assert_int_equal(rights(&plain, R | W | X, false, HS_ACCESS_BY_USER), 0);
}

static void test_access_supervisor_writes_to_read_only_pages_without_wp(void **state)
{
	struct hs_root root = plain;

	(void)state;
	assert_int_equal(rights(&root, R, false, HS_ACCESS_BY_SUPERVISOR), R);
	assert_int_equal(rights(&root, R, true, HS_ACCESS_BY_SUPERVISOR), R);
	root.wp = false;
	assert_int_equal(rights(&root, R, false, HS_ACCESS_BY_SUPERVISOR), R | W);
	assert_int_equal(rights(&root, R, true, HS_ACCESS_BY_SUPERVISOR), R | W);
	assert_int_equal(rights(&root, R, true, HS_ACCESS_BY_USER), R);
}

static void test_access_smep_keeps_supervisor_from_fetching_user_pages(void **state)
{
	struct hs_root root = plain;

	(void)state;
	root.smep = true;
	assert_int_equal(rights(&root, R | W | X, true, HS_ACCESS_BY_SUPERVISOR), R | W);
	assert_int_equal(rights(&root, R | W | X, true, HS_ACCESS_BY_SUPERVISOR_AC), R | W);
	assert_int_equal(rights(&root, R | W | X, false, HS_ACCESS_BY_SUPERVISOR), R | W | X);
	assert_int_equal(rights(&root, R | W | X, true, HS_ACCESS_BY_USER), R | W | X);
}

static void test_access_smap_keeps_supervisor_from_user_data_unless_ac(void **state)
{
	struct hs_root root = plain;

	(void)state;
	root.smap = true;
	assert_int_equal(rights(&root, R | W | X, true, HS_ACCESS_BY_SUPERVISOR), X);
	assert_int_equal(rights(&root, R | W | X, true, HS_ACCESS_BY_SUPERVISOR_AC), R | W | X);
	assert_int_equal(rights(&root, R | W | X, false, HS_ACCESS_BY_SUPERVISOR), R | W | X);
	root.wp = false;
	assert_int_equal(rights(&root, R, true, HS_ACCESS_BY_SUPERVISOR), 0);
	assert_int_equal(rights(&root, R, true, HS_ACCESS_BY_SUPERVISOR_AC), R | W);
}

static void test_access_without_paging_everything_is_allowed(void **state)
{
	struct hs_root root = { .format = HS_PAGING_NONE, .wp = true, .smep = true, .smap = true };
	struct hs_range range;
	uint32_t code = 99;

	(void)state;
	hs_translate(NULL, &root, hs_gva_of(0x12345), &range);
	for (unsigned int by = HS_ACCESS_BY_SUPERVISOR; by <= HS_ACCESS_BY_USER; by++) {
		assert_int_equal(hs_access_rights(&root, &range, by), R | W | X);
		assert_int_equal(hs_access_check(&root, &range, by, R | W, &code), HS_ACCESS_ALLOWED);
	}
	assert_int_equal(code, 99);
}

static uint32_t code_of(const struct hs_root *root, enum hs_range_kind kind, enum hs_access_by by, int prot)
{
	struct hs_range range = { .kind = kind, .length = 4096 };
	uint32_t code = 99;

	assert_int_equal(hs_access_check(root, &range, by, prot, &code), HS_ACCESS_PAGE_FAULT);
	return code;
}

static void test_access_error_codes_say_what_was_tried_and_why_not(void **state)
{
	struct hs_root root = plain;
	enum hs_access_by user = HS_ACCESS_BY_USER;
	enum hs_access_by supervisor = HS_ACCESS_BY_SUPERVISOR;

	(void)state;
	assert_int_equal(code_of(&root, HS_RANGE_HOLE, supervisor, R), 0);
	assert_int_equal(code_of(&root, HS_RANGE_HOLE, user, W), HS_PF_W | HS_PF_U);
	/* A page without any right. */
	assert_int_equal(code_of(&root, HS_RANGE_MAPPED, user, R), HS_PF_P | HS_PF_U);
	assert_int_equal(code_of(&root, HS_RANGE_MAPPED, supervisor, R | W), HS_PF_P | HS_PF_W);
	assert_int_equal(code_of(&root, HS_RANGE_RESERVED, user, R), HS_PF_P | HS_PF_RSVD | HS_PF_U);
}

static void test_access_fetches_are_told_with_smep_or_xd(void **state)
{
	struct hs_root root = { .format = HS_PAGING_32BIT, .nxe = true };

	(void)state;
	assert_int_equal(code_of(&root, HS_RANGE_HOLE, HS_ACCESS_BY_USER, X), HS_PF_U);
	root.smep = true;
	assert_int_equal(code_of(&root, HS_RANGE_HOLE, HS_ACCESS_BY_USER, X), HS_PF_U | HS_PF_I);
	root = (struct hs_root){ .format = HS_PAGING_PAE };
	assert_int_equal(code_of(&root, HS_RANGE_HOLE, HS_ACCESS_BY_SUPERVISOR, X), 0);
	root.nxe = true;
	assert_int_equal(code_of(&root, HS_RANGE_HOLE, HS_ACCESS_BY_SUPERVISOR, X), HS_PF_I);
}

static void test_access_what_no_error_code_describes(void **state)
{
	struct hs_range range = { .kind = HS_RANGE_NON_CANONICAL, .length = 1 };
	uint32_t code = 99;

	(void)state;
	assert_int_equal(hs_access_check(&plain, &range, HS_ACCESS_BY_USER, R, &code), HS_ACCESS_NON_CANONICAL);
	range.kind = HS_RANGE_UNREADABLE;
	assert_int_equal(hs_access_check(&plain, &range, HS_ACCESS_BY_USER, R, &code), HS_ACCESS_UNKNOWN);
	assert_int_equal(code, 99);
}

static void test_access_aarch64_is_not_judged(void **state)
{
	static const enum hs_paging_format formats[] = { HS_PAGING_AARCH64_TTBR0, HS_PAGING_AARCH64_TTBR1 };
	uint32_t code = 99;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct hs_root root = { .format = formats[i] };
		struct hs_range range = page(R | W | X, true);

		assert_int_equal(hs_access_rights(&root, &range, HS_ACCESS_BY_SUPERVISOR), 0);
		assert_int_equal(hs_access_check(&root, &range, HS_ACCESS_BY_USER, R, &code), HS_ACCESS_UNKNOWN);
		range.kind = HS_RANGE_HOLE;
		assert_int_equal(hs_access_check(&root, &range, HS_ACCESS_BY_USER, R, &code), HS_ACCESS_UNKNOWN);
	}
	assert_int_equal(code, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_access_user_needs_user_pages),
		cmocka_unit_test(test_access_supervisor_writes_to_read_only_pages_without_wp),
		cmocka_unit_test(test_access_smep_keeps_supervisor_from_fetching_user_pages),
		cmocka_unit_test(test_access_smap_keeps_supervisor_from_user_data_unless_ac),
		cmocka_unit_test(test_access_without_paging_everything_is_allowed),
		cmocka_unit_test(test_access_error_codes_say_what_was_tried_and_why_not),
		cmocka_unit_test(test_access_fetches_are_told_with_smep_or_xd),
		cmocka_unit_test(test_access_what_no_error_code_describes),
		cmocka_unit_test(test_access_aarch64_is_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
