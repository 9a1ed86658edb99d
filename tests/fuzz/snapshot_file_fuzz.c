/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes as a snapshot file. The input changes a sound file at a few places, and its notes' checksum is made to fit, so
 * that the changes get past it. If the file opens, all of its memory is read. Or it changes the snapshot's note by
 * itself, and what is read from that is written and read again: the same.
 *
 * Input: 1 byte of control (bit 0: the note by itself; bit 1: leave the checksum alone), then changes of 3 bytes each:
 * where, in units of 4 bytes from the start of the notes or the note, and what to put there.
 */
#include "driver.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "coredump/vmnote.h"
#include "session/snapshot_file.h"
#include "session/snapshot_note.h"
#include "snapshot/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE UINT64_C(0x1000)
#define SCRATCH_GPA UINT64_C(0x40000000)

/** The sound file, made once. */
static struct {
	uint8_t *bytes;
	size_t length, notes, note, note_length, sum;
	int fd;
	char path[64];
} file;

static struct hs_snapshot *make_snapshot(void)
{
	static const struct hs_root root = { .format = HS_PAGING_NONE, .maxphyaddr = 32 };
	static const struct hs_memory_part parts[] = {
		{ .gpa = { PAGE }, .length = 2 * PAGE, .shared = true },
		{ .gpa = { SCRATCH_GPA + PAGE }, .length = PAGE, .offset = 2 * PAGE },
	};
	struct hs_snapshot_info info = {
		.guest = {
			.path = "/a.elf",
			.entry = 0x401000,
			.roots_symbol = "roots",
			.devices = { .abort_text = "half" },
		},
		.memory = { .part_count = 2, .scratch_gpa = { SCRATCH_GPA }, .scratch_length = 4 * PAGE },
		.roots = &root,
		.root_count = 1,
		/* So that there is every record that a note may have. */
		.crashed = true,
		.crash = { .signal = 11, .abort_message = "no", .text = "a crash" },
	};
	static struct hs_cpu_state cpu;
	struct hs_snapshot *snapshot;

	memcpy(info.memory.parts, parts, sizeof(parts));
	info.memory.fd = memfd_create("memory", MFD_CLOEXEC);
	CHECK(info.memory.fd >= 0 && ftruncate(info.memory.fd, 3 * PAGE) == 0);
	CHECK(pwrite(info.memory.fd, "some", 4, 100) == 4);
	CHECK(hs_snapshot_adopt(&info, &cpu, &snapshot, NULL) == HS_OK);
	return snapshot;
}

static void read_places(const char *path)
{
	struct hs_core *core;

	CHECK(hs_core_open(path, &core, NULL) == HS_OK);
	const struct hs_core_info *info = hs_core_info(core);

	/* The first note has a header of 12 bytes and the name CORE, padded to 8. */
	file.notes = (size_t)hs_core_note(core, 0)->offset - 20;
	file.note = (size_t)hs_core_note(core, info->note_count - 2)->offset;
	file.note_length = hs_core_note(core, info->note_count - 2)->length;
	file.sum = (size_t)hs_core_note(core, info->note_count - 1)->offset;
	file.length = (size_t)info->file_bytes;
	file.bytes = malloc(file.length);
	CHECK(file.bytes && pread(hs_core_fd(core), file.bytes, file.length, 0) == (ssize_t)file.length);
	hs_core_close(core);
}

