/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The framer. */
#include "gdbstub/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Feed all of text, piece bytes at a time, and write the events one letter each: payloads go to last. */
static void feed(struct hs_packet_framer *framer, const char *text, size_t length, size_t piece, char *events,
		 char *last)
{
	static const char letters[] = "_PCOI+-";
	size_t used = 0;

	while (used < length) {
		size_t part = length - used < piece ? length - used : piece;
		enum hs_packet_event event;

		used += hs_packet_feed(framer, (const uint8_t *)text + used, part, &event);
		if (event != HS_PACKET_NONE) {
			*events++ = letters[event];
		}
		if (event == HS_PACKET_COMPLETE && last) {
			memcpy(last, framer->payload.data ? (char *)framer->payload.data : "", framer->payload.length);
			last[framer->payload.length] = '\0';
		}
	}
	*events = '\0';
}

static void expect_events(const char *text, const char *events, const char *last)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		struct hs_packet_framer framer;
		char got[64];
		char payload[64] = "";

		hs_packet_framer_init(&framer, 16);
		feed(&framer, text, strlen(text), piece, got, payload);
		assert_string_equal(got, events);
		assert_string_equal(payload, last);
		hs_packet_framer_deinit(&framer);
	}
}

static void test_framer_packet_completes_at_any_cut(void **state)
{
	(void)state;
	expect_events("$g#67", "P", "g");
	expect_events("+$g#67", "+P", "g");
	expect_events("$#00", "P", "");
	expect_events("$m10,4#2e", "P", "m10,4");
	expect_events("$m10,4#2E", "P", "m10,4");
}

static void test_framer_two_packets_in_one_read_both_complete(void **state)
{
	(void)state;
	expect_events("$g#67$?#3f", "PP", "?");
	expect_events("$g#67+$?#3f-", "P+P-", "?");
}

static void test_framer_bad_checksum_is_corrupt(void **state)
{
	(void)state;
	expect_events("$g#66", "C", "");
	expect_events("$g#76", "C", "");
	expect_events("$g#6x", "C", "");
	expect_events("$g#x7$?#3f", "CP", "?");
}

static void test_framer_one_checksum_digit_is_not_enough(void **state)
{
	(void)state;
	expect_events("$g#6", "", "");
	expect_events("$g#6$?#3f", "CP", "?");
	expect_events("$g#$?#3f", "CP", "?");
}

static void test_framer_new_start_drops_what_had_begun(void **state)
{
	(void)state;
	expect_events("$m10$g#67", "P", "g");
}

static void test_framer_interrupt_counts_between_packets_only(void **state)
{
	(void)state;
	expect_events("\x03", "I", "");
	expect_events("$g#67\x03", "PI", "g");
	expect_events("$X\x03#5b", "P", "X\x03");
}

static void test_framer_noise_is_skipped(void **state)
{
	(void)state;
	expect_events("hello #%{}* $g#67", "P", "g");
}

static void test_framer_over_limit_is_overlong_and_next_packet_good(void **state)
{
	(void)state;
	expect_events("$aaaaaaaaaaaaaaaa#10", "P", "aaaaaaaaaaaaaaaa");
	expect_events("$aaaaaaaaaaaaaaaaa#71$g#67", "OP", "g");
	expect_events("$aaaaaaaaaaaaaaaaa#72$g#67", "CP", "g");
}

static void test_unescape_brace_is_plain_and_half_escape_fails(void **state)
{
	uint8_t data[] = "a{b}\x03"
			 "c}]";
	uint8_t half[] = "ab}";
	size_t length;

	(void)state;
	assert_true(hs_packet_unescape(data, sizeof(data) - 1, &length));
	assert_int_equal(length, 6);
	assert_memory_equal(data, "a{b#c}", 6);
	assert_false(hs_packet_unescape(half, 3, &length));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_framer_packet_completes_at_any_cut),
		cmocka_unit_test(test_framer_two_packets_in_one_read_both_complete),
		cmocka_unit_test(test_framer_bad_checksum_is_corrupt),
		cmocka_unit_test(test_framer_one_checksum_digit_is_not_enough),
		cmocka_unit_test(test_framer_new_start_drops_what_had_begun),
		cmocka_unit_test(test_framer_interrupt_counts_between_packets_only),
		cmocka_unit_test(test_framer_noise_is_skipped),
		cmocka_unit_test(test_framer_over_limit_is_overlong_and_next_packet_good),
		cmocka_unit_test(test_unescape_brace_is_plain_and_half_escape_fails),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
