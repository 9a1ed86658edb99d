/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The small types that every layer shares: guest addresses, the architecture, access permissions.
 */
#ifndef HINDSIGHT_TYPES_H
#define HINDSIGHT_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A guest-virtual (linear) address. A struct, so that it cannot be passed where a guest-physical one is wanted. */
typedef struct {
	uint64_t v;
} hs_gva;

/** A guest-physical address. */
typedef struct {
	uint64_t v;
} hs_gpa;

static inline hs_gva hs_gva_of(uint64_t address)
{
	hs_gva made = { address };

	return made;
}

static inline hs_gpa hs_gpa_of(uint64_t address)
{
	hs_gpa made = { address };

	return made;
}

/** The architecture of a guest image: its register set, its ELF class and machine, its paging formats. */
enum hs_arch {
	HS_ARCH_AMD64, /**< ELFCLASS64, EM_X86_64, long mode */
	HS_ARCH_I686,  /**< ELFCLASS32, EM_386, protected mode */
};

/** "amd64" or "i686"; a static string. */
const char *hs_arch_name(enum hs_arch arch);

/** Access permissions, as a set of bits. */
enum hs_prot {
	HS_PROT_READ = 1,
	HS_PROT_WRITE = 2,
	HS_PROT_EXEC = 4,
};

/** The page size of every x86 paging format's smallest leaf, in bytes. */
#define HS_PAGE_SIZE 4096u

#ifdef __cplusplus
}
#endif
#endif
