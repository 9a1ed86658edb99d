/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image that knows nothing of the SDK: no note, no runtime, its own entry point. It prints through the debug console
 * port and ends through QEMU's debug exit port, status 5 << 1 | 1 = 11.
 */
static void out8(unsigned short port, unsigned char value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

__attribute__((noreturn)) void _start(void);

void _start(void)
{
	static const char text[] = "hello from a bare guest\n";
	for (const char *next = text; *next != 0; next++) {
		out8(0xE9, (unsigned char)*next);
	}
	__asm__ volatile("outl %0, $0xF4" : : "a"(5));
	for (;;) {
		__asm__ volatile("hlt");
	}
}
