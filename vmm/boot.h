/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making a planned guest ready to run: its memory is filled and the CPU state at its entry point is composed. Works on
 * any struct hs_phys; no CPU is needed.
 *
 * Source of the entry state: docs/guest-abi.md, "Entry".
 */
#ifndef HS_VMM_BOOT_H
#define HS_VMM_BOOT_H

#include "vmm/layout.h"
#include "vmm/loader.h"

#include <hindsight/cpu.h>
#include <hindsight/error.h>
#include <hindsight/mem.h>
#include <hindsight/vm.h>

/**
 * Copy the image in, write boot information, arguments, bookkeeping, descriptor tables and page tables.
 *
 * The memory must be there (layout->snapshot_gpa and scratch_gpa), writable and all zero: only what is not zero is
 * written. A config->seed of 0 asks getrandom(). On failure the memory is partly written and *ret untouched.
 *
 * Errors of phys pass through; HS_ERR_FORMAT or HS_ERR_IO when the image file has changed since it was opened;
 * HS_ERR_NOMEM.
 *
 * @param image, layout, config  borrowed for the call; layout is hs_layout_plan()'s for the same image and config;
 *                               config may be NULL
 * @param ret  the whole CPU at entry; msr.tsc, msr.apic_base are 0 for the backend to choose
 */
HS_MUST_CHECK enum hs_status hs_boot_write(const struct hs_phys *phys, const struct hs_image *image,
					   const struct hs_layout *layout, const struct hs_vm_config *config,
					   struct hs_cpu_state *ret, struct hs_error *err);

#endif
