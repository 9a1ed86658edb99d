/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/packet.h"

#include "base/bytes.h"
#include "base/hex.h"

#include <string.h>

#define INTERRUPT_BYTE 0x03
#define ESCAPE '}'
#define ESCAPE_XOR 0x20

/* Run-length encoding (gdb manual, Overview): "x*" and a character of code n + 29 stand for x and n more of it.
 * The code must be printable, so n is 3 (code 32) to 97 (code 126); and it must not be '#' or '$'. '+' and '-' are
 * avoided as well, as a client that lost its place would take them for acknowledgements. */
#define RUN_BIAS 29
#define RUN_LEAST 3
#define RUN_MOST 97

/* Bytes that the encoder looks at together: a vector of GNU C, which each CPU has an instruction or a few for. */
#define BLOCK 16u
typedef uint8_t block __attribute__((vector_size(BLOCK)));

void hs_packet_framer_init(struct hs_packet_framer *framer, size_t limit)
{
	*framer = (struct hs_packet_framer){ .state = HS_PACKET_OUTSIDE };
	hs_buf_init(&framer->payload, limit);
}

void hs_packet_framer_deinit(struct hs_packet_framer *framer)
{
	hs_buf_deinit(&framer->payload);
}

void hs_packet_framer_reset(struct hs_packet_framer *framer)
{
	framer->state = HS_PACKET_OUTSIDE;
	hs_buf_clear(&framer->payload);
}

static void begin(struct hs_packet_framer *framer)
{
	framer->state = HS_PACKET_PAYLOAD;
	framer->sum = 0;
	hs_buf_clear(&framer->payload);
}

/* One byte between packets. Anything that has no meaning there is noise and skipped. */
static enum hs_packet_event feed_outside(struct hs_packet_framer *framer, uint8_t byte)
{
	switch (byte) {
	case '$':
		begin(framer);
		return HS_PACKET_NONE;
	case '+':
		return HS_PACKET_ACK;
	case '-':
		return HS_PACKET_NAK;
	case INTERRUPT_BYTE:
		return HS_PACKET_INTERRUPT;
	default:
		return HS_PACKET_NONE;
	}
}

/* Payload bytes up to the '#' that ends it. A bare '$' cannot be data (it would be escaped): the sender gave up on the
 * packet and starts another. 0x03 can be data. Bytes over the limit are counted in the sum and not kept. */
static size_t feed_payload(struct hs_packet_framer *framer, const uint8_t *bytes, size_t length)
{
	size_t count = 0;

	while (count < length && bytes[count] != '#' && bytes[count] != '$') {
		framer->sum = (uint8_t)(framer->sum + bytes[count]);
		count++;
	}
	hs_buf_append(&framer->payload, bytes, count);
	if (count == length) {
		return count;
	}
	if (bytes[count] == '$') {
		begin(framer);
	} else {
		framer->state = HS_PACKET_CHECK_HIGH;
	}
	return count + 1;
}

/* A checksum digit. One that is none is left for the next round: it may be the '$' of the next packet. */
static size_t feed_check(struct hs_packet_framer *framer, uint8_t byte, enum hs_packet_event *ret)
{
	int digit = hs_hex_digit((char)byte);

	if (digit < 0) {
		framer->state = HS_PACKET_OUTSIDE;
		*ret = HS_PACKET_CORRUPT;
		return 0;
	}
	if (framer->state == HS_PACKET_CHECK_HIGH) {
		framer->check_high = (uint8_t)digit;
		framer->state = HS_PACKET_CHECK_LOW;
		return 1;
	}
	framer->state = HS_PACKET_OUTSIDE;
	if ((framer->check_high << 4 | digit) != framer->sum) {
		*ret = HS_PACKET_CORRUPT;
	} else {
		*ret = framer->payload.failed ? HS_PACKET_OVERLONG : HS_PACKET_COMPLETE;
	}
	return 1;
}

size_t hs_packet_feed(struct hs_packet_framer *framer, const uint8_t *bytes, size_t length, enum hs_packet_event *ret)
{
	size_t used = 0;

	*ret = HS_PACKET_NONE;
	while (used < length && *ret == HS_PACKET_NONE) {
		switch (framer->state) {
		case HS_PACKET_OUTSIDE:
			*ret = feed_outside(framer, bytes[used]);
			used++;
			break;
		case HS_PACKET_PAYLOAD:
			used += feed_payload(framer, bytes + used, length - used);
			break;
		case HS_PACKET_CHECK_HIGH:
		case HS_PACKET_CHECK_LOW:
			used += feed_check(framer, bytes[used], ret);
			break;
		}
	}
	return used;
}

static bool needs_escape(uint8_t byte)
{
	return byte == '#' || byte == '$' || byte == '*' || byte == ESCAPE;
}

