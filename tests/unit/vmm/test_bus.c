/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmm/bus: what each port of abi.h does, and what a guest cannot make it do. */
#include "vmm/bus.h"

#include "arch/regs.h"
#include "vmm/ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY 0x1000u
#define MEMORY_BYTES 0x20000u

struct scene {
	struct hs_ram ram;
	struct hs_phys phys;
	struct hs_cpu_state cpu; /* paging off */
	struct hs_bus bus;
	char console[MEMORY_BYTES];
	size_t console_length;
	uint64_t value;
};

static void on_console(void *ctx, const void *bytes, size_t length)
{
	struct scene *scene = ctx;

	assert_true(scene->console_length + length < sizeof(scene->console));
	memcpy(scene->console + scene->console_length, bytes, length);
	scene->console_length += length;
}

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	hs_ram_init(&scene.ram);
	assert_int_equal(hs_ram_add(&scene.ram, hs_gpa_of(MEMORY), MEMORY_BYTES, NULL, NULL), HS_OK);
	scene.phys = hs_ram_phys(&scene.ram);
	hs_cpu_state_init(&scene.cpu);
	scene.cpu.cr0 = 1;
	scene.bus.console = on_console;
	scene.bus.console_ctx = &scene;
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	hs_ram_deinit(&scene->ram);
	return 0;
}

static enum hs_bus_action out(struct scene *scene, uint16_t port, uint8_t size, uint32_t data)
{
	return hs_bus_out(&scene->bus, &scene->phys, &scene->cpu, port, size, data, &scene->value);
}

static void check_console(struct scene *scene, const char *expected)
{
	assert_int_equal(scene->console_length, strlen(expected));
	assert_memory_equal(scene->console, expected, strlen(expected));
}

static void test_bus_character_ports_print_the_low_byte(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(out(scene, HS_PORT_DEBUG_PRINT, 4, 0x11223341), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_DEBUGCON, 1, 'B'), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_UART, 1, 'C'), HS_BUS_CONTINUE);
	check_console(scene, "ABC");
}

static void test_bus_uart_divisor_latch_is_not_data(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(out(scene, HS_PORT_UART + 3, 1, 0x80), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_UART, 1, 'x'), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_UART + 3, 1, 0x03), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_UART, 1, 'y'), HS_BUS_CONTINUE);
	check_console(scene, "y");
	assert_int_equal(hs_bus_in(&scene->bus, HS_PORT_UART + 5, &scene->value), HS_BUS_CONTINUE);
	assert_int_equal(scene->value & 0x20, 0x20);
	assert_int_equal(hs_bus_in(&scene->bus, HS_PORT_UART + 3, &scene->value), HS_BUS_CONTINUE);
	assert_int_equal(scene->value, 0x03);
}

static void test_bus_print_takes_a_whole_string(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(scene->phys.ops->write(scene->phys.ctx, hs_gpa_of(MEMORY + 100), "hello\n", 6, NULL), HS_OK);
	scene->cpu.gpr[HS_RSI] = MEMORY + 100;
	scene->cpu.gpr[HS_RCX] = 6;
	assert_int_equal(out(scene, HS_PORT_PRINT, 4, 0), HS_BUS_CONTINUE);
	check_console(scene, "hello\n");
	scene->cpu.gpr[HS_RCX] = 0;
	scene->cpu.gpr[HS_RSI] = 0;
	assert_int_equal(out(scene, HS_PORT_PRINT, 4, 0), HS_BUS_CONTINUE);
	check_console(scene, "hello\n");
}

static void test_bus_print_of_64_kib_is_the_most(void **state)
{
	struct scene *scene = *state;

	scene->cpu.gpr[HS_RSI] = MEMORY;
	scene->cpu.gpr[HS_RCX] = HS_BUS_PRINT_MAX;
	assert_int_equal(out(scene, HS_PORT_PRINT, 4, 0), HS_BUS_CONTINUE);
	assert_int_equal(scene->console_length, HS_BUS_PRINT_MAX);
	scene->cpu.gpr[HS_RCX] = HS_BUS_PRINT_MAX + 1;
	assert_int_equal(out(scene, HS_PORT_PRINT, 4, 0), HS_BUS_BAD_PRINT);
	assert_int_equal(scene->console_length, HS_BUS_PRINT_MAX);
}

static void test_bus_print_past_the_end_of_memory_names_the_first_missing_byte(void **state)
{
	struct scene *scene = *state;

	scene->cpu.gpr[HS_RSI] = MEMORY + MEMORY_BYTES - 4;
	scene->cpu.gpr[HS_RCX] = 5;
	assert_int_equal(out(scene, HS_PORT_PRINT, 4, 0), HS_BUS_BAD_PRINT);
	assert_int_equal(scene->value, MEMORY + MEMORY_BYTES);
}

