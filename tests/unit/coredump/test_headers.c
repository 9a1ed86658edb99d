/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers and register notes as bytes, against the structures of the system's own headers. */
#include "base/bytes.h"
#include "coredump/headers.h"
#include "coredump/regnotes.h"
#include "guest.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include <cmocka.h>

/* The oracles below are those of the machine that runs the tests. */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "these tests read little-endian structures of the host"
#endif

static struct hs_core_layout make_layout(enum hs_arch arch, uint64_t segments, uint64_t notes, uint64_t data)
{
	struct hs_core_layout layout;

	assert_int_equal(hs_core_layout_make(arch, segments, notes, data, &layout, NULL), HS_OK);
	return layout;
}

static void test_layout_parts_follow_each_other(void **state)
{
	struct hs_core_layout layout = make_layout(HS_ARCH_AMD64, 3, 1000, 0x5000);

	(void)state;
	assert_int_equal(layout.program_headers, 4);
	assert_int_equal(layout.shdr_offset, 0);
	assert_int_equal(layout.note_offset, sizeof(Elf64_Ehdr) + 4 * sizeof(Elf64_Phdr));
	assert_int_equal(layout.data_offset, 0x1000);
	assert_int_equal(layout.file_bytes, 0x6000);
	layout = make_layout(HS_ARCH_I686, 3, 0x1000 - sizeof(Elf32_Ehdr) - 4 * sizeof(Elf32_Phdr), 0x5000);
	assert_int_equal(layout.note_offset, sizeof(Elf32_Ehdr) + 4 * sizeof(Elf32_Phdr));
	assert_int_equal(layout.data_offset, 0x1000);
}

static void test_layout_has_sections_from_65535_program_headers_on(void **state)
{
	(void)state;
	for (uint64_t headers = 65533; headers < 65538; headers++) {
		struct hs_core_layout layout = make_layout(HS_ARCH_AMD64, headers - 1, 1000, 0);
		uint8_t bytes[HS_CORE_HEADER_MAX], sections[HS_CORE_SECTIONS_BYTES];
		Elf64_Ehdr ehdr;
		Elf64_Shdr shdr[3];

		hs_core_put_ehdr(&layout, bytes);
		memcpy(&ehdr, bytes, sizeof(ehdr));
		if (headers < PN_XNUM) {
			assert_int_equal(ehdr.e_phnum, headers);
			assert_int_equal(ehdr.e_shnum, 0);
			assert_int_equal(ehdr.e_shoff, 0);
			assert_int_equal(ehdr.e_shentsize, 0);
			continue;
		}
		hs_core_put_sections(&layout, sections);
		memcpy(shdr, sections, sizeof(shdr));
		assert_int_equal(ehdr.e_phnum, PN_XNUM);
		assert_int_equal(ehdr.e_shoff, layout.shdr_offset);
		assert_int_equal(ehdr.e_shnum, 3);
		assert_int_equal(ehdr.e_shentsize, sizeof(Elf64_Shdr));
		assert_int_equal(shdr[0].sh_type, SHT_NULL);
		assert_int_equal(shdr[0].sh_info, headers);
		assert_int_equal(shdr[1].sh_type, SHT_NOTE);
		assert_int_equal(shdr[1].sh_offset, layout.note_offset);
		assert_int_equal(shdr[1].sh_size, 1000);
		assert_int_equal(shdr[2].sh_type, SHT_STRTAB);
		assert_int_equal(ehdr.e_shstrndx, 2);
		const char *names = (const char *)sections + (shdr[2].sh_offset - layout.shdr_offset);

		assert_string_equal(names + shdr[1].sh_name, ".note");
		assert_string_equal(names + shdr[2].sh_name, ".shstrtab");
		assert_int_equal(shdr[2].sh_offset + shdr[2].sh_size, layout.note_offset);
	}
}

static void test_layout_beyond_what_offsets_hold_is_refused(void **state)
{
	struct hs_core_layout layout = { .file_bytes = 7 };

	(void)state;
	assert_int_equal(hs_core_layout_make(HS_ARCH_I686, 3, 1000, UINT32_MAX - 0xFFF, &layout, NULL), HS_ERR_RANGE);
	assert_int_equal(hs_core_layout_make(HS_ARCH_AMD64, 3, 1000, UINT64_MAX - 0xFFF, &layout, NULL), HS_ERR_RANGE);
	assert_int_equal(hs_core_layout_make(HS_ARCH_AMD64, UINT32_MAX, 1000, 0, &layout, NULL), HS_ERR_RANGE);
	assert_int_equal(hs_core_layout_make(HS_ARCH_AMD64, 3, UINT64_MAX, 0, &layout, NULL), HS_ERR_RANGE);
	assert_int_equal(layout.file_bytes, 7);
	assert_int_equal(hs_core_layout_make(HS_ARCH_I686, 3, 1000, UINT32_MAX - 0x1FFF, &layout, NULL), HS_OK);
}

