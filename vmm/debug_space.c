/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/debug_space.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum hs_status hs_debug_spaces_set(struct hs_debug_spaces *spaces, const struct hs_root *roots, uint32_t count,
				   struct hs_error *err)
{
	struct hs_root *copy = count > 0 ? reallocarray(NULL, count, sizeof(*copy)) : NULL;

	if (count > 0 && !copy) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, count, "no memory for the guest's address spaces");
	}
	if (count > 0) {
		memcpy(copy, roots, count * sizeof(*copy));
	}
	free(spaces->roots);
	*spaces = (struct hs_debug_spaces){ .roots = copy, .count = count };
	return HS_OK;
}

void hs_debug_spaces_deinit(struct hs_debug_spaces *spaces)
{
	free(spaces->roots);
	*spaces = (struct hs_debug_spaces){ .count = 0 };
}

uint32_t hs_debug_spaces_number(const struct hs_debug_spaces *spaces, const struct hs_root *root)
{
	for (uint32_t i = 0; i < spaces->count; i++) {
		if (spaces->roots[i].base.v == root->base.v) {
			return i + 1;
		}
	}
	return 1;
}

bool hs_debug_spaces_has_cpu(const struct hs_debug_spaces *spaces, uint32_t number, const struct hs_cpu_state *cpu)
{
	struct hs_root root;

	if (number == 0) {
		return true;
	}
	hs_root_of_cpu(cpu, &root);
	return hs_debug_spaces_number(spaces, &root) == number;
}

size_t hs_debug_spaces_roots(const struct hs_debug_spaces *spaces, uint32_t number, const struct hs_cpu_state *cpu,
			     struct hs_root ret[2])
{
	size_t count = 0;

	hs_root_of_cpu(cpu, &ret[0]);
	if (number == 0 || hs_debug_spaces_number(spaces, &ret[0]) == number) {
		count = 1;
	}
	if (number == 0 || number > spaces->count ||
	    (count == 1 && spaces->roots[number - 1].base.v == ret[0].base.v)) {
		return count;
	}
	ret[count] = spaces->roots[number - 1];
	return count + 1;
}
