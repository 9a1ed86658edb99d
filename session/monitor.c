/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The commands that a debugger passes through ("monitor" in gdb, "process plugin packet monitor" in lldb): one
 * table, one function a command. A command that fails says so in its text, because text is all that a debugger
 * shows.
 */
#include "arch/exception.h"
#include "arch/regs.h"
#include "base/arith.h"
#include "base/buf.h"
#include "base/error.h"
#include "session/crash.h"
#include "session/doctor.h"
#include "session/dump.h"
#include "session/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1u << 20)
#define REG_TEXT_MAX (2 + 2 * HS_REG_BYTES_MAX + 1)

struct command {
	const char *name;
	const char *argument; /* as help shows it; NULL: takes none */
	const char *help;
	enum hs_status (*run)(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err);
};

static const struct command commands[];

static enum hs_status run_help(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	(void)live;
	(void)argument;
	(void)err;
	/* The stub lists help itself, in this form: the first row. */
	for (const struct command *c = commands + 1; c->name; c++) {
		char left[32];

		snprintf(left, sizeof(left), "%s %s", c->name, c->argument ? c->argument : "");
		hs_buf_printf(out, "%-14s %s\n", left, c->help);
	}
	return HS_OK;
}

static void put_stop(const struct hs_live *live, struct hs_buf *out)
{
	switch (live->end) {
	case HS_LIVE_EXITED:
		hs_buf_printf(out, "state     exited with status %d\n", live->result.event.exit_status);
		return;
	case HS_LIVE_CRASHED:
		hs_buf_printf(out, "state     ended by a crash: %s\n", live->result.event.crash.text);
		return;
	case HS_LIVE_KILLED:
		hs_buf_append_string(out, "state     killed\n");
		return;
	case HS_LIVE_FAILED:
		hs_buf_printf(out, "state     failed: %s\n", live->result.error.message);
		return;
	case HS_LIVE_NOT_ENDED:
		break;
	}
	if (live->crash_pending) {
		hs_buf_printf(out, "state     stopped at a crash (%s): %s\n",
			      hs_crash_reason_name(live->result.event.crash.reason), live->result.event.crash.text);
	} else {
		hs_buf_append_string(out, "state     stopped\n");
	}
}

/* Where the page tables have a segment now: a guest may have moved it, and a snapshot does. */
struct places {
	hs_gpa first;
	uint64_t mapped, pieces;
};

static void find_segment(const struct hs_phys *phys, const struct hs_root *root, const struct hs_vm_segment *segment,
			 struct places *ret)
{
	uint64_t next = 0; /* gpa at which the piece would go on */

	*ret = (struct places){ .mapped = 0 };
	for (uint64_t done = 0; done < segment->length;) {
		uint64_t gva = segment->gva.v + done;
		struct hs_range range;
		uint64_t length;
		uint64_t gpa;

		hs_translate(phys, root, hs_gva_of(gva), &range);
		length = hs_min_u64(range.length - (gva - range.start.v), segment->length - done);
		gpa = range.gpa.v + (gva - range.start.v);
		done += length;
		if (range.kind != HS_RANGE_MAPPED) {
			continue;
		}
		if (ret->pieces == 0) {
			ret->first = hs_gpa_of(gpa);
		}
		ret->pieces += ret->pieces == 0 || gpa != next;
		ret->mapped += length;
		next = gpa + length;
	}
}

static void put_segment(const struct hs_phys *phys, const struct hs_root *root, const struct hs_vm_segment *segment,
			struct hs_buf *out)
{
	struct places places;

