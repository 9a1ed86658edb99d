/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing a core: plan, lay out, write the data, then notes and headers, and only then give the file its name. What is
 * too much for a limit is planned again, with less in it.
 *
 * The headers come last so that a file without its data never looks like a core, and so that the notes can say what the
 * data turned out to lack.
 */
#include "coredump/write.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd_io.h"
#include "coredump/compress.h"
#include "coredump/data.h"
#include "coredump/headers.h"
#include "coredump/notes.h"
#include "coredump/place.h"
#include "coredump/plan.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/** Notes take a few KiB a CPU, the paths of the files (Linux, too, bounds NT_FILE at 4 MiB), and the lists of other
 *  address spaces (8 MiB). */
#define NOTES_MAX (24u << 20)

/** What an ELF32 file keeps for headers and notes: 2^20 program headers of 32 bytes and NOTES_MAX, rounded up. */
#define HEADERS32_MAX (64u << 20)

/** Program headers are encoded in portions of this many. */
#define PHDR_PORTION 256u

/** What is in a core, the most first: the next one is tried when the limit has no room. */
enum keep {
	KEEP_ALL,
	KEEP_SPACES,  /* what is mapped */
	KEEP_PRIMARY, /* in the space that the PT_LOADs are */
	KEEP_ANCHORS, /* around the crash */
	KEEP_NOTHING,
};

/** A core while it is written. */
struct job {
	struct hs_core_input input; /* with no NULL strings and a budget */
	const struct hs_core_source *source;
	enum keep keep;
	int fd; /* of the file that is written: the place's, or one without a name */
	struct hs_core_plan plan;
	struct hs_core_layout layout;
	struct hs_core_place place;
	struct hs_buf notes;
	struct hs_core_data_result data;
	uint64_t packed_bytes;
};

static enum hs_status check_input(const struct hs_core_input *input, struct hs_error *err)
{
	if (input->cpu_count == 0 || input->cpu_count > HS_CORE_CPUS_MAX) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "a core has 1 to %u CPUs, not %zu", HS_CORE_CPUS_MAX,
				    input->cpu_count);
	}
	if (input->space_count > HS_CORE_SPACES_MAX ||
	    (input->space_count > 0 && input->space_index >= input->space_count)) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "address space %zu of %zu", input->space_index,
				    input->space_count);
	}
	if (input->arch != HS_ARCH_AMD64 && input->arch != HS_ARCH_I686) {
		return hs_error_set(err, HS_ERR_INVALID, 0, 0, "no such architecture: %d", (int)input->arch);
	}
	for (size_t i = 0; i < input->file_count; i++) {
		if (input->files[i].path == NULL) {
			return hs_error_set(err, HS_ERR_INVALID, 0, 0, "mapped file %zu has no path", i);
		}
	}
	for (size_t i = 0; i < input->range_count; i++) {
		const struct hs_core_range *range = &input->ranges[i];

		if (range->length == 0 || (range->gpa.v | range->length) % HS_PAGE_SIZE ||
		    range->length > UINT64_MAX - range->gpa.v) {
			return hs_error_set(err, HS_ERR_INVALID, 0, range->gpa.v, "range %zu is not one of pages", i);
		}
	}
	return HS_OK;
}

static const char *text_of(const char *text)
{
	return text != NULL ? text : "";
}

/** A copy of the input in which the defaults are spelt out. */
static struct hs_core_input complete_input(const struct hs_core_input *input)
{
	struct hs_core_input complete = *input;

	complete.name = text_of(input->name);
	complete.command_line = text_of(input->command_line);
	complete.reason_name = text_of(input->reason_name);
	complete.reason = text_of(input->reason);
	complete.pid = input->pid != 0 ? input->pid : getpid();
	if (complete.budget.tables == 0 || complete.budget.ranges == 0) {
		complete.budget = hs_budget_default();
	}
	return complete;
}

/** What must be in the core of a guest whose page tables have no end: where its first CPUs are, and the fault. */
static size_t choose_anchors(const struct hs_core_input *input, uint64_t ret[HS_CORE_ANCHORS_MAX])
{
	size_t count = 0;

	ret[count++] = input->fault_address;
	for (size_t i = 0; i < input->cpu_count && count + 2 <= HS_CORE_ANCHORS_MAX; i++) {
		ret[count++] = input->cpus[i].rip;
		ret[count++] = input->cpus[i].gpr[HS_RSP];
	}
	return count;
}

static enum hs_status make_plan(struct job *job, struct hs_error *err)
{
	uint64_t anchors[HS_CORE_ANCHORS_MAX];
	size_t anchor_count = choose_anchors(&job->input, anchors);
	bool wide = job->input.arch == HS_ARCH_AMD64;
	/* ELF32: file offsets have 32 bits, and a segment of 4 GiB would have the length 0. */
	const struct hs_core_plan_limits limits = {
		.budget = job->input.budget,
		.anchors = anchors,
		.anchor_count = anchor_count,
		.anchors_only = job->keep == KEEP_ANCHORS,
		.spaces = job->input.spaces,
		.space_count = job->input.space_count,
		.primary = job->input.space_index,
		.primary_only = job->keep >= KEEP_PRIMARY,
		.given = job->keep == KEEP_ANCHORS ? NULL : job->source->given,
		.ranges = job->input.ranges,
		.range_count = job->input.range_count,
		.data_bytes = wide ? (uint64_t)1 << 62 : UINT32_MAX + UINT64_C(1) - HEADERS32_MAX,
		.segment_bytes = wide ? (uint64_t)1 << 62 : UINT64_C(1) << 31,
	};

