/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The only process of the kernels that tests/kernels boots. It maps memory in many ways, says "ready" and waits in
 * the kernel for a line; then it says "spinning" and stays in user mode. What does not work is "failed" and why.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A large page of each format that has 8-byte entries, and where a device might be, above all RAM. */
enum { PAGE = 4096, LARGE = 2 << 20, DEVICE = 0xfeb00000 };

static void say(const char *text)
{
	dprintf(1, "hindsight-init: %s\n", text);
}

static void fail(const char *what)
{
	dprintf(1, "hindsight-init: failed: %s: %m\n", what);
	for (;;) {
		pause();
	}
}

static volatile char *map(size_t length, int prot, int flags, const char *what)
{
	void *at = mmap(NULL, length, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (at == MAP_FAILED) {
		fail(what);
	}
	return at;
}

/** Pages that were touched, of each kind of access, with others between them that were not. */
static void map_small(void)
{
	static const int kinds[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
				     PROT_READ | PROT_WRITE | PROT_EXEC };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		volatile char *pages = map(4 * PAGE, PROT_READ | PROT_WRITE, 0, "pages");

		pages[0] = pages[PAGE] = pages[3 * PAGE] = 1;
		if (mprotect((void *)pages, 4 * PAGE, kinds[i])) {
			fail("mprotect");
		}
	}
	/* Written by nobody: the kernel's page of zeros. */
	(void)map(PAGE, PROT_READ, 0, "a page of zeros")[0];
}

static void map_large(void)
{
	map(LARGE, PROT_READ | PROT_WRITE, MAP_HUGETLB, "a large page of hugetlbfs")[0] = 1;

	/* Any two that are contiguous hold one that is aligned: a transparent large page. */
	uintptr_t start = (uintptr_t)map(2 * LARGE, PROT_READ | PROT_WRITE, 0, "room for a large page");
	char *aligned = (char *)((start + LARGE - 1) / LARGE * LARGE);

	if (madvise(aligned, LARGE, MADV_HUGEPAGE)) {
		fail("madvise");
	}
	*(volatile char *)aligned = 1;
}

/** Memory that is not RAM, uncached. */
static void map_device(void)
{
	if (mknod("/mem", S_IFCHR | 0600, makedev(1, 1))) {
		fail("mknod");
	}
	int memory = open("/mem", O_RDWR | O_SYNC);

	if (memory < 0 || mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, memory, DEVICE) == MAP_FAILED) {
		fail("/dev/mem");
	}
}

int main(void)
{
	char line[16];

	map_small();
	map_large();
	map_device();
	say("ready");
	if (read(0, line, sizeof(line)) <= 0) {
		fail("read");
	}
	say("spinning");
	for (;;) {
		__asm__ volatile("pause");
	}
}