static void test_headers_are_those_of_elf64(void **state)
{
	struct hs_core_layout layout = make_layout(HS_ARCH_AMD64, 3, 1000, 0x5000);
	const struct hs_core_segment segment = { { 0xFFFFFFFF80000000 },     0x3000, { 0x123456000 }, 0x2000, 0x3000,
						 HS_PROT_READ | HS_PROT_EXEC };
	uint8_t bytes[HS_CORE_HEADER_MAX];
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;

	(void)state;
	hs_core_put_ehdr(&layout, bytes);
	memcpy(&ehdr, bytes, sizeof(ehdr));
	assert_memory_equal(ehdr.e_ident, ELFMAG "\2\1\1\0\0\0\0\0\0\0\0\0", EI_NIDENT);
	assert_int_equal(ehdr.e_type, ET_CORE);
	assert_int_equal(ehdr.e_machine, EM_X86_64);
	assert_int_equal(ehdr.e_version, EV_CURRENT);
	assert_int_equal(ehdr.e_phoff, sizeof(ehdr));
	assert_int_equal(ehdr.e_ehsize, sizeof(ehdr));
	assert_int_equal(ehdr.e_phentsize, sizeof(phdr));
	hs_core_put_note_phdr(&layout, bytes);
	memcpy(&phdr, bytes, sizeof(phdr));
	assert_int_equal(phdr.p_type, PT_NOTE);
	assert_int_equal(phdr.p_offset, layout.note_offset);
	assert_int_equal(phdr.p_filesz, 1000);
	assert_int_equal(phdr.p_memsz, 0);
	hs_core_put_load_phdr(&layout, &segment, bytes);
	memcpy(&phdr, bytes, sizeof(phdr));
	assert_int_equal(phdr.p_type, PT_LOAD);
	assert_int_equal(phdr.p_flags, PF_R | PF_X);
	assert_int_equal(phdr.p_offset, 0x3000);
	assert_int_equal(phdr.p_vaddr, 0xFFFFFFFF80000000);
	assert_int_equal(phdr.p_paddr, 0x123456000);
	assert_int_equal(phdr.p_filesz, 0x3000);
	assert_int_equal(phdr.p_memsz, 0x3000);
	assert_int_equal(phdr.p_align, 4096);
}

static void test_headers_are_those_of_elf32(void **state)
{
	struct hs_core_layout layout = make_layout(HS_ARCH_I686, 3, 1000, 0x5000);
	struct hs_core_segment segment = { { 0xC0000000 }, 0x3000, { 0x1000 }, 0x2000, 0x3000, GUEST_RW };
	uint8_t bytes[HS_CORE_HEADER_MAX];
	Elf32_Ehdr ehdr;
	Elf32_Phdr phdr;

	(void)state;
	hs_core_put_ehdr(&layout, bytes);
	memcpy(&ehdr, bytes, sizeof(ehdr));
	assert_memory_equal(ehdr.e_ident, ELFMAG "\1\1\1\0\0\0\0\0\0\0\0\0", EI_NIDENT);
	assert_int_equal(ehdr.e_type, ET_CORE);
	assert_int_equal(ehdr.e_machine, EM_386);
	assert_int_equal(ehdr.e_phoff, sizeof(ehdr));
	assert_int_equal(ehdr.e_phnum, 4);
	hs_core_put_load_phdr(&layout, &segment, bytes);
	memcpy(&phdr, bytes, sizeof(phdr));
	assert_int_equal(phdr.p_type, PT_LOAD);
	assert_int_equal(phdr.p_flags, PF_R | PF_W);
	assert_int_equal(phdr.p_offset, 0x3000);
	assert_int_equal(phdr.p_vaddr, 0xC0000000);
	assert_int_equal(phdr.p_paddr, 0x1000);
	assert_int_equal(phdr.p_memsz, 0x3000);
	assert_int_equal(phdr.p_align, 4096);
	segment.gpa.v = 0x123456000; /* a PAE guest */
	hs_core_put_load_phdr(&layout, &segment, bytes);
	memcpy(&phdr, bytes, sizeof(phdr));
	assert_int_equal(phdr.p_paddr, 0);
}

