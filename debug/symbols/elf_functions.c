/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The symbol table of an image. See elf_functions.h. */
#include "symbols/elf_functions.h"

#include "base/error.h"
#include "symbols/elf_note.h"
#include "symbols/elf_open.h"

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/** Most functions, and most bytes of their names, that are kept: a Linux kernel has some 200,000. */
#define FUNCTIONS_MAX (1u << 22)
#define NAMES_MAX ((size_t)256 << 20)

/** Most sections of code; images that are linked have a handful. */
#define CODE_MAX 4096u

/** The ranks from here on are of symbols whose end is not known. */
#define RANK_LABEL 4u

/** How far a lookup goes back over functions that end before the address; functions rarely nest at all. */
#define BACK_MAX 64u

/** An image while it is read. */
struct reading {
	Elf *elf;
	const char *name; /* of the file */
	struct hs_elf_functions functions;
	size_t capacity, names_capacity;
};

static enum hs_status no_memory(const struct reading *reading, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the symbols of %s", reading->name);
}

static enum hs_status keep_name(struct reading *reading, const char *name, size_t *ret, struct hs_error *err)
{
	struct hs_elf_functions *functions = &reading->functions;
	size_t length = strlen(name) + 1;

	if (length > reading->names_capacity - functions->names_length) {
		size_t capacity = 2 * reading->names_capacity + length + 4096;
		char *larger = capacity <= NAMES_MAX ? realloc(functions->names, capacity) : NULL;

		if (larger == NULL) {
			return no_memory(reading, err);
		}
		functions->names = larger;
		reading->names_capacity = capacity;
	}
	memcpy(functions->names + functions->names_length, name, length);
	*ret = functions->names_length;
	functions->names_length += length;
	return HS_OK;
}

static enum hs_status keep_function(struct reading *reading, struct hs_elf_function function, const char *name,
				    struct hs_error *err)
{
	struct hs_elf_functions *functions = &reading->functions;

	if (functions->count == reading->capacity) {
		size_t capacity = 2 * reading->capacity + 64;
		struct hs_elf_function *larger =
			capacity <= FUNCTIONS_MAX ? reallocarray(functions->items, capacity, sizeof(*larger)) : NULL;

		if (larger == NULL) {
			return no_memory(reading, err);
		}
		functions->items = larger;
		reading->capacity = capacity;
	}
	enum hs_status st = keep_name(reading, name, &function.name, err);

	if (st == HS_OK) {
		functions->items[functions->count++] = function;
	}
	return st;
}

static uint8_t rank_of(const GElf_Sym *symbol)
{
	static const uint8_t BINDING[] = { [STB_LOCAL] = 2, [STB_GLOBAL] = 0, [STB_WEAK] = 1 };
	unsigned int bind = GELF_ST_BIND(symbol->st_info);
	uint8_t rank = bind < sizeof(BINDING) ? BINDING[bind] : 3;

	return GELF_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_size > 0 ? rank : (uint8_t)(rank + RANK_LABEL);
}

/**
 * Whether a symbol names code, and where that ends. Labels of assembly have neither a type nor a size: they reach to
 * the next symbol (hs_elf_function_at() takes the nearest), at most to the end of their section.
 */
static bool is_function(const struct reading *reading, const GElf_Sym *symbol, const char *name, uint64_t *ret_end)
{
	unsigned int type = GELF_ST_TYPE(symbol->st_info);
	GElf_Shdr section;

	if (name == NULL || *name == '\0' || (type != STT_FUNC && type != STT_NOTYPE) ||
	    symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE) {
		return false;
	}
	Elf_Scn *scn = elf_getscn(reading->elf, symbol->st_shndx);

	if (scn == NULL || gelf_getshdr(scn, &section) == NULL || !(section.sh_flags & SHF_EXECINSTR)) {
		return false;
	}
	uint64_t section_end = section.sh_addr + section.sh_size;
	uint64_t end = symbol->st_size > 0 ? symbol->st_value + symbol->st_size : section_end;

	*ret_end = end;
	return end > symbol->st_value && symbol->st_value >= section.sh_addr && symbol->st_value < section_end;
}

static enum hs_status read_table(struct reading *reading, Elf_Scn *scn, const GElf_Shdr *table, struct hs_error *err)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Sym symbol;

	for (int i = 1; data != NULL && gelf_getsym(data, i, &symbol) != NULL; i++) {
		const char *name = elf_strptr(reading->elf, table->sh_link, symbol.st_name);
		uint64_t end;

		if (!is_function(reading, &symbol, name, &end)) {
			continue;
		}
		const struct hs_elf_function function = {
			.start = symbol.st_value,
			.end = end,
			.rank = rank_of(&symbol),
		};
		enum hs_status st = keep_function(reading, function, name, err);

		if (st) {
			return st;
		}
	}
	return HS_OK;
}

