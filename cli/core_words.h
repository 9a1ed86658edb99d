/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of `hindsight core` that have a file of their own: each as main(), returning the exit status. */
#ifndef HS_CLI_CORE_WORDS_H
#define HS_CLI_CORE_WORDS_H

#include <hindsight/coredump.h>

int hs_core_report(int argc, char **argv);
int hs_core_word_extract(int argc, char **argv);
int hs_core_word_verify(int argc, char **argv);
int hs_core_word_from_image(int argc, char **argv);

/** A line on stderr for each fault of a core (coredump/fault.h) that what follows is done in spite of. */
void hs_core_warn(const struct hs_core *core);

/** Print "core: PATH (SIZE)" of what was written, on stderr as after a crash. */
void hs_core_say_written(const struct hs_core_result *result);

#endif
