/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side of the protocol for tests of the byte machine: makes packets, checks and expands replies. Written
 * apart from the stub's own framer, so that one proves the other.
 */
#ifndef WIRE_H
#define WIRE_H

#include "fake_target.h"

#include <hindsight/gdb.h>

#include <stddef.h>

#define WIRE_MAX (1u << 20)

struct wire {
	struct fake_target fake;
	struct hs_gdb *gdb;
	char reply[WIRE_MAX + 1]; /* the last payload, with a NUL behind it */
	size_t reply_length;
};

/* A stub for a fake target with 8 KiB of memory at 0x1000, byte n of it n % 251, and a client connected. */
void wire_init(struct wire *wire, enum hs_arch arch);
void wire_deinit(struct wire *wire);

/* Send bytes as they are; fails the test unless all are taken. */
void wire_send_bytes(struct wire *wire, const void *bytes, size_t length);
/* Send a payload as a packet. */
void wire_send(struct wire *wire, const char *payload);
void wire_send_binary(struct wire *wire, const void *payload, size_t length);

/* The next thing in the output: "+" or "-", or a packet's expanded payload (NUL-terminated), or NULL. Fails the
 * test for a bad checksum. */
const char *wire_receive(struct wire *wire);
/* Send a packet and return its reply; NULL when there is none. Acknowledgements are skipped. */
const char *wire_ask(struct wire *wire, const char *payload);
/* wire_ask() and compare; the output must hold nothing else. */
void wire_expect(struct wire *wire, const char *payload, const char *reply);
/* The output is empty. */
void wire_expect_silence(struct wire *wire);
/* wire_expect() of an error, "Enn". */
void wire_expect_error(struct wire *wire, const char *payload);

/* Tell the stub that the target's event is there. */
void wire_event(struct wire *wire);

#endif
