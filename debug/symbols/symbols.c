/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions and lines of an image, together. See symbols.h. */
#include "symbols/symbols.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "symbols/dwarf_lines.h"
#include "symbols/elf_functions.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hs_symbols {
	struct hs_elf_functions functions;
	struct hs_dwarf_lines lines;
};

/** A descriptor with a position of its own: the libraries seek. A duplicate would share the caller's position. */
static int reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int own = open(path, O_RDONLY | O_CLOEXEC);

	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

enum hs_status hs_symbols_open(int fd, const char *name, struct hs_symbols **ret, struct hs_error *err)
{
	HS_CLOSE int own = reopen(fd);

	if (own < 0) {
		return hs_error_os(err, errno, "cannot read %s", name);
	}
	HS_FREE struct hs_symbols *symbols = calloc(1, sizeof(*symbols));

	if (symbols == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the symbols of %s", name);
	}
	enum hs_status st = hs_elf_functions_init(own, name, &symbols->functions, err);

	if (st) {
		return st;
	}
	st = hs_dwarf_lines_init(own, name, &symbols->lines, err);
	if (st) {
		hs_elf_functions_deinit(&symbols->functions);
		return st;
	}
	*ret = HS_TAKE(symbols);
	return HS_OK;
}

void hs_symbols_close(struct hs_symbols *symbols)
{
	if (symbols == NULL) {
		return;
	}
	hs_elf_functions_deinit(&symbols->functions);
	hs_dwarf_lines_deinit(&symbols->lines);
	free(symbols);
}

enum hs_status hs_symbols_lookup(const struct hs_symbols *symbols, hs_gva gva, struct hs_symbol *ret)
{
	const struct hs_elf_function *function = hs_elf_function_at(&symbols->functions, gva.v);
	const struct hs_dwarf_row *row = hs_dwarf_row_at(&symbols->lines, gva.v);

	if (function == NULL && row == NULL) {
		return HS_ERR_NOT_FOUND;
	}
	*ret = (struct hs_symbol){
		.function = function != NULL ? symbols->functions.names + function->name : "",
		.offset = function != NULL ? gva.v - function->start : 0,
		.file = row != NULL ? symbols->lines.files[row->file] : "",
		.line = row != NULL ? row->line : 0,
	};
	return HS_OK;
}

const uint8_t *hs_symbols_build_id(const struct hs_symbols *symbols, size_t *ret_length)
{
	*ret_length = symbols->functions.build_id_length;
	return symbols->functions.build_id;
}

void hs_symbol_print(const struct hs_symbol *symbol, char *ret, size_t size)
{
	const char *slash = strrchr(symbol->file, '/');
	const char *file = slash != NULL ? slash + 1 : symbol->file;

	if (size == 0) {
		return;
	}
	if (symbol->line == 0) {
		snprintf(ret, size, "%s+0x%" PRIx64, symbol->function, symbol->offset);
	} else if (*symbol->function == '\0') {
		snprintf(ret, size, "%s:%" PRIu32, file, symbol->line);
	} else {
		snprintf(ret, size, "%s+0x%" PRIx64 " (%s:%" PRIu32 ")", symbol->function, symbol->offset, file,
			 symbol->line);
	}
	for (char *c = ret; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7F) {
			*c = '?';
		}
	}
}
