/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "symbols/elf_open.h"

#include "base/error.h"

#include <stddef.h>

enum hs_status hs_elf_open(int fd, const char *name, Elf **ret, struct hs_error *err)
{
	if (elf_version(EV_CURRENT) == EV_NONE) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0, "libelf does not know this version of ELF");
	}
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);

	if (elf == NULL || elf_kind(elf) != ELF_K_ELF) {
		elf_end(elf);
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "%s: not an ELF file", name);
	}
	*ret = elf;
	return HS_OK;
}
