/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VM whose guest is called, and what its cases share: each is a function over a guest that is ready, and returns true
 * or says what is wrong. The host functions that the guest may call are twice, back, sorry and huge.
 */
#ifndef HS_TESTS_CALLS_CALLER_H
#define HS_TESTS_CALLS_CALLER_H

#include "vmm/call.h"

#include <hindsight/hindsight.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_MAX 20000

struct caller {
	struct hs_vm *vm;
	struct hs_event event; /* the last one */
	struct hs_record answer;
	uint8_t *bytes;
	size_t capacity;
	char log_text[LOG_MAX];
	uint32_t log_level;
	size_t logged;
	size_t host_calls;
	char early[16]; /* what the guest has called before it was ready */
	struct hs_error error;
};

/** Say what is wrong; false. */
__attribute__((format(printf, 2, 3))) bool caller_fail(const struct caller *caller, const char *format, ...);

#define EXPECT(caller, condition)                                                                                      \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			return caller_fail((caller), "%s:%d: %s does not hold", __FILE__, __LINE__, #condition);       \
		}                                                                                                      \
	} while (0)

/** A VM with one word for its guest, or NULL; its guest is ready. HS_ERR_UNSUPPORTED and the like: not on this host. */
enum hs_status caller_start(struct caller *caller, const char *backend, const char *image, const char *word);
void caller_end(struct caller *caller);

/** Run, and serve what the guest asks for, until it is ready or something else happens: caller->event. */
bool caller_run(struct caller *caller);
/** Call a function; its answer is in caller->answer. False when there is none. */
bool caller_call(struct caller *caller, const char *name, const struct hs_value *arguments, size_t count);
/** The same, and the answer must be a result of this type. */
bool caller_gives(struct caller *caller, const char *name, const struct hs_value *arguments, size_t count,
		  enum hs_type type);
/** The same, and the answer must be an error of this code whose message has a text in it. */
bool caller_refused(struct caller *caller, const char *name, const struct hs_value *arguments, size_t count,
		    uint32_t code, const char *text);
/** Whether it can be called: add() gives a sum. */
bool caller_is_ready(struct caller *caller);

struct hs_value value_int(int32_t i);
struct hs_value value_string(const char *text);
struct hs_value value_bytes(const void *data, size_t length);

/** A case: over a guest with this image. */
struct call_case {
	const char *name;
	const char *image; /* the guest program */
	const char *word;  /* its argument, or NULL */
	bool (*run)(struct caller *caller);
};

extern const struct call_case good_cases[], bad_cases[], register_cases[]; /* the last has no name */

#endif
