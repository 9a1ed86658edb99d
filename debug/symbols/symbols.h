/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From an address in a guest to the function and source line of its image.
 *
 * In: an ELF file. Out: names. All but inlined functions is read when the file is opened; it stays open for these.
 * Lines come from DWARF (libdwarf), functions from the symbol table (libelf); either may be missing. It knows nothing
 * of guests: addresses are those that the image asks for.
 */
#ifndef HS_SYMBOLS_SYMBOLS_H
#define HS_SYMBOLS_SYMBOLS_H

#include <hindsight/error.h>
#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hs_symbols;

/** What is at an address. Strings are never NULL and are borrowed from the symbols. */
struct hs_symbol {
	const char *function; /**< empty when no function is known there */
	uint64_t offset;      /**< of the address in the function, bytes */
	const char *file;     /**< source file as the compiler named it, mostly absolute; empty when no line is known */
	uint32_t line;        /**< 1 and up; 0 when none is known */
};

/**
 * Read the symbols of an image.
 *
 * HS_ERR_FORMAT: not an ELF file, or one whose section headers are broken. HS_ERR_IO, HS_ERR_NOMEM. Broken or missing
 * DWARF is no failure: there are no lines then.
 *
 * @param fd    open for reading; its position is not used and not changed, and it may be closed afterwards
 * @param name  for messages
 * @param ret   owned by the caller until hs_symbols_close()
 */
HS_MUST_CHECK enum hs_status hs_symbols_open(int fd, const char *name, struct hs_symbols **ret, struct hs_error *err);
/** Free the symbols. NULL is fine. */
void hs_symbols_close(struct hs_symbols *symbols);

/** What is at gva. HS_ERR_NOT_FOUND, with nothing changed, when neither function nor line is known; fills no error. */
HS_MUST_CHECK enum hs_status hs_symbols_lookup(const struct hs_symbols *symbols, hs_gva gva, struct hs_symbol *ret);

/** Most functions at one address that hs_symbols_frames() gives. */
#define HS_SYMBOLS_FRAMES_MAX 64u

/**
 * The functions at gva, the innermost first: what is inlined into each other there, and last the function whose code it
 * is. Of the others the line is that of the call that was inlined, and the offset is 0. Names are those of the source:
 * "total" where the symbol table has "total.constprop.0". DWARF is read for this; not for two threads at once.
 *
 * @param is_return  gva is where a call returns to: the functions and lines are those of the call before it
 * @param ret        filled from its start with at most capacity of them
 * @return           how many there are; 0 where neither a function nor a line is known
 */
size_t hs_symbols_frames(struct hs_symbols *symbols, hs_gva gva, bool is_return, struct hs_symbol *ret,
			 size_t capacity);

/**
 * Take what the image lacks from its debug file: DIRECTORY/.build-id/NN/NNN.debug, as distributions install them
 * (gdb manual, Separate Debug Files). Symbols that have lines are left as they are.
 *
 * HS_ERR_NOT_FOUND: no build-id, or no such file with the same one. HS_ERR_IO, HS_ERR_FORMAT, HS_ERR_NOMEM. On failure
 * nothing changed.
 */
HS_MUST_CHECK enum hs_status hs_symbols_add_debug(struct hs_symbols *symbols, const char *directory,
						  struct hs_error *err);

/** The GNU build-id: its bytes, and in *ret_length how many, 0 when the image has none. Borrowed from the symbols. */
const uint8_t *hs_symbols_build_id(const struct hs_symbols *symbols, size_t *ret_length);

/** Longest text of hs_symbol_print() that is never cut, with its NUL. */
#define HS_SYMBOL_TEXT_MAX 256

/**
 * A symbol as people write it: "store_null+0x1c (fault.c:12)", "store_null+0x1c" or "fault.c:12"; the file without
 * directories. The text is cut to fit and always ends in a NUL; characters that do not print become '?'.
 */
void hs_symbol_print(const struct hs_symbol *symbol, char *ret, size_t size);

#endif
