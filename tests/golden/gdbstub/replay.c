/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replay [--print] TRANSCRIPT...: play conversations with the stub on a fake target and compare every reply.
 *
 * A transcript is lines. Text may hold \xNN for any byte and \\ for a backslash.
 *   # comment
 *   target amd64|i686     begin anew with a fresh fake target, stub and connected client
 *   memory ADDR BYTES     BYTES (hex) at ADDR (hex) are all of a piece of memory
 *   image PATH            serve this file (relative to the transcript) as the image, under the name /guest
 *   reg NAME HEX          set a register, bytes in target order
 *   xcr0 OFFERED SET      what the CPU's XCR0 can be set to, from the next client on, and what it is set to (hex)
 *   script STOP           what a resume ends in; STOP is swbreak, hwbreak, stepped, interrupted, watch w|r|a ADDR,
 *                         signal N CODE ADDR, exited N or killed N
 *   stop STOP             the running target stops
 *   event                 the stub is told that the target has stopped ("stop" does it as well)
 *   connect, disconnect   of the client
 *   > PAYLOAD             the client sends a packet
 *   >> BYTES              the client sends bytes as they are
 *   < PAYLOAD             the stub's next packet (acknowledgements before it are skipped)
 *   << +|-                the stub's next acknowledgement
 *   ! FACT VALUE          breakpoints N, resumes N, kills N, signal N (of the last resume), phase N
 * All output must have been expected before the next thing is sent. --print writes the transcript with what happened.
 */
#include "wire.h"

#include "arch/regs.h"
#include "base/hex.h"

#include <fcntl.h>
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct replay {
	const char *path;
	unsigned int line;
	bool print;
	bool begun;
	struct wire wire;
};

static void setup_failed(const struct replay *replay, const char *why)
{
	fail_msg("%s:%u: %s", replay->path, replay->line, why);
}

/* Undo \xNN and \\ in place; returns the length. */
static size_t unescape(struct replay *replay, char *text)
{
	size_t to = 0;

	for (const char *at = text; *at; at++) {
		uint8_t byte = (uint8_t)*at;

		if (*at == '\\' && at[1] == 'x' && hs_hex_decode(at + 2, 1, &byte)) {
			at += 3;
		} else if (*at == '\\' && at[1] == '\\') {
			at++;
		} else if (*at == '\\') {
			setup_failed(replay, "bad escape");
		}
		text[to++] = (char)byte;
	}
	text[to] = '\0';
	return to;
}

static void print_escaped(const char *prefix, const char *bytes, size_t length)
{
	fputs(prefix, stdout);
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = (uint8_t)bytes[i];

		if (byte == '\\') {
			fputs("\\\\", stdout);
		} else if (byte >= 32 && byte < 127) {
			putchar(byte);
		} else {
			printf("\\x%02x", byte);
		}
	}
	putchar('\n');
}

static void end_target(struct replay *replay)
{
	if (replay->begun) {
		wire_deinit(&replay->wire);
	}
	replay->begun = false;
}

static void begin_target(struct replay *replay, const char *arch)
{
	end_target(replay);
	fake_init(&replay->wire.fake, strcmp(arch, "i686") == 0 ? HS_ARCH_I686 : HS_ARCH_AMD64);
	assert_int_equal(hs_gdb_create(&replay->wire.fake.target, false, &replay->wire.gdb, NULL), HS_OK);
	hs_gdb_connect(replay->wire.gdb);
	replay->begun = true;
}

static void add_memory(struct replay *replay, char *rest)
{
	char *digits = strchr(rest, ' ');
	size_t length;

	assert_non_null(digits);
	length = strlen(++digits) / 2;
	assert_true(
		hs_hex_decode(digits, length, fake_add_memory(&replay->wire.fake, strtoull(rest, NULL, 16), length)));
}

