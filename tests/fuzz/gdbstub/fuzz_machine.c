/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes from a client, any order of stops and hang-ups: the byte machine survives, keeps its bounds and
 * never calls a running target. LLVMFuzzerTestOneInput() for libFuzzer (the script "libfuzzer" beside this
 * file); the main below feeds it seeded random conversations, so that every test run does some of it without
 * libFuzzer.
 *
 * An input is a string of operations: the low bits of the first byte choose, what follows is its data.
 */
#include "fake_target.h"
#include "packets.h"

#include "lib/random.h"

#include <hindsight/gdb.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More than this may never wait in the output: the high-water mark and what one packet can add. */
#define OUTPUT_MOST ((1u << 20) + 6u * HS_GDB_PACKET_SIZE + 64)

static void check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

/* Feed bytes; when nothing more is taken, fetch the output as a client would. */
static void feed(struct hs_gdb *gdb, const uint8_t *data, size_t size)
{
	while (size > 0) {
		size_t used = hs_gdb_feed(gdb, data, size);
		size_t length;

		(void)hs_gdb_output(gdb, &length);
		check(length <= OUTPUT_MOST, "the output is bounded");
		if (used == 0) {
			/* Full, held or nobody connected: the machine says so. */
			check(!hs_gdb_wants_input(gdb), "takes nothing although it wants input");
			hs_gdb_output_consume(gdb, length);
			if (!hs_gdb_wants_input(gdb)) {
				return;
			}
		}
		data += used;
		size -= used;
	}
}

/* As feed(), with a good checksum around it, so that the data reaches the decoder. */
static void feed_packet(struct hs_gdb *gdb, const uint8_t *data, size_t size)
{
	uint8_t packet[4096 + 4];
	char check_digits[3];
	unsigned int sum = 0;
	size_t length = 0;

	packet[length++] = '$';
	for (size_t i = 0; i < size && i < 4096; i++) {
		if (data[i] != '#' && data[i] != '$') {
			packet[length++] = data[i];
			sum += data[i];
		}
	}
	packet[length++] = '#';
	snprintf(check_digits, sizeof(check_digits), "%02x", sum & 0xff);
	memcpy(packet + length, check_digits, 2);
	feed(gdb, packet, length + 2);
}

static void stop_fake(struct fake_target *fake, uint8_t how)
{
	struct hs_stop stop = { .kind = (enum hs_stop_kind)(how % (HS_STOP_KILLED + 1)), .signal = how >> 3 };

	if (fake->running) {
		fake_stop(fake, stop);
	}
}

static void operate(struct fake_target *fake, struct hs_gdb *gdb, uint8_t operation, const uint8_t *data, size_t size)
{
	switch (operation % 8) {
	case 0:
		feed(gdb, data, size);
		break;
	case 1:
	case 2:
	case 3:
		feed_packet(gdb, data, size);
		break;
	case 4:
		stop_fake(fake, size > 0 ? data[0] : 0);
		break;
	case 5:
		hs_gdb_target_stopped(gdb);
		break;
	case 6:
		hs_gdb_disconnect(gdb);
		hs_gdb_connect(gdb);
		break;
	case 7:
		hs_gdb_output_consume(gdb, size);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake_target fake;
	struct hs_gdb *gdb;

	fake_init(&fake, size > 0 && data[0] & 1 ? HS_ARCH_I686 : HS_ARCH_AMD64);
	fake_add_memory(&fake, 0, 0x1000);
	fake_add_memory(&fake, 0x1000, 0x4000);
	fake.info.image_path = "/guest";
	fake.simulate = size > 0 && data[0] & 2;
	if (hs_gdb_create(&fake.target, false, &gdb, NULL)) {
		abort();
	}
	hs_gdb_connect(gdb);
	/* Operation byte, length byte, data. */
	for (size_t at = 1; at + 2 <= size;) {
		size_t length = data[at + 1] < size - at - 2 ? data[at + 1] : size - at - 2;

		operate(&fake, gdb, data[at], data + at + 2, length);
		check(fake.misuses == 0, "a running target was called");
		at += 2 + length;
	}
	hs_gdb_destroy(gdb);
	fake_deinit(&fake);
	return 0;
}

#ifndef HS_FUZZ_LIBFUZZER
static size_t make_operation(uint64_t *random, uint8_t *to)
{
	uint64_t dice = random_next(random);
	uint8_t payload[PACKET_ROOM];
	size_t length = packet_any(random, 0x1000, 0x1000, payload);

	to[0] = (uint8_t)(dice % 4 ? 1 : dice >> 8);
	if (dice % 3 == 0) {
		length = packet_spoil(random, payload, length);
	}
	length = length < 255 ? length : 255;
	memcpy(to + 2, payload, length);
	to[1] = (uint8_t)length;
	return 2 + length;
}

int main(int argc, char **argv)
{
	unsigned long long rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
	uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 20240229;

	for (unsigned long long round = 0; round < rounds; round++) {
		static uint8_t input[64 * 257];
		size_t length = 1;

		input[0] = (uint8_t)random_next(&state);
		for (unsigned int i = 0; i < 48; i++) {
			length += make_operation(&state, input + length);
		}
		LLVMFuzzerTestOneInput(input, length);
	}
	printf("%llu conversations\n", rounds);
	return 0;
}
#endif