	return hs_core_plan_init(&job->input.phys, &job->input.root, &limits, &job->plan, err);
}

/** The notes; their size does not depend on what the data is, or where. */
static enum hs_status make_notes(struct job *job, struct hs_error *err)
{
	const struct hs_vmnote vmnote = {
		.producer = "hindsight " HS_VERSION,
		.reason_name = job->input.reason_name,
		.reason = job->input.reason,
		.partial = job->plan.partial || job->data.unreadable_bytes > 0,
		.reached = job->plan.reached,
		.bad_tables = job->plan.bad_tables,
		.unbacked_bytes = job->plan.unbacked_bytes + job->data.unreadable_bytes,
		.has_root = true,
		.root = job->input.root,
		.plan = &job->plan,
		.data_offset = job->layout.data_offset,
	};

	hs_buf_clear(&job->notes);
	hs_notes_put(&job->notes, &job->input, &vmnote);
	if (job->notes.failed) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the notes of a core, or more than %u bytes",
				    NOTES_MAX);
	}
	return HS_OK;
}

/** All PT_LOADs, from behind the PT_NOTE's header on. */
static enum hs_status write_segments(const struct job *job, struct hs_error *err)
{
	const struct hs_core_layout *layout = &job->layout;
	size_t entry = layout->class->phdr_bytes;
	uint64_t offset = layout->class->ehdr_bytes + entry;
	uint8_t bytes[PHDR_PORTION * HS_CORE_HEADER_MAX];

	for (size_t i = 0; i < job->plan.segment_count;) {
		size_t length = 0;

		for (; i < job->plan.segment_count && length < PHDR_PORTION * entry; i++) {
			hs_core_put_load_phdr(layout, &job->plan.segments[i], bytes + length);
			length += entry;
		}
		enum hs_status st = hs_fd_pwrite(job->fd, job->place.path, bytes, length, offset, err);

		if (st) {
			return st;
		}
		offset += length;
	}
	return HS_OK;
}

static enum hs_status write_headers(const struct job *job, struct hs_error *err)
{
	const struct hs_core_layout *layout = &job->layout;
	int fd = job->fd;
	const char *name = job->place.path;
	uint8_t bytes[HS_CORE_SECTIONS_BYTES];
	enum hs_status st = write_segments(job, err);

	if (st == HS_OK && layout->shdr_offset != 0) {
		hs_core_put_sections(layout, bytes);
		st = hs_fd_pwrite(fd, name, bytes, (size_t)(layout->note_offset - layout->shdr_offset),
				  layout->shdr_offset, err);
	}
	if (st == HS_OK) {
		st = hs_fd_pwrite(fd, name, job->notes.data, job->notes.length, layout->note_offset, err);
	}
	if (st) {
		return st;
	}
	hs_core_put_ehdr(layout, bytes);
	hs_core_put_note_phdr(layout, bytes + layout->class->ehdr_bytes);
	return hs_fd_pwrite(fd, name, bytes, (size_t)layout->class->ehdr_bytes + layout->class->phdr_bytes, 0, err);
}

/** Everything that is in the file. HS_ERR_BUDGET: more than the limit. */
static enum hs_status fill_file(struct job *job, struct hs_error *err)
{
	const struct hs_core_layout *layout = &job->layout;
	uint64_t limit = job->input.options.limit_bytes ? job->input.options.limit_bytes : UINT64_MAX;
	uint64_t head = layout->note_offset + layout->note_bytes;
	const struct hs_core_data_job data = {
		.fd = job->fd,
		.name = job->place.path,
		.phys = &job->input.phys,
		.share = job->source->share,
		.data_offset = layout->data_offset,
		.limit_bytes = limit - head,
		.options = &job->input.options,
	};

	if (head > limit) {
		return HS_ERR_BUDGET;
	}
	/* The full length first: a limit on file sizes is met before the work, and trailing holes exist. */
	if (ftruncate(job->fd, 0) != 0 || ftruncate(job->fd, (off_t)layout->file_bytes) != 0) {
		return hs_error_os(err, errno, "cannot write %s", job->place.path);
	}
	enum hs_status st = hs_core_data_write(&data, &job->plan, &job->data, err);

	if (st == HS_OK) {
		st = make_notes(job, err); /* now with what the data is and what it lacks */
	}
	if (st == HS_OK) {
		st = write_headers(job, err);
	}
	return st;
}

