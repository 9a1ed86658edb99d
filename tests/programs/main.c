/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the topics, and the little that all of them use. */
#include "program.h"

static const struct {
	const char *name;
	topic_function *run;
} topics[] = {
#define TOPIC(name) { #name, topic_##name },
#include TOPICS
#undef TOPIC
};

static bool same(const char *a, const char *b)
{
	size_t i = 0;

	while (a[i] && a[i] == b[i]) {
		i++;
	}
	return a[i] == b[i];
}

static bool named(const char *name, int count, char **names)
{
	for (int i = 0; i < count; i++) {
		if (same(name, names[i])) {
			return true;
		}
	}
	return count == 0;
}

int run(int count, char **names)
{
	int done = 0;

	for (size_t i = 0; i < COUNT(topics); i++) {
		if (named(topics[i].name, count, names)) {
			put(topics[i].name, strlen(topics[i].name));
			put("\n", 1);
			topics[i].run();
			done++;
		}
	}
	return done;
}

static size_t copy_text(char *line, size_t at, size_t room, const char *text, size_t length)
{
	for (size_t i = 0; i < length && at < room; i++) {
		line[at++] = text[i];
	}
	return at;
}

void say_text(const char *name, const char *text, size_t length)
{
	char line[160];
	size_t at = copy_text(line, 0, sizeof(line) - 1, "  ", 2);

	at = copy_text(line, at, sizeof(line) - 1, name, strlen(name));
	at = copy_text(line, at, sizeof(line) - 1, " ", 1);
	at = copy_text(line, at, sizeof(line) - 1, text, length);
	line[at++] = '\n';
	put(line, at);
}

void say(const char *name, uint64_t value)
{
	char digits[16];

	for (unsigned int i = 0; i < sizeof(digits); i++) {
		digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
	}
	say_text(name, digits, sizeof(digits));
}

uint64_t mix_bytes(uint64_t digest, const void *bytes, size_t length)
{
	const unsigned char *from = bytes;

	for (size_t i = 0; i < length; i++) {
		digest = mix(digest, from[i]);
	}
	return digest;
}

uint64_t next_wide(struct source *source)
{
	uint64_t shape = next(source);
	uint64_t value = next(source) >> (shape & 63);

	switch (shape >> 6 & 15) {
	case 0:
		return 0 - (value & 3);
	case 1:
		return UINT64_C(1) << (value & 63);
	case 2:
		return (UINT64_C(1) << (value & 63)) - 1;
	case 3:
		return 0 - value;
	default:
		return value;
	}
}
