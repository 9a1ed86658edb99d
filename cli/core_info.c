/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hindsight core info as text. Whatever comes out of the file is made printable first: it goes to a terminal. */
#include "cli/core_info.h"

#include "arch/exception.h"
#include "arch/regs.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "cli/term.h"
#include "coredump/fault.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

/** Segments that are listed unless all are asked for. */
#define SEGMENTS_SHOWN 40u

/** Registers side by side. */
#define COLUMNS 3u

const char *hs_core_code_name(int signal, int code)
{
	/* Linux, include/uapi/asm-generic/siginfo.h; the codes that exceptions.h and vmm/crash give out. */
	static const struct {
		int signal, code;
		const char *name;
	} rows[] = {
		{ SIGSEGV, 1, "SEGV_MAPERR" }, { SIGSEGV, 2, "SEGV_ACCERR" }, { SIGFPE, 1, "FPE_INTDIV" },
		{ SIGFPE, 2, "FPE_INTOVF" },   { SIGFPE, 3, "FPE_FLTDIV" },   { SIGFPE, 4, "FPE_FLTOVF" },
		{ SIGFPE, 5, "FPE_FLTUND" },   { SIGFPE, 6, "FPE_FLTRES" },   { SIGFPE, 7, "FPE_FLTINV" },
		{ SIGILL, 1, "ILL_ILLOPC" },   { SIGILL, 2, "ILL_ILLOPN" },   { SIGTRAP, 1, "TRAP_BRKPT" },
		{ SIGTRAP, 2, "TRAP_TRACE" },  { SIGBUS, 1, "BUS_ADRALN" },   { SIGBUS, 2, "BUS_ADRERR" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].signal == signal && rows[i].code == code) {
			return rows[i].name;
		}
	}
	return code == 0x80 ? "SI_KERNEL" : code == 0 ? "SI_USER" : code == -6 ? "SI_TKILL" : NULL;
}

static void put_text(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t length = hs_utf8_printable_length(at);

		if (length > 0) {
			fwrite(at, 1, length, out);
		} else {
			putc('?', out);
		}
		at += length > 0 ? length : 1;
	}
}

static void put_label(FILE *out, const char *label, bool colour)
{
	fprintf(out, "%s%-10s%s ", colour ? "\033[1m" : "", label, colour ? "\033[0m" : "");
}

static void put_signal(const struct hs_core_info *info, FILE *out)
{
	const char *name = hs_signal_name(info->signal);
	const char *code = hs_core_code_name(info->signal, info->code);

	if (info->signal == 0) {
		fprintf(out, "none\n");
		return;
	}
	fprintf(out, "%s (%d)", name ? name : "unnamed", info->signal);
	if (info->has_siginfo) {
		fprintf(out, ", code %d%s%s%s, address 0x%" PRIx64, info->code, code ? " (" : "", code ? code : "",
			code ? ")" : "", info->fault_address);
	}
	putc('\n', out);
}

static void put_root(const struct hs_core_info *info, FILE *out)
{
	fprintf(out, "%s, root at 0x%" PRIx64, hs_paging_format_name(info->root.format), info->root.base.v);
	if (info->bad_tables > 0) {
		fprintf(out, ", %" PRIu64 " broken or missing tables", info->bad_tables);
	}
	if (info->unbacked_bytes > 0) {
		fprintf(out, ", 0x%" PRIx64 " bytes mapped to where there is no memory", info->unbacked_bytes);
	}
	putc('\n', out);
}

static void put_size(const struct hs_core_info *info, FILE *out)
{
	char size[32], disk[32];

	hs_term_size(info->file_bytes, size, sizeof(size));
	hs_term_size(info->disk_bytes, disk, sizeof(disk));
	fprintf(out, "%s, %s on disk\n", size, disk);
}

/** What is wrong with the core, if anything. */
static void put_faults(const struct hs_core *core, bool colour, FILE *out)
{
	const struct hs_core_info *info = hs_core_info(core);
	struct hs_error fault;

	if (info->partial) {
		put_label(out, "incomplete", colour);
		fprintf(out, "not all of the address space is in the file");
		if (info->reached > 0) {
			fprintf(out, ": the walk of the page tables was cut short at 0x%" PRIx64, info->reached);
		}
		putc('\n', out);
	}
	for (size_t i = 0; hs_core_fault(core, i, &fault); i++) {
		put_label(out, "problem", colour);
		put_text(out, fault.message);
		putc('\n', out);
	}
}

static void put_head(const struct hs_core *core, const char *path, bool colour, FILE *out)
{
	const struct hs_core_info *info = hs_core_info(core);

	put_label(out, "core", colour);
	put_text(out, path);
	putc('\n', out);
	put_label(out, "guest", colour);
	put_text(out, info->name);
	fprintf(out, " (%s)%s", hs_arch_name(info->arch), info->command_line[0] ? ": " : "");
	put_text(out, info->command_line);
	putc('\n', out);
	if (info->reason[0]) {
		put_label(out, "reason", colour);
		put_text(out, info->reason);
		putc('\n', out);
	}
	put_label(out, "signal", colour);
	put_signal(info, out);
	if (info->has_root) {
		put_label(out, "space", colour);
		put_root(info, out);
	}
	put_label(out, "size", colour);
	put_size(info, out);
	if (info->producer[0]) {
		put_label(out, "written by", colour);
		put_text(out, info->producer);
		putc('\n', out);
	}
	put_faults(core, colour, out);
}

