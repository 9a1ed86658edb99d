/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/packet.h"

#include "base/hex.h"

#include <string.h>

#define INTERRUPT_BYTE 0x03
#define ESCAPE '}'
#define ESCAPE_XOR 0x20

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
