/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One address space of a core as a core of its own. Its segments are those that the core lists, so that the tables that
 * map them need not be in it. */
#include "coredump/read.h"
#include "coredump/write.h"

#include "arch/regs.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdlib.h>

/** The registers of all CPUs; NULL without memory. XSAVE state is aligned to 64 bytes, more than malloc() promises. */
static struct hs_cpu_state *copy_cpus(const struct hs_core *core)
{
	size_t count = core->info.cpu_count;
	struct hs_cpu_state *cpus;

	if (posix_memalign((void **)&cpus, __alignof__(*cpus), (count > 0 ? count : 1) * sizeof(*cpus)) != 0) {
		return NULL;
	}
	hs_cpu_state_init(&cpus[0]);
	for (size_t i = 0; i < count; i++) {
		hs_core_cpu(core, i, &cpus[i]);
	}
	return cpus;
}

static struct hs_core_file *copy_files(const struct hs_core *core)
{
	struct hs_core_file *files = calloc(core->info.file_count + 1, sizeof(*files));

	for (size_t i = 0; files != NULL && i < core->info.file_count; i++) {
		files[i] = core->files[i];
	}
	return files;
}

static enum hs_status write_space(const struct hs_core *core, size_t index, struct hs_core_input *input,
				  const char *path, struct hs_core_result *ret, struct hs_error *err)
{
	const struct hs_core_space *space = &core->spaces[index];
	const struct hs_core_plan_given given = {
		.segments = space->segments,
		.count = space->segment_count,
		.partial = space->partial || core->info.missing_bytes > 0,
		.reached = space->reached,
	};
	struct hs_core_source source = { .given = &given };
	struct hs_physfile *file;
	enum hs_status st = hs_physfile_of_core(core, &file, err);

	if (st) {
		return st;
	}
	hs_physfile_phys(file, &input->phys);
	source.share = file;
	st = hs_core_write_from(input, &source, path, ret, err);
	hs_physfile_close(file);
	return st;
}

enum hs_status hs_core_extract(const struct hs_core *core, size_t space, const char *path,
			       const struct hs_core_options *options, struct hs_core_result *ret, struct hs_error *err)
{
	const struct hs_core_info *info = &core->info;

	if (space >= info->space_count) {
		return info->space_count == 0 ? hs_core_foreign(core, err)
					      : hs_error_set(err, HS_ERR_NOT_FOUND, 0, space,
							     "%s: no address space %zu: the core has 0 to %zu",
							     core->path, space, info->space_count - 1);
	}
	HS_FREE struct hs_cpu_state *cpus = copy_cpus(core);
	HS_FREE struct hs_core_file *files = copy_files(core);
	struct hs_core_input input = {
		.arch = info->arch,
		.cpus = cpus,
		.cpu_count = info->cpu_count > 0 ? info->cpu_count : 1,
		.xsave_bytes = (uint32_t)core->cpus[0].xstate_length,
		.root = core->spaces[space].root,
		.space_index = space,
		.signal = info->signal,
		.code = info->code,
		.fault_address = info->fault_address,
		.name = info->name,
		.command_line = info->command_line,
		.auxv = info->auxv,
		.files = files,
		.file_count = info->file_count,
		.reason_name = info->reason_name,
		.reason = info->reason,
	};

	if (cpus == NULL || files == NULL) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core of %s", core->path);
	}
	if (options != NULL) {
		input.options = *options;
	}
	return write_space(core, space, &input, path, ret, err);
}
