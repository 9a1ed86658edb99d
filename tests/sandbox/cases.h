/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cases of sandbox.c are written with. Whatever fails ends the program. */
#ifndef TESTS_SANDBOX_CASES_H
#define TESTS_SANDBOX_CASES_H

#include <hindsight/sandbox.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct a_case {
	const char *name;
	void (*run)(void);
};
extern const struct a_case cases[];
extern const size_t case_count;

_Noreturn void failed_at(const char *file, int line, const char *what);
void expect_at(const char *file, int line, enum hs_status got, enum hs_status wanted, const char *text,
	       const struct hs_error *err);

#define CHECK(condition) ((condition) ? (void)0 : failed_at(__FILE__, __LINE__, #condition))
/** A call with `err` as its last argument ends so; a failure has the text in its message. */
#define EXPECT(call, wanted, text) expect_at(__FILE__, __LINE__, (call), (wanted), (text), &err)

static inline struct hs_value an_int(int32_t i)
{
	return (struct hs_value){ .type = HS_TYPE_INT, .i = i };
}

static inline struct hs_value a_string(const char *text)
{
	return (struct hs_value){ .type = HS_TYPE_STRING, .bytes = { text, strlen(text) } };
}

/** The guest. */
const char *image(void);
/** The configuration for the backend that is tested. */
struct hs_sandbox_config configured(void);
/** A sandbox of the guest; config NULL for that one. */
struct hs_sandbox *made(const struct hs_sandbox_config *config);
/** The same, ready. */
struct hs_sandbox *started(const struct hs_sandbox_config *config);
struct hs_snapshot *snapshot_of(struct hs_sandbox *sandbox);
/** A restore mends whatever was. */
void restore(struct hs_sandbox *sandbox, struct hs_snapshot *snapshot);
/** What a call of counter() gives: 1 the first time. */
uint64_t counted(struct hs_sandbox *sandbox);
/** Call a function that takes a string. */
enum hs_status call_text(struct hs_sandbox *sandbox, const char *name, const char *text, struct hs_error *err);
/** Cases in files of their own. */
void case_starved(void);
void case_core_write(void);
void case_core_of_crash(void);
void case_core_request(void);
void case_core_in_host_function(void);
void case_interrupt_moments(void);
void case_interrupt_storm(void);
void case_generation(void);
void case_identity(void);
void case_identity_changes(void);
void case_recorded_functions(void);
void case_other_image(void);
void case_listeners(void);
void case_host_results(void);
void case_descriptors(void);
void case_address_space(void);

/** Let the guest call a function of the host with 7. */
enum hs_status call_back(struct hs_sandbox *sandbox, const char *name, struct hs_error *err);

#endif
