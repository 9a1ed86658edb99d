/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control and debug registers, and paging turned on and off by the guest itself, on the software CPU. */
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_PF 14
#define RUNS (-1) /* no fault: the hlt */
#define CR0 UINT64_C(0x80010033)
#define CR4_PAE 0x620u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u

static const struct machine_config ring0_64 = { .ops = &hs_soft_backend_ops,
						.mode = MACHINE_64,
						.format = HS_PAGING_4LEVEL };
static const struct machine_config ring0_32 = { .ops = &hs_soft_backend_ops,
						.mode = MACHINE_32,
						.format = HS_PAGING_32BIT };
static const struct machine_config ring0_pae = { .ops = &hs_soft_backend_ops,
						 .mode = MACHINE_32,
						 .format = HS_PAGING_PAE };
static const struct machine_config ring0_flat = { .ops = &hs_soft_backend_ops,
						  .mode = MACHINE_32,
						  .format = HS_PAGING_NONE };
static const struct machine_config ring0_compat = { .ops = &hs_soft_backend_ops,
						    .mode = MACHINE_COMPAT,
						    .format = HS_PAGING_4LEVEL };

/* Run code with rax as given: the vector of its fault, or RUNS. */
static int run_code(struct machine *machine, struct code code, uint64_t rax, struct machine_stop *ret)
{
	machine_set_code(machine, code);
	machine->cpu.gpr[HS_RAX] = rax;
	machine_start(machine, ret);
	if (ret->kind == MACHINE_FAULT) {
		assert_int_equal(ret->cpu.rip, MACHINE_CODE);
		assert_int_equal(ret->cpu.cr0, machine->cpu.cr0);
		assert_int_equal(ret->cpu.cr4, machine->cpu.cr4);
		return (int)ret->vector;
	}
	assert_int_equal(ret->kind, MACHINE_HLT);
	return RUNS;
}

struct row {
	const struct machine_config *config;
	struct code code;
	uint64_t value;
	int vector;
};

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct machine machine;
		struct machine_stop stop;
		int vector;

		machine_init(&machine, rows[i].config);
		vector = run_code(&machine, rows[i].code, rows[i].value, &stop);
		if (vector != rows[i].vector) {
			fail_msg("row %zu, value 0x%llx: vector %d, not %d", i, (unsigned long long)rows[i].value,
				 vector, rows[i].vector);
		}
		machine_deinit(&machine);
	}
}

