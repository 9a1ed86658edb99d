/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoder: what clients make of its packets, and that each of its ways makes the same ones. */
#include "gdbstub/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The longest payloads of the comparisons: more than a tile of the encoder, and blocks of all sizes. */
#define PAYLOAD_MOST 6000u
#define ALIGNMENTS 40u

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

/* What the packet says, by the manual's rules. */
static void expect_decodes_to(const struct hs_buf *packet, const void *payload, size_t length)
{
	static uint8_t decoded[2 * PAYLOAD_MOST];
	uint8_t sum = 0;
	char digits[3];

	assert_int_equal(decode(packet->data + 1, packet->data + packet->length - 3, decoded), length);
	assert_memory_equal(decoded, payload, length);
	for (size_t i = 1; i < packet->length - 3; i++) {
		sum = (uint8_t)(sum + packet->data[i]);
	}
	snprintf(digits, sizeof(digits), "%02x", sum);
	assert_memory_equal(packet->data + packet->length - 2, digits, 2);
}

/* Put a run of one byte at a place among others, encode it and see that it comes back, short if it can be. */
static void expect_run_comes_back(size_t place, size_t run, uint8_t byte)
{
	uint8_t payload[300];
	struct hs_buf out;

	for (size_t i = 0; i < sizeof(payload); i++) {
		payload[i] = (uint8_t)('A' + i % 23);
	}
	memset(payload + place, byte, run);
	hs_buf_init(&out, 1024);
	assert_true(hs_packet_encode(&out, payload, sizeof(payload)));
	expect_decodes_to(&out, payload, sizeof(payload));
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

/* Bytes as memory has them: mostly of a few kinds, so that there are escapes and runs of all lengths at all places. */
static void fill(uint8_t *bytes, size_t length, uint64_t seed)
{
	static const char some[] = "a}#$*0}";
	size_t i = 0;

	while (i < length) {
		size_t run;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		run = seed >> 33 & 1 ? 1 : (seed >> 34) % (seed >> 62 ? 7 : 230);
		for (; run > 0 && i < length; run--) {
			bytes[i++] = seed >> 55 & 1 ? (uint8_t)some[(seed >> 56) % 7] : (uint8_t)(seed >> 47);
		}
	}
}

/* In a block that ends where the bytes do: what reads behind them is found by a sanitizer. */
static uint8_t *copy_at(const uint8_t *bytes, size_t length, size_t alignment, uint8_t **ret_block)
{
	*ret_block = malloc(alignment + length + 1);
	assert_non_null(*ret_block);
	*ret_block = realloc(*ret_block, alignment + length ? alignment + length : 1);
	assert_non_null(*ret_block);
	memcpy(*ret_block + alignment, bytes, length);
	return *ret_block + alignment;
}

static void expect_same_packet(const struct hs_buf *one, const struct hs_buf *other)
{
	assert_int_equal(one->length, other->length);
	assert_memory_equal(one->data, other->data, one->length);
}

static void expect_ways_agree(const uint8_t *bytes, size_t length, size_t alignment)
{
	static char text[2 * PAYLOAD_MOST + 1];
	struct hs_buf wide, plain, hex;
	uint8_t *block;
	const uint8_t *at = copy_at(bytes, length, alignment, &block);

	for (size_t i = 0; i < length; i++) {
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	}
	hs_buf_init(&wide, 8 * (size_t)PAYLOAD_MOST);
	hs_buf_init(&plain, 8 * (size_t)PAYLOAD_MOST);
	hs_buf_init(&hex, 8 * (size_t)PAYLOAD_MOST);
	assert_true(hs_packet_encode(&wide, at, length));
	assert_true(hs_packet_encode_plain(&plain, at, length));
	expect_same_packet(&wide, &plain);
	expect_decodes_to(&plain, bytes, length);
	hs_buf_clear(&plain);
	assert_true(hs_packet_encode_hex(&hex, at, length));
	assert_true(hs_packet_encode_plain(&plain, (const uint8_t *)text, 2 * length));
	expect_same_packet(&hex, &plain);
	expect_decodes_to(&hex, text, 2 * length);
	hs_buf_deinit(&wide);
	hs_buf_deinit(&plain);
	hs_buf_deinit(&hex);
	free(block);
}

static void test_encode_each_way_of_any_length_and_alignment_agrees(void **state)
{
	uint8_t bytes[300];

	(void)state;
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
			fill(bytes, length, length * ALIGNMENTS + alignment);
			expect_ways_agree(bytes, length, alignment);
		}
	}
}

static void test_encode_each_way_agrees_beyond_a_tile(void **state)
{
	static uint8_t bytes[PAYLOAD_MOST];

	(void)state;
	for (size_t length = 1990; length <= PAYLOAD_MOST; length += length % 2048 < 2 ? 1 : 59) {
		fill(bytes, length, length);
		expect_ways_agree(bytes, length, length % ALIGNMENTS);
		/* A run over all of it, which starts with the high digit or with the low one. */
		memset(bytes, 0x33, length);
		bytes[0] = length % 2 ? 0x13 : 0x33;
		expect_ways_agree(bytes, length, 0);
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
		cmocka_unit_test(test_encode_known_packets),
		cmocka_unit_test(test_encode_every_run_length_decodes_to_itself),
		cmocka_unit_test(test_encode_run_or_escape_comes_back_from_any_place),
		cmocka_unit_test(test_encode_each_way_of_any_length_and_alignment_agrees),
		cmocka_unit_test(test_encode_each_way_agrees_beyond_a_tile),
		cmocka_unit_test(test_encode_over_limit_fails_and_leaves_buffer),
	};

	return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