/* How many of the repeats more copies of a byte one run code can stand for. */
static size_t run_length(size_t repeats)
{
	size_t run = repeats > RUN_MOST ? RUN_MOST : repeats;
	uint8_t code = (uint8_t)(run + RUN_BIAS);

	if (code == '+' || code == '-') {
		return run - 1;
	}
	if (code == '#' || code == '$') {
		return (size_t)('"' - RUN_BIAS);
	}
	return run;
}

static block load_block(const uint8_t *at)
{
	block bytes;

	memcpy(&bytes, at, BLOCK);
	return bytes;
}

/* How many of the next BLOCK bytes stand for themselves, up to one that does not; RUN_LEAST more are looked at. */
static size_t plain_length(const uint8_t *bytes)
{
	const block here = load_block(bytes);
	const block is_run = (block)(here == load_block(bytes + 1)) & (block)(here == load_block(bytes + 2)) &
			     (block)(here == load_block(bytes + RUN_LEAST));
	const block special = (block)(here == '#') | (block)(here == '$') | (block)(here == '*') |
			      (block)(here == ESCAPE) | is_run;
	uint8_t lanes[BLOCK];

	memcpy(lanes, &special, BLOCK);
	for (size_t half = 0; half < BLOCK; half += 8) {
		uint64_t word = hs_get_le64(lanes + half);

		if (word) {
			return half + (size_t)__builtin_ctzll(word) / 8;
		}
	}
	return BLOCK;
}

/* How many more of the first byte follow it, RUN_MOST at most. */
static size_t count_repeats(const uint8_t *bytes, size_t length)
{
	size_t most = length - 1 < RUN_MOST ? length - 1 : RUN_MOST;
	size_t repeats = 0;

	/* Bytes that equal those one further on are all the same: of zeros there are many. */
	if (memcmp(bytes, bytes + 1, most) == 0) {
		return most;
	}
	while (bytes[repeats + 1] == bytes[0]) {
		repeats++;
	}
	return repeats;
}

/* Encode the first byte and those that it is repeated by; returns the bytes used of at. */
static size_t encode_byte(uint8_t *at, const uint8_t *payload, size_t length, size_t *ret_done)
{
	size_t repeats;

	*ret_done = 1;
	/* Clients expand runs before or after they undo escapes: an escaped byte is never part of a run. */
	if (needs_escape(*payload)) {
		at[0] = ESCAPE;
		at[1] = *payload ^ ESCAPE_XOR;
		return 2;
	}
	at[0] = *payload;
	repeats = count_repeats(payload, length);
	if (repeats < RUN_LEAST) {
		return 1;
	}
	repeats = run_length(repeats);
	at[1] = '*';
	at[2] = (uint8_t)(repeats + RUN_BIAS);
	*ret_done = 1 + repeats;
	return 3;
}

/* Encode into at, which has room for 2 * length bytes; returns the bytes used. Most of the memory that is read stands
 * for itself, and is copied by blocks. */
static size_t encode_payload(uint8_t *at, const uint8_t *payload, size_t length)
{
	size_t used = 0;
	size_t i = 0;

	while (i < length) {
		size_t plain = 0;
		size_t done;

		if (length - i >= BLOCK + RUN_LEAST) {
			plain = plain_length(payload + i);
			memcpy(at + used, payload + i, BLOCK);
			used += plain;
			i += plain;
		}
		if (plain < BLOCK) {
			used += encode_byte(at + used, payload + i, length - i, &done);
			i += done;
		}
	}
	return used;
}

static uint8_t checksum(const uint8_t *bytes, size_t length)
{
	block sums = { 0 };
	uint8_t sum = 0;
	size_t done = 0;

	for (; length - done >= BLOCK; done += BLOCK) {
		sums += load_block(bytes + done);
	}
	for (size_t i = 0; i < BLOCK; i++) {
		sum = (uint8_t)(sum + sums[i]);
	}
	for (; done < length; done++) {
		sum = (uint8_t)(sum + bytes[done]);
	}
	return sum;
}

bool hs_packet_encode(struct hs_buf *out, const uint8_t *payload, size_t length)
{
	size_t room = 2 * length + 4;
	uint8_t *at = hs_buf_extend(out, room);
	uint8_t sum;
	size_t used;

	if (!at) {
		return false;
	}
	at[0] = '$';
	used = encode_payload(at + 1, payload, length);
	sum = checksum(at + 1, used);
	at[1 + used] = '#';
	hs_hex_encode(&sum, 1, (char *)at + used + 2);
	out->length -= room - (used + 4);
	return true;
}

bool hs_packet_unescape(uint8_t *bytes, size_t length, size_t *ret_length)
{
	size_t to = 0;

	for (size_t from = 0; from < length; from++) {
		if (bytes[from] != ESCAPE) {
			bytes[to++] = bytes[from];
			continue;
		}
		from++;
		if (from == length) {
			return false;
		}
		bytes[to++] = bytes[from] ^ ESCAPE_XOR;
	}
	*ret_length = to;
	return true;
}
