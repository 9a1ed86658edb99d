/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/refused.h"

#include "gdbstub/packet.h"

#include "base/buf.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 1000

void hs_refused_init(struct hs_refused_list *list)
{
	for (size_t i = 0; i < HS_REFUSED_MAX; i++) {
		list->slots[i] = (struct hs_refused){ .fd = -1 };
	}
}

static void let_go(struct hs_refused *slot)
{
	close(slot->fd);
	slot->fd = -1;
}

void hs_refused_deinit(struct hs_refused_list *list)
{
	for (size_t i = 0; i < HS_REFUSED_MAX; i++) {
		if (list->slots[i].fd >= 0) {
			let_go(&list->slots[i]);
		}
	}
}

void hs_refused_add(struct hs_refused_list *list, int fd, int64_t now_ms)
{
	struct hs_refused *slot = &list->slots[0];

	for (size_t i = 1; i < HS_REFUSED_MAX && slot->fd >= 0; i++) {
		if (list->slots[i].fd < 0 || list->slots[i].until_ms < slot->until_ms) {
			slot = &list->slots[i];
		}
	}
	if (slot->fd >= 0) {
		let_go(slot);
	}
	*slot = (struct hs_refused){ .fd = fd, .until_ms = now_ms + PATIENCE_MS };
}

/* Say why, and that nothing more will come. */
static void tell(struct hs_refused *slot)
{
	static const char why[] = "E.another debugger is attached to this guest";
	struct hs_buf packet;

	hs_buf_init(&packet, 2 * sizeof(why) + 8);
	if (hs_buf_append_byte(&packet, '+') && hs_packet_encode(&packet, (const uint8_t *)why, sizeof(why) - 1)) {
		(void)send(slot->fd, packet.data, packet.length, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	hs_buf_deinit(&packet);
	(void)shutdown(slot->fd, SHUT_WR);
	slot->told = true;
}

void hs_refused_poll_set(const struct hs_refused_list *list, struct pollfd *ret)
{
	for (size_t i = 0; i < HS_REFUSED_MAX; i++) {
		ret[i] = (struct pollfd){ .fd = list->slots[i].fd, .events = POLLIN };
	}
}

int64_t hs_refused_deadline(const struct hs_refused_list *list)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < HS_REFUSED_MAX; i++) {
		if (list->slots[i].fd >= 0 && list->slots[i].until_ms < first) {
			first = list->slots[i].until_ms;
		}
	}
	return first;
}

/* It has sent something or hung up; true while it is worth keeping. */
static bool hear(struct hs_refused *slot)
{
	char bytes[512];
	ssize_t got = recv(slot->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (got > 0 && !slot->told && memchr(bytes, '#', (size_t)got)) {
		tell(slot);
	}
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void hs_refused_ready(struct hs_refused_list *list, const struct pollfd *fds, int64_t now_ms)
{
	for (size_t i = 0; i < HS_REFUSED_MAX; i++) {
		struct hs_refused *slot = &list->slots[i];

		if (slot->fd < 0) {
			continue;
		}
		if (fds[i].revents && fds[i].fd == slot->fd && !hear(slot)) {
			let_go(slot);
		} else if (now_ms >= slot->until_ms) {
			tell(slot);
			let_go(slot);
		}
	}
}
