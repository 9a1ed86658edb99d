/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/dump.h"

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "coredump/vmnote.h"
#include "session/crash.h"
#include "session/history_note.h"
#include "session/sandbox.h"
#include "session/snapshot_file.h"

#include <hindsight/abi.h>
#include <hindsight/paging.h>

#include <stdlib.h>
#include <string.h>

/* More than any trail has. */
#define LOG_MAX 16384u
#define HISTORY_MAX (2 * LOG_MAX)

/*
 * The file-backed pages of each segment, as Linux lists them: a segment that has no bytes in the file is no mapping
 * of it. Behind them the mappings, unless they are the host's memory.
 */
static size_t list_files(const struct hs_vm *vm, struct hs_core_file *files)
{
	const struct hs_vm_image *image = hs_vm_image(vm);
	const struct hs_vm_mapped *mappings;
	size_t mapping_count;
	size_t count = 0;

	for (size_t i = 0; i < image->segment_count; i++) {
		const struct hs_vm_segment *segment = &image->segments[i];
		uint64_t lead = segment->file_offset % HS_PAGE_SIZE;
		uint64_t length;

		if (segment->file_length == 0 || segment->file_offset < lead ||
		    !hs_align_up(segment->file_length + lead, HS_PAGE_SIZE, &length)) {
			continue;
		}
		files[count++] = (struct hs_core_file){
			.start = hs_gva_of(hs_align_down(segment->gva.v, HS_PAGE_SIZE)),
			.length = length,
			.file_offset = segment->file_offset - lead,
			.path = image->path,
		};
	}
	mappings = hs_vm_mappings(vm, &mapping_count);
	for (size_t i = 0; i < mapping_count; i++) {
		struct hs_core_file file = { .start = mappings[i].gva, .path = mappings[i].path };

		if (file.path && hs_align_up(mappings[i].length, HS_PAGE_SIZE, &file.length)) {
			files[count++] = file;
		}
	}
	return count;
}

void hs_dump_roots(struct hs_vm *vm, const struct hs_dump_spec *spec, const struct hs_cpu_state *cpu,
		   struct hs_root *ret_root, struct hs_roots *ret)
{
	hs_root_of_cpu(cpu, ret_root);
	if (spec->crash && spec->crash->registers_lost) {
		*ret_root = hs_vm_last_root(vm);
	}
	if (hs_roots_find(vm, spec->roots, cpu, ret, NULL)) {
		*ret = (struct hs_roots){ 0 };
	} else if (ret->items[ret->current].base.v != ret_root->base.v) {
		ret->count = 0;
	}
}

/* The note of what went before, behind those that are there. */
static void add_history(const struct hs_dump_spec *spec, struct hs_core_input *input, struct hs_core_extra notes[2],
			struct hs_buf *buf)
{
	hs_buf_init(buf, HISTORY_MAX);
	if (!spec->before && (!spec->log || !*spec->log)) {
		return;
	}
	hs_history_note_put(buf, spec->before, spec->log);
	if (buf->failed) {
		return;
	}
	if (input->note_count > 0) {
		notes[0] = input->notes[0];
	}
	notes[input->note_count++] = (struct hs_core_extra){ HS_VMNOTE_HISTORY, buf->data, buf->length };
	input->notes = notes;
}

void hs_dump_describe(const struct hs_sandbox *sandbox, struct hs_dump_spec *ret, struct hs_buf *log)
{
	const struct hs_snapshot *last = sandbox->stands_on ? sandbox->stands_on : sandbox->taken;

	hs_buf_init(log, LOG_MAX);
	hs_trail_text(&sandbox->trail, log);
	hs_buf_append_byte(log, '\0');
	*ret = (struct hs_dump_spec){
		.command_line = (const char *)sandbox->command_line.data,
		.crash = sandbox->has_crash ? &sandbox->crash : NULL,
		.roots = &sandbox->roots,
		.before = last ? hs_snapshot_cpu(last) : NULL,
		.log = log->failed ? NULL : (const char *)log->data,
	};
}

enum hs_status hs_dump_write(struct hs_vm *vm, const struct hs_dump_spec *spec, struct hs_core_result *ret,
			     struct hs_error *err)
{
	const struct hs_crash *crash = spec->crash;
	const struct hs_vm_image *program = hs_vm_image(vm);
	HS_FREE struct hs_core_file *files = calloc(program->segment_count + HS_MAPPINGS_MAX, sizeof(*files));
	HS_FREE struct hs_cpu_state *cpu = HS_NEW_ALIGNED(struct hs_cpu_state);
	struct hs_core_extra notes[2];
	struct hs_snapshot_image image;
	struct hs_buf history;
	struct hs_roots roots;
	struct hs_core_input input = {
		.arch = program->arch,
		.cpu_count = 1,
		.phys = hs_vm_phys(vm),
		.name = hs_base_name(program->path),
		.command_line = spec->command_line,
		.auxv = {
			.entry = program->entry,
			.phdr = program->phdr,
			.phent = program->phentsize,
			.phnum = program->phnum,
		},
		.files = files,
	};
	enum hs_status st;

	if (!files || !cpu) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a core");
	}
	st = hs_vm_cpu_get(vm, cpu, err);
	if (st) {
		return st;
	}
	input.cpus = cpu;
	hs_dump_roots(vm, spec, cpu, &input.root, &roots);
	input.spaces = roots.count > 0 ? roots.items : NULL;
	input.space_count = roots.count;
	input.space_index = roots.current;
	if (spec->options) {
		input.options = *spec->options;
	}
	input.file_count = list_files(vm, files);
	if (crash) {
		hs_crash_describe(crash, &input);
	}
	hs_snapshot_image_init(vm, crash, &input, &image);
	add_history(spec, &input, notes, &history);
	st = hs_core_write(&input, spec->path, ret, err);
	if (st == HS_ERR_RANGE && input.range_count > 0) {
		/* Too much for a file of this class: what the address space has comes first. */
		input.range_count = 0;
		input.note_count = 0;
		st = hs_core_write(&input, spec->path, ret, err);
	}
	hs_buf_deinit(&history);
	hs_snapshot_image_deinit(&image);
	hs_roots_deinit(&roots);
	return st;
}

enum hs_status hs_dump_sandbox(const struct hs_sandbox *sandbox, const struct hs_crash *crash, const char *path,
			       const struct hs_core_options *options, struct hs_core_result *ret, struct hs_error *err)
{
	struct hs_dump_spec spec;
	struct hs_buf log;
	enum hs_status st;

	hs_dump_describe(sandbox, &spec, &log);
	spec.crash = crash;
	spec.path = path;
	spec.options = options;
	st = hs_dump_write(sandbox->vm, &spec, ret, err);
	hs_buf_deinit(&log);
	return st;
}