	find_segment(phys, root, segment, &places);
	hs_buf_printf(out, "segment   0x%llx..0x%llx %c%c%c ", (unsigned long long)segment->gva.v,
		      (unsigned long long)(segment->gva.v + segment->length), segment->prot & HS_PROT_READ ? 'r' : '-',
		      segment->prot & HS_PROT_WRITE ? 'w' : '-', segment->prot & HS_PROT_EXEC ? 'x' : '-');
	if (places.pieces == 0) {
		hs_buf_append_string(out, "not mapped\n");
		return;
	}
	hs_buf_printf(out, "gpa 0x%llx", (unsigned long long)places.first.v);
	if (places.pieces > 1) {
		hs_buf_printf(out, " and %llu more places", (unsigned long long)places.pieces - 1);
	}
	if (places.mapped < segment->length) {
		hs_buf_printf(out, ", 0x%llx bytes not mapped", (unsigned long long)(segment->length - places.mapped));
	}
	hs_buf_append_byte(out, '\n');
}

static enum hs_status run_info(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	const struct hs_vm_image *image = hs_vm_image(live->vm);
	struct hs_phys phys = hs_vm_phys(live->vm);
	struct hs_cpu_state cpu;
	struct hs_root root;
	enum hs_status st = hs_vm_cpu_get(live->vm, &cpu, err);

	(void)argument;
	if (st) {
		return st;
	}
	hs_root_of_cpu(&cpu, &root);
	hs_buf_printf(out, "image     %s (%s, %s)\n", image->path, hs_arch_name(image->arch),
		      image->native ? "native" : "bare");
	hs_buf_printf(out, "backend   %s\n", hs_vm_backend_name(live->vm));
	put_stop(live, out);
	hs_buf_printf(out, "paging    %s, root at gpa 0x%llx\n", hs_paging_format_name(root.format),
		      (unsigned long long)root.base.v);
	for (size_t i = 0; i < image->segment_count; i++) {
		put_segment(&phys, &root, &image->segments[i], out);
	}
	return HS_OK;
}

static void reg_text(const struct hs_reg *reg, const struct hs_cpu_state *cpu, char *text)
{
	uint8_t bytes[HS_REG_BYTES_MAX];

	hs_reg_get(reg, cpu, bytes);
	text += sprintf(text, "0x");
	for (unsigned int i = reg->bytes; i > 0; i--) {
		text += sprintf(text, "%02x", bytes[i - 1]);
	}
}

static enum hs_status run_regs(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_cpu_state cpu;
	const struct hs_reg *regs;
	size_t count;
	enum hs_status st = hs_vm_cpu_get(live->vm, &cpu, err);

	(void)argument;
	if (st) {
		return st;
	}
	regs = hs_regs(hs_vm_image(live->vm)->arch, &count);
	for (size_t i = 0; i < count; i++) {
		char text[REG_TEXT_MAX];

		reg_text(&regs[i], &cpu, text);
		hs_buf_printf(out, "%-10s %s\n", regs[i].name, text);
	}
	return HS_OK;
}

/*
 * DIR/NAME in caller's storage; the directory alone without a name. A debugger that may be somebody else's gets no
 * say in the directory.
 */
static enum hs_status core_path(const struct hs_live *live, const char *name, char *ret, size_t size,
				struct hs_error *err)
{
	const char *dir = live->config.core_dir ? live->config.core_dir : ".";
	int length;

	if (live->config.confined && strchr(name, '/')) {
		return hs_error_set(err, HS_ERR_PERMISSION, 0, 0, "core %s: give a name without '/'", name);
	}
	if (name[0] == '/') {
		dir = "";
	}
	length = snprintf(ret, size, "%s%s%s", dir, name[0] && dir[0] ? "/" : "", name);
	if (length < 0 || (size_t)length >= size) {
		return hs_error_set(err, HS_ERR_RANGE, 0, 0, "the core's name is too long");
	}
	return HS_OK;
}

