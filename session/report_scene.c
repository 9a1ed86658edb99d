/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the scene of a report comes from: a core, or a guest that has stopped. */
#include "session/report.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "coredump/physfile.h"
#include "session/crash.h"
#include "session/report_parts.h"
#include "session/snapshot_file.h"

#include <signal.h>
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

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* XSAVE state is aligned to 64 bytes, more than malloc() promises. */
static struct hs_cpu_state *new_cpu(void)
{
	struct hs_cpu_state *cpu = NULL;

	return posix_memalign((void **)&cpu, __alignof__(*cpu), sizeof(*cpu)) == 0 ? cpu : NULL;
}

/* si_addr is where the instruction is unless it touched something (docs/crashes.md), be it to fetch itself. */
static bool is_touched(int signal, int code, uint64_t address, uint64_t rip)
{
	return signal == SIGBUS ||
	       (signal == SIGSEGV && (address != rip || code == SEGV_MAPERR || code == SEGV_ACCERR));
}

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

static void take_crash(const struct hs_crash *crash, struct hs_report_scene *scene)
{
	scene->reason_name = hs_crash_reason_name(crash->reason);
	scene->reason = crash->text;
	scene->signal = crash->signal;
	scene->code = crash->code;
	scene->fault_address = crash->fault_address;
	scene->has_fault = is_touched(crash->signal, crash->code, crash->fault_address, crash->rip);
	scene->registers_lost = crash->registers_lost;
}

/* What every core says, and ours better. */
static void take_core(const struct hs_core *core, const struct hs_snapshot_note *note, struct hs_cpu_state *cpu,
		      struct hs_report_scene *scene)
{
	const struct hs_core_info *info = hs_core_info(core);

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
	scene->has_fault = info->has_siginfo && is_touched(info->signal, info->code, info->fault_address, cpu->rip);
	if (note && note->info.guest.path[0]) {
		/* NT_PRPSINFO cuts the name. */
		scene->name = base_name(note->info.guest.path);
		scene->image = scene->image ? scene->image : note->info.guest.path;
	}
	if (note && note->crashed) {
		take_crash(&note->crash, scene);
	}
	if (!scene->image && info->file_count > 0) {
		scene->image = hs_core_file(core, 0)->path;
	}
}

/* The address spaces, that of the PT_LOADs first. NULL: no memory. */
static struct hs_root *list_roots(const struct hs_core *core, size_t *ret_count)
{
	const struct hs_core_info *info = hs_core_info(core);
	struct hs_root *roots = calloc(info->space_count + 1, sizeof(*roots));
	size_t count = 1;

	if (!roots) {
		return NULL;
	}
	roots[0] = info->root;
	for (size_t i = 0; i < info->space_count; i++) {
		if (i != info->space_index) {
			roots[count++] = hs_core_space(core, i)->root;
		}
	}
	*ret_count = count;
	return roots;
}

enum hs_status hs_report_of_core(const struct hs_core *core, const char *image, struct hs_report *ret,
				 struct hs_error *err)
{
	const struct hs_core_info *info = hs_core_info(core);
	uint8_t build_id[HS_REPORT_BUILD_ID_MAX];
	HS_FREE struct hs_cpu_state *cpu = new_cpu();
	struct hs_report_scene scene = {
		.arch = info->arch,
		.name = info->name,
		.command_line = info->command_line,
		.cpu = cpu,
		.image = image,
		.build_id = build_id,
		.build_id_length = hs_report_core_build_id(core, build_id),
	};
	HS_FREE struct hs_root *roots = list_roots(core, &scene.root_count);
	struct hs_snapshot_note *note = NULL;
	struct hs_physfile *memory;
	enum hs_status st;

	if (!cpu || !roots) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a report");
	}
	scene.roots = roots;
	if (!info->has_root || info->cpu_count == 0) {
		return hs_error_set(err, HS_ERR_UNSUPPORTED, 0, 0,
				    "not a core of hindsight's: it does not say where its page tables are");
	}
	st = hs_physfile_of_core(core, &memory, err);
	if (st) {
		return st;
	}
	/* A core without the note, or with a damaged one, has most of a report still. */
	if (hs_snapshot_file_note(core, "", &note, NULL)) {
		note = NULL;
	}
	take_core(core, note, cpu, &scene);
	hs_physfile_phys(memory, &scene.phys);
	st = hs_report_init(&scene, ret, err);
	hs_snapshot_note_free(note);
	hs_physfile_close(memory);
	return st;
}

enum hs_status hs_report_of_vm(struct hs_vm *vm, const char *command_line, const struct hs_crash *crash,
			       struct hs_report *ret, struct hs_error *err)
{
	const struct hs_vm_image *image = hs_vm_image(vm);
	HS_FREE struct hs_cpu_state *cpu = new_cpu();
	struct hs_report_scene scene = {
		.arch = image->arch,
		.name = base_name(image->path),
		.command_line = command_line,
		.cpu = cpu,
		.phys = hs_vm_phys(vm),
		.root_count = 1,
		.image = image->path,
		.build_id = image->build_id,
		.build_id_length = image->build_id_length,
	};
	struct hs_root root;
	enum hs_status st;

	if (!cpu) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a report");
	}
	st = hs_vm_cpu_get(vm, cpu, err);
	if (st) {
		return st;
	}
	hs_root_of_cpu(cpu, &root);
	if (crash) {
		take_crash(crash, &scene);
	}
	if (scene.registers_lost) {
		root = hs_vm_last_root(vm);
	}
	scene.roots = &root;
	return hs_report_init(&scene, ret, err);
}
