/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page tables for people, the same to a command and to a debugger: roots, ranges, rights, the path of a walk. */
#ifndef HS_SESSION_PAGETABLE_TEXT_H
#define HS_SESSION_PAGETABLE_TEXT_H

#include <hindsight/paging.h>
#include <hindsight/spaces.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Hexadecimal digits of an address of the format. */
int hs_pagetable_digits(const struct hs_root *root);

/** "root 0x1000, amd64-4" as a line. */
void hs_pagetable_root_text(const struct hs_root *root, FILE *out);
/** The fields that are not zero, each between quotes, parted by between. */
void hs_pagetable_put_fields(const struct hs_entry_fields *fields, const char *quote, const char *between, FILE *out);
/** What stands above the lines of ranges. */
void hs_pagetable_columns_text(const struct hs_root *root, FILE *out);
/** The part of a line with first and last address and length. */
void hs_pagetable_extent_text(const struct hs_root *root, hs_gva first, uint64_t length, FILE *out);
/** A range as a line. */
void hs_pagetable_line_text(const struct hs_root *root, const struct hs_range *range, FILE *out);
/** "rwxu", '-' for each that is not there. */
void hs_pagetable_rights_text(int prot, bool user, FILE *out);
/** What a range is, without its addresses: "0x5000  rw-u  4K  A D", or what is wrong. No newline.
 *  width: columns for the digits of the gpa. */
void hs_pagetable_range_text(const struct hs_root *root, const struct hs_range *range, int width, FILE *out);

/** What comes of the address: the range, for memory from the address itself on. */
struct hs_range hs_pagetable_result(const struct hs_path *path, uint64_t address);
/** All of a walk: the root, a line for each level, and what comes of it. */
void hs_pagetable_walk_text(const struct hs_phys *phys, const struct hs_root *root, const struct hs_path *path,
			    uint64_t address, FILE *out);

#endif