#ifdef __x86_64__
static void test_prstatus_is_that_of_the_system(void **state)
{
	struct guest guest;
	struct elf_prstatus prstatus;
	struct user_regs_struct registers;
	uint8_t bytes[HS_PRSTATUS64_BYTES];

	(void)state;
	guest_init(&guest, HS_ARCH_AMD64, true);
	assert_int_equal(hs_prstatus_bytes(HS_ARCH_AMD64), sizeof(prstatus));
	hs_prstatus_put(HS_ARCH_AMD64, &guest.cpu, 11, 5, bytes);
	memcpy(&prstatus, bytes, sizeof(prstatus));
	memcpy(&registers, prstatus.pr_reg, sizeof(registers));
	assert_int_equal(prstatus.pr_cursig, 11);
	assert_int_equal(prstatus.pr_info.si_signo, 11);
	assert_int_equal(prstatus.pr_pid, 5);
	assert_int_equal(prstatus.pr_fpvalid, 1);
	assert_int_equal(registers.rax, guest.cpu.gpr[HS_RAX]);
	assert_int_equal(registers.rbx, guest.cpu.gpr[HS_RBX]);
	assert_int_equal(registers.rcx, guest.cpu.gpr[HS_RCX]);
	assert_int_equal(registers.rdx, guest.cpu.gpr[HS_RDX]);
	assert_int_equal(registers.rsi, guest.cpu.gpr[HS_RSI]);
	assert_int_equal(registers.rdi, guest.cpu.gpr[HS_RDI]);
	assert_int_equal(registers.rbp, guest.cpu.gpr[HS_RBP]);
	assert_int_equal(registers.rsp, guest.cpu.gpr[HS_RSP]);
	assert_int_equal(registers.r8, guest.cpu.gpr[HS_R8]);
	assert_int_equal(registers.r15, guest.cpu.gpr[HS_R15]);
	assert_int_equal(registers.rip, guest.cpu.rip);
	assert_int_equal(registers.eflags, (uint32_t)guest.cpu.rflags);
	assert_int_equal(registers.cs, guest.cpu.seg[HS_CS].selector);
	assert_int_equal(registers.ss, guest.cpu.seg[HS_SS].selector);
	assert_int_equal(registers.gs, guest.cpu.seg[HS_GS].selector);
	assert_int_equal(registers.fs_base, guest.cpu.seg[HS_FS].base);
	assert_int_equal(registers.gs_base, guest.cpu.seg[HS_GS].base);
	assert_int_equal(registers.orig_rax, UINT64_MAX);
	guest_deinit(&guest);
}
#endif

static void test_prstatus_of_i686_is_laid_out_as_linux_does(void **state)
{
	struct guest guest;
	uint8_t bytes[HS_PRSTATUS32_BYTES];
	/* Words of elf_gregset_t, arch/x86/include/asm/elf.h ELF_CORE_COPY_REGS for 32 bits. */
	enum { EBX, ECX, EDX, ESI, EDI, EBP, EAX, DS, ES, FS, GS, ORIG_EAX, EIP, CS, EFLAGS, ESP, SS };

	(void)state;
	guest_init(&guest, HS_ARCH_I686, true);
	hs_prstatus_put(HS_ARCH_I686, &guest.cpu, 8, 5, bytes);
	const uint8_t *registers = bytes + 72;

	assert_int_equal(hs_prstatus_bytes(HS_ARCH_I686), 144);
	assert_int_equal(hs_get_le16(bytes + 12), 8);
	assert_int_equal(hs_get_le32(bytes + 24), 5);
	assert_int_equal(hs_get_le32(registers + 4 * EAX), guest.cpu.gpr[HS_RAX]);
	assert_int_equal(hs_get_le32(registers + 4 * EBX), guest.cpu.gpr[HS_RBX]);
	assert_int_equal(hs_get_le32(registers + 4 * ESP), guest.cpu.gpr[HS_RSP]);
	assert_int_equal(hs_get_le32(registers + 4 * EIP), guest.cpu.rip);
	assert_int_equal(hs_get_le32(registers + 4 * EFLAGS), guest.cpu.rflags);
	assert_int_equal(hs_get_le32(registers + 4 * SS), guest.cpu.seg[HS_SS].selector);
	assert_int_equal(hs_get_le32(registers + 4 * GS), guest.cpu.seg[HS_GS].selector);
	assert_int_equal(hs_get_le32(registers + 4 * ORIG_EAX), UINT32_MAX);
	assert_int_equal(hs_get_le32(bytes + 140), 1);
	guest_deinit(&guest);
}

static void test_xstate_is_as_long_as_its_components(void **state)
{
	/* Intel's standard format (SDM vol. 1 13.5); gdb 14 and later know the layout by these lengths. */
	static const struct {
		uint64_t xcr0;
		size_t bytes;
	} rows[] = {
		{ 0, 576 },     { 1, 576 },     { 3, 576 },      { 7, 832 },      { 0x1F, 1088 },
		{ 0xE7, 2688 }, { 0xFF, 2688 }, { 0x2E7, 2696 }, { 0x207, 2696 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(hs_xstate_bytes(rows[i].xcr0, 0), rows[i].bytes);
	}
	assert_int_equal(hs_xstate_bytes(0x2E7, 2440), 2440); /* AMD's layout */
	assert_int_equal(hs_xstate_bytes(7, 100), 832);
	assert_int_equal(hs_xstate_bytes(7, 1 << 20), 832);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_parts_follow_each_other),
		cmocka_unit_test(test_layout_has_sections_from_65535_program_headers_on),
		cmocka_unit_test(test_layout_beyond_what_offsets_hold_is_refused),
		cmocka_unit_test(test_headers_are_those_of_elf64),
		cmocka_unit_test(test_headers_are_those_of_elf32),
#ifdef __x86_64__
		cmocka_unit_test(test_prstatus_is_that_of_the_system),
#endif
		cmocka_unit_test(test_prstatus_of_i686_is_laid_out_as_linux_does),
		cmocka_unit_test(test_xstate_is_as_long_as_its_components),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
