/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions and lines of an image, together. See symbols.h. */
#include "symbols/symbols.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/utf8.h"
#include "symbols/cfi.h"
#include "symbols/code.h"
#include "symbols/dwarf_lines.h"
#include "symbols/dwarf_check.h"
#include "symbols/dwarf_reader.h"
#include "symbols/elf_functions.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(HS_DWARF_SCOPES_MAX == HS_SYMBOLS_FRAMES_MAX, "every function found has its place");

/** Most names of files that inlined functions were called from. */
#define STRINGS_MAX (1u << 16)

/** Places whose functions are remembered: a recursion asks for the same ones again and again. */
#define PLACES 16u

/** The functions at an address. */
struct place {
	uint64_t address;
	bool is_return;
	size_t count; /* 0: not in use */
	struct hs_symbol symbols[HS_SYMBOLS_FRAMES_MAX];
};

/** An open file, and its DWARF. */
struct source {
	int fd;
	struct hs_dwarf_reader *reader; /* NULL: it has none */
};

struct hs_symbols {
	struct hs_elf_functions functions;
	struct hs_dwarf_lines lines;
	struct hs_cfi_table frames;
	struct source image, debug;
	struct hs_dwarf_reader *reader; /* what the lines are from; borrowed from one of the two */
	char **strings;                 /* names that were handed out */
	size_t string_count, string_capacity;
	struct place places[PLACES];
	size_t next_place; /* to be overwritten */
};

/** A descriptor with a position of its own: the libraries seek. A duplicate would share the caller's position. */
static int reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int own = open(path, O_RDONLY | O_CLOEXEC);

	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/** Take in the DWARF of a file: lines unless there are some, and call-frame information. */
static enum hs_status read_dwarf(struct hs_symbols *symbols, struct source *source, const char *name,
				 struct hs_error *err)
{
	source->reader = hs_dwarf_reader_open(source->fd);
	if (source->reader == NULL) {
		return HS_OK;
	}
	if (symbols->lines.row_count == 0 && hs_dwarf_is_sound(source->fd)) {
		symbols->reader = source->reader;
		if (!hs_dwarf_reader_lines(source->reader, &symbols->lines)) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the source lines of %s", name);
		}
	}
	if (!hs_dwarf_reader_frames(source->reader, &symbols->frames)) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the call frames of %s", name);
	}
	return HS_OK;
}

enum hs_status hs_symbols_open(int fd, const char *name, struct hs_symbols **ret, struct hs_error *err)
{
	struct hs_symbols *symbols = calloc(1, sizeof(*symbols));

	if (symbols == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the symbols of %s", name);
	}
	hs_cfi_init(&symbols->frames);
	symbols->debug.fd = -1;
	symbols->image.fd = reopen(fd);
	enum hs_status st = symbols->image.fd >= 0 ? HS_OK : hs_error_os(err, errno, "cannot read %s", name);

	st = st ? st : hs_elf_functions_init(symbols->image.fd, name, &symbols->functions, err);
	st = st ? st : read_dwarf(symbols, &symbols->image, name, err);
	if (st) {
		hs_symbols_close(symbols);
		return st;
	}
	*ret = symbols;
	return HS_OK;
}

static void close_source(struct source *source)
{
	hs_dwarf_reader_close(source->reader);
	if (source->fd >= 0) {
		close(source->fd);
	}
}

void hs_symbols_close(struct hs_symbols *symbols)
{
	if (symbols == NULL) {
		return;
	}
	hs_elf_functions_deinit(&symbols->functions);
	hs_dwarf_lines_deinit(&symbols->lines);
	hs_cfi_deinit(&symbols->frames);
	close_source(&symbols->image);
	close_source(&symbols->debug);
	for (size_t i = 0; i < symbols->string_count; i++) {
		free(symbols->strings[i]);
	}
	free(symbols->strings);
	free(symbols);
}

enum hs_status hs_symbols_lookup(const struct hs_symbols *symbols, hs_gva gva, struct hs_symbol *ret)
{
	const struct hs_elf_function *function = hs_elf_function_at(&symbols->functions, gva.v);
	const struct hs_dwarf_row *row = hs_dwarf_row_at(&symbols->lines, gva.v);

	if (row != NULL && !hs_elf_is_code(&symbols->functions, gva.v)) {
		row = NULL;
	}
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

/** Keep a name as long as the symbols, once. Takes it; without memory for it, "". */
static const char *keep_string(struct hs_symbols *symbols, char *string)
{
	for (size_t i = 0; i < symbols->string_count; i++) {
		if (strcmp(symbols->strings[i], string) == 0) {
			free(string);
			return symbols->strings[i];
		}
	}
	if (symbols->string_count == symbols->string_capacity) {
		size_t capacity = 2 * symbols->string_capacity + 16;
		char **larger = capacity <= STRINGS_MAX ? reallocarray(symbols->strings, capacity, sizeof(*larger))
							: NULL;

		if (larger == NULL) {
			free(string);
			return "";
		}
		symbols->strings = larger;
		symbols->string_capacity = capacity;
	}
	symbols->strings[symbols->string_count++] = string;
	return string;
}

/** Put the inlined functions before the one that they are inlined into, and name that as the source does. */
static void put_scopes(struct hs_symbols *symbols, const struct hs_dwarf_scope *scopes, size_t count,
		       struct hs_symbol *ret)
{
	struct hs_symbol outer = ret[0], at = { .function = "", .file = outer.file, .line = outer.line };

