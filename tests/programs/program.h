/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a program of this suite is made of. The same objects are linked twice, as a Linux program and as a guest, and
 * both must write the same text. A topic computes much and says it in few lines: values of interest, and digests over
 * all others. Inputs come from the generator here, whose seed no compiler knows, so that nothing is computed
 * beforehand.
 *
 * No libc, nothing of the host: no addresses, no time. There are two such programs: one of general registers alone
 * (topics/), and one of floating point and vectors (floats/), which is built with TOPICS saying so.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOINLINE __attribute__((noinline))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** Text for the world, and the end: the only things that differ between the two ways of linking (start_*.c). */
void put(const char *text, size_t length);
__attribute__((noreturn)) void end(int status);

/** All topics, or those that are named. How many: the status of the program. */
int run(int count, char **names);

/** "  name value\n", the value in hexadecimal. */
void say(const char *name, uint64_t value);
/** "  name text\n" */
void say_text(const char *name, const char *text, size_t length);

/* Own versions of what compilers may call (memory.c). */
void *memcpy(void *restrict to, const void *restrict from, size_t length);
void *memmove(void *to, const void *from, size_t length);
void *memset(void *to, int value, size_t length);
int memcmp(const void *a, const void *b, size_t length);
size_t strlen(const char *text);

/**
 * One more value into a digest. One to one in the value for a given digest and the other way round, since the
 * multiplier (2^64 divided by the golden ratio) is odd: one wrong bit is never lost. And mix(a, b) is not mix(b, a).
 */
static inline uint64_t mix(uint64_t digest, uint64_t value)
{
	return (digest << 29 | digest >> 35) * UINT64_C(0x9E3779B97F4A7C15) + value;
}

/** All bytes of something into a digest. */
uint64_t mix_bytes(uint64_t digest, const void *bytes, size_t length);

/** A value that the compiler does not know. */
static inline uint64_t hide(uint64_t value)
{
	volatile uint64_t hidden = value;

	return hidden;
}

/** A generator (Marsaglia's xorshift64); each topic has its own. */
struct source {
	uint64_t state;
};

static inline struct source source(uint64_t seed)
{
	return (struct source){ hide(seed) };
}

static inline uint64_t next(struct source *source)
{
	source->state ^= source->state << 13;
	source->state ^= source->state >> 7;
	source->state ^= source->state << 17;
	return source->state;
}

/** As next(), but of any number of significant bits, and often at the ends of the range, where things go wrong. */
uint64_t next_wide(struct source *source);

#ifndef TOPICS
#define TOPICS "topics.h"
#endif

/** What main.c knows of a topic; topics.h and floats.h list them. */
typedef void topic_function(void);
#define TOPIC(name) void topic_##name(void);
#include TOPICS
#undef TOPIC

#endif
