/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/soft/native.h"

#include <hindsight/types.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Where code begins: no instruction that is fetched first lies across two lines of the cache. */
#define ALIGNMENT 16u
#define BUCKETS 32768u

struct code {
	struct code *next; /* of its bucket */
	const uint8_t *bytes;
	size_t length;
};

/* Memory that is mapped twice. Pages of it that were never written to are none. */
struct area {
	uint8_t *writable;
	const uint8_t *executable;
	size_t size, used;
};

/* All under the lock, also while the process forks. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct area area;
static struct code *buckets[BUCKETS];
static size_t spent; /* of HS_SOFT_NATIVE_MAX, in areas that were this process's parents' */

static bool map_twice(int fd, size_t size, struct area *ret)
{
	void *writable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *executable = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	if (writable != MAP_FAILED && executable != MAP_FAILED) {
		*ret = (struct area){ .writable = writable, .executable = executable, .size = size };
		return true;
	}
	if (writable != MAP_FAILED) {
		munmap(writable, size);
	}
	if (executable != MAP_FAILED) {
		munmap(executable, size);
	}
	return false;
}

/* A file that would be longer than a process may make them ends it by SIGXFSZ. */
static size_t longest_file(size_t wanted)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < wanted ? (size_t)limit.rlim_cur : wanted;
}

static bool make_area(size_t wanted, struct area *ret)
{
	size_t size = longest_file(wanted) / HS_PAGE_SIZE * HS_PAGE_SIZE;
	int fd = size ? memfd_create("hindsight-code", MFD_CLOEXEC) : -1;
	bool made;

	if (fd < 0) {
		return false;
	}
	made = ftruncate(fd, (off_t)size) == 0 && map_twice(fd, size, ret);
	close(fd);
	return made;
}

/* The pages of its parent's area are the parent's too, which goes on writing to them. */
static void begin_anew_in_child(void)
{
	if (area.writable) {
		munmap(area.writable, area.size);
		spent += area.used;
		area = (struct area){ NULL, NULL, 0, 0 };
	}
	pthread_mutex_unlock(&lock);
}

static void hold_lock(void)
{
	pthread_mutex_lock(&lock);
}

static void drop_lock(void)
{
	pthread_mutex_unlock(&lock);
}

/* Whether there is an area to write to. */
static bool has_area(void)
{
	static bool knows_forks;

	if (area.writable) {
		return true;
	}
	if (!knows_forks && pthread_atfork(hold_lock, drop_lock, begin_anew_in_child) != 0) {
		return false;
	}
	knows_forks = true;
	return spent < HS_SOFT_NATIVE_MAX && make_area(HS_SOFT_NATIVE_MAX - spent, &area);
}

/* FNV-1a. */
static struct code **bucket_of(const uint8_t *bytes, size_t length)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < length; i++) {
		hash = (hash ^ bytes[i]) * 16777619;
	}
	return &buckets[hash % BUCKETS];
}

static const uint8_t *add(struct code **bucket, const uint8_t *bytes, size_t length)
{
	size_t taken = (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct code *code;

	if (length > HS_SOFT_NATIVE_MAX || !has_area() || taken > area.size - area.used) {
		return NULL;
	}
	code = malloc(sizeof(*code));
	if (!code) {
		return NULL;
	}
	memcpy(area.writable + area.used, bytes, length);
	*code = (struct code){ .next = *bucket, .bytes = area.executable + area.used, .length = length };
	*bucket = code;
	area.used += taken;
	return code->bytes;
}

static const uint8_t *find_or_add(const uint8_t *bytes, size_t length)
{
	struct code **bucket = bucket_of(bytes, length);

	for (const struct code *code = *bucket; code; code = code->next) {
		if (code->length == length && memcmp(code->bytes, bytes, length) == 0) {
			return code->bytes;
		}
	}
	return add(bucket, bytes, length);
}

hs_soft_native_fn *hs_soft_native_code(const uint8_t *code, size_t length)
{
	const uint8_t *found;

	hold_lock();
	found = find_or_add(code, length);
	drop_lock();
	return (hs_soft_native_fn *)(uintptr_t)found;
}

bool hs_soft_native_works(void)
{
	static const uint8_t ret[] = { 0xc3 };
	static bool known, works;
	bool answer;

	hold_lock();
	if (!known) {
		works = find_or_add(ret, sizeof(ret)) != NULL;
		known = true;
	}
	answer = works;
	drop_lock();
	return answer;
}
