/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "coredump/fault.h"

#include "base/error.h"
#include "coredump/read.h"

#include <stdarg.h>
#include <stdio.h>

/* In parentheses: what is a macro under the static analyzer. */
enum hs_status(hs_core_broken)(const struct hs_core *core, struct hs_error *err, uint64_t offset, const char *format,
			       ...)
{
	char what[HS_ERROR_MESSAGE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return hs_error_set(err, HS_ERR_FORMAT, 0, offset, "%s: broken core: %s (at file offset 0x%llx)", core->path,
			    what, (unsigned long long)offset);
}

void hs_core_broken_note(const struct hs_core *core, uint64_t offset, enum hs_status st, struct hs_error *err)
{
	char what[HS_ERROR_MESSAGE_MAX];

	if (err != NULL) {
		snprintf(what, sizeof(what), "%s", err->message);
		hs_error_set(err, st, 0, offset, "%s: %s (at file offset 0x%llx)", core->path, what,
			     (unsigned long long)offset);
	}
}

enum hs_status(hs_core_foreign)(const struct hs_core *core, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_FORMAT, 0, 0,
			    "%s: not a core of hindsight's: it does not say where its page tables are", core->path);
}

static enum hs_status check_sum(const struct hs_core *core, struct hs_error *err)
{
	if (core->info.notes_sum == HS_CORE_SUM_BAD) {
		return hs_core_broken(core, err, core->note_offset,
				      "the notes are not what was written: their checksum does not fit");
	}
	/* Whatever is ours has one. */
	if (core->info.notes_sum == HS_CORE_SUM_NONE && core->info.producer[0] != '\0') {
		return hs_core_broken(core, err, core->note_offset, "the notes' checksum is gone");
	}
	return HS_OK;
}

enum hs_status hs_core_check_registers(const struct hs_core *core, struct hs_error *err)
{
	return core->info.cpu_count > 0 ? HS_OK
					: hs_core_broken(core, err, core->note_offset, "no registers of any CPU");
}

static enum hs_status check_size(const struct hs_core *core, struct hs_error *err)
{
	if (core->info.missing_bytes == 0) {
		return HS_OK;
	}
	return hs_core_broken(core, err, core->info.file_bytes, "%llu bytes are missing at the end of the file",
			      (unsigned long long)core->info.missing_bytes);
}

enum hs_status hs_core_fault(const struct hs_core *core, size_t index, struct hs_error *err)
{
	static enum hs_status (*const CHECKS[HS_CORE_FAULTS_MAX])(const struct hs_core *, struct hs_error *) = {
		check_sum,
		hs_core_check_registers,
		check_size,
	};
	size_t found = 0;

	for (size_t i = 0; i < HS_CORE_FAULTS_MAX; i++) {
		if (CHECKS[i](core, NULL) != HS_OK && found++ == index) {
			return CHECKS[i](core, err);
		}
	}
	return HS_OK;
}
