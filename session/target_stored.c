/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/stored.h"

#include "arch/mode.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "session/region.h"

#include <hindsight/paging.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void op_info(void *ctx, struct hs_target_info *ret)
{
	struct hs_stored *stored = ctx;
	const struct hs_core_auxv *auxv = &hs_core_info(stored->core)->auxv;

	*ret = (struct hs_target_info){
		.arch = hs_mode_arch(&stored->from.cpu, hs_core_info(stored->core)->arch),
		.image_path = stored->image,
		.image_fd = stored->image_fd,
		.debug_path = stored->debug_file.path,
		.debug_fd = stored->debug_file.fd,
		.event_fd = -1,
		.entry = auxv->entry,
		.phdr = auxv->phdr,
		.phent = auxv->phent,
		.phnum = auxv->phnum,
		.xcr0 = stored->from.cpu.xcr0,
	};
}

static enum hs_status op_cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	struct hs_stored *stored = ctx;

	(void)err;
	*ret = stored->from.cpu;
	return HS_OK;
}

const struct hs_root *hs_stored_root(const struct hs_stored *stored)
{
	const struct hs_report_scene *scene = &stored->from.scene;

	return scene->root_count > 0 ? &scene->roots[scene->root_current] : NULL;
}

bool hs_stored_view(const struct hs_stored *stored, struct hs_space_view *ret)
{
	const struct hs_report_scene *scene = &stored->from.scene;

	if (scene->root_count == 0) {
		return false;
	}
	*ret = (struct hs_space_view){
		.phys = scene->phys,
		.roots = scene->roots,
		.count = (uint32_t)scene->root_count,
		.cpu = scene->roots[scene->root_current],
		.current = (uint32_t)scene->root_current + 1,
		.chosen = stored->space_chosen,
		.used = stored->space_used,
	};
	return true;
}

/* The space that addresses are in; NULL where the core does not tell, or there is none such. */
static const struct hs_root *used_root(const struct hs_stored *stored, bool *ret_cpus)
{
	struct hs_space_view view;
	const struct hs_root *root;

	*ret_cpus = true;
	if (!hs_stored_view(stored, &view)) {
		return NULL;
	}
	root = hs_space_view_root(&view, hs_space_view_number(&view));
	*ret_cpus = hs_space_view_number(&view) == view.current;
	return *ret_cpus ? hs_stored_root(stored) : root;
}

/* Through the page tables, which know of more than the segments of a partial core; without any, by the segments. */
static enum hs_status op_mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				  struct hs_error *err)
{
	struct hs_stored *stored = ctx;
	bool cpus;
	const struct hs_root *root = used_root(stored, &cpus);

	if (root && hs_vmem_read(&stored->from.scene.phys, root, gva, buffer, length, ret_length, err) == HS_OK) {
		return HS_OK;
	}
	if (!cpus) {
		return root ? HS_ERR_UNREADABLE
			    : hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "the core has no such address space");
	}
	return hs_core_read(stored->core, gva, buffer, length, ret_length, err);
}

static enum hs_status refuse(const struct hs_stored *stored, const char *what, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0, "%s: %s (hindsight restore --gdb goes on from it)",
			    stored->path, what);
}

static enum hs_status op_cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	(void)state;
	return refuse(ctx, "registers in a file are not changed", err);
}

static enum hs_status op_mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	(void)gva;
	(void)buffer;
	(void)length;
	return refuse(ctx, "memory in a file is not changed", err);
}

static enum hs_status op_mem_region(void *ctx, hs_gva gva, struct hs_target_region *ret, struct hs_error *err)
{
	struct hs_stored *stored = ctx;
	bool cpus;
	const struct hs_root *root = used_root(stored, &cpus);

	if (root) {
		hs_region_find(&stored->from.scene.phys, root, gva, ret);
	} else if (cpus) {
		hs_region_of_core(stored->core, gva, ret);
	} else {
		return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "the core has no such address space");
	}
	return HS_OK;
}

static enum hs_status op_phys_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, size_t *ret_length,
				   struct hs_error *err)
{
	struct hs_stored *stored = ctx;

	return hs_region_read_physical(&stored->from.scene.phys, gpa, buffer, length, ret_length, err);
}

static enum hs_status op_phys_region(void *ctx, hs_gpa gpa, struct hs_target_region *ret, struct hs_error *err)
{
	struct hs_stored *stored = ctx;

	(void)err;
	hs_region_of_physical(&stored->from.scene.phys, gpa, ret);
	return HS_OK;
}

static enum hs_status op_break_insert(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	(void)breakpoint;
	return refuse(ctx, "nothing runs into a breakpoint in a file", err);
}

static enum hs_status op_break_remove(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	(void)ctx;
	(void)breakpoint;
	return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no such breakpoint");
}