/* The stub asked for the image's facts when it was made, so it is made again. */
static void add_image(struct replay *replay, const char *name)
{
	char folder[4096];
	char path[8192];

	snprintf(folder, sizeof(folder), "%s", replay->path);
	snprintf(path, sizeof(path), "%s/%s", dirname(folder), name);
	replay->wire.fake.info.image_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(replay->wire.fake.info.image_fd >= 0);
	replay->wire.fake.info.image_path = "/guest";
	hs_gdb_destroy(replay->wire.gdb);
	assert_int_equal(hs_gdb_create(&replay->wire.fake.target, false, &replay->wire.gdb, NULL), HS_OK);
	hs_gdb_connect(replay->wire.gdb);
}

static void set_register(struct replay *replay, char *rest)
{
	char *digits = strchr(rest, ' ');
	const struct hs_reg *reg;
	uint8_t value[HS_REG_BYTES_MAX];

	assert_non_null(digits);
	*digits++ = '\0';
	reg = hs_reg_by_name(replay->wire.fake.info.arch, rest);
	assert_non_null(reg);
	assert_int_equal(strlen(digits), 2u * reg->bytes);
	assert_true(hs_hex_decode(digits, reg->bytes, value));
	hs_reg_set(reg, &replay->wire.fake.cpu, value);
}

static void set_xcr0(struct replay *replay, char *rest)
{
	replay->wire.fake.info.xcr0 = strtoull(rest, &rest, 16);
	replay->wire.fake.cpu.xcr0 = strtoull(rest, NULL, 16);
}

static struct hs_stop parse_stop(struct replay *replay, const char *text)
{
	struct hs_stop stop = { .kind = HS_STOP_STEPPED };
	unsigned long long address;
	char kind;
	int a, b;

	if (strcmp(text, "swbreak") == 0) {
		stop.kind = HS_STOP_SWBREAK;
	} else if (strcmp(text, "hwbreak") == 0) {
		stop.kind = HS_STOP_HWBREAK;
	} else if (strcmp(text, "interrupted") == 0) {
		stop.kind = HS_STOP_INTERRUPTED;
	} else if (sscanf(text, "watch %c %llx", &kind, &address) == 2) {
		stop.kind = HS_STOP_WATCH;
		stop.watch_kind = kind == 'w' ? HS_WATCH_WRITE : kind == 'r' ? HS_WATCH_READ : HS_WATCH_ACCESS;
		stop.watch_address = hs_gva_of(address);
	} else if (sscanf(text, "signal %d %d %llx", &a, &b, &address) == 3) {
		stop = (struct hs_stop){ .kind = HS_STOP_SIGNAL, .signal = a, .code = b, .fault_address = address };
	} else if (sscanf(text, "exited %d", &a) == 1) {
		stop = (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = a };
	} else if (sscanf(text, "killed %d", &a) == 1) {
		stop = (struct hs_stop){ .kind = HS_STOP_KILLED, .signal = a };
	} else if (strcmp(text, "stepped") != 0) {
		setup_failed(replay, "no such stop");
	}
	return stop;
}

static void check_fact(struct replay *replay, const char *rest)
{
	const struct fake_target *fake = &replay->wire.fake;
	char name[16];
	long want;
	long got = -1;

	assert_int_equal(sscanf(rest, "%15s %ld", name, &want), 2);
	if (strcmp(name, "breakpoints") == 0) {
		got = (long)fake->break_count;
	} else if (strcmp(name, "resumes") == 0) {
		got = (long)fake->resumes;
	} else if (strcmp(name, "kills") == 0) {
		got = (long)fake->kills;
	} else if (strcmp(name, "signal") == 0) {
		got = fake->last_resume.signal;
	} else if (strcmp(name, "phase") == 0) {
		got = (long)hs_gdb_phase(replay->wire.gdb);
	} else {
		setup_failed(replay, "no such fact");
	}
	if (replay->print) {
		printf("! %s %ld\n", name, got);
	} else if (got != want) {
		fail_msg("%s:%u: %s is %ld, not %ld", replay->path, replay->line, name, got, want);
	}
}

/* Nothing may wait before the client goes on. */
static void expect_no_output(struct replay *replay)
{
	const char *reply;

	do {
		reply = wire_receive(&replay->wire);
	} while (reply && strcmp(reply, "+") == 0);
	if (reply && replay->print) {
		print_escaped("< ", replay->wire.reply, replay->wire.reply_length);
	} else if (reply) {
		fail_msg("%s:%u: unexpected before this: %s", replay->path, replay->line, reply);
	}
}