static void put_title(FILE *out, const char *title, bool colour)
{
	fprintf(out, "\n%s%s%s\n", colour ? "\033[1m" : "", title, colour ? "\033[0m" : "");
}

/** The general registers of one CPU, as many side by side as fit. */
static void put_registers(const struct hs_core *core, size_t cpu, FILE *out)
{
	enum hs_arch arch = hs_core_info(core)->arch;
	unsigned int digits = arch == HS_ARCH_AMD64 ? 16 : 8;
	unsigned int column = 0;
	struct hs_cpu_state state;
	size_t count;
	const struct hs_reg *rows = hs_regs(arch, &count);

	hs_core_cpu(core, cpu, &state);
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

		/* orig_rax is for debuggers: it always says that there is no system call. */
		if (rows[i].prstatus < 0 || rows[i].feature == HS_REG_LINUX) {
			continue;
		}
		hs_reg_get(&rows[i], &state, bytes);
		fprintf(out, "  %-7s 0x%0*" PRIx64, rows[i].name, (int)digits, hs_get_le64(bytes));
		column = (column + 1) % COLUMNS;
		if (column == 0) {
			putc('\n', out);
		}
	}
	if (column != 0) {
		putc('\n', out);
	}
}

static void put_segments(const struct hs_core *core, bool all, FILE *out)
{
	size_t count = hs_core_info(core)->segment_count;
	int digits = hs_core_info(core)->arch == HS_ARCH_AMD64 ? 16 : 8;
	size_t shown = all || count <= SEGMENTS_SHOWN ? count : SEGMENTS_SHOWN;

	fprintf(out, "  %-*s  %-12s  %-3s  %-12s  %s\n", digits + 2, "address", "length", "", "physical",
		"file offset");
	for (size_t i = 0; i < shown; i++) {
		const struct hs_core_segment *segment = hs_core_segment(core, i);

		fprintf(out, "  0x%0*" PRIx64 "  0x%-10" PRIx64 "  %c%c%c  0x%-10" PRIx64 "  0x%" PRIx64 "\n", digits,
			segment->start.v, segment->length, segment->prot & HS_PROT_READ ? 'r' : '-',
			segment->prot & HS_PROT_WRITE ? 'w' : '-', segment->prot & HS_PROT_EXEC ? 'x' : '-',
			segment->gpa.v, segment->offset);
	}
	if (shown < count) {
		fprintf(out, "  and %zu more (--all lists them)\n", count - shown);
	}
}

static void put_spaces(const struct hs_core *core, bool all, FILE *out)
{
	size_t count = hs_core_info(core)->space_count;
	size_t shown = all || count <= SEGMENTS_SHOWN ? count : SEGMENTS_SHOWN;

	for (size_t i = 0; i < shown; i++) {
		const struct hs_core_space *space = hs_core_space(core, i);

		fprintf(out, "  %3zu  %s, root at 0x%" PRIx64 ", %zu segments%s%s\n", i,
			hs_paging_format_name(space->root.format), space->root.base.v, space->segment_count,
			space->partial ? ", incomplete" : "",
			i == hs_core_info(core)->space_index ? ": the CPU's, whose segments are above" : "");
	}
	if (shown < count) {
		fprintf(out, "  and %zu more (--all lists them)\n", count - shown);
	}
}

static void put_files(const struct hs_core *core, FILE *out)
{
	int digits = hs_core_info(core)->arch == HS_ARCH_AMD64 ? 16 : 8;

	for (size_t i = 0; i < hs_core_info(core)->file_count; i++) {
		const struct hs_core_file *file = hs_core_file(core, i);

		fprintf(out, "  0x%0*" PRIx64 "  0x%-10" PRIx64 "  ", digits, file->start.v, file->length);
		put_text(out, file->path);
		fprintf(out, " + 0x%" PRIx64 "\n", file->file_offset);
	}
}

static void put_notes(const struct hs_core *core, FILE *out)
{
	for (size_t i = 0; i < hs_core_info(core)->note_count; i++) {
		const struct hs_core_note *note = hs_core_note(core, i);

		fprintf(out, "  %-10s ", note->name);
		if (note->title) {
			fprintf(out, "%-16s", note->title);
		} else {
			fprintf(out, "type 0x%-9" PRIx32 "  ", note->type);
		}
		fprintf(out, "  %" PRIu32 " bytes at 0x%" PRIx64 "\n", note->length, note->offset);
	}
}

void hs_core_info_text(const struct hs_core *core, const char *path, const char *hash, bool colour, bool all, FILE *out)
{
	const struct hs_core_info *info = hs_core_info(core);
	char title[64];

	put_head(core, path, colour, out);
	if (hash[0] != '\0') {
		put_label(out, "hash", colour);
		fprintf(out, "%s\n", hash);
	}
	for (size_t i = 0; i < info->cpu_count; i++) {
		snprintf(title, sizeof(title), info->cpu_count > 1 ? "registers of CPU %zu" : "registers", i);
		put_title(out, title, colour);
		put_registers(core, i, out);
	}
	snprintf(title, sizeof(title), "segments: %zu", info->segment_count);
	put_title(out, title, colour);
	if (info->segment_count > 0) {
		put_segments(core, all, out);
	}
	if (info->space_count > 1) {
		snprintf(title, sizeof(title), "address spaces: %zu", info->space_count);
		put_title(out, title, colour);
		put_spaces(core, all, out);
	}
	if (info->file_count > 0) {
		put_title(out, "files", colour);
		put_files(core, out);
	}
	put_title(out, "notes", colour);
	put_notes(core, out);
}
