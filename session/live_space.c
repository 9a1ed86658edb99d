/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The address spaces of a live guest: which there are, and memory and breakpoints of one of them. */
#include "session/live.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "session/cow.h"
#include "session/sandbox.h"

#include <hindsight/paging.h>

#include <stdlib.h>

static const struct hs_roots_spec *finder_of(const struct hs_live *live)
{
	return &hs_session_sandbox(live->config.session)->roots;
}

enum hs_status hs_live_spaces_init(struct hs_live *live, struct hs_live_spaces *ret, struct hs_error *err)
{
	HS_FREE struct hs_cpu_state *cpu = HS_NEW_ALIGNED(struct hs_cpu_state);
	enum hs_status st;

	if (!cpu) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the guest's address spaces");
	}
	st = hs_vm_cpu_get(live->vm, cpu, err);
	if (st) {
		return st;
	}
	/* A list that cannot be read, as before the guest has made it, leaves the one that the CPU is in. */
	if (hs_roots_find(live->vm, finder_of(live), cpu, &ret->roots, NULL)) {
		ret->roots = (struct hs_roots){ 0 };
	}
	ret->view = (struct hs_space_view){
		.phys = hs_vm_phys(live->vm),
		.roots = ret->roots.items,
		.count = ret->roots.named,
		.pointers = ret->roots.pointer_count == ret->roots.named ? ret->roots.pointers : NULL,
		.current = hs_roots_current_space(&ret->roots),
		.chosen = live->space_chosen,
		.used = live->space_used,
	};
	hs_root_of_cpu(cpu, &ret->view.cpu);
	return HS_OK;
}

void hs_live_spaces_deinit(struct hs_live_spaces *spaces)
{
	hs_roots_deinit(&spaces->roots);
}

enum hs_status hs_live_list_spaces(struct hs_live *live, struct hs_target_space *items, uint32_t max,
				   uint32_t *ret_count, struct hs_error *err)
{
	struct hs_live_spaces spaces;
	enum hs_status st = hs_live_spaces_init(live, &spaces, err);

	if (!st) {
		hs_space_view_list(&spaces.view, items, max, ret_count);
		hs_live_spaces_deinit(&spaces);
	}
	return st;
}

/* Whether addresses are those of the CPU, whatever spaces there are. */
static bool is_cpus(const struct hs_live *live)
{
	return live->space_used == HS_SPACE_CPU || (live->space_used == 0 && live->space_chosen == 0);
}

enum hs_status hs_live_root(struct hs_live *live, struct hs_root *ret, struct hs_error *err)
{
	struct hs_live_spaces spaces;
	enum hs_status st = hs_live_spaces_init(live, &spaces, err);
	const struct hs_root *root;

	if (st) {
		return st;
	}
	root = is_cpus(live) ? &spaces.view.cpu : hs_space_view_root(&spaces.view, hs_space_view_number(&spaces.view));
	if (root) {
		*ret = *root;
	} else {
		st = hs_space_view_missing(&spaces.view, hs_space_view_number(&spaces.view), err);
	}
	hs_live_spaces_deinit(&spaces);
	return st;
}

enum hs_status hs_live_mem_read(struct hs_live *live, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				struct hs_error *err)
{
	struct hs_phys phys = hs_vm_phys(live->vm);
	struct hs_root root;
	enum hs_status st;

	if (is_cpus(live)) {
		return hs_vm_mem_read(live->vm, gva, buffer, length, ret_length, err);
	}
	st = hs_live_root(live, &root, err);
	return st ? st : hs_vmem_read(&phys, &root, gva, buffer, length, ret_length, err);
}

enum hs_status hs_live_mem_write(struct hs_live *live, hs_gva gva, const void *buffer, size_t length,
				 struct hs_error *err)
{
	struct hs_phys phys = hs_vm_phys(live->vm);
	struct hs_root root;
	enum hs_status st = hs_live_root(live, &root, err);

	st = st ? st : hs_cow_break(live->vm, &root, gva, length, err);
	if (!st && is_cpus(live)) {
		return hs_vm_mem_write(live->vm, gva, buffer, length, err);
	}
	return st ? st : hs_vmem_write(&phys, &root, gva, buffer, length, err);
}

enum hs_status hs_live_break_insert(struct hs_live *live, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct hs_breakpoint own = *breakpoint;
	struct hs_live_spaces spaces;
	enum hs_status st;

	own.space = own.space ? own.space : live->space_chosen;
	if (own.space == 0) {
		return hs_vm_break_insert(live->vm, &own, err);
	}
	st = hs_live_spaces_init(live, &spaces, err);
	if (st) {
		return st;
	}
	if (!hs_space_view_root(&spaces.view, own.space)) {
		st = hs_space_view_missing(&spaces.view, own.space, err);
	}
	st = st ? st : hs_vm_break_spaces(live->vm, spaces.view.roots, spaces.view.count, err);
	hs_live_spaces_deinit(&spaces);
	return st ? st : hs_vm_break_insert(live->vm, &own, err);
}
