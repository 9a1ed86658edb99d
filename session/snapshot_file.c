/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/snapshot_file.h"

#include "base/arith.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/path.h"
#include "coredump/fault.h"
#include "coredump/vmnote.h"
#include "session/crash.h"
#include "session/snapshot.h"
#include "session/snapshot_note.h"
#include "snapshot/snapshot.h"
#include "vmm/memory.h"

#include <hindsight/paging.h>

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Roots, registers and names: far more than any snapshot needs. */
#define NOTE_MAX (4u << 20)

/* Program headers of an image that are looked at. */
#define PHDRS_MAX 64

/** A program header as the guest has it in its memory: the segment's pages of the file. False when it has none. */
static bool get_file(const uint8_t *phdr, enum hs_arch arch, const char *path, struct hs_core_file *ret)
{
	bool wide = arch == HS_ARCH_AMD64;
	unsigned int word = wide ? 8 : 4;
	const uint8_t *words = phdr + (wide ? 8 : 4); /* p_offset, p_vaddr, p_paddr, p_filesz */
	uint64_t offset = hs_get_le(words, word);
	uint64_t gva = hs_get_le(words + word, word);
	uint64_t bytes = hs_get_le(words + (size_t)3 * word, word);
	uint64_t lead = offset % HS_PAGE_SIZE;

	if (hs_get_le32(phdr) != PT_LOAD || bytes == 0 || gva % HS_PAGE_SIZE != lead || bytes > INT64_MAX) {
		return false;
	}
	*ret = (struct hs_core_file){
		.start = hs_gva_of(gva - lead),
		.length = hs_align_down(bytes + lead + HS_PAGE_SIZE - 1, HS_PAGE_SIZE),
		.file_offset = offset - lead,
		.path = path,
	};
	return true;
}

/** The parts of the image in the guest's memory, by the program headers there: the file may be gone. */
static size_t list_files(const struct hs_snapshot_info *info, const struct hs_phys *phys,
			 struct hs_core_file files[PHDRS_MAX])
{
	const struct hs_snapshot_guest *guest = &info->guest;
	size_t bytes = guest->arch == HS_ARCH_AMD64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	size_t count = 0;

	if (guest->phdr == 0 || guest->path[0] == '\0' || guest->phentsize != bytes) {
		return 0;
	}
	for (unsigned int i = 0; i < guest->phnum && i < PHDRS_MAX; i++) {
		uint8_t phdr[sizeof(Elf64_Phdr)];
		size_t length;

		if (hs_vmem_read(phys, &info->roots[info->current], hs_gva_of(guest->phdr + i * bytes), phdr, bytes,
				 &length, NULL) == HS_OK &&
		    length == bytes) {
			count += get_file(phdr, guest->arch, guest->path, &files[count]);
		}
	}
	return count;
}

static size_t list_ranges(const struct hs_memory_image *memory, struct hs_core_range *ranges)
{
	size_t count = 0;

	for (size_t i = 0; i < memory->part_count; i++) {
		if (memory->parts[i].length > 0) {
			ranges[count++] = (struct hs_core_range){ memory->parts[i].gpa, memory->parts[i].length };
		}
	}
	return count;
}

static enum hs_status make_note(const struct hs_snapshot_info *info, const struct hs_cpu_state *cpu, struct hs_buf *buf,
				struct hs_core_extra *ret, struct hs_error *err)
{
	hs_buf_init(buf, NOTE_MAX);
	hs_snapshot_note_put(buf, info, cpu);
	*ret = (struct hs_core_extra){ HS_VMNOTE_SNAPSHOT, buf->data, buf->length };
	return buf->failed ? hs_error_os(err, ENOMEM, "cannot write the snapshot's note") : HS_OK;
}

