/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest-physical memory as the layers above the VM see it: a table of a few operations. A live VM, a snapshot, a core
 * file and a raw memory image each provide one, so whoever walks page tables or writes a core need not know which.
 */
#ifndef HINDSIGHT_MEM_H
#define HINDSIGHT_MEM_H

#include <hindsight/error.h>
#include <hindsight/types.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The operations of one kind of physical memory. All are total: any address and length is answered, never trusted. */
struct hs_phys_ops {
	/** Copy length bytes from gpa into buffer; all or nothing. HS_ERR_UNREADABLE (err->where is the first byte that
	 *  is not there) leaves the buffer undefined. */
	enum hs_status (*read)(void *ctx, hs_gpa gpa, void *buffer, size_t length, struct hs_error *err);
	/** Copy length bytes from buffer to gpa; all or nothing. NULL where the memory is read-only. */
	enum hs_status (*write)(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err);
	/** The fast path: a host pointer to the byte at gpa, and in *ret_length how many bytes follow it contiguously
	 *  (at least 1). NULL where nothing is there or this memory cannot be pointed at; then read() decides. The
	 *  pointer is borrowed until the memory's owner changes its layout. */
	const uint8_t *(*pointer)(void *ctx, hs_gpa gpa, uint64_t *ret_length);
	/** The first backed range at or after gpa: its start and length in bytes. False when there is none. */
	int (*next_region)(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length);
	/** The first range at or after gpa that may hold anything but zeros, as next_region: what is backed before it
	 *  is all zero, and finding that out has touched no page. It ends within one region. False when all from gpa
	 *  on is zero or not backed. NULL where nobody knows: then all that is backed may hold something. */
	int (*next_data)(void *ctx, hs_gpa gpa, hs_gpa *ret_start, uint64_t *ret_length);
};

/** A physical memory: operations and their context, both borrowed. Passed by pointer, copied freely. */
struct hs_phys {
	const struct hs_phys_ops *ops;
	void *ctx;
};

#ifdef __cplusplus
}
#endif
#endif
