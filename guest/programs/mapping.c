/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mapping of the host: mapping LABEL prints its bytes up to the first line feed or zero; with "write" it writes to
 * the first ones before, with "ready" it says so after that, with "force" it writes whatever the page tables say
 * (CR0.WP is 0), with "die" it aborts after that, with "beyond" it reads the byte behind its last page.
 */
#include <hindsight/guest.h>

#define CR0_WP 0x10000ul

static void ignore_write_protection(void)
{
	unsigned long cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~CR0_WP) : "memory");
}

int main(int argc, char **argv)
{
	const struct hs_abi_mapping *mapping = hs_guest_mapping(argc > 1 ? argv[1] : "data");
	const char *mode = argc > 2 ? argv[2] : "read";
	size_t length = 0;

	if (mapping == NULL) {
		hs_print("no such mapping\n");
		return 1;
	}
	volatile char *bytes = (volatile char *)(uintptr_t)mapping->start;
	size_t pages = (size_t)((mapping->length + 4095) / 4096);
	if (strcmp(mode, "beyond") == 0) {
		return bytes[pages * 4096];
	}
	if (strcmp(mode, "force") == 0) {
		ignore_write_protection();
	}
	if (strcmp(mode, "read") != 0) {
		for (size_t i = 0; i < 5; i++) {
			bytes[i] = "GUEST"[i];
		}
	}
	if (strcmp(mode, "ready") == 0) {
		hs_out32(HS_PORT_READY, 0);
	}
	if (strcmp(mode, "die") == 0) {
		hs_abort("as asked for");
	}
	while (length < mapping->length && bytes[length] != '\n' && bytes[length] != 0) {
		length++;
	}
	hs_printf("%s, %lu bytes at gpa 0x%lx, %s, first of %u: ", mapping->label, (unsigned long)mapping->length,
		  (unsigned long)mapping->gpa, mapping->flags & HS_MAPPING_WRITABLE ? "writable" : "read-only",
		  (unsigned int)hs_boot_info()->mappings_count);
	hs_write((const char *)bytes, length);
	/* What the file does not fill of its last page is zero. */
	hs_printf("; behind it %d\n", mapping->length % 4096 ? bytes[mapping->length] : 0);
	return 0;
}