static void prepare(void)
{
	struct hs_snapshot *snapshot = make_snapshot();
	char directory[] = "/tmp/hs-fuzz-XXXXXX";
	char path[64];

	CHECK(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a.snap", directory);
	CHECK(hs_snapshot_save(snapshot, path, false, NULL) == HS_OK);
	hs_snapshot_unref(snapshot);
	read_places(path);
	unlink(path);
	rmdir(directory);
	file.fd = memfd_create("snapshot", MFD_CLOEXEC);
	CHECK(file.fd >= 0);
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
}

/** Every part can be read, and the regions that the memory says it has. */
static void use(const struct hs_snapshot *snapshot)
{
	const struct hs_snapshot_info *info = hs_snapshot_info(snapshot);
	struct hs_phys phys = hs_snapshot_phys(snapshot);
	hs_gpa start = hs_gpa_of(0);
	uint8_t page[PAGE];
	uint64_t length;

	CHECK(info->current < info->root_count && info->memory.part_count <= HS_MEMORY_PARTS_MAX);
	CHECK(strlen(info->guest.path) < sizeof(info->guest.path) && info->guest.build_id_length <= 32);
	for (size_t i = 0; i < info->memory.part_count; i++) {
		const struct hs_memory_part *part = &info->memory.parts[i];

		for (uint64_t at = 0; at < part->length; at += PAGE) {
			CHECK(phys.ops->read(phys.ctx, hs_gpa_of(part->gpa.v + at), page, PAGE, NULL) == HS_OK);
		}
	}
	for (unsigned int i = 0; i < 100 && phys.ops->next_region(phys.ctx, start, &start, &length); i++) {
		CHECK(length > 0 && phys.ops->read(phys.ctx, start, page, 1, NULL) == HS_OK);
		start.v += length;
	}
}

static void open_file(const uint8_t *bytes, size_t length)
{
	struct hs_snapshot *snapshot = NULL;
	struct hs_error err = { 0 };

	CHECK(ftruncate(file.fd, 0) == 0 && pwrite(file.fd, bytes, length, 0) == (ssize_t)length);
	if (hs_snapshot_open(file.path, false, &snapshot, &err)) {
		CHECK(!snapshot && err.status != HS_OK && err.message[0] != '\0');
		return;
	}
	use(snapshot);
	hs_snapshot_unref(snapshot);
}

/** The note by itself: what comes out goes in again, and comes out the same. */
static void read_note(const uint8_t *bytes, size_t length)
{
	struct hs_snapshot_note *note, *again;
	struct hs_error err = { 0 };
	struct hs_buf buf;

	if (hs_snapshot_note_get(bytes, length, 0, &note, &err)) {
		CHECK(err.message[0] != '\0');
		return;
	}
	hs_buf_init(&buf, 1 << 24);
	hs_snapshot_note_put(&buf, &note->info, &note->cpu);
	CHECK(!buf.failed && hs_snapshot_note_get(buf.data, buf.length, 0, &again, NULL) == HS_OK);
	CHECK(memcmp(&note->cpu, &again->cpu, sizeof(note->cpu)) == 0);
	CHECK(memcmp(&note->info.crash, &again->info.crash, sizeof(note->info.crash)) == 0);
	CHECK(note->info.crashed == again->info.crashed);
	CHECK(memcmp(&note->info.guest, &again->info.guest, sizeof(note->info.guest)) == 0);
	CHECK(note->info.root_count == again->info.root_count && note->info.cow == again->info.cow);
	hs_snapshot_note_free(again);
	hs_snapshot_note_free(note);
	hs_buf_deinit(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!file.bytes) {
		prepare();
	}
	if (size < 1) {
		return 0;
	}
	bool note_only = data[0] & 1;
	uint8_t *bytes = malloc(file.length);

	CHECK(bytes);
	memcpy(bytes, file.bytes, file.length);
	for (size_t i = 1; i + 3 <= size; i += 3) {
		size_t start = note_only ? file.note : file.notes;
		uint32_t values[] = { 0, 1, 0xffffffff, 0x7fffffff, data[i + 2], data[i + 2] * 0x1000u };

		hs_put_le32(bytes + start + 4 * (hs_get_le16(data + i) % ((file.sum - start) / 4)),
			    values[data[i + 2] % 6]);
	}
	if (note_only) {
		read_note(bytes + file.note, size % 7 ? file.note_length : file.note_length - size % 64);
	} else {
		if (!(data[0] & 2)) {
			hs_put_le32(bytes + file.sum, hs_crc32c(0, bytes + file.notes, file.sum - 24 - file.notes));
		}
		open_file(bytes, file.length);
	}
	free(bytes);
	return 0;
}
