/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program as anybody's: linked with the C library, static, for the loader to read. It is never run. */
#include <stdio.h>

static int zeroes[100000];
static int numbers[100000] = { 1, 2, 3 };

int main(int argc, char **argv)
{
	numbers[argc] = zeroes[argc];
	printf("%s %d\n", argv[0], numbers[0]);
	return 0;
}
