/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two buffers through which host and guest call each other (docs/guest-abi.md, "Calls"), at the beginning of the
 * scratch region. What the events HS_EVENT_READY, HS_EVENT_HOST_CALL and HS_EVENT_LOG are about is in them.
 */
#ifndef HS_VMM_CALL_H
#define HS_VMM_CALL_H

#include "vmm/record.h"

#include <hindsight/vm.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Change what config.calls was when the VM was made: whether the ports of calls end a run as events. */
void hs_vm_serve_calls(struct hs_vm *vm, bool serve);

/**
 * Write a record to the input buffer, for the guest to find when it goes on.
 *
 * HS_ERR_INVALID, HS_ERR_RANGE: as hs_record_encode(). HS_ERR_UNREADABLE: the VM has no such memory. HS_ERR_NOMEM. On
 * failure nothing changed.
 */
HS_MUST_CHECK enum hs_status hs_vm_record_put(struct hs_vm *vm, const struct hs_record *record, struct hs_error *err);

/**
 * Copy the record in the output buffer out of the guest's reach, check it, and mark it as read.
 *
 * HS_ERR_FORMAT: there is none, or a broken one. HS_ERR_UNREADABLE: the VM has no such memory. HS_ERR_NOMEM.
 *
 * @param bytes     *bytes is NULL or from malloc(), and grows as needed; owned by the caller. *ret lies in it
 * @param capacity  of *bytes
 */
HS_MUST_CHECK enum hs_status hs_vm_record_take(struct hs_vm *vm, uint8_t **bytes, size_t *capacity,
					       struct hs_record *ret, struct hs_error *err);

#endif
