/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the mappings of the configuration lie: at the physical addresses they ask for, or the plan fails. */
#include "vmm/layout_parts.h"

#include "base/arith.h"
#include "base/error.h"

/* The APIC's page, and behind it what KVM keeps for itself (KVM_SET_TSS_ADDR, vmm/kvm/vm.c) and a PC its firmware. */
#define RESERVED_GPA 0xFEE00000u
#define RESERVED_BYTES (0x100000000ull - RESERVED_GPA)

static enum hs_status refuse_overlap(const struct hs_vm_mapping *mapping, const char *what, uint64_t gpa,
				     uint64_t length, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_RANGE, 0, mapping->gpa.v,
			    "mapping '%s' at gpa 0x%llx of %llu bytes overlaps %s at 0x%llx to 0x%llx", mapping->label,
			    (unsigned long long)mapping->gpa.v, (unsigned long long)mapping->length, what,
			    (unsigned long long)gpa, (unsigned long long)(gpa + (length - 1)));
}

static enum hs_status check_shape(const struct hs_vm_mapping *mapping, enum hs_arch arch, uint64_t *ret_bytes,
				  struct hs_error *err)
{
	struct hs_layout_top top;
	uint64_t bytes = 0;
	uint64_t last;
	bool fits = hs_align_up(mapping->length, HS_PAGE_SIZE, &bytes) && hs_add_u64(mapping->gpa.v, bytes, &last);

	hs_layout_top_of(arch, &top);
	if (mapping->gpa.v % HS_PAGE_SIZE || (mapping->host && mapping->length % HS_PAGE_SIZE)) {
		return hs_error_set(err, HS_ERR_RANGE, 0, mapping->gpa.v,
				    "mapping '%s' at gpa 0x%llx of %llu bytes is not page-aligned", mapping->label,
				    (unsigned long long)mapping->gpa.v, (unsigned long long)mapping->length);
	}
	if (mapping->length == 0) {
		return hs_error_set(err, HS_ERR_RANGE, 0, mapping->gpa.v, "mapping '%s' is empty", mapping->label);
	}
	if (fits && hs_ranges_overlap(mapping->gpa.v, bytes, RESERVED_GPA, RESERVED_BYTES)) {
		return refuse_overlap(mapping, "what is reserved for the APIC and for KVM", RESERVED_GPA,
				      RESERVED_BYTES, err);
	}
	if (!fits || !hs_range_within(mapping->gpa.v, bytes, top.gpa)) {
		return hs_error_set(err, HS_ERR_RANGE, 0, mapping->gpa.v,
				    "mapping '%s' at gpa 0x%llx of %llu bytes is not below 0x%llx, the end of an %s "
				    "guest's memory",
				    mapping->label, (unsigned long long)mapping->gpa.v,
				    (unsigned long long)mapping->length, (unsigned long long)top.gpa,
				    hs_arch_name(arch));
	}
	*ret_bytes = bytes;
	return HS_OK;
}

static enum hs_status check_place(const struct hs_vm_config *config, size_t index, uint64_t bytes,
				  const struct hs_layout *layout, struct hs_error *err)
{
	const struct hs_vm_mapping *mapping = &config->mappings[index];

	if (mapping->gpa.v == 0) {
		return refuse_overlap(mapping, "page 0, which is never there,", 0, HS_PAGE_SIZE, err);
	}
	if (hs_ranges_overlap(mapping->gpa.v, bytes, layout->snapshot_gpa.v, layout->snapshot_bytes)) {
		return refuse_overlap(mapping, "the guest's image, heap and stack", layout->snapshot_gpa.v,
				      layout->snapshot_bytes, err);
	}
	if (hs_ranges_overlap(mapping->gpa.v, bytes, layout->scratch_gpa.v, layout->scratch_bytes)) {
		return refuse_overlap(mapping, "the scratch region", layout->scratch_gpa.v, layout->scratch_bytes, err);
	}
	for (size_t i = 0; i < index; i++) {
		const struct hs_area *other = hs_layout_mapping(layout, i);

		if (hs_ranges_overlap(mapping->gpa.v, bytes, other->gpa.v, other->length)) {
			return hs_error_set(err, HS_ERR_RANGE, 0, mapping->gpa.v,
					    "mapping '%s' at gpa 0x%llx of %llu bytes overlaps mapping '%s' at 0x%llx "
					    "to 0x%llx",
					    mapping->label, (unsigned long long)mapping->gpa.v,
					    (unsigned long long)mapping->length, config->mappings[i].label,
					    (unsigned long long)other->gpa.v,
					    (unsigned long long)(other->gpa.v + (other->length - 1)));
		}
	}
	return HS_OK;
}

enum hs_status hs_layout_place_mappings(const struct hs_vm_config *config, uint64_t low_end, struct hs_layout *layout,
					struct hs_error *err)
{
	for (size_t i = 0; config && i < config->mapping_count; i++) {
		const struct hs_vm_mapping *mapping = &config->mappings[i];
		struct hs_area area = { .kind = HS_AREA_MAPPING, .gpa = mapping->gpa, .prot = HS_PROT_READ };
		enum hs_status st = check_shape(mapping, layout->arch, &area.length, err);

		if (!st) {
			st = check_place(config, i, area.length, layout, err);
		}
		if (st) {
			return st;
		}
		if (!hs_layout_find_gap(layout, area.gpa, area.length, low_end, &area.gva.v)) {
			return hs_error_set(err, HS_ERR_RANGE, 0, mapping->gpa.v,
					    "mapping '%s': the image leaves no gap of %llu bytes in the address space",
					    mapping->label, (unsigned long long)area.length);
		}
		area.prot |= mapping->writable ? HS_PROT_WRITE : 0;
		layout->areas[layout->area_count] = area;
		layout->area_count++;
	}
	return HS_OK;
}
