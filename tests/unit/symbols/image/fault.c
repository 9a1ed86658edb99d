/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image for tests of symbols and of cores: three frames deep, a store through a null pointer. It never runs. */
#include <stdint.h>

int run(void);
int middle(int depth);
void store_null(volatile int *target, int value);

const char sentinel[] = "sentinel of the image";
int initialised = 0x12345678;
int zeroed[4096];

static inline __attribute__((always_inline)) int inlined(int value)
{
	return value * value + initialised;
}

__attribute__((noinline)) void store_null(volatile int *target, int value)
{
	*target = value;
	zeroed[value & 1]++;
}

__attribute__((noinline)) int middle(int depth)
{
	int local = inlined(depth);

	store_null((volatile int *)(uintptr_t)0x10, local);
	return local + 1;
}

/* Two names of one address: the global one is shown. */
static int __attribute__((used, alias("run"))) run_alias(void);

int run(void)
{
	return middle(3) + sentinel[0];
}
