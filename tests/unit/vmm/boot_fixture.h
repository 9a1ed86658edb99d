/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that has been opened, planned and booted into plain memory: everything but a CPU. For cmocka tests. */
#ifndef HS_TEST_BOOT_FIXTURE_H
#define HS_TEST_BOOT_FIXTURE_H

#include "elf_maker.h"
#include "vmm/boot.h"
#include "vmm/layout.h"
#include "vmm/loader.h"
#include "vmm/ram.h"

#include <hindsight/cpu.h>
#include <hindsight/paging.h>
#include <hindsight/vm.h>

struct booted {
	struct hs_image *image;
	struct hs_layout layout;
	struct hs_ram ram;
	struct hs_phys phys; /* of ram: a struct booted must not move */
	struct hs_cpu_state cpu;
	struct hs_root root;
};

/** Open and plan the image at path and make its memory, but do not boot it. */
void booted_prepare(struct booted *booted, const char *path, const struct hs_vm_config *config);
/** And boot it; the test fails when any of it does. */
void booted_init(struct booted *booted, const char *path, const struct hs_vm_config *config);
/** The same for elf_maker's usual image. */
void booted_init_small(struct booted *booted, bool is_64, const struct hs_vm_config *config);
void booted_deinit(struct booted *booted);

/** Bytes at a gva by the guest's own tables; the test fails where nothing is mapped. */
void booted_read(const struct booted *booted, uint64_t gva, void *ret, size_t length);
void booted_write(const struct booted *booted, uint64_t gva, const void *bytes, size_t length);
uint64_t booted_word(const struct booted *booted, uint64_t gva, unsigned int bytes);

#endif
