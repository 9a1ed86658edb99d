/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that come while another one is served: they are told so, and let go.
 *
 * Each is kept until it has asked something, since only then does it take the reason for an answer (gdb drops a packet
 * that comes before the acknowledgement of its own), and until it has hung up, since closing a connection with unread
 * input resets it and the reason would be lost. But neither long nor in numbers.
 */
#ifndef HS_GDBSTUB_REFUSED_H
#define HS_GDBSTUB_REFUSED_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define HS_REFUSED_MAX 4

struct hs_refused {
	int fd; /* -1: free */
	bool told;
	int64_t until_ms;
};

/* Times are of one clock that only goes forward, in milliseconds. */
struct hs_refused_list {
	struct hs_refused slots[HS_REFUSED_MAX];
};

void hs_refused_init(struct hs_refused_list *list);
/* Close the connections that are left. */
void hs_refused_deinit(struct hs_refused_list *list);
/* Refuse a client; its connection, which is not blocking, is transferred. The one that has waited longest goes when
 * there are too many. */
void hs_refused_add(struct hs_refused_list *list, int fd, int64_t now_ms);
/* What to poll for: HS_REFUSED_MAX entries. */
void hs_refused_poll_set(const struct hs_refused_list *list, struct pollfd *ret);
/* When hs_refused_ready() is due though nothing is heard; INT64_MAX: never. */
int64_t hs_refused_deadline(const struct hs_refused_list *list);
/* Do what poll() has found for that set, and what is due. */
void hs_refused_ready(struct hs_refused_list *list, const struct pollfd *fds, int64_t now_ms);

#endif
