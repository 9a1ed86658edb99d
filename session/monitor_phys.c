/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `monitor phys`: bytes by guest-physical address, as hex and text. */
#include "session/monitor.h"

#include "base/error.h"
#include "session/region.h"

#include <string.h>

#define LINE_BYTES 16u
#define DEFAULT_BYTES 64u
#define MOST_BYTES (64u << 10)

static bool parse(const char *argument, uint64_t *ret_address, uint64_t *ret_length)
{
	if (!hs_monitor_take_number(&argument, ret_address)) {
		return false;
	}
	argument += strspn(argument, " \t");
	return *argument == '\0' || hs_monitor_number(argument, ret_length);
}

static void put_line(uint64_t address, const uint8_t *bytes, size_t length, struct hs_buf *out)
{
	hs_buf_printf(out, "0x%012llx ", (unsigned long long)address);
	for (size_t i = 0; i < LINE_BYTES; i++) {
		if (i < length) {
			hs_buf_printf(out, " %02x", bytes[i]);
		} else {
			hs_buf_append_string(out, "   ");
		}
	}
	hs_buf_append_string(out, "  ");
	for (size_t i = 0; i < length; i++) {
		hs_buf_append_byte(out, bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.');
	}
	hs_buf_append_byte(out, '\n');
}

enum hs_status hs_monitor_phys_text(const struct hs_phys *phys, const char *argument, struct hs_buf *out,
				    struct hs_error *err)
{
	uint64_t length = DEFAULT_BYTES;
	uint64_t address;

	if (!parse(argument, &address, &length) || length == 0 || length > MOST_BYTES) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0,
				    "phys wants a guest-physical address and perhaps a length of 1 to %u bytes",
				    MOST_BYTES);
	}
	while (length > 0) {
		uint8_t bytes[LINE_BYTES];
		size_t wanted = length < LINE_BYTES ? (size_t)length : LINE_BYTES;
		size_t got;
		enum hs_status st = hs_region_read_physical(phys, hs_gpa_of(address), bytes, wanted, &got, err);

		if (st) {
			return st;
		}
		put_line(address, bytes, got, out);
		address += got;
		length -= got;
	}
	return HS_OK;
}

enum hs_status hs_monitor_phys(void *ctx, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_phys phys = hs_vm_phys(live->vm);

	return hs_monitor_phys_text(&phys, argument, out, err);
}
