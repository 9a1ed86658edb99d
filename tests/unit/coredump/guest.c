/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handmade guest of the core tests. See guest.h. */
#include "guest.h"

#include "arch/regs.h"
#include "base/bytes.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

uint64_t guest_register(enum hs_arch arch, size_t number)
{
	uint64_t wide = UINT64_C(0x0102030405060000) * 0x10 + number * 0x0101;

	return arch == HS_ARCH_I686 ? (uint32_t)(0x10200000 + number * 0x0101) : wide;
}

static void set_vectors(struct hs_cpu_state *cpu)
{
	for (unsigned int i = 0; i < 16; i++) {
		hs_put_le64(cpu->xsave + HS_XSAVE_XMM0 + 16 * i, 0x1111111111111111u * (i % 8 + 1));
		hs_put_le64(cpu->xsave + HS_XSAVE_XMM0 + 16 * i + 8, 0x0123456789ABCD00 + i);
		hs_put_le64(cpu->xsave + HS_XSAVE_YMMH0 + 16 * i, 0xFEDCBA9876543200 + i);
		hs_put_le64(cpu->xsave + HS_XSAVE_YMMH0 + 16 * i + 8, 0xA0A0A0A0A0A0A000 + i);
	}
	/* st0 = 1.5, st1 = -2: sign and exponent, then the integer bit and the fraction (SDM vol. 1 8.2). Top of
	 * stack is 0, so that physical and stack numbers agree. */
	hs_put_le64(cpu->xsave + HS_XSAVE_ST0, 0xC000000000000000);
	hs_put_le16(cpu->xsave + HS_XSAVE_ST0 + 8, 0x3FFF);
	hs_put_le64(cpu->xsave + HS_XSAVE_ST0 + 16, 0x8000000000000000);
	hs_put_le16(cpu->xsave + HS_XSAVE_ST0 + 24, 0xC000);
	cpu->xsave[HS_XSAVE_FTW] = 3;
	hs_put_le16(cpu->xsave + HS_XSAVE_FCW, 0x027F);
	hs_put_le16(cpu->xsave + HS_XSAVE_FOP, 0x0123);
	hs_put_le32(cpu->xsave + HS_XSAVE_MXCSR, 0x9FC0);
	cpu->xcr0 = 7;
	hs_put_le64(cpu->xsave + HS_XSAVE_XSTATE_BV, 7);
}

static void set_registers(enum hs_arch arch, struct hs_cpu_state *cpu)
{
	size_t count;
	const struct hs_reg *rows = hs_regs(arch, &count);

	hs_cpu_state_init(cpu);
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

		if (rows[i].prstatus < 0) {
			continue;
		}
		/* 16 bits are enough to tell selectors apart, and all that they have. */
		hs_put_le64(bytes, rows[i].codec == HS_REG_SELECTOR ? i * 0x0101 : guest_register(arch, i));
		hs_reg_set(&rows[i], cpu, bytes);
	}
	set_vectors(cpu);
}

void guest_init(struct guest *guest, enum hs_arch arch, bool pointers)
{
	memset(guest, 0, sizeof(*guest));
	ram_init(&guest->ram, pointers);
	ram_add(&guest->ram, GUEST_RAM_GPA, GUEST_RAM_BYTES);
	ram_add(&guest->ram, GUEST_TABLES_GPA, GUEST_TABLES_BYTES);
	ram_set_tables(&guest->ram, GUEST_TABLES_GPA + HS_PAGE_SIZE, GUEST_TABLES_BYTES - HS_PAGE_SIZE);
	guest->root = (struct hs_root){
		.format = arch == HS_ARCH_I686 ? HS_PAGING_32BIT : HS_PAGING_4LEVEL,
		.base = hs_gpa_of(GUEST_TABLES_GPA),
		.nxe = arch == HS_ARCH_AMD64,
	};
	set_registers(arch, &guest->cpu);
	guest->input = (struct hs_core_input){
		.arch = arch,
		.cpus = &guest->cpu,
		.cpu_count = 1,
		.phys = guest->ram.phys,
		.root = guest->root,
		.signal = 11,
		.code = 1,
		.fault_address = 0x10,
		.name = "fault.elf",
		.command_line = "./fault.elf one two",
		.pid = 4711,
		.auxv = { .entry = 0x401000 },
		.reason_name = "exception",
		.reason = "page fault: write to 0x10, which is not mapped",
	};
	strcpy(guest->directory, "/tmp/hs-core-XXXXXX");
	if (mkdtemp(guest->directory) == NULL) {
		fail_msg("no temporary directory");
	}
}

static unsigned int each_file(const struct guest *guest, bool remove_it)
{
	DIR *directory = opendir(guest->directory);
	unsigned int count = 0;

	for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
			continue;
		}
		count++;
		if (remove_it) {
			unlinkat(dirfd(directory), entry->d_name, 0);
		}
	}
	if (directory != NULL) {
		closedir(directory);
	}
	return count;
}

struct hs_core *guest_open(const char *path)
{
	struct hs_core *core = NULL;
	struct hs_error err = { 0 };

	if (hs_core_open(path, &core, &err) != HS_OK) {
		fail_msg("%s", err.message);
	}
	return core;
}

unsigned int guest_files(const struct guest *guest)
{
	return each_file(guest, false);
}

void guest_deinit(struct guest *guest)
{
	each_file(guest, true);
	rmdir(guest->directory);
	ram_deinit(&guest->ram);
}

void guest_map(struct guest *guest, uint64_t gva, uint64_t gpa, uint64_t length, int prot)
{
	const struct hs_mapping mapping = {
		.gva = hs_gva_of(gva), .gpa = hs_gpa_of(gpa), .length = length, .prot = prot, .user = true
	};

	assert_int_equal(ram_map(&guest->ram, &guest->root, &mapping), HS_OK);
}

void guest_fill(struct guest *guest, uint64_t gpa, uint64_t length)
{
	for (uint64_t at = gpa; at < gpa + length; at += 8) {
		hs_put_le64(ram_at(&guest->ram, at), UINT64_C(0xA500000000000000) | at);
	}
}

void guest_dump(struct guest *guest, struct hs_core_result *ret)
{
	struct hs_error err = { 0 };

	if (hs_core_write(&guest->input, guest->directory, ret, &err) != HS_OK) {
		fail_msg("%s", err.message);
	}
}
