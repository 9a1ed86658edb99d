/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest linked in the upper half of the address space, as kernels are: 0xFFFFFFFF80000000 or 0xC0000000. With the
 * argument "crash" it writes to its own code.
 */
#include <hindsight/guest.h>

static const char *const words[] = { "upper", "half" };

__attribute__((noinline)) static void write_to(volatile uint8_t *where)
{
	*where = 0;
}

int main(int argc, char **argv)
{
	hs_printf("%s %s: main at %p, boot information at %p\n", words[0], words[1], (void *)(uintptr_t)main,
		  (const void *)hs_boot_info());
	if (argc > 1 && strcmp(argv[1], "crash") == 0) {
		write_to((volatile uint8_t *)(uintptr_t)main);
	}
	return 0;
}
