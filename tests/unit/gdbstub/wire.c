/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void wire_init(struct wire *wire, enum hs_arch arch)
{
	uint8_t *memory;

	fake_init(&wire->fake, arch);
	memory = fake_add_memory(&wire->fake, 0x1000, 0x2000);
	for (size_t i = 0; i < 0x2000; i++) {
		memory[i] = (uint8_t)(i % 251);
	}
	assert_int_equal(hs_gdb_create(&wire->fake.target, false, &wire->gdb, NULL), HS_OK);
	hs_gdb_connect(wire->gdb);
}

void wire_deinit(struct wire *wire)
{
	/* Whatever a test did: the stub never called a running target. */
	assert_int_equal(wire->fake.misuses, 0);
	hs_gdb_destroy(wire->gdb);
	fake_deinit(&wire->fake);
}

void wire_send_bytes(struct wire *wire, const void *bytes, size_t length)
{
	assert_int_equal(hs_gdb_feed(wire->gdb, bytes, length), length);
}

void wire_send_binary(struct wire *wire, const void *payload, size_t length)
{
	const uint8_t *at = payload;
	char *packet = malloc(length + 8);
	unsigned int sum = 0;

	assert_non_null(packet);
	for (size_t i = 0; i < length; i++) {
		sum += at[i];
	}
	packet[0] = '$';
	memcpy(packet + 1, payload, length);
	sprintf(packet + 1 + length, "#%02x", sum & 0xff);
	wire_send_bytes(wire, packet, length + 4);
	free(packet);
}

void wire_send(struct wire *wire, const char *payload)
{
	wire_send_binary(wire, payload, strlen(payload));
}

/* Expand runs and escapes of [at, end) into wire->reply. */
static void expand(struct wire *wire, const uint8_t *at, const uint8_t *end)
{
	size_t length = 0;

	while (at < end) {
		size_t copies = 1;
		char byte = (char)*at++;

		assert_true(byte != '*' && byte != '$' && byte != '#');
		if (byte == '}') {
			assert_true(at < end);
			byte = (char)(*at++ ^ 0x20);
		} else if (at < end && *at == '*') {
			assert_true(end - at >= 2 && at[1] >= 32 && at[1] <= 126);
			assert_null(strchr("#$+-", at[1]));
			copies += at[1] - 29u;
			at += 2;
		}
		assert_true(length + copies <= WIRE_MAX);
		memset(wire->reply + length, byte, copies);
		length += copies;
	}
	wire->reply[length] = '\0';
	wire->reply_length = length;
}

const char *wire_receive(struct wire *wire)
{
	size_t length;
	const uint8_t *bytes = hs_gdb_output(wire->gdb, &length);
	const uint8_t *hash;
	unsigned int sum = 0;
	char check[3] = "";

	if (length == 0) {
		return NULL;
	}
	if (*bytes != '$') {
		wire->reply[0] = (char)*bytes;
		wire->reply[1] = '\0';
		assert_true(*bytes == '+' || *bytes == '-');
		hs_gdb_output_consume(wire->gdb, 1);
		return wire->reply;
	}
	hash = memchr(bytes, '#', length);
	assert_non_null(hash);
	assert_true(bytes + length - hash >= 3);
	for (const uint8_t *at = bytes + 1; at < hash; at++) {
		sum += *at;
	}
	memcpy(check, hash + 1, 2);
	assert_int_equal(strtoul(check, NULL, 16), sum & 0xff);
	expand(wire, bytes + 1, hash);
	hs_gdb_output_consume(wire->gdb, (size_t)(hash + 3 - bytes));
	return wire->reply;
}

const char *wire_ask(struct wire *wire, const char *payload)
{
	const char *reply;

	wire_send(wire, payload);
	do {
		reply = wire_receive(wire);
	} while (reply && strcmp(reply, "+") == 0);
	return reply;
}

void wire_expect_silence(struct wire *wire)
{
	const char *more = wire_receive(wire);

	while (more && strcmp(more, "+") == 0) {
		more = wire_receive(wire);
	}
	assert_null(more);
}

void wire_expect(struct wire *wire, const char *payload, const char *reply)
{
	const char *got = wire_ask(wire, payload);

	if (!got) {
		fail_msg("%s: no reply, not %s", payload, reply);
	}
	if (strcmp(got, reply) != 0) {
		fail_msg("%s: %s, not %s", payload, got, reply);
	}
	wire_expect_silence(wire);
}

void wire_expect_error(struct wire *wire, const char *payload)
{
	const char *got = wire_ask(wire, payload);

	if (!got || got[0] != 'E') {
		fail_msg("%s: %s, not an error", payload, got ? got : "no reply");
	}
	assert_int_equal(wire->reply_length, 3);
	assert_string_not_equal(got, "E00");
	wire_expect_silence(wire);
}

void wire_event(struct wire *wire)
{
	hs_gdb_target_stopped(wire->gdb);
}
