/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets of the remote protocol on the wire: "$payload#checksum", acknowledgements and the interrupt byte (gdb manual,
 * Remote Protocol, Overview). The framer takes bytes in any portions and gives one event at a time; encode.c makes a
 * packet of a payload. What a payload says is no concern of either.
 */
#ifndef HS_GDBSTUB_PACKET_H
#define HS_GDBSTUB_PACKET_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hs_packet_event {
	HS_PACKET_NONE,      /* all bytes taken, nothing complete yet */
	HS_PACKET_COMPLETE,  /* a payload with a good checksum is in framer->payload until the next feed */
	HS_PACKET_CORRUPT,   /* a checksum that does not fit or is not two hex digits */
	HS_PACKET_OVERLONG,  /* a good checksum after more bytes than the limit, or than there was memory for */
	HS_PACKET_INTERRUPT, /* 0x03 between packets */
	HS_PACKET_ACK,       /* '+' */
	HS_PACKET_NAK,       /* '-' */
};

enum hs_packet_state {
	HS_PACKET_OUTSIDE,
	HS_PACKET_PAYLOAD,
	HS_PACKET_CHECK_HIGH,
	HS_PACKET_CHECK_LOW,
};

struct hs_packet_framer {
	struct hs_buf payload; /* as sent: escapes are undone by whoever expects binary data */
	enum hs_packet_state state;
	uint8_t sum;        /* of the payload bytes so far */
	uint8_t check_high; /* value of the first checksum digit */
};

/* A framer for payloads of up to limit bytes. */
void hs_packet_framer_init(struct hs_packet_framer *framer, size_t limit);
void hs_packet_framer_deinit(struct hs_packet_framer *framer);
/* Forget a packet that has begun. */
void hs_packet_framer_reset(struct hs_packet_framer *framer);

/* Take bytes up to the end of the first event; returns how many. Takes all of them when *ret is HS_PACKET_NONE. */
size_t hs_packet_feed(struct hs_packet_framer *framer, const uint8_t *bytes, size_t length, enum hs_packet_event *ret);

/* Append payload as a packet, bytes escaped and repetitions run-length encoded; false when out does not take it. By the
 * CPU's wide vectors where it has them. */
bool hs_packet_encode(struct hs_buf *out, const uint8_t *payload, size_t length);
/* The same of two hex digits for each byte, without the detour over their text. */
bool hs_packet_encode_hex(struct hs_buf *out, const uint8_t *bytes, size_t length);
/* hs_packet_encode() without those vectors. */
bool hs_packet_encode_plain(struct hs_buf *out, const uint8_t *payload, size_t length);

/* Undo the escapes of binary data in place; returns its length. False for an escape with nothing behind it. */
bool hs_packet_unescape(uint8_t *bytes, size_t length, size_t *ret_length);

#endif
