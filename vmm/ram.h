/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest-physical memory of a VM: a few host mappings at fixed guest-physical places, seen through struct hs_phys.
 *
 * The VM holds one and tells the backend's memory slots of each region; the software CPU holds another one, of borrowed
 * regions, for its own accesses.
 */
#ifndef HS_VMM_RAM_H
#define HS_VMM_RAM_H

#include <hindsight/error.h>
#include <hindsight/mem.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most regions a VM has: snapshot, scratch, and room for mappings (guest-abi.md: 32). */
#define HS_RAM_REGIONS_MAX 34

/** What is behind a region. */
enum hs_ram_kind {
	HS_RAM_ANONYMOUS, /* private memory, zero at first */
	HS_RAM_PRIVATE,   /* a private mapping of a part of a file or memfd: written pages are copies */
	HS_RAM_SHARED,    /* a shared, read-only mapping of one: nobody writes through it, others may see to it */
	HS_RAM_BORROWED,  /* host memory that somebody else owns */
};

/** Where a region comes from. Zero is private anonymous memory that the guest may write. */
struct hs_ram_source {
	enum hs_ram_kind kind;
	const char *name; /* for messages: "scratch region"; borrowed as long as the region. NULL: "memory region" */
	bool read_only;   /* for the guest; HS_RAM_SHARED always is */
	int fd; /* for PRIVATE and SHARED: open for reading, copied. Whoever asks what has data moves its offset */
	uint64_t offset; /* in the file, page-aligned */
	void *host;      /* for BORROWED: page-aligned, borrowed as long as the region; not written when read_only */
};

struct hs_ram_region {
	hs_gpa gpa;
	uint64_t length; /* bytes, page-aligned */
	uint8_t *host;   /* never changes while the region is there */
	const char *name;
	enum hs_ram_kind kind;
	bool read_only;      /* for the guest; a debugger may write ... */
	bool host_read_only; /* ... unless nobody may */
	int fd;              /* of the file, owned by the ram; -1 for none */
	uint64_t offset;     /* in the file */
	void *tag;           /* of whoever holds the ram; NULL at first, not freed */
};

/** Caller's storage; must not move while a struct hs_phys of it is in use. */
struct hs_ram {
	struct hs_ram_region regions[HS_RAM_REGIONS_MAX]; /* ascending by gpa */
	size_t count;
	size_t last; /* where hs_ram_find() was last, which may be nowhere any more */
	/* Told of every change of contents, so that a backend that caches code can drop it. May be NULL. */
	void (*written)(void *ctx, hs_gpa gpa, uint64_t length);
	void *written_ctx;
};

void hs_ram_init(struct hs_ram *ram);
/** Unmap everything but what is borrowed. */
void hs_ram_deinit(struct hs_ram *ram);

/**
 * Add a region.
 *
 * HS_ERR_RANGE: it wraps, is empty, is not page-aligned, overlaps another region (the message names both) or reaches
 * beyond the page in which its file ends. HS_ERR_EXHAUSTED: there are HS_RAM_REGIONS_MAX already. HS_ERR_NOMEM,
 * HS_ERR_PERMISSION, HS_ERR_IO: the host cannot map it. On failure nothing changed.
 *
 * @param source  borrowed for the call; NULL for zero in all fields
 */
HS_MUST_CHECK enum hs_status hs_ram_add(struct hs_ram *ram, hs_gpa gpa, uint64_t length,
					const struct hs_ram_source *source, struct hs_error *err);

/**
 * Put something else behind a region: same gpa, same host address, so that memory slots stay as they are.
 *
 * HS_ERR_INVALID: the region or the new source is borrowed, or what the guest may do with it would change. Otherwise as
 * hs_ram_add(). On failure nothing changed, except with HS_ERR_NOMEM: then the region is there, but what it holds is
 * undefined.
 *
 * @param index  of ram->regions
 */
HS_MUST_CHECK enum hs_status hs_ram_replace(struct hs_ram *ram, size_t index, const struct hs_ram_source *source,
					    struct hs_error *err);

/**
 * Drop all that was written: private pages of a file become the file's again, anonymous memory becomes zero. The cost
 * follows the pages that were touched. HS_ERR_INVALID for a borrowed region; HS_ERR_IO.
 */
HS_MUST_CHECK enum hs_status hs_ram_drop(struct hs_ram *ram, size_t index, struct hs_error *err);

/** Take a region away, and unmap it unless it is borrowed. */
void hs_ram_remove(struct hs_ram *ram, size_t index);

/** hs_ram_find() for what is not where the one before was. */
struct hs_ram_region *hs_ram_search(struct hs_ram *ram, uint64_t gpa);

/** The region that holds gpa, or NULL. */
static inline struct hs_ram_region *hs_ram_find(struct hs_ram *ram, uint64_t gpa)
{
	struct hs_ram_region *last = &ram->regions[ram->last];

	return ram->last < ram->count && gpa - last->gpa.v < last->length ? last : hs_ram_search(ram, gpa);
}

/**
 * The first stretch of a region, from offset `from` on, that may hold anything but zeros (ram_data.c); false when there
 * is none. Looks at no page, so none comes to be.
 */
bool hs_ram_region_data(const struct hs_ram_region *region, uint64_t from, uint64_t *ret_start, uint64_t *ret_end);

/**
 * The same of what may differ from what is behind the region, a file or zeros: pages that were written to, and of
 * borrowed memory all. Where the host does not say, everything may.
 */
bool hs_ram_region_copies(const struct hs_ram_region *region, uint64_t from, uint64_t *ret_start, uint64_t *ret_end);

/** The memory as operations; borrows ram. */
struct hs_phys hs_ram_phys(struct hs_ram *ram);

#endif
