/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest was started with, as one line of text: for its cores. */
#ifndef HS_SESSION_COMMAND_LINE_H
#define HS_SESSION_COMMAND_LINE_H

#include "base/buf.h"

#include <hindsight/vm.h>

#include <stddef.h>

/** Most bytes of it: a core keeps less (elf_prpsinfo). */
#define HS_COMMAND_LINE_MAX (1u << 20)

/**
 * Append the image's path and the arguments after the first, separated by spaces, and a NUL. The buffer's failed state
 * says when it did not work.
 */
void hs_command_line_append(const struct hs_vm *vm, const char *const *args, size_t args_count, struct hs_buf *ret);

#endif