enum hs_status hs_snapshot_file_write(const struct hs_snapshot *snapshot, const char *path, bool replace,
				      struct hs_core_result *ret, struct hs_error *err)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	struct hs_core_file files[PHDRS_MAX];
	struct hs_core_range ranges[HS_MEMORY_PARTS_MAX];
	struct hs_core_extra note;
	struct hs_buf buf;
	struct hs_core_input input = {
		.arch = info->guest.arch,
		.cpus = hs_snapshot_cpu(snapshot),
		.cpu_count = 1,
		.phys = hs_snapshot_phys(snapshot),
		.root = info->roots[info->current],
		.spaces = info->roots,
		.space_count = info->root_count,
		.space_index = info->current,
		.name = hs_base_name(info->guest.path),
		.command_line = info->guest.path,
		.auxv = {
			.entry = info->guest.entry,
			.phdr = info->guest.phdr,
			.phent = info->guest.phentsize,
			.phnum = info->guest.phnum,
		},
		.files = files,
		.reason_name = "snapshot",
		.reason = "a snapshot: the guest goes on from here",
		.ranges = ranges,
		.notes = &note,
		.note_count = 1,
		.replace = replace,
	};
	enum hs_status st = make_note(info, input.cpus, &buf, &note, err);

	if (info->crashed) {
		hs_crash_describe(&info->crash, &input);
	}
	if (!st) {
		input.file_count = list_files(info, &input.phys, files);
		input.range_count = list_ranges(&info->memory, ranges);
		st = hs_core_write(&input, path, ret, err);
	}
	hs_buf_deinit(&buf);
	return st;
}

enum hs_status hs_snapshot_save(const struct hs_snapshot *snapshot, const char *path, bool replace,
				struct hs_error *err)
{
	struct hs_core_result result;

	return hs_snapshot_file_write(snapshot, path, replace, &result, err);
}

/** A part from there on; one that reaches into scratch or out of it becomes two. False when there are too many. */
static bool add_parts(struct hs_memory_image *memory, uint64_t gpa, uint64_t length)
{
	uint64_t scratch = memory->scratch_gpa.v;
	uint64_t end = scratch + memory->scratch_length;

	while (length > 0) {
		uint64_t part = length;

		if (gpa < scratch) {
			part = hs_min_u64(part, scratch - gpa);
		} else if (gpa < end) {
			part = hs_min_u64(part, end - gpa);
		}
		if (memory->part_count == HS_MEMORY_PARTS_MAX) {
			return false;
		}
		memory->parts[memory->part_count++] = (struct hs_memory_part){ .gpa = { gpa }, .length = part };
		gpa += part;
		length -= part;
	}
	return true;
}

static bool list_memory(struct hs_vm *vm, struct hs_memory_image *ret)
{
	struct hs_vm_bounds bounds = hs_vm_bounds(vm);
	struct hs_phys phys = hs_vm_phys(vm);
	hs_gpa start = hs_gpa_of(0);
	uint64_t length;

	ret->scratch_gpa = bounds.scratch_gpa;
	ret->scratch_length = bounds.scratch_bytes;
	while (phys.ops->next_region(phys.ctx, start, &start, &length)) {
		if (!add_parts(ret, start.v, length)) {
			return false;
		}
		start.v += length;
	}
	return true;
}

void hs_snapshot_image_init(struct hs_vm *vm, const struct hs_crash *crash, struct hs_core_input *input,
			    struct hs_snapshot_image *image)
{
	static const struct hs_snapshot_spec nothing_known;
	struct hs_snapshot_info info = { .memory = { .fd = -1 }, .roots = &input->root, .root_count = 1 };

	if (input->space_count > 0) {
		info.roots = input->spaces;
		info.root_count = (uint32_t)input->space_count;
		info.current = (uint32_t)input->space_index;
	}

	hs_buf_init(&image->buf, NOTE_MAX);
	hs_snapshot_describe(vm, &nothing_known, &info.guest);
	if (crash) {
		info.crashed = true;
		info.crash = *crash;
	}
	if (!list_memory(vm, &info.memory) || make_note(&info, &input->cpus[0], &image->buf, &image->note, NULL)) {
		return;
	}
	input->notes = &image->note;
	input->note_count = 1;
	input->ranges = image->ranges;
	input->range_count = list_ranges(&info.memory, image->ranges);
}

