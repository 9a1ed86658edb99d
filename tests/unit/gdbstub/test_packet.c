/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The framer and the encoder. */
#include "gdbstub/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
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

static void expect_encoded(const char *payload, const char *packet)
{
	struct hs_buf out;

	hs_buf_init(&out, 4096);
	assert_true(hs_packet_encode(&out, (const uint8_t *)payload, strlen(payload)));
	hs_buf_append_byte(&out, 0);
	assert_string_equal((char *)out.data, packet);
	hs_buf_deinit(&out);
}

static void test_encode_known_packets(void **state)
{
	(void)state;
	expect_encoded("", "$#00");
	expect_encoded("OK", "$OK#9a");
	/* "0* " is four zeroes (gdb manual, Overview). */
	expect_encoded("0000", "$0* #7a");
	expect_encoded("000", "$000#90");
	expect_encoded("a*#$}", "$a}\x0a}\x03}\x04}]#c3");
	/* The character of a run is never itself escaped data. */
	expect_encoded("}}}}}", "$}]}]}]}]}]#42");
}

/* Expand by the manual's rules; every run code must be allowed. */
static size_t decode(const uint8_t *at, const uint8_t *end, uint8_t *to)
{
	size_t length = 0;

	for (; at < end; at++) {
		if (*at == '*') {
			at++;
			assert_true(*at >= 32 && *at <= 126 && !strchr("#$+-", *at));
			memset(to + length, to[length - 1], *at - 29u);
			length += *at - 29u;
		} else if (*at == '}') {
			to[length++] = *++at ^ 0x20;
		} else {
			to[length++] = *at;
		}
	}
	return length;
}

static void test_encode_every_run_length_decodes_to_itself(void **state)
{
	uint8_t payload[512];
	uint8_t decoded[1024];

	(void)state;
	for (size_t run = 1; run <= 300; run++) {
		for (unsigned int byte = 0; byte < 256; byte += 7) {
			struct hs_buf out;

			memset(payload, (int)byte, run);
			payload[run] = 'x';
			hs_buf_init(&out, 4096);
			assert_true(hs_packet_encode(&out, payload, run + 1));
			assert_int_equal(decode(out.data + 1, out.data + out.length - 3, decoded), run + 1);
			assert_memory_equal(decoded, payload, run + 1);
			hs_buf_deinit(&out);
		}
	}
}

/* Put a run of one byte at a place among others, encode it and see that it comes back, short if it can be. */
static void expect_run_comes_back(size_t place, size_t run, uint8_t byte)
{
	uint8_t payload[300];
	uint8_t decoded[300];
	uint8_t sum = 0;
	char digits[3];
	struct hs_buf out;

	for (size_t i = 0; i < sizeof(payload); i++) {
		payload[i] = (uint8_t)('A' + i % 23);
	}
	memset(payload + place, byte, run);
	hs_buf_init(&out, 1024);
	assert_true(hs_packet_encode(&out, payload, sizeof(payload)));
	assert_int_equal(decode(out.data + 1, out.data + out.length - 3, decoded), sizeof(payload));
	assert_memory_equal(decoded, payload, sizeof(payload));
	for (size_t i = 1; i < out.length - 3; i++) {
		sum = (uint8_t)(sum + out.data[i]);
	}
	snprintf(digits, sizeof(digits), "%02x", sum);
	assert_memory_equal(out.data + out.length - 2, digits, 2);
	if (byte == '0') {
		assert_int_equal(memchr(out.data, '*', out.length) != NULL, run >= 4);
	}
	hs_buf_deinit(&out);
}

static void test_encode_run_or_escape_comes_back_from_any_place(void **state)
{
	(void)state;
	for (size_t place = 0; place < 290; place++) {
		for (size_t run = 1; run <= 6; run++) {
			expect_run_comes_back(place, run, '0');
			expect_run_comes_back(place, run, '#');
		}
	}
}

static void test_encode_over_limit_fails_and_leaves_buffer(void **state)
{
	struct hs_buf out;

	(void)state;
	hs_buf_init(&out, 6);
	assert_false(hs_packet_encode(&out, (const uint8_t *)"OKOK", 4));
	assert_int_equal(out.length, 0);
	hs_buf_deinit(&out);
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
		cmocka_unit_test(test_encode_known_packets),
		cmocka_unit_test(test_encode_every_run_length_decodes_to_itself),
		cmocka_unit_test(test_encode_run_or_escape_comes_back_from_any_place),
		cmocka_unit_test(test_encode_over_limit_fails_and_leaves_buffer),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
