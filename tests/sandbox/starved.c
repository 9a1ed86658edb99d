/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "starved.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* Each call of the library by its own name comes to __wrap_ (ld, --wrap), and is done by __real_. */
#define WRAP(type, name, arguments, call, refused, why)                                                                \
	type __real_##name arguments;                                                                                  \
	type __wrap_##name arguments;                                                                                  \
	type __wrap_##name arguments                                                                                   \
	{                                                                                                              \
		if (is_refused()) {                                                                                    \
			errno = (why);                                                                                 \
			return (refused);                                                                              \
		}                                                                                                      \
		return __real_##name call;                                                                             \
	}

/* Of this thread's calls: the others have nothing to do with what is tried. */
static __thread bool starving;
static __thread unsigned int left;
static __thread bool refused_one;

void starve(unsigned int nth)
{
	left = nth;
	refused_one = false;
	starving = true;
}

bool feed(void)
{
	starving = false;
	return refused_one;
}

static bool is_refused(void)
{
	if (!starving || refused_one || left-- > 0) {
		return false;
	}
	refused_one = true;
	return true;
}

WRAP(void *, malloc, (size_t size), (size), NULL, ENOMEM)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
WRAP(void *, realloc, (void *old, size_t size), (old, size), NULL, ENOMEM)
WRAP(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size), NULL, ENOMEM)
WRAP(int, posix_memalign, (void **ret, size_t alignment, size_t size), (ret, alignment, size), ENOMEM, ENOMEM)
WRAP(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size), NULL, ENOMEM)
WRAP(char *, strdup, (const char *text), (text), NULL, ENOMEM)
WRAP(char *, realpath, (const char *path, char *ret), (path, ret), NULL, ENOMEM)
WRAP(void *, mmap, (void *at, size_t length, int prot, int flags, int fd, off_t offset),
     (at, length, prot, flags, fd, offset), MAP_FAILED, ENOMEM)
WRAP(void *, mmap64, (void *at, size_t length, int prot, int flags, int fd, off_t offset),
     (at, length, prot, flags, fd, offset), MAP_FAILED, ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned int flags), (name, flags), -1, EMFILE)
WRAP(int, ftruncate, (int fd, off_t length), (fd, length), -1, ENOSPC)
WRAP(int, ftruncate64, (int fd, off_t length), (fd, length), -1, ENOSPC)
WRAP(int, madvise, (void *at, size_t length, int advice), (at, length, advice), -1, ENOMEM)
WRAP(int, pthread_create, (pthread_t * ret, const pthread_attr_t *attributes, void *(*start)(void *), void *context),
     (ret, attributes, start, context), EAGAIN, EAGAIN)

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	if (is_refused()) {
		errno = ENOMEM;
		return -1;
	}
	return __real_ioctl(fd, request, argument);
}
