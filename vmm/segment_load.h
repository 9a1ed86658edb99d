/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Loading a segment register as the CPU does: selector -> descriptor in the guest's GDT or LDT -> hidden part, with the
 * CPU's checks (SDM vol. 3A 5.5 to 5.7). For state that is put together from what the guest's memory says.
 */
#ifndef HS_VMM_SEGMENT_LOAD_H
#define HS_VMM_SEGMENT_LOAD_H

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>

#include <stddef.h>
#include <stdint.h>

/** Where descriptors are looked up. All borrowed. */
struct hs_segment_source {
	const struct hs_phys *phys;
	const struct hs_root *root; /* GDT and LDT are read through these tables */
	const struct hs_dtable *gdt;
	const struct hs_segment *ldtr;
};

/** Read length bytes at gva, all or nothing: HS_ERR_UNREADABLE. */
HS_MUST_CHECK enum hs_status hs_segment_read(const struct hs_segment_source *source, uint64_t gva, void *ret,
					     size_t length, struct hs_error *err);

/** CS: present code of the privilege level that the selector's RPL says. HS_ERR_FORMAT, HS_ERR_UNREADABLE. */
HS_MUST_CHECK enum hs_status hs_segment_load_code(const struct hs_segment_source *source, uint16_t selector,
						  struct hs_segment *ret, struct hs_error *err);
/** SS for code of privilege level cpl; null is one only for 64-bit code above ring 3, as cs says. */
HS_MUST_CHECK enum hs_status hs_segment_load_stack(const struct hs_segment_source *source, uint16_t selector,
						   const struct hs_segment *cs, struct hs_segment *ret,
						   struct hs_error *err);
/** DS, ES, FS or GS; null makes it unusable. */
HS_MUST_CHECK enum hs_status hs_segment_load_data(const struct hs_segment_source *source, uint16_t selector,
						  struct hs_segment *ret, struct hs_error *err);
/** LDTR or TR of 32-bit mode: a system descriptor of that type (enum hs_descriptor_type) in the GDT; null makes it
 * unusable. */
HS_MUST_CHECK enum hs_status hs_segment_load_system(const struct hs_segment_source *source, uint16_t selector,
						    uint8_t type, struct hs_segment *ret, struct hs_error *err);

#endif
