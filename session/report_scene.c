/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the scene of a report comes from: a core, or a guest that has stopped. */
#include "session/report.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "coredump/fault.h"
#include "session/core_scene.h"
#include "session/crash.h"

#include <signal.h>
#include <string.h>

bool hs_report_is_touched(int signal, int code, uint64_t address, uint64_t rip)
{
	return signal == SIGBUS ||
	       (signal == SIGSEGV && (address != rip || code == SEGV_MAPERR || code == SEGV_ACCERR));
}

void hs_report_scene_crash(const struct hs_crash *crash, struct hs_report_scene *scene)
{
	scene->reason_name = hs_crash_reason_name(crash->reason);
	scene->reason = crash->text;
	scene->signal = crash->signal;
	scene->code = crash->code;
	scene->fault_address = crash->fault_address;
	scene->has_fault = hs_report_is_touched(crash->signal, crash->code, crash->fault_address, crash->rip);
	scene->registers_lost = crash->registers_lost;
}

static enum hs_status no_memory(struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a report");
}

enum hs_status hs_report_of_core(const struct hs_core *core, const char *image, const char *debug_directory,
				 struct hs_report *ret, struct hs_error *err)
{
	HS_FREE struct hs_core_scene *from = HS_NEW_ALIGNED(struct hs_core_scene);
	enum hs_status st;

	if (!from) {
		return no_memory(err);
	}
	st = hs_core_scene_init(core, from, err);
	if (st) {
		return st;
	}
	from->scene.image = image ? image : from->scene.image;
	from->scene.debug_directory = debug_directory;
	if (from->scene.root_count == 0) {
		st = hs_core_foreign(core, err);
	} else {
		st = hs_report_init(&from->scene, ret, err);
	}
	hs_core_scene_deinit(from);
	return st;
}

enum hs_status hs_report_of_vm(struct hs_vm *vm, const struct hs_dump_spec *spec, struct hs_report *ret,
			       struct hs_error *err)
{
	const struct hs_vm_image *image = hs_vm_image(vm);
	HS_FREE struct hs_cpu_state *cpu = HS_NEW_ALIGNED(struct hs_cpu_state);
	struct hs_report_scene scene = {
		.arch = image->arch,
		.name = hs_base_name(image->path),
		.command_line = spec->command_line,
		.cpu = cpu,
		.phys = hs_vm_phys(vm),
		.image = image->path,
		.build_id = image->build_id,
		.build_id_length = image->build_id_length,
		.before = spec->before,
		.log = spec->log,
	};
	struct hs_roots roots;
	struct hs_root root;
	enum hs_status st;

	if (!cpu) {
		return no_memory(err);
	}
	st = hs_vm_cpu_get(vm, cpu, err);
	if (st) {
		return st;
	}
	if (spec->crash) {
		hs_report_scene_crash(spec->crash, &scene);
	}
	hs_dump_roots(vm, spec, cpu, &root, &roots);
	scene.roots = roots.count > 0 ? roots.items : &root;
	scene.root_count = roots.count > 0 ? roots.count : 1;
	scene.root_current = roots.count > 0 ? roots.current : 0;
	st = hs_report_init(&scene, ret, err);
	hs_roots_deinit(&roots);
	return st;
}