static void test_bus_abort_collects_bytes_until_the_mark(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(out(scene, HS_PORT_ABORT, 4, 'c' << 24 | 'b' << 16 | 'a' << 8 | 3), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_ABORT, 4, 'x' << 24 | 'x' << 16 | '\n' << 8 | 1), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_ABORT, 4, 0xFF << 16 | 'd' << 8 | 2), HS_BUS_ABORT);
	assert_string_equal(scene->bus.abort_message, "abc\\nd");
	/* The guest is put back to that out, and may execute it again. */
	assert_int_equal(out(scene, HS_PORT_ABORT, 4, 0xFF << 16 | 'd' << 8 | 2), HS_BUS_ABORT);
	assert_string_equal(scene->bus.abort_message, "abc\\nd");
}

static void test_bus_abort_text_is_bounded(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 1000; i++) {
		assert_int_equal(out(scene, HS_PORT_ABORT, 4, 'z' << 24 | 'z' << 16 | 'z' << 8 | 0x83),
				 HS_BUS_CONTINUE);
	}
	assert_int_equal(out(scene, HS_PORT_ABORT, 4, 0xFF), HS_BUS_ABORT);
	assert_int_equal(strlen(scene->bus.abort_message), sizeof(scene->bus.abort_message) - 1);
}

static void test_bus_abort_text_obeys_no_terminal(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(out(scene, HS_PORT_ABORT, 4, '[' << 16 | 0x1b << 8 | 2), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_ABORT, 4, 0x80u << 24 | 0x7f << 16 | '\r' << 8 | 3), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_ABORT, 4, 0xFF), HS_BUS_ABORT);
	assert_string_equal(scene->bus.abort_message, "\\x1b[\\x0d\\x7f\\x80");
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(out(scene, HS_PORT_ABORT, 4, 1), HS_BUS_CONTINUE);
	}
	assert_true(strlen(scene->bus.abort_message) < sizeof(scene->bus.abort_message));
	assert_null(strchr(scene->bus.abort_message, '?'));
}

static void test_bus_exits_carry_their_status(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(out(scene, HS_PORT_EXIT, 4, 0x1234), HS_BUS_EXIT);
	assert_int_equal(scene->value, 0x34);
	assert_int_equal(out(scene, HS_PORT_HALT, 4, 7), HS_BUS_EXIT);
	assert_int_equal(scene->value, 0);
	assert_int_equal(out(scene, HS_PORT_DEBUG_EXIT, 1, 5), HS_BUS_EXIT);
	assert_int_equal(scene->value, 11);
}

static void test_bus_unknown_ports_are_reported_in_both_directions(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(out(scene, 0x80, 1, 0), HS_BUS_UNKNOWN);
	assert_int_equal(out(scene, HS_PORT_UART + 8, 1, 0), HS_BUS_UNKNOWN);
	assert_int_equal(hs_bus_in(&scene->bus, 0x60, &scene->value), HS_BUS_UNKNOWN);
	assert_int_equal(hs_bus_in(&scene->bus, HS_PORT_EXIT, &scene->value), HS_BUS_UNKNOWN);
	assert_int_equal(hs_bus_in(&scene->bus, HS_PORT_DEBUGCON, &scene->value), HS_BUS_CONTINUE);
	assert_int_equal(scene->value, 0xE9);
}

static void test_bus_ports_of_calls_are_events_only_where_somebody_serves_them(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(out(scene, HS_PORT_READY, 4, 0), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_LOG, 4, 0), HS_BUS_CONTINUE);
	assert_int_equal(out(scene, HS_PORT_CALL_HOST, 4, 0), HS_BUS_UNKNOWN);
	scene->bus.calls = true;
	assert_int_equal(out(scene, HS_PORT_READY, 4, 0), HS_BUS_READY);
	assert_int_equal(out(scene, HS_PORT_LOG, 4, 0), HS_BUS_LOG);
	assert_int_equal(out(scene, HS_PORT_CALL_HOST, 4, 0), HS_BUS_CALL_HOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bus_character_ports_print_the_low_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_uart_divisor_latch_is_not_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_print_takes_a_whole_string, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_print_of_64_kib_is_the_most, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_print_past_the_end_of_memory_names_the_first_missing_byte,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_abort_collects_bytes_until_the_mark, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_abort_text_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_abort_text_obeys_no_terminal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_exits_carry_their_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bus_unknown_ports_are_reported_in_both_directions, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_bus_ports_of_calls_are_events_only_where_somebody_serves_them,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
