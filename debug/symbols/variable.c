/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/variable.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "symbols/elf_open.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct finding {
	const char *symbol;
	bool global;
	unsigned int found; /* how many of the best kind */
	uint64_t value;
};

/* Variables of C, and labels of assembly, which have no type. */
static bool is_variable(const GElf_Sym *symbol)
{
	unsigned int type = GELF_ST_TYPE(symbol->st_info);

	return (type == STT_OBJECT || type == STT_NOTYPE) && symbol->st_shndx != SHN_UNDEF;
}

static void look(struct finding *finding, const GElf_Sym *symbol)
{
	bool global = GELF_ST_BIND(symbol->st_info) != STB_LOCAL;

	if (finding->global && !global) {
		return;
	}
	if (global && !finding->global) {
		finding->found = 0;
		finding->global = true;
	}
	/* Stripped tables repeat what others have. */
	finding->found += finding->found == 0 || finding->value != symbol->st_value;
	finding->value = symbol->st_value;
}

static void look_in_table(struct finding *finding, Elf *elf, Elf_Scn *scn, const GElf_Shdr *table)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	GElf_Sym symbol;

	for (int i = 1; data != NULL && gelf_getsym(data, i, &symbol) != NULL; i++) {
		const char *name = elf_strptr(elf, table->sh_link, symbol.st_name);

		if (name != NULL && is_variable(&symbol) && strcmp(name, finding->symbol) == 0) {
			look(finding, &symbol);
		}
	}
}

static void look_in_image(struct finding *finding, Elf *elf)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr section;

	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		if (gelf_getshdr(scn, &section) != NULL &&
		    (section.sh_type == SHT_SYMTAB || section.sh_type == SHT_DYNSYM)) {
			look_in_table(finding, elf, scn, &section);
		}
	}
}

enum hs_status hs_variable_find(int fd, const char *name, const char *symbol, hs_gva *ret, struct hs_error *err)
{
	struct finding finding = { .symbol = symbol };
	char path[64];

	/* The library seeks, and a duplicate would share the position. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	HS_CLOSE int own = open(path, O_RDONLY | O_CLOEXEC);

	if (own < 0) {
		return hs_error_os(err, errno, "cannot read %s", name);
	}
	Elf *elf;
	enum hs_status st = hs_elf_open(own, name, &elf, err);

	if (st) {
		return st;
	}
	look_in_image(&finding, elf);
	elf_end(elf);
	if (finding.found == 0) {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "%s has no variable '%s'", name, symbol);
	}
	if (finding.found > 1) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "%s has %u variables '%s'", name, finding.found, symbol);
	}
	*ret = hs_gva_of(finding.value);
	return HS_OK;
}