/** The plan for what is kept, and with it the sizes of everything. */
static enum hs_status prepare(struct job *job, struct hs_error *err)
{
	if (job->keep > KEEP_ALL) {
		/* What goes with all of the memory goes with it. */
		job->input.range_count = 0;
		job->input.note_count = 0;
	}
	hs_core_plan_deinit(&job->plan);
	job->data = (struct hs_core_data_result){ 0 };
	enum hs_status st = make_plan(job, err);

	if (st == HS_OK) {
		st = make_notes(job, err);
	}
	if (st == HS_OK) {
		st = hs_core_layout_make(job->input.arch, job->plan.segment_count, job->notes.length,
					 job->plan.data_bytes, &job->layout, err);
	}
	return st;
}

/** Fill the file with as much as the limit has room for. The first plan is made already. */
static enum hs_status write_file(struct job *job, struct hs_error *err)
{
	enum hs_status st = fill_file(job, err);

	while (st == HS_ERR_BUDGET && ++job->keep < KEEP_NOTHING) {
		st = prepare(job, err);
		st = st ? st : fill_file(job, err);
	}
	if (st == HS_ERR_BUDGET) {
		st = hs_error_set(err, HS_ERR_RANGE, 0, 0, "%s: no core fits into the limit of %llu bytes",
				  job->place.path, (unsigned long long)job->input.options.limit_bytes);
	}
	return st;
}

/** A file-size limit (RLIMIT_FSIZE) shall be an error of write(), not the end of the process: SIGXFSZ is blocked. */
struct size_signal {
	sigset_t before;
	bool was_pending;
};

static void only_size_signal(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGXFSZ);
}

static void hold_size_signal(struct size_signal *held)
{
	sigset_t set;

	only_size_signal(&set);
	pthread_sigmask(SIG_BLOCK, &set, &held->before);
	sigpending(&set);
	held->was_pending = sigismember(&set, SIGXFSZ) == 1;
}

/** Take what our own writes raised, then restore the mask. The signal goes to the thread that writes (mm/filemap.c). */
static void release_size_signal(const struct size_signal *held)
{
	const struct timespec now = { 0 };
	sigset_t set;

	only_size_signal(&set);
	if (!held->was_pending) {
		while (sigtimedwait(&set, NULL, &now) == SIGXFSZ) {
		}
	}
	pthread_sigmask(SIG_SETMASK, &held->before, NULL);
}

/** Write it to a file without a name, and that compressed to the one that gets the name. */
static enum hs_status write_compressed(struct job *job, struct hs_error *err)
{
	HS_CLOSE int scratch = -1;
	enum hs_status st = hs_core_place_scratch(&job->place, &scratch, err);

	if (st) {
		return st;
	}
	job->fd = scratch;
	st = write_file(job, err);
	return st ? st
		  : hs_core_compress(scratch, job->place.fd, job->place.path, job->layout.file_bytes,
				     &job->input.options, &job->packed_bytes, err);
}

static enum hs_status write_and_publish(struct job *job, const char *path, struct hs_error *err)
{
	bool compressed = job->input.options.compression == HS_CORE_ZSTD;
	const struct hs_core_name name = {
		.guest = job->input.name,
		.suffix = compressed ? ".zst" : "",
		.pid = job->input.pid,
		.replace = job->input.replace,
	};
	struct size_signal held;
	enum hs_status st = hs_core_place_init(path, &name, &job->place, err);

	if (st) {
		return st;
	}
	hold_size_signal(&held);
	job->fd = job->place.fd;
	st = compressed ? write_compressed(job, err) : write_file(job, err);
	if (st == HS_OK) {
		st = hs_core_place_publish(&job->place, err);
	}
	release_size_signal(&held);
	hs_core_place_deinit(&job->place);
	return st;
}

enum hs_status hs_core_write_from(const struct hs_core_input *input, const struct hs_core_source *source,
				  const char *path, struct hs_core_result *ret, struct hs_error *err)
{
	struct job job = { .source = source };
	enum hs_status st = check_input(input, err);

	if (st) {
		return st;
	}
	job.input = complete_input(input);
	hs_buf_init(&job.notes, NOTES_MAX);
	st = prepare(&job, err);
	if (st == HS_OK) {
		st = write_and_publish(&job, path, err);
	}
	if (st == HS_OK) {
		memcpy(ret->path, job.place.path, sizeof(ret->path));
		ret->bytes = job.layout.file_bytes;
		ret->stored_bytes = job.layout.note_offset + job.layout.note_bytes + job.data.stored_bytes;
		ret->packed_bytes = job.packed_bytes;
		ret->segments = job.plan.segment_count;
		ret->reduced = job.keep > KEEP_ALL;
		ret->partial = job.plan.partial || job.data.unreadable_bytes > 0;
	}
	hs_core_plan_deinit(&job.plan);
	hs_buf_deinit(&job.notes);
	return st;
}

enum hs_status hs_core_write(const struct hs_core_input *input, const char *path, struct hs_core_result *ret,
			     struct hs_error *err)
{
	static const struct hs_core_source memory;

	return hs_core_write_from(input, &memory, path, ret, err);
}
