/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a core says of its guest. See core_scene.h. */
#include "session/core_scene.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "coredump/fault.h"
#include "coredump/physfile.h"
#include "session/report_parts.h"
#include "session/snapshot_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* SDM vol. 3A 2.5 and 2.2.1. */
#define CR0_PE (UINT64_C(1) << 0)
#define CR0_WP (UINT64_C(1) << 16)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PSE (UINT64_C(1) << 4)
#define CR4_PAE (UINT64_C(1) << 5)
#define CR4_LA57 (UINT64_C(1) << 12)
#define EFER_LME (UINT64_C(1) << 8)
#define EFER_LMA (UINT64_C(1) << 10)
#define EFER_NXE (UINT64_C(1) << 11)

#define INCOMPLETE_BYTES_MAX ((HS_CORE_FAULTS_MAX + 1) * HS_ERROR_MESSAGE_MAX)

/*
 * The registers that ELF notes have no room for, as far as the root says them: enough to walk its tables and to decode
 * its code. For cores that hindsight has not written, or that are damaged.
 */
static void guess_control(const struct hs_root *root, enum hs_arch arch, struct hs_cpu_state *cpu)
{
	bool pae = root->format == HS_PAGING_PAE || arch == HS_ARCH_AMD64;

	if (root->format == HS_PAGING_NONE) {
		return;
	}
	cpu->cr0 = CR0_PG | CR0_PE | (root->wp ? CR0_WP : 0);
	cpu->cr3 = root->base.v;
	cpu->cr4 = (pae ? CR4_PAE : 0) | (root->pse ? CR4_PSE : 0) | (root->format == HS_PAGING_5LEVEL ? CR4_LA57 : 0);
	cpu->msr.efer = (arch == HS_ARCH_AMD64 ? EFER_LME | EFER_LMA : 0) | (root->nxe ? EFER_NXE : 0);
	cpu->seg[HS_CS].l = arch == HS_ARCH_AMD64;
	cpu->seg[HS_CS].db = arch == HS_ARCH_I686;
}

/* One clause for each way in which a core is not what its writer would have liked. */
static void find_incomplete(const struct hs_core *core, struct hs_buf *ret)
{
	const struct hs_core_info *info = hs_core_info(core);
	const char *between = "";
	struct hs_error fault;

	hs_buf_init(ret, INCOMPLETE_BYTES_MAX);
	if (info->partial) {
		hs_buf_append_string(ret, "not all of the address space is in the core");
		between = "; ";
		if (info->reached > 0) {
			hs_buf_printf(ret, ", whose walk of the page tables was cut short at 0x%" PRIx64,
				      info->reached);
		}
	}
	for (size_t i = 0; hs_core_fault(core, i, &fault) != HS_OK; i++) {
		hs_buf_printf(ret, "%s%s", between, fault.message);
		between = "; ";
	}
	hs_buf_append_byte(ret, 0);
}

/* What every core says, and ours better. */
static void take_facts(const struct hs_core *core, struct hs_core_scene *from)
{
	const struct hs_core_info *info = hs_core_info(core);
	const struct hs_snapshot_note *note = from->note;
	struct hs_report_scene *scene = &from->scene;
	struct hs_cpu_state *cpu = &from->cpu;

	*scene = (struct hs_report_scene){
		.arch = info->arch,
		.name = info->name,
		.command_line = info->command_line,
		.cpu = cpu,
		.roots = from->roots,
		.root_count = info->has_root ? info->space_count : 0,
		.root_current = info->space_index,
		.build_id = from->build_id,
		.build_id_length = hs_report_core_build_id(core, from->build_id),
		.before = from->history.has_before ? &from->history.before : NULL,
		.log = from->history.log,
	};

	find_incomplete(core, &from->incomplete);
	scene->incomplete = from->incomplete.failed ? NULL : (const char *)from->incomplete.data;
	scene->reason_name = info->reason_name;
	scene->reason = info->reason;
	scene->signal = info->signal;
	scene->code = info->code;
	scene->fault_address = info->fault_address;
	if (note) {
		*cpu = note->cpu;
	} else {
		hs_core_cpu(core, 0, cpu);
		guess_control(&info->root, info->arch, cpu);
	}
	scene->has_fault = info->has_siginfo &&
			   hs_report_is_touched(info->signal, info->code, info->fault_address, cpu->rip);
	if (note && note->info.guest.path[0]) {
		/* NT_PRPSINFO cuts the name. */
		scene->name = hs_base_name(note->info.guest.path);
		scene->image = note->info.guest.path;
	}
	if (note && note->info.crashed) {
		hs_report_scene_crash(&note->info.crash, scene);
	}
	if (!scene->image && info->file_count > 0) {
		scene->image = hs_core_file(core, 0)->path;
	}
}

/* The address spaces. NULL: no memory. */
static struct hs_root *list_roots(const struct hs_core *core)
{
	size_t count = hs_core_info(core)->space_count;
	struct hs_root *roots = calloc(count + 1, sizeof(*roots));

	for (size_t i = 0; roots && i < count; i++) {
		roots[i] = hs_core_space(core, i)->root;
	}
	return roots;
}

enum hs_status hs_core_scene_init(const struct hs_core *core, struct hs_core_scene *ret, struct hs_error *err)
{
	enum hs_status st;

	memset(ret, 0, sizeof(*ret));
	st = hs_core_check_registers(core, err);
	if (st) {
		return st;
	}
	ret->roots = list_roots(core);
	if (!ret->roots) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for what is in a core");
	}
	st = hs_physfile_of_core(core, &ret->memory, err);
	if (st) {
		hs_core_scene_deinit(ret);
		return st;
	}
	/* A core without the note, or with a damaged one, says most of it still. */
	if (hs_snapshot_file_note(core, "", &ret->note, NULL)) {
		ret->note = NULL;
	}
	st = hs_history_note_get(core, &ret->history, err);
	if (st) {
		hs_core_scene_deinit(ret);
		return st;
	}
	take_facts(core, ret);
	hs_physfile_phys(ret->memory, &ret->scene.phys);
	return HS_OK;
}

void hs_core_scene_deinit(struct hs_core_scene *scene)
{
	hs_snapshot_note_free(scene->note);
	hs_physfile_close(scene->memory);
	hs_buf_deinit(&scene->incomplete);
	free(scene->history.log);
	free(scene->roots);
}
