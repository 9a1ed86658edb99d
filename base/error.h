/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling a struct hs_error: done once, where a failure starts. Formats in place, allocates nothing, prints nothing. */
#ifndef HS_BASE_ERROR_H
#define HS_BASE_ERROR_H

#include <hindsight/error.h>

/**
 * Fill *err and return status, so that a failing function ends in `return hs_error_set(err, ...)`.
 *
 * @param err       may be NULL
 * @param os_errno  errno of the system call behind it, or 0
 * @param where     address or offset the failure is about, or 0
 * @param format    one sentence, no full stop, no newline; control characters in the result become '?'
 */
__attribute__((format(printf, 5, 6))) enum hs_status
hs_error_set(struct hs_error *err, enum hs_status status, int os_errno, uint64_t where, const char *format, ...);

/** As hs_error_set() with ": strerror" appended and the status chosen from os_errno (ENOENT, EACCES, ENOMEM, ...). */
__attribute__((format(printf, 3, 4))) enum hs_status hs_error_os(struct hs_error *err, int os_errno, const char *format,
								 ...);

/** Put "prefix: " before the message of an error that is already filled; returns its status. err must not be NULL. */
__attribute__((format(printf, 2, 3))) enum hs_status hs_error_prefix(struct hs_error *err, const char *format, ...);

#ifdef __clang_analyzer__
/*
 * The static analyzer reads one source at a time and would follow paths on which these return HS_OK. Tell it otherwise:
 * a macro's own name inside it is not expanded again, so the call itself stays.
 */
#define hs_error_set(err, status, ...) (hs_error_set((err), (status), __VA_ARGS__), (status))
#define hs_error_os(err, ...) (hs_error_os((err), __VA_ARGS__), HS_ERR_IO)
#endif

#endif
