/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses and listening sockets. */
#include <hindsight/gdb.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void test_listen_names_the_port_it_got(void **state)
{
	struct hs_gdb_listener *listener;

	(void)state;
	assert_int_equal(hs_gdb_listen("127.0.0.1:0", false, &listener, NULL), HS_OK);
	assert_memory_equal(hs_gdb_listener_address(listener), "127.0.0.1:", 10);
	assert_string_not_equal(hs_gdb_listener_address(listener), "127.0.0.1:0");
	hs_gdb_listener_close(listener);
}

static void test_listen_port_in_use_is_named(void **state)
{
	struct hs_gdb_listener *first;
	struct hs_gdb_listener *second = NULL;
	struct hs_error err;

	(void)state;
	assert_int_equal(hs_gdb_listen(":0", false, &first, NULL), HS_OK);
	assert_int_equal(hs_gdb_listen(hs_gdb_listener_address(first), false, &second, &err), HS_ERR_BUSY);
	assert_null(second);
	assert_non_null(strstr(err.message, hs_gdb_listener_address(first)));
	assert_null(strchr(err.message, '\n'));
	hs_gdb_listener_close(first);
}

static void test_listen_beyond_loopback_needs_permission(void **state)
{
	static const char *const addresses[] = { "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0" };
	struct hs_gdb_listener *listener = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		assert_int_equal(hs_gdb_listen(addresses[i], false, &listener, NULL), HS_ERR_PERMISSION);
		assert_null(listener);
	}
	assert_int_equal(hs_gdb_listen("0.0.0.0:0", true, &listener, NULL), HS_OK);
	hs_gdb_listener_close(listener);
}

static void test_listen_nonsense_is_refused(void **state)
{
	static const char *const addresses[] = {
		"",      ":",      "1234",      ":65536", ":-1",           ":12x",        "host.example:1",
		"::1:1", "[::1:1", "127.0.0.1", "unix:",  "127.0.0.1:1:2", "1.2.3.4.5:1", "tcp::1",
	};
	struct hs_gdb_listener *listener = NULL;
	char path[200] = "unix:";
	struct hs_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		assert_int_equal(hs_gdb_listen(addresses[i], true, &listener, &err), HS_ERR_INVALID);
		assert_null(listener);
	}
	memset(path + 5, 'a', 150);
	path[155] = '\0';
	assert_int_equal(hs_gdb_listen(path, false, &listener, &err), HS_ERR_INVALID);
}

static void test_listen_unix_socket_is_private_and_removed(void **state)
{
	struct hs_gdb_listener *listener;
	struct hs_gdb_listener *other = NULL;
	char folder[] = "/tmp/hs-gdbstub-XXXXXX";
	char address[64];
	struct hs_error err;
	struct stat file;
	mode_t mask;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address, sizeof(address), "unix:%s/s", folder);
	mask = umask(0);
	assert_int_equal(hs_gdb_listen(address, false, &listener, NULL), HS_OK);
	umask(mask);
	assert_string_equal(hs_gdb_listener_address(listener), address);
	assert_int_equal(stat(address + 5, &file), 0);
	assert_int_equal(file.st_mode & 07777, 0600);
	/* Somebody listens. */
	assert_int_equal(hs_gdb_listen(address, false, &other, &err), HS_ERR_BUSY);
	assert_null(other);
	assert_non_null(strstr(err.message, address));
	hs_gdb_listener_close(listener);
	assert_int_equal(rmdir(folder), 0);
}

static void test_listen_unix_stale_socket_is_replaced_other_files_are_not(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct hs_gdb_listener *listener = NULL;
	char folder[] = "/tmp/hs-gdbstub-XXXXXX";
	char address[64];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address, sizeof(address), "unix:%s/s", folder);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", address + 5);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
	assert_int_equal(hs_gdb_listen(address, false, &listener, NULL), HS_OK);
	/* Replaced by somebody else meanwhile: not removed. */
	assert_int_equal(unlink(address + 5), 0);
	fd = open(address + 5, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	hs_gdb_listener_close(listener);
	assert_int_equal(access(address + 5, F_OK), 0);
	assert_int_equal(hs_gdb_listen(address, false, &listener, NULL), HS_ERR_BUSY);
	assert_int_equal(access(address + 5, F_OK), 0);
	close(fd);
	assert_int_equal(unlink(address + 5), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_names_the_port_it_got),
		cmocka_unit_test(test_listen_port_in_use_is_named),
		cmocka_unit_test(test_listen_beyond_loopback_needs_permission),
		cmocka_unit_test(test_listen_nonsense_is_refused),
		cmocka_unit_test(test_listen_unix_socket_is_private_and_removed),
		cmocka_unit_test(test_listen_unix_stale_socket_is_replaced_other_files_are_not),
	};

	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