static void test_cr0_refuses_what_the_sdm_forbids(void **state)
{
	const struct code to64 = CODE64("mov cr0, rax");
	const struct code to32 = CODE32("mov cr0, eax");
	const struct row rows[] = {
		{ &ring0_64, to64, CR0, RUNS },
		{ &ring0_64, to64, CR0 | UINT64_C(1) << 32, VECTOR_GP },
		{ &ring0_64, to64, CR0 | 0x1ff8ffc0, RUNS },        /* reserved bits are ignored */
		{ &ring0_64, to64, CR0 & ~UINT64_C(1), VECTOR_GP }, /* PG without PE */
		{ &ring0_64, to64, CR0 & 0x7fffffff, VECTOR_GP },   /* 64-bit code needs paging */
		{ &ring0_64, to64, CR0 | 0x20000000, VECTOR_GP },   /* NW without CD */
		{ &ring0_64, to64, CR0 | 0x60000000, RUNS },
		{ &ring0_32, to32, CR0 & 0x7fffffff, RUNS },
		{ &ring0_32, to32, CR0 & ~UINT64_C(1), VECTOR_GP },
		{ &ring0_compat, to32, CR0 & 0x7fffffff, RUNS },
		{ &ring0_flat, to32, CR0 & 0x7fffffff, RUNS },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_cr3_cr4_cr8_refuse_what_the_sdm_forbids(void **state)
{
	const struct code cr3 = CODE64("mov cr3, rax");
	const struct code cr4 = CODE64("mov cr4, rax");
	const struct code cr8 = CODE64("mov cr8, rax");
	const struct code cr4_32 = CODE32("mov cr4, eax");
	const struct row rows[] = {
		{ &ring0_64, cr3, MACHINE_TABLES | 0x18, RUNS },
		{ &ring0_64, cr3, MACHINE_TABLES | UINT64_C(1) << 48, VECTOR_GP },
		{ &ring0_64, cr3, MACHINE_TABLES | UINT64_C(1) << 63, VECTOR_GP },
		{ &ring0_64, cr4, 0x600, VECTOR_GP },              /* long mode without PAE */
		{ &ring0_64, cr4, CR4_PAE | 1u << 12, VECTOR_GP }, /* LA57 in long mode */
		{ &ring0_64, cr4, CR4_PAE | 1u << 13, VECTOR_GP }, /* VMXE */
		{ &ring0_64, cr4, CR4_PAE | UINT64_C(1) << 32, VECTOR_GP },
		{ &ring0_64, cr4, 0x350fbc, RUNS },
		{ &ring0_64, cr8, 0xf, RUNS },
		{ &ring0_64, cr8, 0x10, VECTOR_GP },
		{ &ring0_32, cr4_32, 0x610, RUNS },
		{ &ring0_32, cr4_32, 1, VECTOR_GP }, /* VME */
		{ &ring0_flat, cr4_32, 1u << 12, RUNS },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_pdptes_with_reserved_bits_are_refused(void **state)
{
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	machine_init(&machine, &ring0_pae);
	assert_int_equal(run_code(&machine, CODE32("mov cr3, eax"), machine.root.base.v, &stop), RUNS);
	/* The last one: of 3 GiB. */
	*machine_at(&machine, machine.root.base.v + 24) = 0x03;
	assert_int_equal(run_code(&machine, CODE32("mov cr3, eax"), machine.root.base.v, &stop), VECTOR_GP);
	*machine_at(&machine, machine.root.base.v + 24) = 0x02; /* not present */
	assert_int_equal(run_code(&machine, CODE32("mov cr3, eax"), machine.root.base.v, &stop), RUNS);
	machine_deinit(&machine);
}

static void test_registers_above_ring_0_are_refused(void **state)
{
	static const struct machine_config ring3 = {
		.ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3
	};
	const struct row rows[] = {
		{ &ring3, CODE64("mov rax, cr0"), 0, VECTOR_GP }, { &ring3, CODE64("mov cr3, rax"), 0, VECTOR_GP },
		{ &ring3, CODE64("mov rax, dr0"), 0, VECTOR_GP }, { &ring3, CODE64("mov dr7, rax"), 0, VECTOR_GP },
		{ &ring3, CODE64("clts"), 0, VECTOR_GP },         { &ring3, CODE64("lmsw ax"), 0, VECTOR_GP },
		{ &ring3, CODE64("invlpg [rbx]"), 0, VECTOR_GP }, { &ring3, CODE64("wbinvd"), 0, VECTOR_GP },
		{ &ring3, CODE64("rdmsr"), 0, VECTOR_GP },        { &ring3, CODE64("cli"), 0, VECTOR_GP },
		{ &ring3, CODE64("sti"), 0, VECTOR_GP },          { &ring3, CODE64("in al, 0x80"), 0, VECTOR_GP },
		{ &ring3, CODE64("monitor"), 0, VECTOR_UD },      { &ring3, CODE64("vmcall"), 0, VECTOR_UD },
		{ &ring3, CODE64("smsw eax"), 0, RUNS },
	};

	(void)state;
	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_machine_status_word(void **state)
{
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	machine_init(&machine, &ring0_64);
	assert_int_equal(run_code(&machine, CODE64("lmsw ax\n smsw rcx"), 0xfffe, &stop), RUNS);
	assert_int_equal(stop.cpu.cr0, CR0 | 0xe); /* PE stays; MP, EM, TS come */
	assert_int_equal(stop.cpu.gpr[HS_RCX], CR0 | 0xe);
	machine.cpu.cr0 = stop.cpu.cr0;
	assert_int_equal(run_code(&machine, CODE64("clts\n smsw cx"), 0, &stop), RUNS);
	assert_int_equal(stop.cpu.cr0, CR0 | 6);
	assert_int_equal(stop.cpu.gpr[HS_RCX], (CR0 | 6) & 0xffff);
	machine_deinit(&machine);
}

static void test_debug_registers_alias_and_keep_their_fixed_bits(void **state)
{
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	machine_init(&machine, &ring0_64);
	assert_int_equal(run_code(&machine, CODE64("mov dr6, rax"), 0xffffffff, &stop), RUNS);
	assert_int_equal(stop.cpu.dr[6], 0xffffefff);
	assert_int_equal(run_code(&machine, CODE64("mov dr6, rax\n mov rbx, dr4"), 0, &stop), RUNS);
	assert_int_equal(stop.cpu.gpr[HS_RBX], 0xffff0ff0);
	assert_int_equal(run_code(&machine, CODE64("mov dr5, rax\n mov rbx, dr7"), 0xffffdc00, &stop), RUNS);
	assert_int_equal(stop.cpu.gpr[HS_RBX], 0xffff0400);
	assert_int_equal(run_code(&machine, CODE64("mov dr6, rax"), UINT64_C(1) << 32, &stop), VECTOR_GP);
	assert_int_equal(run_code(&machine, CODE64("mov dr7, rax"), UINT64_C(1) << 63, &stop), VECTOR_GP);
	assert_int_equal(run_code(&machine, CODE64("mov dr3, rax"), UINT64_C(1) << 63, &stop), RUNS);
	assert_int_equal(stop.cpu.dr[3], UINT64_C(1) << 63);
	machine.cpu.cr4 |= 8;
	assert_int_equal(run_code(&machine, CODE64("mov dr4, rax"), 0, &stop), VECTOR_UD);
	assert_int_equal(run_code(&machine, CODE64("mov rax, dr5"), 0, &stop), VECTOR_UD);
	machine_deinit(&machine);
}

/* ---- Paging by the guest itself ---- */

/* CR4, EFER, CR3, CR0 from ecx, edx, esi, edi; then a load through a page that is mapped elsewhere. */
#define TURN_ON                                                                                                        \
	"mov cr4, ecx\n mov ebp, edx\n mov ecx, 0xc0000080\n mov eax, edx\n xor edx, edx\n test ebp, ebp\n jz 1f\n"    \
	"wrmsr\n1: mov cr3, esi\n mov cr0, edi\n mov eax, [ebx]"

/* A machine that stands before paging: protected mode, flat, its tables made. */
static void before_paging(struct machine *machine, const struct machine_config *config, uint64_t *ret_efer)
{
	machine_init(machine, config);
	machine_map(machine, 0x100000, MACHINE_DATA, HS_PAGE_SIZE, HS_PROT_WRITE, false);
	memcpy(machine_at(machine, MACHINE_DATA), "\x78\x56\x34\x12", 4);
	*ret_efer = machine->cpu.msr.efer & ~(uint64_t)EFER_LMA;
	machine->cpu.gpr[HS_RCX] = machine->cpu.cr4;
	machine->cpu.gpr[HS_RDX] = *ret_efer;
	machine->cpu.gpr[HS_RSI] = machine->cpu.cr3;
	machine->cpu.gpr[HS_RDI] = machine->cpu.cr0;
	machine->cpu.gpr[HS_RBX] = 0x100000;
	machine->cpu.cr0 = 0x33;
	machine->cpu.cr3 = 0;
	machine->cpu.cr4 = 0x600;
	machine->cpu.msr.efer = 0;
}

static void check_paging_on(const struct machine_config *config)
{
	bool is_long = config->mode != MACHINE_32;
	struct machine machine;
	struct machine_stop stop;
	uint64_t efer;

	before_paging(&machine, config, &efer);
	machine_set_code(&machine, CODE32(TURN_ON));
	machine_start(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_RAX], 0x12345678);
	assert_int_equal(stop.cpu.cr0, CR0);
	assert_int_equal(stop.cpu.cr3, machine.root.base.v);
	assert_int_equal(stop.cpu.msr.efer, efer | (is_long ? EFER_LMA : 0));

	/* And off again. */
	machine.cpu = stop.cpu;
	machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
	assert_int_equal(run_code(&machine, CODE32("mov cr0, eax\n mov eax, [ebx]"), 0x33, &stop), RUNS);
	assert_int_equal(stop.cpu.gpr[HS_RAX], 0x12345678);
	assert_int_equal(stop.cpu.msr.efer, efer);
	machine_deinit(&machine);
}

static void test_guest_turns_paging_on_and_off_in_all_formats(void **state)
{
	static const enum hs_paging_format formats[] = { HS_PAGING_32BIT, HS_PAGING_PAE, HS_PAGING_4LEVEL,
							 HS_PAGING_5LEVEL };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct machine_config config = {
			.ops = &hs_soft_backend_ops,
			.mode = i < 2 ? MACHINE_32 : MACHINE_COMPAT,
			.format = formats[i],
		};

		check_paging_on(&config);
	}
}

static void test_long_mode_goes_on_in_64_bit_code(void **state)
{
	/* A far jump to selector 0x28 | 0 would be ring 3's; MACHINE_CS0 is 64-bit code of ring 0. */
	const struct code there = CODE64("mov r8, rax\n shl r8, 32");
	struct machine machine;
	struct machine_stop stop;
	uint64_t efer;

	(void)state;
	before_paging(&machine, &ring0_compat, &efer);
	machine_set_code(&machine, CODE32(TURN_ON "\n .byte 0xea, 0x00, 0x90, 0, 0, 0x08, 0"));
	machine_put(&machine, 0x9000, there.bytes, there.length);
	machine_put(&machine, 0x9000 + there.length, "\xf4", 1);
	machine_start(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_R8], UINT64_C(0x1234567800000000));
	machine_deinit(&machine);
}

static void test_paging_without_pae_in_long_mode_is_refused(void **state)
{
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	machine_init(&machine, &ring0_flat);
	machine.cpu.msr.efer = EFER_LME;
	assert_int_equal(run_code(&machine, CODE32("mov cr0, eax"), CR0, &stop), VECTOR_GP);
	machine_deinit(&machine);
}

/* A translation that was used is gone with the CR3 it belongs to, and stays until then or until invlpg. */
static void test_invlpg_and_cr3_drop_translations(void **state)
{
	const struct code codes[] = {
		CODE64("mov eax, [rbx]\n mov [rsi], rdi\n invlpg [rbx]\n mov ecx, [rbx]"),
		CODE64("mov eax, [rbx]\n mov [rsi], rdi\n mov rdx, cr3\n mov cr3, rdx\n mov ecx, [rbx]"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct machine machine;
		struct machine_stop stop;

		machine_init(&machine, &ring0_64);
		machine_map(&machine, MACHINE_TABLES, MACHINE_TABLES, MACHINE_BYTES - MACHINE_TABLES, HS_PROT_WRITE,
			    false);
		*machine_at(&machine, MACHINE_DATA) = 1;
		*machine_at(&machine, MACHINE_DATA + HS_PAGE_SIZE) = 2;
		machine.cpu.gpr[HS_RBX] = MACHINE_DATA;
		machine.cpu.gpr[HS_RSI] = machine_entry_at(&machine, MACHINE_DATA, -1);
		machine.cpu.gpr[HS_RDI] = machine_entry(&machine, MACHINE_DATA + HS_PAGE_SIZE, -1);
		assert_int_equal(run_code(&machine, codes[i], 0, &stop), RUNS);
		assert_int_equal(stop.cpu.gpr[HS_RAX], 1);
		assert_int_equal(stop.cpu.gpr[HS_RCX], 2);
		machine_deinit(&machine);
	}
}

/* All of a large page goes with any address in it. */
static void test_invlpg_drops_the_whole_large_page(void **state)
{
	const uint64_t gva = 0x200000;
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	machine_init(&machine, &ring0_64);
	machine_map(&machine, MACHINE_TABLES, MACHINE_TABLES, MACHINE_BYTES - MACHINE_TABLES, HS_PROT_WRITE, false);
	machine_map(&machine, gva, 0, HS_PAGE_SIZE, HS_PROT_WRITE, false);
	machine_set_entry(&machine, gva, 2, 0x83); /* gpa 0, PS, W, P */
	machine.cpu.gpr[HS_RBX] = gva + MACHINE_DATA;
	machine.cpu.gpr[HS_RSI] = machine_entry_at(&machine, gva, 2);
	machine_set_code(&machine, CODE64("mov eax, [rbx]\n mov ecx, [rbx + 0x5000]\n mov qword ptr [rsi], 0\n"
					  "invlpg [rbx]\n mov ecx, [rbx + 0x5000]"));
	machine_start(&machine, &stop);
	assert_int_equal(stop.kind, MACHINE_FAULT);
	assert_int_equal(stop.vector, VECTOR_PF);
	assert_int_equal(stop.cpu.cr2, gva + MACHINE_DATA + 0x5000);
	machine_deinit(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cr0_refuses_what_the_sdm_forbids),
		cmocka_unit_test(test_cr3_cr4_cr8_refuse_what_the_sdm_forbids),
		cmocka_unit_test(test_pdptes_with_reserved_bits_are_refused),
		cmocka_unit_test(test_registers_above_ring_0_are_refused),
		cmocka_unit_test(test_machine_status_word),
		cmocka_unit_test(test_debug_registers_alias_and_keep_their_fixed_bits),
		cmocka_unit_test(test_guest_turns_paging_on_and_off_in_all_formats),
		cmocka_unit_test(test_long_mode_goes_on_in_64_bit_code),
		cmocka_unit_test(test_paging_without_pae_in_long_mode_is_refused),
		cmocka_unit_test(test_invlpg_and_cr3_drop_translations),
		cmocka_unit_test(test_invlpg_drops_the_whole_large_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