/** What is loaded and executed. Other code (what the linker threw out, at address 0) has lines and functions, too. */
static enum hs_status read_code(struct reading *reading, struct hs_error *err)
{
	struct hs_elf_functions *functions = &reading->functions;
	size_t sections = 0;

	if (elf_getshdrnum(reading->elf, &sections) != 0 || sections == 0) {
		return HS_OK;
	}
	functions->code = calloc(sections < CODE_MAX ? sections : CODE_MAX, sizeof(*functions->code));
	if (functions->code == NULL) {
		return no_memory(reading, err);
	}
	for (size_t i = 0; i < sections && functions->code_count < CODE_MAX; i++) {
		Elf_Scn *scn = elf_getscn(reading->elf, i);
		GElf_Shdr section;

		if (scn != NULL && gelf_getshdr(scn, &section) != NULL && section.sh_flags & SHF_ALLOC &&
		    section.sh_flags & SHF_EXECINSTR) {
			functions->code[functions->code_count++] =
				(struct hs_elf_range){ section.sh_addr, section.sh_addr + section.sh_size };
		}
	}
	return HS_OK;
}

/** All sections: .symtab, or .dynsym where that was stripped, and notes. */
static enum hs_status read_sections(struct reading *reading, struct hs_error *err)
{
	const GElf_Word types[] = { SHT_SYMTAB, SHT_DYNSYM, SHT_NOTE };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		Elf_Scn *scn = NULL;
		GElf_Shdr section;
		enum hs_status st = HS_OK;

		if (types[i] == SHT_DYNSYM && reading->functions.count > 0) {
			continue;
		}
		while ((scn = elf_nextscn(reading->elf, scn)) != NULL) {
			if (gelf_getshdr(scn, &section) == NULL || section.sh_type != types[i]) {
				continue;
			}
			if (types[i] == SHT_NOTE && reading->functions.build_id_length == 0) {
				reading->functions.build_id_length =
					hs_elf_note_build_id(elf_getdata(scn, NULL), reading->functions.build_id);
			} else if (types[i] != SHT_NOTE) {
				st = read_table(reading, scn, &section, err);
			}
			if (st) {
				return st;
			}
		}
	}
	return HS_OK;
}

static int compare_functions(const void *left, const void *right)
{
	const struct hs_elf_function *a = left, *b = right;

	if (a->start != b->start) {
		return a->start < b->start ? -1 : 1;
	}
	/* The shown one comes last: a lookup goes backwards. */
	return a->rank > b->rank ? -1 : a->rank < b->rank;
}

enum hs_status hs_elf_functions_init(int fd, const char *name, struct hs_elf_functions *ret, struct hs_error *err)
{
	struct reading reading = { .name = name };

	enum hs_status st = hs_elf_open(fd, name, &reading.elf, err);

	if (st) {
		return st;
	}
	st = read_code(&reading, err);
	st = st ? st : read_sections(&reading, err);
	elf_end(reading.elf);
	if (st) {
		hs_elf_functions_deinit(&reading.functions);
		return st;
	}
	if (reading.functions.count > 0) {
		qsort(reading.functions.items, reading.functions.count, sizeof(*reading.functions.items),
		      compare_functions);
	}
	*ret = reading.functions;
	return HS_OK;
}

void hs_elf_functions_deinit(struct hs_elf_functions *functions)
{
	free(functions->items);
	free(functions->names);
	free(functions->code);
	*functions = (struct hs_elf_functions){ 0 };
}

const struct hs_elf_function *hs_elf_function_at(const struct hs_elf_functions *functions, uint64_t address)
{
	const struct hs_elf_function *label = NULL;
	size_t low = 0, high = functions->count;

	/* Behind the last one that starts at or before the address. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions->items[middle].start <= address) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	for (size_t back = 0; back < BACK_MAX && back < low; back++) {
		const struct hs_elf_function *function = &functions->items[low - 1 - back];

		if (address >= function->end) {
			continue;
		}
		/* A label within a function is a place in it, as gdb has it. */
		if (function->rank < RANK_LABEL) {
			return function;
		}
		label = label != NULL ? label : function;
	}
	return label;
}

bool hs_elf_is_code(const struct hs_elf_functions *functions, uint64_t address)
{
	for (size_t i = 0; i < functions->code_count; i++) {
		if (address >= functions->code[i].start && address < functions->code[i].end) {
			return true;
		}
	}
	return false;
}
