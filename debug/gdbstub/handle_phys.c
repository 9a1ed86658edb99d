/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory by guest-physical address: the mode of a client in which m, M, x, X, qSearch and qCRC mean such addresses,
 * with the packets that QEMU's stub has for it (QEMU's documentation, "GDB usage", PhyMemMode). Breakpoints, registers
 * and what the client has cached do not know of it.
 */
#include "gdbstub/stub.h"

enum hs_reply hs_handle_qemu_features(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	return gdb->target.ops->phys_read ? hs_reply_text(gdb, "PhyMemMode") : HS_REPLY_UNSUPPORTED;
}

enum hs_reply hs_handle_phys_mode(struct hs_gdb *gdb, const struct hs_request *request)
{
	(void)request;
	if (!gdb->target.ops->phys_read) {
		return HS_REPLY_UNSUPPORTED;
	}
	return hs_reply_text(gdb, gdb->client.physical ? "1" : "0");
}

enum hs_reply hs_handle_phys_mode_set(struct hs_gdb *gdb, const struct hs_request *request)
{
	if (!gdb->target.ops->phys_read) {
		return HS_REPLY_UNSUPPORTED;
	}
	gdb->client.physical = request->number != 0;
	return HS_REPLY_OK;
}