static void op_break_clear(void *ctx)
{
	(void)ctx;
}

static enum hs_status op_resume(void *ctx, const struct hs_resume *resume, struct hs_error *err)
{
	(void)resume;
	return refuse(ctx, "what is in a file does not run", err);
}

static void op_interrupt(void *ctx)
{
	(void)ctx;
}

static bool op_stop_take(void *ctx, struct hs_stop *ret)
{
	(void)ctx;
	(void)ret;
	return false;
}

static void op_stop_current(void *ctx, struct hs_stop *ret)
{
	struct hs_stored *stored = ctx;

	*ret = stored->stop;
}

static void op_kill(void *ctx)
{
	struct hs_stored *stored = ctx;

	stored->stop = (struct hs_stop){ .kind = HS_STOP_KILLED, .signal = SIGKILL };
}

static enum hs_status op_spaces(void *ctx, struct hs_target_space *items, uint32_t max, uint32_t *ret_count,
				struct hs_error *err)
{
	struct hs_stored *stored = ctx;
	struct hs_space_view view;

	if (!hs_stored_view(stored, &view)) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0, "the core does not tell its page tables");
	}
	hs_space_view_list(&view, items, max, ret_count);
	return HS_OK;
}

static void op_space_use(void *ctx, uint32_t number)
{
	((struct hs_stored *)ctx)->space_used = number;
}

/* What the core names need not be there; what was asked for must be the image. */
static enum hs_status open_image(const char *given, struct hs_stored *stored, struct hs_error *err)
{
	const struct hs_report_scene *scene = &stored->from.scene;
	const char *named = given ? given : scene->image;
	enum hs_status st;

	if (!named) {
		return HS_OK;
	}
	st = hs_report_image_open(named, scene->build_id, scene->build_id_length, &stored->image_fd, err);
	if (st) {
		return given ? st : HS_OK;
	}
	stored->image = strdup(named);
	if (!stored->image) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a debugger's target");
	}
	hs_debug_file_find(stored->image_fd, stored->image, NULL, &stored->debug_file);
	return HS_OK;
}

static enum hs_status init(const struct hs_core *core, const char *path, const char *image, struct hs_stored *stored,
			   struct hs_error *err)
{
	enum hs_status st;

	stored->core = core;
	stored->image_fd = -1;
	stored->path = strdup(path);
	if (!stored->path) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a debugger's target");
	}
	st = hs_core_scene_init(core, &stored->from, err);
	st = st ? st : open_image(image, stored, err);
	if (st) {
		return st;
	}
	/* One that did not crash is shown as after a step. */
	stored->stop = (struct hs_stop){ .kind = HS_STOP_STEPPED };
	if (stored->from.scene.signal != 0) {
		stored->stop = (struct hs_stop){
			.kind = HS_STOP_SIGNAL,
			.signal = stored->from.scene.signal,
			.code = stored->from.scene.code,
			.fault_address = stored->from.scene.fault_address,
		};
	}
	return HS_OK;
}

enum hs_status hs_stored_create(const struct hs_core *core, const char *path, const char *image, struct hs_stored **ret,
				struct hs_error *err)
{
	struct hs_stored *stored = HS_NEW_ALIGNED(struct hs_stored);
	enum hs_status st;

	if (!stored) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a debugger's target");
	}
	st = init(core, path, image, stored, err);
	if (st) {
		hs_stored_destroy(stored);
		return st;
	}
	*ret = stored;
	return HS_OK;
}

void hs_stored_destroy(struct hs_stored *stored)
{
	if (!stored) {
		return;
	}
	if (stored->image_fd >= 0) {
		close(stored->image_fd);
	}
	hs_debug_file_deinit(&stored->debug_file);
	hs_core_scene_deinit(&stored->from);
	free(stored->path);
	free(stored->image);
	free(stored);
}

struct hs_target hs_stored_target(struct hs_stored *stored)
{
	static const struct hs_target_ops ops = {
		.info = op_info,
		.cpu_read = op_cpu_read,
		.cpu_write = op_cpu_write,
		.mem_read = op_mem_read,
		.mem_write = op_mem_write,
		.break_insert = op_break_insert,
		.break_remove = op_break_remove,
		.break_clear = op_break_clear,
		.resume = op_resume,
		.interrupt = op_interrupt,
		.stop_take = op_stop_take,
		.stop_current = op_stop_current,
		.kill = op_kill,
		.monitor = hs_stored_monitor,
		.mem_region = op_mem_region,
		.phys_read = op_phys_read,
		.phys_region = op_phys_region,
		.spaces = op_spaces,
		.space_use = op_space_use,
	};

	return (struct hs_target){ .ops = &ops, .ctx = stored };
}
