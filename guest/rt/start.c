/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the entry point to main() and out again: checks the boot information, makes argv of the arguments, and ends the
 * guest. The CPU's tables are the business of the architecture's start.S.
 */
#include "rt.h"

/* The linker script puts what files of the program want to be called first between these (guest.h). */
extern void (*const hs_begin_start[])(void);
extern void (*const hs_begin_stop[])(void);

static const struct hs_abi_boot *boot_info;

const struct hs_abi_boot *hs_boot_info(void)
{
	return boot_info;
}

const struct hs_abi_mapping *hs_guest_mapping(const char *label)
{
	const struct hs_abi_mapping *list = (const struct hs_abi_mapping *)(uintptr_t)boot_info->mappings_start;

	for (size_t i = 0; i < boot_info->mappings_count; i++) {
		if (strcmp(list[i].label, label) == 0) {
			return &list[i];
		}
	}
	return NULL;
}

/* The host has ended the guest with the out before this; a debugger that goes on anyway stays here. */
__attribute__((noreturn)) static void stop(void)
{
	for (;;) {
		__asm__ volatile("hlt");
	}
}

void hs_exit(int status)
{
	hs_out32(HS_PORT_EXIT, (uint32_t)status);
	stop();
}

void hs_halt(void)
{
	hs_out32(HS_PORT_HALT, 0);
	stop();
}

void hs_abort(const char *message)
{
	/* Three bytes of the message in each word, above their count. A byte 0xFF ends it: no message holds one. */
	while (*message != 0) {
		uint32_t word = 0;
		uint32_t count = 0;
		while (count < 3 && message[count] != 0) {
			word |= (uint32_t)(uint8_t)message[count] << (8 + 8 * count);
			count++;
		}
		message += count;
		hs_out32(HS_PORT_ABORT, word | count);
	}
	hs_out32(HS_PORT_ABORT, 0xFF << 8 | 1);
	stop();
}

/* The arguments stand one after the other, each with its NUL. */
static char **make_argv(const struct hs_abi_boot *boot)
{
	char **argv = hs_malloc((size_t)(boot->args_count + 1) * sizeof(*argv));
	if (argv == NULL) {
		hs_abort("no room in the heap for the arguments");
	}
	char *next = (char *)(uintptr_t)boot->args_start;
	for (size_t i = 0; i < boot->args_count; i++) {
		argv[i] = next;
		next += strlen(next) + 1;
	}
	argv[boot->args_count] = NULL;
	return argv;
}

void hs_guest_start(const struct hs_abi_boot *boot)
{
	if (boot->magic != HS_BOOT_MAGIC || boot->version != HS_BOOT_VERSION || boot->bytes < sizeof(*boot)) {
		hs_abort("the boot information is not of the version this guest was built for");
	}
	boot_info = boot;
	for (void (*const *each)(void) = hs_begin_start; each != hs_begin_stop; each++) {
		(*each)();
	}
	hs_exit(main((int)boot->args_count, make_argv(boot)));
}
