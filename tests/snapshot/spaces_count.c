/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spaces_count.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 4096u
#define PAGES_MAX 65536u
#define PLACES_MAX 1024u

static uint64_t frames[PAGES_MAX];

static int compare(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a;
	uint64_t other = *(const uint64_t *)b;

	return (one > other) - (one < other);
}

static void count_frames(struct sharing *sharing)
{
	qsort(frames, sharing->pages, sizeof(frames[0]), compare);
	for (uint64_t i = 0; i < sharing->pages; i++) {
		bool new = i == 0 || frames[i] != frames[i - 1];
		bool second = !new && (i == 1 || frames[i] != frames[i - 2]);

		sharing->frames += new;
		sharing->shared_frames += second;
	}
}

static bool count_range(const struct hs_space_item *item, hs_gva window, uint64_t window_bytes, struct sharing *ret)
{
	bool writable = (item->prot & HS_PROT_WRITE) || item->range.cow;

	if (item->range.kind != HS_RANGE_MAPPED) {
		return item->range.kind != HS_RANGE_UNREADABLE;
	}
	for (uint64_t at = 0; at < item->length; at += PAGE) {
		if (item->gva.v + at - window.v < window_bytes) {
			continue;
		}
		if (ret->pages == PAGES_MAX) {
			return false;
		}
		frames[ret->pages++] = item->range.gpa.v + at;
		ret->writable += writable;
		ret->constant += !writable;
		ret->user += item->user;
		ret->large += item->range.page_bytes > PAGE;
	}
	return true;
}

bool count_sharing(const struct hs_phys *phys, const struct hs_root *roots, uint32_t count, hs_gva window,
		   uint64_t window_bytes, struct sharing *ret)
{
	static struct hs_space_place places[PLACES_MAX];
	static struct hs_spaces spaces;
	struct hs_space_item item;
	enum hs_status st;

	*ret = (struct sharing){ 0 };
	hs_spaces_init(&spaces, phys, roots, count, places, PLACES_MAX, hs_budget_default());
	while ((st = hs_spaces_next(&spaces, &item, NULL)) == HS_OK) {
		ret->tables += item.kind == HS_SPACE_TABLE;
		ret->table_aliases += item.kind == HS_SPACE_ALIAS;
		if (item.kind == HS_SPACE_RANGE && !count_range(&item, window, window_bytes, ret)) {
			return false;
		}
	}
	count_frames(ret);
	return st == HS_ERR_NOT_FOUND;
}

static void print(const struct sharing *sharing)
{
	fprintf(stderr,
		"%" PRIu64 " tables, %" PRIu64 " aliases; %" PRIu64 " pages in %" PRIu64 " frames, %" PRIu64
		" of them shared; %" PRIu64 " writable, %" PRIu64 " constant, %" PRIu64 " for ring 3, %" PRIu64
		" of large pages\n",
		sharing->tables, sharing->table_aliases, sharing->pages, sharing->frames, sharing->shared_frames,
		sharing->writable, sharing->constant, sharing->user, sharing->large);
}

bool same_sharing(const struct sharing *one, const struct sharing *other, const char *where)
{
	if (one->tables == other->tables && one->table_aliases == other->table_aliases && one->pages == other->pages &&
	    one->frames == other->frames && one->shared_frames == other->shared_frames &&
	    one->writable == other->writable && one->constant == other->constant && one->user == other->user &&
	    one->large == other->large) {
		return true;
	}
	fprintf(stderr, "spaces: %s:\n", where);
	print(one);
	print(other);
	return false;
}
