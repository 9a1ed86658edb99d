/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * print_lines IMAGE [ADDRESS...]: for each hexadecimal address, from the arguments or else one a line from stdin, one
 * line "FUNCTION+0xOFFSET FILE:LINE", "?" for what is not known. For check_lines.
 */
#include "symbols/symbols.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print(const struct hs_symbols *symbols, uint64_t address)
{
	struct hs_symbol symbol = { .function = "", .file = "" };

	if (hs_symbols_lookup(symbols, hs_gva_of(address), &symbol) != HS_OK) {
		printf("? ?\n");
		return;
	}
	if (*symbol.function) {
		printf("%s+0x%" PRIx64, symbol.function, symbol.offset);
	} else {
		printf("?");
	}
	if (symbol.line > 0) {
		printf(" %s:%" PRIu32 "\n", symbol.file, symbol.line);
	} else {
		printf(" ?\n");
	}
}

int main(int argc, char **argv)
{
	struct hs_error err = { 0 };
	struct hs_symbols *symbols;
	char line[64];
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;

	if (fd < 0 || hs_symbols_open(fd, argv[1], &symbols, &err) != HS_OK) {
		fprintf(stderr, "print_lines: %s\n", err.message);
		return 1;
	}
	close(fd);
	for (int i = 2; i < argc; i++) {
		print(symbols, strtoull(argv[i], NULL, 16));
	}
	while (argc == 2 && fgets(line, sizeof(line), stdin)) {
		print(symbols, strtoull(line, NULL, 16));
	}
	hs_symbols_close(symbols);
	return 0;
}
