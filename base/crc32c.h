/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32C, the checksum of cores and snapshot files (RFC 3720, 12.1 and B.4: iSCSI's polynomial, 0x1EDC6F41). */
#ifndef HS_BASE_CRC32C_H
#define HS_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * The checksum of what sum is the checksum of, with length bytes behind it; sum of nothing is 0. By the CPU's own
 * instruction where it has one.
 */
uint32_t hs_crc32c(uint32_t sum, const void *bytes, size_t length);

/** The same without that instruction. */
uint32_t hs_crc32c_plain(uint32_t sum, const void *bytes, size_t length);

#endif