	for (size_t i = 0; i < count; i++) {
		const struct hs_dwarf_scope *scope = &scopes[count - 1 - i];
		bool is_last = i + 1 == count;

		at.function = scope->name != NULL ? scope->name : (is_last ? outer.function : "");
		at.offset = is_last ? outer.offset : 0;
		ret[i] = at;
		at.file = scope->call_file != NULL ? keep_string(symbols, scope->call_file) : "";
		at.line = scope->call_line;
	}
}

/** Look a place up. False when neither a function nor a line is known there. */
static bool look_up(struct hs_symbols *symbols, uint64_t gva, bool is_return, struct place *ret)
{
	struct hs_dwarf_scope scopes[HS_DWARF_SCOPES_MAX];
	uint64_t address = gva - is_return;
	const struct hs_dwarf_unit *unit = hs_dwarf_unit_at(&symbols->lines, address);

	ret->count = 0;
	if (hs_symbols_lookup(symbols, hs_gva_of(address), &ret->symbols[0])) {
		return false;
	}
	ret->symbols[0].offset += is_return;
	ret->address = gva;
	ret->is_return = is_return;
	ret->count = 1;
	size_t count = unit != NULL ? hs_dwarf_reader_scopes(symbols->reader, unit, address, scopes) : 0;

	if (count > 0) {
		put_scopes(symbols, scopes, count, ret->symbols);
		ret->count = count;
	}
	return true;
}

size_t hs_symbols_frames(struct hs_symbols *symbols, hs_gva gva, bool is_return, struct hs_symbol *ret, size_t capacity)
{
	struct place *place = NULL;

	for (size_t i = 0; i < PLACES && place == NULL; i++) {
		struct place *known = &symbols->places[i];

		place = known->count > 0 && known->address == gva.v && known->is_return == is_return ? known : NULL;
	}
	if (place == NULL) {
		place = &symbols->places[symbols->next_place];
		if (!look_up(symbols, gva.v, is_return, place)) {
			return 0;
		}
		symbols->next_place = (symbols->next_place + 1) % PLACES;
	}
	memcpy(ret, place->symbols, sizeof(*ret) * (place->count < capacity ? place->count : capacity));
	return place->count;
}

bool hs_symbols_is_code(const struct hs_symbols *symbols, uint64_t address)
{
	return hs_elf_is_code(&symbols->functions, address);
}

bool hs_symbols_function_start(const struct hs_symbols *symbols, uint64_t address, uint64_t *ret)
{
	const struct hs_elf_function *function = hs_elf_function_at(&symbols->functions, address);

	if (function == NULL) {
		return false;
	}
	*ret = function->start;
	return true;
}

enum hs_symbols_row hs_symbols_row_at(const struct hs_symbols *symbols, uint64_t address, struct hs_cfi_row *ret)
{
	const struct hs_cfi_fde *fde = hs_symbols_is_code(symbols, address) ? hs_cfi_at(&symbols->frames, address)
									    : NULL;

	if (fde == NULL) {
		return HS_SYMBOLS_ROW_NONE;
	}
	return hs_cfi_row_at(&symbols->frames, fde, address, ret) ? HS_SYMBOLS_ROW_FOUND : HS_SYMBOLS_ROW_BROKEN;
}

/** Open the debug file of a build-id: its first byte names a directory, the others the file in it. */
static enum hs_status open_debug(const struct hs_symbols *symbols, const char *directory, int *ret,
				 struct hs_error *err)
{
	const uint8_t *id = symbols->functions.build_id;
	char hex[2 * sizeof(symbols->functions.build_id) + 1] = "", path[4096];
	size_t length = symbols->functions.build_id_length;

	if (length < 2) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "the image has no build-id");
	}
	for (size_t i = 0; i < length; i++) {
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	}
	if (snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", directory, hex, hex + 2) >= (int)sizeof(path)) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "the name of the debug file is too long");
	}
	*ret = open(path, O_RDONLY | O_CLOEXEC);
	return *ret >= 0 ? HS_OK : hs_error_os(err, errno, "cannot open %s", path);
}

enum hs_status hs_symbols_add_debug(struct hs_symbols *symbols, const char *directory, struct hs_error *err)
{
	struct hs_elf_functions functions, *own = &symbols->functions;
	HS_CLOSE int fd = -1;

	if (symbols->lines.row_count > 0) {
		return HS_OK;
	}
	enum hs_status st = open_debug(symbols, directory, &fd, err);

	st = st ? st : hs_elf_functions_init(fd, "the debug file", &functions, err);
	if (st) {
		return st;
	}
	if (functions.build_id_length != own->build_id_length ||
	    memcmp(functions.build_id, own->build_id, own->build_id_length) != 0) {
		hs_elf_functions_deinit(&functions);
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "the debug file is of another build");
	}
	/* The image knows its code; stripped, it has no functions. */
	if (own->count < functions.count) {
		struct hs_elf_functions swapped = *own;

		*own = functions;
		functions = swapped;
	}
	hs_elf_functions_deinit(&functions);
	memset(symbols->places, 0, sizeof(symbols->places));
	symbols->debug.fd = fd;
	fd = -1;
	return read_dwarf(symbols, &symbols->debug, "the debug file", err);
}

const uint8_t *hs_symbols_build_id(const struct hs_symbols *symbols, size_t *ret_length)
{
	*ret_length = symbols->functions.build_id_length;
	return symbols->functions.build_id;
}

void hs_symbol_print(const struct hs_symbol *symbol, char *ret, size_t size)
{
	const char *file = hs_base_name(symbol->file);

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
	hs_utf8_make_printable(ret);
}
