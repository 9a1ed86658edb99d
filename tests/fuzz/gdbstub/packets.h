/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packets as clients send them, and ways to spoil them: what the fuzz programs of the stub begin with. */
#ifndef HS_TESTS_FUZZ_GDBSTUB_PACKETS_H
#define HS_TESTS_FUZZ_GDBSTUB_PACKETS_H

#include <stddef.h>
#include <stdint.h>

/* Room for any packet that is made here. */
#define PACKET_ROOM 1024u

/* One of the packets of real sessions, with these addresses in it; returns its length. */
size_t packet_any(uint64_t *random, uint64_t data, uint64_t code, uint8_t *ret);
/* Change, cut, join or stretch a packet's payload; returns its new length. */
size_t packet_spoil(uint64_t *random, uint8_t *payload, size_t length);
/* Put a payload between '$' and its checksum; returns the length. There is room for length + 4 bytes. */
size_t packet_frame(const uint8_t *payload, size_t length, uint8_t *ret);

#endif