void hs_snapshot_image_deinit(struct hs_snapshot_image *image)
{
	hs_buf_deinit(&image->buf);
}

enum hs_status hs_snapshot_file_note(const struct hs_core *core, const char *path, struct hs_snapshot_note **ret,
				     struct hs_error *err)
{
	const struct hs_core_info *facts = hs_core_info(core);

	for (size_t i = 0; facts->notes_sum == HS_CORE_SUM_GOOD && i < facts->note_count; i++) {
		const struct hs_core_note *note = hs_core_note(core, i);

		if (note->type == HS_VMNOTE_SNAPSHOT && strcmp(note->name, HS_VMNOTE_NAME) == 0) {
			enum hs_status st =
				hs_snapshot_note_get(hs_core_note_bytes(core, i), note->length, note->offset, ret, err);

			if (st) {
				hs_core_broken_note(core, err ? err->where : 0, st, err);
			}
			return st;
		}
	}
	return facts->producer[0] ? hs_error_set(err, HS_ERR_FORMAT, 0, 0,
						 "%s: not a snapshot: this core has no memory to go on from", path)
				  : hs_core_foreign(core, err);
}

/** Where each part is in the file: within one piece that is stored whole. */
static enum hs_status place_parts(const struct hs_core *core, struct hs_memory_image *memory, struct hs_error *err)
{
	for (size_t i = 0; i < memory->part_count; i++) {
		struct hs_memory_part *part = &memory->parts[i];
		const struct hs_core_stored *piece = NULL;

		for (size_t k = 0; k < hs_core_info(core)->stored_count; k++) {
			if (hs_core_stored(core, k)->gpa.v <= part->gpa.v) {
				piece = hs_core_stored(core, k);
			}
		}
		if (part->length == 0) {
			continue;
		}
		if (!piece || !hs_range_within(part->gpa.v - piece->gpa.v, part->length, piece->length)) {
			return hs_core_broken(core, err, hs_core_note(core, 0)->offset,
					      "memory of the snapshot at 0x%llx is not in the file",
					      (unsigned long long)part->gpa.v);
		}
		part->offset = piece->offset + (part->gpa.v - piece->gpa.v);
	}
	return HS_OK;
}

static enum hs_status adopt(const struct hs_core *core, const char *path, struct hs_snapshot_note *note,
			    struct hs_snapshot **ret, struct hs_error *err)
{
	enum hs_status st;

	/* What the file's records say must go together. hs_snapshot_adopt() sees to the memory. */
	if (note->info.guest.arch != hs_core_info(core)->arch) {
		return hs_core_broken(core, err, 18, "its header and its snapshot's note name two architectures");
	}
	st = place_parts(core, &note->info.memory, err);
	if (st) {
		return st;
	}
	note->info.memory.fd = fcntl(hs_core_fd(core), F_DUPFD_CLOEXEC, 0);
	if (note->info.memory.fd < 0) {
		return hs_error_os(err, errno, "cannot open %s", path);
	}
	st = hs_snapshot_adopt(&note->info, &note->cpu, ret, err);
	return st && err ? hs_error_prefix(err, "%s", path) : st;
}

enum hs_status hs_snapshot_open(const char *path, bool verify, struct hs_snapshot **ret, struct hs_error *err)
{
	struct hs_snapshot_note *note = NULL;
	struct hs_core *core;
	enum hs_status st = hs_core_open(path, &core, err);

	if (st) {
		return st;
	}
	st = hs_core_fault(core, 0, err);
	st = st ? st : hs_snapshot_file_note(core, path, &note, err);
	if (!st && verify) {
		st = hs_core_verify(core, err);
	}
	st = st ? st : adopt(core, path, note, ret, err);
	hs_snapshot_note_free(note);
	hs_core_close(core);
	return st;
}
