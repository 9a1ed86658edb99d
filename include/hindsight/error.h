/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Errors: one status for the program, one sentence for the person.
 *
 * Every function that can fail returns an enum hs_status and takes a struct hs_error pointer last. The struct is the
 * caller's storage and may be NULL; it is filled once, where the failure starts, and nothing on that path allocates,
 * because a core is also written when memory has run out.
 */
#ifndef HINDSIGHT_ERROR_H
#define HINDSIGHT_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What kind of failure it was; the only part a program should branch on. */
enum hs_status {
	HS_OK = 0,
	HS_ERR_INVALID,     /**< an argument or option that can never be right */
	HS_ERR_NOMEM,       /**< the host has no memory for it */
	HS_ERR_IO,          /**< a system call on a file or socket failed; os_errno says how */
	HS_ERR_FORMAT,      /**< bytes of a file, of the guest or of the wire that break their format */
	HS_ERR_UNSUPPORTED, /**< well-formed, but this host or this build cannot do it */
	HS_ERR_NOT_FOUND,   /**< a file, symbol, register or breakpoint that is not there */
	HS_ERR_RANGE,       /**< a number or an address range that is out of bounds or overlaps */
	HS_ERR_UNREADABLE,  /**< guest memory that is not mapped or not backed */
	HS_ERR_BUDGET,      /**< a bounded walk ran out of its budget; what was found so far is valid */
	HS_ERR_BUSY,        /**< in use: a port, a second client, a running VM */
	HS_ERR_PERMISSION,  /**< the host refused it: EACCES, EPERM */
	HS_ERR_STATE,       /**< a call that is not allowed in the object's present state */
	HS_ERR_BACKEND,     /**< the CPU backend failed in a way that is not the guest's doing */
	HS_ERR_EXHAUSTED,   /**< a fixed resource is used up: hardware breakpoints, descriptors */
	HS_ERR_CLOSED,      /**< the peer closed the connection */
	HS_ERR_GUEST,       /**< the guest crashed, or a function of it failed */
	HS_ERR_TIMEOUT,     /**< the time limit passed */
	HS_ERR_INTERRUPTED, /**< somebody asked for it to end */
};

/** Longest message, with its terminating NUL. */
#define HS_ERROR_MESSAGE_MAX 320

/** One failure. Caller's storage; all fields are set together and only on failure. */
struct hs_error {
	enum hs_status status;              /**< equal to the returned status */
	int os_errno;                       /**< errno of the system call behind it, or 0 */
	uint64_t where;                     /**< address or file offset the failure is about, or 0 */
	char message[HS_ERROR_MESSAGE_MAX]; /**< one sentence, no full stop, no newline: "what: why (what to do)" */
};

#define HS_MUST_CHECK __attribute__((warn_unused_result))

/** A short lower-case name of a status ("range", "not found"); a static string, never NULL. */
const char *hs_status_name(enum hs_status status);

#ifdef __cplusplus
}
#endif
#endif
