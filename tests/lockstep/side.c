/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "side.h"

#include "vmm/handle_exit.h"
#include "vmm/rewind.h"
#include "vmm/vm_private.h"

#include <string.h>

static void console(void *ctx, const void *bytes, size_t length)
{
	struct side_console *to = ctx;
	size_t room = sizeof(to->text) - to->length;

	if (length > room) {
		length = room;
	}
	memcpy(to->text + to->length, bytes, length);
	to->length += length;
}

enum hs_status side_init(struct side *side, const char *image, const struct hs_vm_config *config, struct hs_error *err)
{
	struct hs_vm_config ours = *config;

	ours.seed = 1;
	ours.console = console;
	ours.console_ctx = &side->console;
	return hs_vm_create(image, &ours, &side->vm, err);
}

void side_deinit(struct side *side)
{
	hs_vm_destroy(side->vm);
}

enum hs_status side_run_to_exit(struct side *side, struct hs_exit *exit, struct hs_error *err)
{
	static const struct hs_debug_request nothing;
	struct hs_vm *vm = side->vm;
	enum hs_turn turn = HS_TURN_STEP;
	enum hs_status st = hs_vm_flush(vm, err);

	if (!st) {
		st = hs_vm_fetch(vm, HS_STATE_CORE, err);
	}
	if (!st) {
		hs_root_of_cpu(&vm->cpu, &vm->last_root);
		st = vm->ops->set_debug(vm->backend, &nothing, err);
	}
	/* The guest's own int3 is an exit on some KVMs, of which the VM makes the guest's exception. */
	do {
		if (!st) {
			st = vm->ops->run(vm->backend, exit, err);
			vm->have = 0;
		}
		if (!st) {
			st = hs_vm_handle_exit(vm, exit, &nothing, &turn, &side->event, err);
			side->ended = turn == HS_TURN_EVENT;
		}
	} while (!st && turn == HS_TURN_AGAIN);
	/* Behind the instruction on both, but not in the middle of a string of accesses. */
	if (!st && !side->ended && exit->left == 0) {
		st = hs_vm_retire(vm, err);
	}
	return st;
}

enum hs_status side_step(struct side *side, struct hs_error *err)
{
	static const struct hs_resume one = { .kind = HS_RESUME_STEP };
	enum hs_status st = hs_vm_run(side->vm, &one, &side->event, err);

	side->ended = !st && side->event.kind != HS_EVENT_STEPPED;
	return st;
}
