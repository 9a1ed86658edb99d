/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/call.h"

#include "base/bytes.h"
#include "base/error.h"
#include "vmm/memory.h"
#include "vmm/vm_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT_BYTES offsetof(struct hs_abi_record, bytes)

void hs_vm_serve_calls(struct hs_vm *vm, bool serve)
{
	vm->bus.calls = serve;
}

/* At least that many bytes, of any contents. */
static enum hs_status make_room(uint8_t **bytes, size_t *capacity, size_t wanted, struct hs_error *err)
{
	if (*capacity < wanted) {
		uint8_t *room = malloc(wanted);

		if (!room) {
			return hs_error_os(err, ENOMEM, "cannot copy a record of %zu bytes", wanted);
		}
		free(*bytes);
		*bytes = room;
		*capacity = wanted;
	}
	return HS_OK;
}

enum hs_status hs_vm_record_put(struct hs_vm *vm, const struct hs_record *record, struct hs_error *err)
{
	struct hs_vm_bounds bounds = hs_vm_bounds(vm);
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	size_t length = 0;
	enum hs_status st = make_room(&vm->record, &vm->record_bytes, bounds.input_bytes, err);

	if (!st) {
		st = hs_record_encode(record, vm->record, bounds.input_bytes, &length, err);
	}
	return st ? st : phys.ops->write(phys.ctx, bounds.scratch_gpa, vm->record, length, err);
}

/* How much to copy: the whole record, or only its header if that is broken already. */
static size_t length_of(const uint8_t *head, uint64_t capacity)
{
	uint64_t length = hs_get_le64(head + AT_BYTES);

	return length > sizeof(struct hs_abi_record) && length <= capacity ? length : sizeof(struct hs_abi_record);
}

enum hs_status hs_vm_record_take(struct hs_vm *vm, uint8_t **bytes, size_t *capacity, struct hs_record *ret,
				 struct hs_error *err)
{
	static const uint8_t none[8] = { 0 };
	struct hs_vm_bounds bounds = hs_vm_bounds(vm);
	hs_gpa gpa = hs_gpa_of(bounds.scratch_gpa.v + bounds.input_bytes);
	struct hs_phys phys = hs_ram_phys(&vm->ram);
	uint8_t head[sizeof(struct hs_abi_record)];
	size_t length = 0;
	enum hs_status st = phys.ops->read(phys.ctx, gpa, head, sizeof(head), err);

	if (!st && hs_get_le64(head) == 0) {
		return hs_error_set(err, HS_ERR_FORMAT, 0, 0, "the guest has left no record in its output buffer");
	}
	if (!st) {
		length = length_of(head, bounds.output_bytes);
		st = make_room(bytes, capacity, length, err);
	}
	if (!st) {
		st = phys.ops->read(phys.ctx, gpa, *bytes, length, err);
	}
	if (!st) {
		st = phys.ops->write(phys.ctx, gpa, none, sizeof(none), err);
	}
	return st ? st : hs_record_decode(*bytes, length, ret, err);
}
