/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libhindsight.so, used as an outsider uses it: the umbrella header and the shared library are all there is. */
#include <hindsight/hindsight.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_library_vm_of_a_missing_image_is_an_error(void **state)
{
	struct hs_vm *vm = NULL;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_vm_create("/nonexistent/guest.elf", NULL, &vm, &err), HS_ERR_NOT_FOUND);
	assert_null(vm);
	assert_non_null(strstr(err.message, "/nonexistent/guest.elf"));
	hs_vm_destroy(vm);
}

static void test_library_has_every_part(void **state)
{
	struct hs_gdb_listener *listener = NULL;
	struct hs_core *core = NULL;
	struct hs_error err;

	(void)state;
	assert_string_equal(hs_status_name(HS_ERR_RANGE), "range");
	assert_string_equal(hs_paging_format_name(HS_PAGING_PAE), "pae");
	assert_int_equal(hs_gdb_listen("nonsense", false, &listener, &err), HS_ERR_INVALID);
	assert_int_equal(hs_core_open("/nonexistent/core", &core, &err), HS_ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_library_vm_of_a_missing_image_is_an_error),
		cmocka_unit_test(test_library_has_every_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
