/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest that changes the CPU's mode and waits there for whom it may concern: on amd64 it runs 32-bit code in
 * compatibility mode until a debugger sets modes_leave; on i686 it goes to 64-bit mode, for good.
 */
#include <hindsight/guest.h>

#define PAGE 4096u
#define DATA 0x10
/* Behind what the SDK's table has. */
#define OTHER_CODE 0x30
#define OTHER_SLOT (OTHER_CODE / 8)
#define GDT_SLOTS (OTHER_SLOT + 1)

struct table_pointer {
	uint16_t limit;
	uintptr_t base;
} __attribute__((packed));

struct far_pointer {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed));

static void add_code_segment(uint64_t *gdt, uint64_t descriptor)
{
	struct table_pointer pointer;

	__asm__ volatile("sgdt %0" : "=m"(pointer));
	memcpy(gdt, (const void *)pointer.base, pointer.limit + 1u);
	gdt[OTHER_SLOT] = descriptor;
	pointer = (struct table_pointer){ GDT_SLOTS * 8 - 1, (uintptr_t)gdt };
	__asm__ volatile("lgdt %0" : : "m"(pointer));
}

#ifdef __x86_64__

#define CODE_32 0x00CF9B000000FFFF

volatile int modes_leave;
void modes_go(const struct far_pointer *to);
extern const char modes_in_32[];

__asm__(".pushsection .text.modes, \"ax\", @progbits\n"
	"	.globl modes_go, modes_in_32\n"
	"	.type modes_go, @function\n"
	"modes_go:\n"
	"	movabsq $0x1122334455667788, %r8\n"
	"	ljmp *(%rdi)\n"
	"	.size modes_go, . - modes_go\n"
	"	.code32\n"
	"	.type modes_in_32, @function\n"
	"modes_in_32:\n"
	"	movl $0x12345678, %eax\n"
	"1:	pause\n"
	"	incl %ecx\n"
	"	cmpl $0, modes_leave\n"
	"	je 1b\n"
	"	ljmp $8, $modes_back\n"
	"	.size modes_in_32, . - modes_in_32\n"
	"	.code64\n"
	"modes_back:\n"
	"	ret\n"
	"	.popsection\n");

int main(int argc, char **argv)
{
	static uint64_t gdt[GDT_SLOTS];
	struct far_pointer to = { (uint32_t)(uintptr_t)modes_in_32, OTHER_CODE };

	(void)argc;
	(void)argv;
	add_code_segment(gdt, CODE_32);
	hs_print("on the way\n");
	modes_go(&to);
	hs_print("back\n");
	return 0;
}

#else

#define CODE_64 0x00AF9B000000FFFF
#define ENTRY_PRESENT_WRITABLE 3u
#define ENTRY_LARGE 0x80u
#define LARGE_BYTES (2u << 20)
/* In the page of the code. */
#define GDT_AT 0x800u
#define TO_AT 0xF00u

extern const uint8_t modes_go[], modes_in_64[], modes_end[];

/* edi: the page, at its physical address. esi: for CR3. No stack. */
__asm__(".pushsection .text.modes, \"ax\", @progbits\n"
	"	.globl modes_go, modes_in_64, modes_end\n"
	"modes_go:\n"
	"	movl %cr0, %eax\n"
	"	andl $0x7FFFFFFF, %eax\n"
	"	movl %eax, %cr0\n"
	"	movl %cr4, %eax\n"
	"	orl $0x20, %eax\n"
	"	movl %eax, %cr4\n"
	"	movl %esi, %cr3\n"
	"	movl $0xC0000080, %ecx\n"
	"	rdmsr\n"
	"	orl $0x100, %eax\n"
	"	wrmsr\n"
	"	movl %cr0, %eax\n"
	"	orl $0x80000000, %eax\n"
	"	movl %eax, %cr0\n"
	"	ljmp *0xF00(%edi)\n"
	"	.code64\n"
	"modes_in_64:\n"
	"	movabsq $0x1122334455667788, %r8\n"
	"	movabsq $0x123456789ABCDEF0, %rax\n"
	"1:	pause\n"
	"	incq %rcx\n"
	"	jmp 1b\n"
	"	.code32\n"
	"modes_end:\n"
	"	.popsection\n");

static uint8_t *scratch_page(uintptr_t *ret_gpa)
{
	const struct hs_abi_boot *boot = hs_boot_info();

	*ret_gpa = hs_page_alloc(PAGE, PAGE);
	return (uint8_t *)(uintptr_t)(boot->scratch_start + (*ret_gpa - boot->scratch_gpa));
}

/* Tables for 64-bit mode that map one large page, at its physical address. */
static uintptr_t make_tables(uintptr_t gpa)
{
	const unsigned int shifts[] = { 39, 30, 21 };
	uintptr_t below = (gpa & ~(uintptr_t)(LARGE_BYTES - 1)) | ENTRY_LARGE;

	for (int level = 2; level >= 0; level--) {
		uintptr_t table;
		uint8_t *entries = scratch_page(&table);
		uint64_t entry = below | ENTRY_PRESENT_WRITABLE;

		memcpy(entries + ((uint64_t)gpa >> shifts[level] & 511) * 8, &entry, sizeof(entry));
		below = table;
	}
	return below;
}

int main(int argc, char **argv)
{
	uintptr_t gpa;
	uint8_t *page = scratch_page(&gpa);
	uintptr_t tables = make_tables(gpa);
	struct far_pointer to = { gpa + (uint32_t)(modes_in_64 - modes_go), OTHER_CODE };

	(void)argc;
	(void)argv;
	memcpy(page, modes_go, (size_t)(modes_end - modes_go));
	memcpy(page + TO_AT, &to, sizeof(to));
	if ((uintptr_t)page != gpa && !hs_space_map(0, (void *)gpa, gpa, PAGE, HS_MAP_WRITABLE)) {
		hs_abort("the page is not where it is");
	}
	add_code_segment((uint64_t *)(gpa + GDT_AT), CODE_64);
	hs_print("on the way\n");
	__asm__ volatile("jmp *%0" : : "r"(gpa), "D"(gpa), "S"(tables) : "memory");
	return 0;
}

#endif