static void check_reply(struct replay *replay, char *want, bool raw)
{
	size_t length = unescape(replay, want);
	const char *got;

	do {
		got = wire_receive(&replay->wire);
	} while (got && strcmp(got, "+") == 0 && !raw);
	if (replay->print) {
		if (got) {
			print_escaped(raw ? "<< " : "< ", got, raw ? 1 : replay->wire.reply_length);
		}
		return;
	}
	if (!got) {
		fail_msg("%s:%u: no reply", replay->path, replay->line);
	}
	if (raw ? got[0] != want[0] : length != replay->wire.reply_length || memcmp(got, want, length) != 0) {
		fail_msg("%s:%u: %s, not %s", replay->path, replay->line, got, want);
	}
}

static void send_line(struct replay *replay, char *rest, bool raw)
{
	size_t length;

	expect_no_output(replay);
	length = unescape(replay, rest);
	if (raw) {
		wire_send_bytes(&replay->wire, rest, length);
	} else {
		wire_send_binary(&replay->wire, rest, length);
	}
}

static void do_directive(struct replay *replay, const char *word, char *rest)
{
	if (strcmp(word, "target") == 0) {
		begin_target(replay, rest);
	} else if (strcmp(word, "memory") == 0) {
		add_memory(replay, rest);
	} else if (strcmp(word, "image") == 0) {
		add_image(replay, rest);
	} else if (strcmp(word, "reg") == 0) {
		set_register(replay, rest);
	} else if (strcmp(word, "xcr0") == 0) {
		set_xcr0(replay, rest);
	} else if (strcmp(word, "script") == 0) {
		fake_script(&replay->wire.fake, parse_stop(replay, rest));
	} else if (strcmp(word, "stop") == 0) {
		fake_stop(&replay->wire.fake, parse_stop(replay, rest));
		wire_event(&replay->wire);
	} else if (strcmp(word, "event") == 0) {
		wire_event(&replay->wire);
	} else if (strcmp(word, "connect") == 0) {
		hs_gdb_connect(replay->wire.gdb);
	} else if (strcmp(word, "disconnect") == 0) {
		expect_no_output(replay);
		hs_gdb_disconnect(replay->wire.gdb);
	} else {
		setup_failed(replay, "no such directive");
	}
}

static void do_line(struct replay *replay, char *line)
{
	char *rest = line + strcspn(line, " ");

	if (replay->print && line[0] != '<' && line[0] != '!') {
		if (line[0] == '>') {
			expect_no_output(replay);
		}
		puts(line);
	}
	if (line[0] == '\0' || line[0] == '#') {
		return;
	}
	if (*rest) {
		*rest++ = '\0';
	}
	if (line[0] == '<') {
		check_reply(replay, rest, line[1] == '<');
	} else if (line[0] == '>') {
		send_line(replay, rest, line[1] == '>');
	} else if (line[0] == '!') {
		check_fact(replay, rest);
	} else {
		do_directive(replay, line, rest);
	}
}

static void play(const char *path, bool print)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	assert_non_null(file);
	replay->path = path;
	replay->print = print;
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		replay->line++;
		do_line(replay, line);
	}
	if (replay->begun) {
		expect_no_output(replay);
	}
	end_target(replay);
	free(line);
	free(replay);
	fclose(file);
}

static void test_transcript(void **state)
{
	play(*state, false);
}

static void print_transcript(void **state)
{
	play(*state, true);
}

int main(int argc, char **argv)
{
	bool print = argc > 1 && strcmp(argv[1], "--print") == 0;
	struct CMUnitTest tests[64];
	size_t count = 0;

	for (int i = print ? 2 : 1; i < argc && count < sizeof(tests) / sizeof(tests[0]); i++) {
		tests[count++] = (struct CMUnitTest){
			.name = basename(argv[i]),
			.test_func = print ? print_transcript : test_transcript,
			.initial_state = argv[i],
		};
	}
	return _cmocka_run_group_tests("transcripts", tests, count, NULL, NULL);
}
