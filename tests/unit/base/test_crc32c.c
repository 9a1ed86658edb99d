/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* RFC 3720 B.4, whose sums are written with the lowest byte first. */
static void test_crc32c_examples_of_the_rfc_have_its_sums(void **state)
{
	uint8_t bytes[32] = { 0 };

	(void)state;
	assert_int_equal(hs_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(hs_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)i;
	}
	assert_int_equal(hs_crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
}

static void test_crc32c_bytes_in_parts_have_the_same_sum(void **state)
{
	uint8_t bytes[61];

	(void)state;
	for (unsigned int i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)(i * 37 + 1);
	}
	for (size_t cut = 0; cut <= sizeof(bytes); cut++) {
		uint32_t first = hs_crc32c(0, bytes, cut);

		assert_int_equal(hs_crc32c(first, bytes + cut, sizeof(bytes) - cut),
				 hs_crc32c_plain(0, bytes, sizeof(bytes)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c_examples_of_the_rfc_have_its_sums),
		cmocka_unit_test(test_crc32c_bytes_in_parts_have_the_same_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
