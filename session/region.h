/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory as a debugger asks for it beyond plain reads by gva: which piece of an address space holds an address, and
 * bytes by guest-physical address. Of any physical memory, so for a live guest and for a file alike.
 */
#ifndef HS_SESSION_REGION_H
#define HS_SESSION_REGION_H

#include <hindsight/coredump.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>
#include <hindsight/target.h>

/** hs_target_ops.mem_region in the address space of root. What is mapped and has no memory behind it is a hole. */
void hs_region_find(const struct hs_phys *phys, const struct hs_root *root, hs_gva gva, struct hs_target_region *ret);

/** The same of a core without page tables, as of a process: by its segments. */
void hs_region_of_core(const struct hs_core *core, hs_gva gva, struct hs_target_region *ret);

/** hs_target_ops.phys_region; a hole begins with gpa. */
void hs_region_of_physical(const struct hs_phys *phys, hs_gpa gpa, struct hs_target_region *ret);
/** hs_target_ops.phys_read. */
HS_MUST_CHECK enum hs_status hs_region_read_physical(const struct hs_phys *phys, hs_gpa gpa, void *buffer,
						     size_t length, size_t *ret_length, struct hs_error *err);
/** hs_target_ops.phys_write. HS_ERR_UNSUPPORTED: the memory is read-only. */
HS_MUST_CHECK enum hs_status hs_region_write_physical(const struct hs_phys *phys, hs_gpa gpa, const void *buffer,
						      size_t length, struct hs_error *err);

#endif
