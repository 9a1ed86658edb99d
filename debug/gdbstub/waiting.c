/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/waiting.h"

#include "gdbstub/packet.h"

#include "base/buf.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 1000

void hs_waiting_init(struct hs_waiting_list *list)
{
	list->count = 0;
	for (size_t i = 0; i < HS_WAITING_MAX; i++) {
		list->slots[i] = (struct hs_waiting){ .fd = -1 };
	}
}

static void let_go(struct hs_waiting *slot)
{
	close(slot->fd);
	slot->fd = -1;
}

void hs_waiting_deinit(struct hs_waiting_list *list)
{
	for (size_t i = 0; i < HS_WAITING_MAX; i++) {
		if (list->slots[i].fd >= 0) {
			let_go(&list->slots[i]);
		}
	}
}

void hs_waiting_add(struct hs_waiting_list *list, int fd, int64_t now_ms)
{
	struct hs_waiting *slot = &list->slots[0];

	for (size_t i = 1; i < HS_WAITING_MAX && slot->fd >= 0; i++) {
		if (list->slots[i].fd < 0 || list->slots[i].number < slot->number) {
			slot = &list->slots[i];
		}
	}
	if (slot->fd >= 0) {
		let_go(slot);
	}
	*slot = (struct hs_waiting){ .fd = fd, .number = list->count++, .until_ms = now_ms + PATIENCE_MS };
}

/* Say why, and that nothing more will come. */
static void tell(struct hs_waiting *slot)
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

void hs_waiting_poll_set(const struct hs_waiting_list *list, struct pollfd *ret)
{
	for (size_t i = 0; i < HS_WAITING_MAX; i++) {
		ret[i] = (struct pollfd){ .fd = list->slots[i].fd, .events = POLLIN };
	}
}

int64_t hs_waiting_deadline(const struct hs_waiting_list *list, bool taken)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < HS_WAITING_MAX; i++) {
		const struct hs_waiting *slot = &list->slots[i];

		if (slot->fd >= 0 && (taken || slot->told) && slot->until_ms < first) {
			first = slot->until_ms;
		}
	}
	return first;
}

static bool has_asked(const struct hs_waiting *slot)
{
	return slot->length == HS_WAITING_BYTES || memchr(slot->bytes, '#', slot->length);
}

/* It has sent something or hung up; true while it is worth keeping. What comes behind a refusal is thrown away. */
static bool hear(struct hs_waiting *slot)
{
	uint8_t thrown[HS_WAITING_BYTES];
	bool keep = !slot->told && slot->length < HS_WAITING_BYTES;
	ssize_t got = recv(slot->fd, keep ? slot->bytes + slot->length : thrown,
			   keep ? HS_WAITING_BYTES - slot->length : sizeof(thrown), MSG_DONTWAIT);

	if (got > 0 && keep) {
		slot->length += (size_t)got;
	}
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void hs_waiting_ready(struct hs_waiting_list *list, const struct pollfd *fds)
{
	for (size_t i = 0; i < HS_WAITING_MAX; i++) {
		struct hs_waiting *slot = &list->slots[i];

		if (slot->fd >= 0 && fds[i].revents && fds[i].fd == slot->fd && !hear(slot)) {
			let_go(slot);
		}
	}
}

struct hs_waiting *hs_waiting_spoken(struct hs_waiting_list *list)
{
	for (size_t i = 0; i < HS_WAITING_MAX; i++) {
		struct hs_waiting *slot = &list->slots[i];

		if (slot->fd >= 0 && !slot->told && has_asked(slot)) {
			return slot;
		}
	}
	return NULL;
}

void hs_waiting_refuse(struct hs_waiting_list *list, bool taken, int64_t now_ms)
{
	for (size_t i = 0; i < HS_WAITING_MAX; i++) {
		struct hs_waiting *slot = &list->slots[i];

		if (slot->fd < 0) {
			continue;
		}
		if (taken && !slot->told && has_asked(slot)) {
			tell(slot);
			slot->until_ms = now_ms + PATIENCE_MS;
		} else if ((taken || slot->told) && now_ms >= slot->until_ms) {
			if (!slot->told) {
				tell(slot);
			}
			let_go(slot);
		}
	}
}
