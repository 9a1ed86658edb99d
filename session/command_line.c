/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/command_line.h"

void hs_command_line_append(const struct hs_vm *vm, const char *const *args, size_t args_count, struct hs_buf *ret)
{
	hs_buf_append_string(ret, hs_vm_image(vm)->path);
	for (size_t i = 1; i < args_count; i++) {
		hs_buf_append_byte(ret, ' ');
		hs_buf_append_string(ret, args[i]);
	}
	hs_buf_append_byte(ret, 0);
}
