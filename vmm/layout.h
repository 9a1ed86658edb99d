/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where everything of a native or bare guest lies, in guest-physical and guest-virtual memory: a pure function from
 * image and configuration to a list of areas (docs/loader.md has the picture). It touches no memory of the guest.
 */
#ifndef HS_VMM_LAYOUT_H
#define HS_VMM_LAYOUT_H

#include "vmm/loader.h"

#include <hindsight/abi.h>
#include <hindsight/error.h>
#include <hindsight/paging.h>
#include <hindsight/types.h>
#include <hindsight/vm.h>

#include <stddef.h>
#include <stdint.h>

enum hs_area_kind {
	/* The snapshot region, in this order from HS_SNAPSHOT_BASE_GPA. */
	HS_AREA_IMAGE,       /* part of one segment, or a page that several share; there are as many as it takes */
	HS_AREA_BOOT,        /* struct hs_abi_boot, then the argument strings */
	HS_AREA_DESCRIPTORS, /* GDT, TSSs, double-fault stack; the CPU writes to it: busy bits, task switches */
	HS_AREA_IDT,
	HS_AREA_STUBS, /* the code that the IDT's gates lead to */
	HS_AREA_HEAP,
	HS_AREA_GUARD, /* not mapped: a stack overflow faults here */
	HS_AREA_STACK,
	/* The scratch region, in this order to the top of the arch's space. */
	HS_AREA_INPUT,
	HS_AREA_OUTPUT,
	HS_AREA_TABLES, /* the live page tables; the first page is the root */
	HS_AREA_FREE,
	HS_AREA_COUNTER, /* the guest counter; read-only, so it also guards the stack above it */
	HS_AREA_TOP,     /* bookkeeping words and below them the exception stack */
	/* In neither region: there are as many as the configuration has, in its order. */
	HS_AREA_MAPPING,
	HS_AREA_KIND_COUNT,
};

/** "image", "boot information", ...: static. */
const char *hs_area_name(enum hs_area_kind kind);

/** A page-aligned piece of memory with one purpose. */
struct hs_area {
	enum hs_area_kind kind;
	hs_gva gva;
	hs_gpa gpa;
	uint64_t length; /* bytes */
	int prot;        /* bits of enum hs_prot; 0 when the guest has no mapping of it */
};

/* A segment makes at most two areas more than the one before it left (its shared first page, its rest), plus one of
 * each other kind, plus the mappings. */
#define HS_LAYOUT_AREAS_MAX (2 * HS_IMAGE_SEGMENTS_MAX + HS_AREA_KIND_COUNT + HS_MAPPINGS_MAX)

/** A plan. Plain data, copied by assignment. */
struct hs_layout {
	enum hs_arch arch;
	struct hs_area areas[HS_LAYOUT_AREAS_MAX]; /* image areas first, ascending by gpa; gvas never overlap */
	size_t area_count;
	hs_gpa segment_gpa[HS_IMAGE_SEGMENTS_MAX]; /* of the page that holds the first byte of image->segments[i] */
	hs_gpa snapshot_gpa;
	uint64_t snapshot_bytes;
	hs_gpa scratch_gpa; /* back one region from here ... */
	hs_gva scratch_gva;
	uint64_t scratch_bytes; /* ... of this length, one from snapshot_gpa, and one for each mapping */
	uint64_t tables_used;   /* pages of HS_AREA_TABLES, all of them in use at entry */
	uint64_t memory_bytes;  /* limit of memory in all, mappings not counted */
	uint64_t args_bytes;    /* of all argument strings with their NULs */
	size_t first_mapping;   /* index of the area of the first mapping; the others follow */
};

/**
 * Plan the memory of a guest.
 *
 * HS_ERR_RANGE: a size is too small or too large, or things do not fit; the message names the option and the smallest
 * value that would work. HS_ERR_INVALID: arguments that make no sense. HS_ERR_UNSUPPORTED: PVH boot.
 *
 * @param image   borrowed for the call
 * @param config  borrowed for the call; NULL means all defaults. Mappings have their length, those of files too
 */
HS_MUST_CHECK enum hs_status hs_layout_plan(const struct hs_image *image, const struct hs_vm_config *config,
					    struct hs_layout *ret, struct hs_error *err);

/** The one area of a kind that exists once (any but HS_AREA_IMAGE and HS_AREA_MAPPING). */
const struct hs_area *hs_layout_area(const struct hs_layout *layout, enum hs_area_kind kind);

/** The area of mapping number index of the configuration. */
const struct hs_area *hs_layout_mapping(const struct hs_layout *layout, size_t index);

/** image->segments[index] as the public struct: page-aligned outwards, with its gpa. */
void hs_layout_segment(const struct hs_layout *layout, const struct hs_image *image, size_t index,
		       struct hs_vm_segment *ret);

/** The mappings of all areas that the guest can reach, to an array of HS_LAYOUT_AREAS_MAX; returns how many. */
size_t hs_layout_mappings(const struct hs_layout *layout, struct hs_mapping *ret);

/** The address space that boot builds: the paging format of the arch at the first page of HS_AREA_TABLES. */
void hs_layout_root(const struct hs_layout *layout, struct hs_root *ret);

#endif