static enum hs_status run_core(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_core_result result;
	struct hs_dump_spec spec;
	struct hs_buf log;
	char path[4096];
	enum hs_status st = core_path(live, argument, path, sizeof(path), err);

	if (st) {
		return st;
	}
	hs_dump_describe(hs_session_sandbox(live->config.session), &spec, &log);
	spec.crash = live->crash_pending || live->end == HS_LIVE_CRASHED ? &live->result.event.crash : NULL;
	spec.path = path;
	spec.options = &live->config.core_options;
	st = hs_dump_write(live->vm, &spec, &result, err);
	hs_buf_deinit(&log);
	if (st) {
		return st;
	}
	hs_buf_printf(out, "core: %s (%llu bytes)\n", result.path, (unsigned long long)result.bytes);
	return HS_OK;
}

static enum hs_status run_restore(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	enum hs_status st;

	(void)argument;
	if (live->end != HS_LIVE_NOT_ENDED) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	st = hs_session_restore(live->config.session, err);
	if (st) {
		return st;
	}
	hs_live_begin_again(live);
	/* No packet tells a client that a stopped target has changed (gdb manual, Packets). */
	hs_buf_append_string(out,
			     "the guest is where its snapshot was taken; in gdb, 'maintenance flush register-cache' "
			     "shows it before the next stop\n");
	return HS_OK;
}

static enum hs_status run_doctor(struct hs_live *live, const char *argument, struct hs_buf *out, struct hs_error *err)
{
	struct hs_probe probe;

	(void)live;
	(void)argument;
	(void)err;
	hs_probe(&probe);
	hs_doctor_text(&probe, false, out);
	return HS_OK;
}

static const struct command commands[] = {
	{ "help", NULL, "this list", run_help },
	{ "info", NULL, "the guest: image, state, paging, segments", run_info },
	{ "regs", NULL, "all registers", run_regs },
	{ "core", "[FILE]", "write a core of the guest as it stands", run_core },
	{ "restore", NULL, "put the guest back to the snapshot that it stands on", run_restore },
	{ "doctor", NULL, "what this host can do, and what the debugger makes of it", run_doctor },
	{ NULL, NULL, NULL, NULL },
};

/* Split off the first word: *ret_argument is what follows it, without blanks around. */
static void split(char *line, const char **ret_word, const char **ret_argument)
{
	size_t length;

	line += strspn(line, " \t");
	*ret_word = line;
	line += strcspn(line, " \t\r\n");
	if (*line) {
		*line++ = '\0';
	}
	line += strspn(line, " \t");
	*ret_argument = line;
	for (length = strlen(line); length > 0 && strchr(" \t\r\n", line[length - 1]); length--) {
		line[length - 1] = '\0';
	}
}

static const struct command *find(const char *word)
{
	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(c->name, word) == 0) {
			return c;
		}
	}
	return NULL;
}

/* A failure within a command becomes its text; what is returned is whether there was such a command. */
static void run(struct hs_live *live, const struct command *command, const char *argument, struct hs_buf *out)
{
	struct hs_error err;

	if (live->running) {
		hs_buf_append_string(out, "the guest is running\n");
	} else if (argument[0] && !command->argument) {
		hs_buf_printf(out, "%s takes no argument\n", command->name);
	} else if (command->run(live, argument, out, &err)) {
		hs_buf_printf(out, "%s\n", err.message);
	}
}

enum hs_status hs_live_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err)
{
	struct hs_live *live = ctx;
	char *copy = strdup(line);
	const struct command *command;
	const char *argument;
	const char *word;
	struct hs_buf out;

	if (!copy) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a command");
	}
	split(copy, &word, &argument);
	command = find(word[0] ? word : "help");
	if (!command) {
		enum hs_status st =
			hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no command '%s' (try 'monitor help')", word);

		free(copy);
		return st;
	}
	hs_buf_init(&out, TEXT_MAX);
	run(live, command, argument, &out);
	free(copy);
	hs_buf_append_byte(&out, 0);
	if (out.failed) {
		hs_buf_deinit(&out);
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for the answer");
	}
	*ret_text = (char *)out.data;
	return HS_OK;
}
