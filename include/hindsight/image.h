/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a snapshot hands over to a VM beside registers: memory, as parts of a file, and the state of devices. Snapshots
 * and VMs do not know each other, so this is plain data below both.
 */
#ifndef HINDSIGHT_IMAGE_H
#define HINDSIGHT_IMAGE_H

#include <hindsight/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Most parts of a memory image: a snapshot has four, an image of a crash one for each region (vmm/ram.h). */
#define HS_MEMORY_PARTS_MAX 34

/** Memory of a VM that comes from a file: guest-physical pages that lie in it one behind the other. */
struct hs_memory_part {
	hs_gpa gpa;
	uint64_t length; /**< bytes, a multiple of the page size; 0 for a part that is not there */
	uint64_t offset; /**< in the file, page-aligned */
	bool shared;     /**< the guest never writes to it in place, so that VMs may share the file's pages */
};

/**
 * All memory of a VM as a snapshot holds it. Scratch is zero where no part lies in it, and is the guest's to write to;
 * the other parts are all the memory that there is besides. Plain data; the file is borrowed.
 */
struct hs_memory_image {
	int fd;
	const uint8_t *bytes;                             /**< the whole file, mapped for reading */
	struct hs_memory_part parts[HS_MEMORY_PARTS_MAX]; /**< they do not overlap */
	size_t part_count;
	hs_gpa scratch_gpa;
	uint64_t scratch_length; /**< bytes, a multiple of the page size */
};

/** What the devices of a VM remember of what the guest has done to them (abi.h has their ports). */
struct hs_devices {
	uint8_t uart_lcr; /**< line control: bit 7 selects the divisor latch instead of data */
	uint8_t uart_scratch;
	char abort_text[128]; /**< what HS_PORT_ABORT has of a message that is not complete; NUL-terminated */
};

#ifdef __cplusplus
}
#endif
#endif
