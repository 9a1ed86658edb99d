/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Console output. A whole text goes out in one port access wherever it can: an exit costs more than the bytes. */
#include "rt.h"

/* HS_PORT_PRINT takes no more in one call (abi.h). */
#define PRINT_MAX 65536

void hs_write(const void *bytes, size_t length)
{
	const char *next = bytes;
	while (length > 0) {
		size_t part = length < PRINT_MAX ? length : PRINT_MAX;
		__asm__ volatile("outl %%eax, %0" : : "N"(HS_PORT_PRINT), "a"(0), "S"(next), "c"(part) : "memory");
		next += part;
		length -= part;
	}
}

void hs_print(const char *string)
{
	hs_write(string, strlen(string));
}

int hs_vprintf(const char *format, va_list args)
{
	char buffer[256];
	struct hs_format_out out = { .buffer = buffer, .size = sizeof(buffer), .flush = hs_write };
	hs_format(&out, format, args);
	hs_write(buffer, out.used);
	return (int)out.total;
}

int hs_printf(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int length = hs_vprintf(format, args);
	va_end(args);
	return length;
}
