/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions and build-id out of an ELF file (libelf): its symbol table as a sorted array. */
#ifndef HS_SYMBOLS_ELF_FUNCTIONS_H
#define HS_SYMBOLS_ELF_FUNCTIONS_H

#include "symbols/build_id.h"

#include <hindsight/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** One function: [start, end), and its name as an offset into the names. */
struct hs_elf_function {
	uint64_t start, end;
	size_t name;
	uint8_t rank; /* of several at one address, the lowest is shown: global, weak, local, then labels */
};

/** Addresses of code: [start, end). */
struct hs_elf_range {
	uint64_t start, end;
};

/** Owns its arrays. */
struct hs_elf_functions {
	struct hs_elf_function *items; /* ascending by start, then by rank */
	size_t count;
	char *names; /* NUL-terminated strings, one after the other */
	size_t names_length;
	struct hs_elf_range *code; /* sections that are executed, as the file has them */
	size_t code_count;
	uint8_t build_id[HS_BUILD_ID_MAX];
	size_t build_id_length;
};

/** Read them. fd's position may move. As hs_symbols_open(). */
HS_MUST_CHECK enum hs_status hs_elf_functions_init(int fd, const char *name, struct hs_elf_functions *ret,
						   struct hs_error *err);
void hs_elf_functions_deinit(struct hs_elf_functions *functions);

/** The function that contains address, or NULL. */
const struct hs_elf_function *hs_elf_function_at(const struct hs_elf_functions *functions, uint64_t address);

/** Whether address is in a section that is executed. */
bool hs_elf_is_code(const struct hs_elf_functions *functions, uint64_t address);

#endif
