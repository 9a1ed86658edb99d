/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/map.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static enum hs_status refuse(const char *text, struct hs_error *err)
{
	return hs_error_set(err, HS_ERR_INVALID, 0, 0, "--map: '%s' is not [LABEL=]FILE@GPA (GPA as 0x10000000)", text);
}

/* Cuts text, a copy, into its parts. The last @ is the one: a file's name may have others. */
static bool split(char *text, struct hs_vm_mapping *ret)
{
	char *at = strrchr(text, '@');
	char *equals = strchr(text, '=');
	char *slash;

	if (!at || !hs_opts_number(at + 1, &ret->gpa.v)) {
		return false;
	}
	*at = '\0';
	if (equals && equals < at) {
		*equals = '\0';
		ret->label = text;
		ret->path = equals + 1;
	} else {
		slash = strrchr(text, '/');
		ret->label = slash ? slash + 1 : text;
		ret->path = text;
	}
	ret->writable = true;
	return ret->label[0] != '\0' && ret->path[0] != '\0';
}

enum hs_status hs_map_parse(const struct hs_opt_strings *values, struct hs_map_list *ret, struct hs_error *err)
{
	for (size_t i = 0; i < values->count; i++) {
		char *text = strdup(values->values[i]);

		if (!text) {
			return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "--map: no memory for '%s'", values->values[i]);
		}
		ret->texts[ret->count] = text;
		ret->count++;
		if (!split(text, &ret->mappings[i])) {
			return refuse(values->values[i], err);
		}
	}
	return HS_OK;
}

void hs_map_free(struct hs_map_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->texts[i]);
	}
	list->count = 0;
}
