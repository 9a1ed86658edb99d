/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/path_step.h"

#include "paging/format.h"

#include <inttypes.h>
#include <stdio.h>

void hs_path_step(const struct hs_root *root, const struct hs_path *path, unsigned int depth, struct hs_path_step *ret)
{
	const struct hs_format *format = hs_format_of(root->format);
	const struct hs_path_level *level = &path->levels[depth];

	*ret = (struct hs_path_step){
		.name = format->level[depth].name,
		.table = level->table.v,
		.index = (level->place.v - level->table.v) / format->entry_bytes,
		.digits = 2 * format->entry_bytes,
		.readable = level->readable,
	};
	if (!level->readable) {
		return;
	}
	hs_entry_describe(root, depth, level->entry, &ret->fields);
	ret->entry = level->entry;
	ret->leads_on = ret->fields.present && (depth + 1u < path->count || path->range.kind == HS_RANGE_MAPPED);
	ret->leads_to = ret->fields.gpa.v;
}

void hs_path_fields(const struct hs_entry_fields *fields, const char *quote, const char *between,
		    char ret[HS_PATH_FIELDS_BYTES])
{
	const char *separator = "";
	size_t length = 0;

	ret[0] = '\0';
	for (unsigned int i = 0; i < fields->count && length < HS_PATH_FIELDS_BYTES; i++) {
		const struct hs_entry_field *field = &fields->fields[i];
		/* The values of RSVD and IGN are the bits where they stand. */
		bool number = (field->mask & (field->mask - 1)) != 0 || field->value != 1;
		char value[20] = "";

		if (field->value == 0) {
			continue;
		}
		if (number) {
			snprintf(value, sizeof(value), "=0x%" PRIx64, field->value);
		}
		length += (size_t)snprintf(ret + length, HS_PATH_FIELDS_BYTES - length, "%s%s%s%s%s", separator, quote,
					   field->name, value, quote);
		separator = between;
	}
}
