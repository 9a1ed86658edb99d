/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cleanup attributes for what a function owns until it returns: heap memory and file descriptors. */
#ifndef HS_BASE_CLEANUP_H
#define HS_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void hs_cleanup_free(void *slot)
{
	void *memory;

	__builtin_memcpy(&memory, slot, sizeof(memory));
	free(memory);
}

static inline void hs_cleanup_close(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
}

/** The heap block this pointer holds is freed when it goes out of scope. */
#define HS_FREE __attribute__((cleanup(hs_cleanup_free)))
/** The descriptor is closed when it goes out of scope, unless it is negative. */
#define HS_CLOSE __attribute__((cleanup(hs_cleanup_close)))

/** A zeroed heap block for a type whose alignment malloc() does not promise, such as whatever has an XSAVE area in it;
 *  NULL without memory. free() frees it. */
#define HS_NEW_ALIGNED(type) ((type *)hs_calloc_aligned(__alignof__(type), sizeof(type)))

static inline void *hs_calloc_aligned(size_t alignment, size_t bytes)
{
	void *block = NULL;

	if (posix_memalign(&block, alignment, bytes) != 0) {
		return NULL;
	}
	return __builtin_memset(block, 0, bytes);
}

/** Take a pointer out of a variable with HS_FREE, leaving NULL: `*ret = HS_TAKE(block)`. */
#define HS_TAKE(variable)                                                                                              \
	__extension__({                                                                                                \
		__auto_type hs_taken = (variable);                                                                     \
		(variable) = NULL;                                                                                     \
		hs_taken;                                                                                              \
	})

#endif
