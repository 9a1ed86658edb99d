/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boot_fixture.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void assert_ok(enum hs_status st, const struct hs_error *err)
{
	if (st) {
		fail_msg("%s: %s", hs_status_name(st), err->message);
	}
}

void booted_prepare(struct booted *booted, const char *path, const struct hs_vm_config *config)
{
	struct hs_error err = { 0 };

	memset(booted, 0, sizeof(*booted));
	hs_ram_init(&booted->ram);
	booted->phys = hs_ram_phys(&booted->ram);
	assert_ok(hs_image_open(path, &booted->image, &err), &err);
	assert_ok(hs_layout_plan(booted->image, config, &booted->layout, &err), &err);
	assert_ok(hs_ram_add(&booted->ram, booted->layout.snapshot_gpa, booted->layout.snapshot_bytes, NULL, &err),
		  &err);
	assert_ok(hs_ram_add(&booted->ram, booted->layout.scratch_gpa, booted->layout.scratch_bytes, NULL, &err), &err);
}

void booted_init(struct booted *booted, const char *path, const struct hs_vm_config *config)
{
	struct hs_error err = { 0 };

	booted_prepare(booted, path, config);
	assert_ok(hs_boot_write(&booted->phys, booted->image, &booted->layout, config, &booted->cpu, &err), &err);
	hs_root_of_cpu(&booted->cpu, &booted->root);
}

void booted_init_small(struct booted *booted, bool is_64, const struct hs_vm_config *config)
{
	struct elf_spec spec;
	uint8_t bytes[ELF_MAKER_BYTES_MAX];
	struct elf_file file;

	elf_spec_init(&spec, is_64);
	elf_make(&spec, bytes);
	elf_file_create(&file, bytes, spec.bytes);
	booted_init(booted, file.path, config);
	elf_file_close(&file);
}

void booted_deinit(struct booted *booted)
{
	hs_ram_deinit(&booted->ram);
	hs_image_close(booted->image);
}

void booted_read(const struct booted *booted, uint64_t gva, void *ret, size_t length)
{
	struct hs_error err = { 0 };
	size_t done = 0;

	assert_ok(hs_vmem_read(&booted->phys, &booted->root, hs_gva_of(gva), ret, length, &done, &err), &err);
	assert_int_equal(done, length);
}

void booted_write(const struct booted *booted, uint64_t gva, const void *bytes, size_t length)
{
	struct hs_error err = { 0 };

	assert_ok(hs_vmem_write(&booted->phys, &booted->root, hs_gva_of(gva), bytes, length, &err), &err);
}

uint64_t booted_word(const struct booted *booted, uint64_t gva, unsigned int bytes)
{
	uint8_t word[8];

	booted_read(booted, gva, word, bytes);
	return hs_get_le(word, bytes);
}
