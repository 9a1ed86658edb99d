/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening an image made by elf_maker, with what is expected of it. For cmocka tests. */
#ifndef HS_TEST_LOADER_ASSERTS_H
#define HS_TEST_LOADER_ASSERTS_H

#include "elf_maker.h"
#include "vmm/loader.h"

/** Open the spec's image; the test fails when it is refused. For hs_image_close(). */
struct hs_image *loader_open_good(const struct elf_spec *spec);
/** The spec is refused with this status and a line that names its file and has this text; the output is untouched. */
void loader_assert_refused(const struct elf_spec *spec, enum hs_status status, const char *problem);

#endif
