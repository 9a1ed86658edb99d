/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that have connected and are not served: those that have said nothing yet, and those that come while another
 * one is served, who are told so, and let go.
 *
 * A client is one from its first packet on. What connects and is silent (a health check, a scanner of ports) waits here
 * and keeps nobody out. Once another one has the guest it is refused: when it has asked something, since only then does
 * it take the reason for an answer (gdb drops a packet that comes before the acknowledgement of its own), else soon. It
 * is kept until it has hung up, since closing a connection with unread input resets it and the reason would be
 * lost. But neither long nor in numbers.
 */
#ifndef HS_GDBSTUB_WAITING_H
#define HS_GDBSTUB_WAITING_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HS_WAITING_MAX 8
/* What a client may say before it is served: gdb's and lldb's first packets have a few hundred bytes. */
#define HS_WAITING_BYTES 1024

struct hs_waiting {
	int fd; /* -1: free */
	bool told;
	uint64_t number;  /* in the order in which they came */
	int64_t until_ms; /* when it is let go, if somebody else has the guest */
	size_t length;    /* of what it has said */
	uint8_t bytes[HS_WAITING_BYTES];
};

/* Times are of one clock that only goes forward, in milliseconds. `taken`: another client has the guest. */
struct hs_waiting_list {
	struct hs_waiting slots[HS_WAITING_MAX];
	uint64_t count; /* of all that have come */
};

void hs_waiting_init(struct hs_waiting_list *list);
/* Close the connections that are left. */
void hs_waiting_deinit(struct hs_waiting_list *list);
/* A client has come; its connection, which is not blocking, is transferred. The one that has waited longest goes when
 * there are too many. */
void hs_waiting_add(struct hs_waiting_list *list, int fd, int64_t now_ms);
/* What to poll for: HS_WAITING_MAX entries. */
void hs_waiting_poll_set(const struct hs_waiting_list *list, struct pollfd *ret);
/* When hs_waiting_refuse() is due though nothing is heard; INT64_MAX: never. */
int64_t hs_waiting_deadline(const struct hs_waiting_list *list, bool taken);
/* Do what poll() has found for that set: read what they say, and let go who has hung up. */
void hs_waiting_ready(struct hs_waiting_list *list, const struct pollfd *fds);
/* One that has sent a packet and has not been refused; NULL: nobody. With its fd set to -1 it is the caller's. */
struct hs_waiting *hs_waiting_spoken(struct hs_waiting_list *list);
/* Refuse those that have asked, or whose time is over, if the guest is taken; let go those that have been told. */
void hs_waiting_refuse(struct hs_waiting_list *list, bool taken, int64_t now_ms);

#endif
