/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints of the VM's twin: its memory, its registers and its place in the script. */
#include "fake_vm_private.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/checkpoint.h"
#include "vmm/stats.h"

#include <stdlib.h>
#include <string.h>

struct hs_vm_checkpoint {
	struct hs_checkpoint_pool *pool;
	size_t next;
	bool has_crashed;
	struct hs_cpu_state *cpu;
	uint8_t memory[FAKE_MEMORY_BYTES];
};

enum hs_status hs_vm_checkpoint_take(struct hs_vm *vm, const struct hs_vm_checkpoint *like,
				     struct hs_checkpoint_pool *pool, struct hs_vm_checkpoint **ret,
				     struct hs_error *err)
{
	struct hs_vm_checkpoint *checkpoint;

	(void)like;
	if (vm->has_exited) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	if (pool->bytes + FAKE_MEMORY_BYTES > pool->limit) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "the pool is full");
	}
	checkpoint = calloc(1, sizeof(*checkpoint));
	checkpoint->cpu = HS_NEW_ALIGNED(struct hs_cpu_state);
	checkpoint->pool = pool;
	checkpoint->next = vm->next;
	checkpoint->has_crashed = vm->has_crashed;
	*checkpoint->cpu = vm->cpu;
	memcpy(checkpoint->memory, vm->memory, sizeof(vm->memory));
	pool->bytes += FAKE_MEMORY_BYTES;
	*ret = checkpoint;
	return HS_OK;
}

void hs_vm_checkpoint_destroy(struct hs_vm_checkpoint *checkpoint)
{
	checkpoint->pool->bytes -= FAKE_MEMORY_BYTES;
	free(checkpoint->cpu);
	free(checkpoint);
}

enum hs_status hs_vm_checkpoint_restore(struct hs_vm *vm, const struct hs_vm_checkpoint *checkpoint,
					struct hs_error *err)
{
	(void)err;
	pthread_mutex_lock(&vm->lock);
	vm->interrupted = false;
	pthread_mutex_unlock(&vm->lock);
	vm->next = checkpoint->next;
	vm->has_crashed = checkpoint->has_crashed;
	vm->has_exited = false;
	vm->cpu = *checkpoint->cpu;
	memcpy(vm->memory, checkpoint->memory, sizeof(vm->memory));
	return HS_OK;
}

uint64_t hs_vm_checkpoint_pages(const struct hs_vm_checkpoint *checkpoint)
{
	return sizeof(checkpoint->memory) / HS_PAGE_SIZE;
}

const struct hs_cpu_state *hs_vm_checkpoint_cpu(const struct hs_vm_checkpoint *checkpoint)
{
	return checkpoint->cpu;
}

void hs_vm_stats(const struct hs_vm *vm, struct hs_vm_stats *ret)
{
	*ret = (struct hs_vm_stats){ .debug = { .breakpoints = vm->breakpoint_count, .slots = 4 } };
	ret->exits[HS_EXIT_PORT_OUT] = vm->runs;
}

const char *hs_exit_kind_name(enum hs_exit_kind kind)
{
	return kind == HS_EXIT_PORT_OUT ? "port out" : "other";
}
