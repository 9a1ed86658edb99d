/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The names are macros under the static analyzer (base/error.h); here they are defined. */
#undef hs_error_set
#undef hs_error_os

const char *hs_status_name(enum hs_status status)
{
	switch (status) {
	case HS_OK:
		return "ok";
	case HS_ERR_INVALID:
		return "invalid";
	case HS_ERR_NOMEM:
		return "out of memory";
	case HS_ERR_IO:
		return "input/output";
	case HS_ERR_FORMAT:
		return "format";
	case HS_ERR_UNSUPPORTED:
		return "unsupported";
	case HS_ERR_NOT_FOUND:
		return "not found";
	case HS_ERR_RANGE:
		return "range";
	case HS_ERR_UNREADABLE:
		return "unreadable";
	case HS_ERR_BUDGET:
		return "budget";
	case HS_ERR_BUSY:
		return "busy";
	case HS_ERR_PERMISSION:
		return "permission";
	case HS_ERR_STATE:
		return "state";
	case HS_ERR_BACKEND:
		return "backend";
	case HS_ERR_EXHAUSTED:
		return "exhausted";
	case HS_ERR_CLOSED:
		return "closed";
	case HS_ERR_GUEST:
		return "guest";
	case HS_ERR_TIMEOUT:
		return "timeout";
	case HS_ERR_INTERRUPTED:
		return "interrupted";
	}
	return "unknown";
}

/* A message is one line on somebody's terminal, and parts of it may come from a file or a guest. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f) {
			*text = '?';
		}
	}
}

enum hs_status hs_error_set(struct hs_error *err, enum hs_status status, int os_errno, uint64_t where,
			    const char *format, ...)
{
	va_list args;

	if (!err) {
		return status;
	}
	err->status = status;
	err->os_errno = os_errno;
	err->where = where;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	make_printable(err->message);
	return status;
}

static enum hs_status status_of_errno(int os_errno)
{
	switch (os_errno) {
	case ENOENT:
		return HS_ERR_NOT_FOUND;
	case EACCES:
	case EPERM:
		return HS_ERR_PERMISSION;
	case ENOMEM:
		return HS_ERR_NOMEM;
	case EADDRINUSE:
	case EBUSY:
		return HS_ERR_BUSY;
	case EPIPE:
	case ECONNRESET:
		return HS_ERR_CLOSED;
	default:
		return HS_ERR_IO;
	}
}

enum hs_status hs_error_os(struct hs_error *err, int os_errno, const char *format, ...)
{
	enum hs_status status = status_of_errno(os_errno);
	char reason[128];
	va_list args;
	size_t used;

	if (!err) {
		return status;
	}
	err->status = status;
	err->os_errno = os_errno;
	err->where = 0;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	used = strlen(err->message);
	/* The GNU strerror_r: may return a static string instead of filling the buffer, and is thread-safe. */
	snprintf(err->message + used, sizeof(err->message) - used, ": %s",
		 strerror_r(os_errno, reason, sizeof(reason)));
	make_printable(err->message);
	return status;
}

enum hs_status hs_error_prefix(struct hs_error *err, const char *format, ...)
{
	char message[HS_ERROR_MESSAGE_MAX];
	va_list args;
	size_t used;

	memcpy(message, err->message, sizeof(message));
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s", message);
	make_printable(err->message);
	return err->status;
}
