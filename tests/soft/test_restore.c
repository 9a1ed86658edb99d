/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A CPU that goes back: programs of random pieces, each of which leaves something behind (other tables, known or not,
 * changed code, vector state, control and debug registers), run time and again. Before each run memory is put back as
 * a VM does it, only pages that were noted, and the registers by restore(). Then all of memory and all registers are
 * those of the beginning, and behind each run, accessed and dirty bits among it, those of the first.
 */
#include "machine.h"

#include "arch/regs.h"
#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TRIALS 1500
#define PIECES 24
#define CYCLES 4
#define PAGES (MACHINE_BYTES / HS_PAGE_SIZE)

/* The tables of these can be changed without harm to the rest. */
#define DATA 0x400000
#define CALLEE 0x402000
#define OTHER_DATA (MACHINE_FRAMES)
#define OTHER_CALLEE (MACHINE_FRAMES + 2 * HS_PAGE_SIZE)
/* Present, writable, A and D. */
#define LEAF 0x63
#define CR4_OSXSAVE (1u << 18)
/* Its bit in XSTATE_BV. */
#define AVX 4u

struct trial {
	struct machine machine;
	bool noted[PAGES];
	uint8_t before[MACHINE_BYTES], after[MACHINE_BYTES]; /* the first run */
	struct hs_cpu_state start, end;
	unsigned int number;
	uint64_t seed;
};

static void note(void *ctx, hs_gpa gpa)
{
	struct trial *trial = ctx;

	trial->noted[gpa.v / HS_PAGE_SIZE] = true;
}

static struct code piece(uint64_t which)
{
	const struct code pieces[] = {
		CODE64("add r10, [rbx]"),
		CODE64("add r10, [rbx + 0x1000]"),
		CODE64("inc qword ptr [rbx]"),
		CODE64("inc byte ptr [rbx + 0x1008]"),
		CODE64("push r10"),
		CODE64("call rbp"),
		/* Tables: an entry of data and one of code, a page table; known to the CPU or not. */
		CODE64("xchg [rdi], rcx"),
		CODE64("xchg [r8], r9\n invlpg [rbp]"),
		CODE64("xchg [rsi], r11\n mov rdx, cr3\n mov cr3, rdx"),
		CODE64("and qword ptr [rdi], -0x61"),
		CODE64("and qword ptr [r8], -0x21"),
		CODE64("invlpg [rbx]"),
		CODE64("invlpg [rbp]"),
		CODE64("mov rdx, cr3\n mov cr3, rdx"),
		CODE64("mov rdx, cr4\n xor dl, 0x80\n mov cr4, rdx"),
		CODE64("mov rdx, cr0\n xor rdx, 0x10000\n mov cr0, rdx"),
		/* The callee's immediate. Writes to code are translated each time. */
		CODE64("invlpg [rbp]\n inc byte ptr [rbp + 3]"),
		CODE64("movq xmm3, r10\n movdqu [rbx + 0x10], xmm3"),
		CODE64("movdqu xmm15, [rbx]"),
		CODE64("push 0x1f90\n ldmxcsr [rsp]\n pop rdx"),
		CODE64("push 0x27f\n fldcw [rsp]\n pop rdx"),
		CODE64("fninit"),
		CODE64("fxsave [rbx + 0x400]"),
		/* The area is one that xsave has written, or zero: then all is initialised. AVX may not be offered. */
		CODE64("mov eax, 7\n xor edx, edx\n xsave [rbx + 0x800]\n mov edx, 0x10"),
		CODE64("mov eax, 7\n xor edx, edx\n xrstor [rbx + 0x800]\n mov edx, 0x10"),
		CODE64("mov eax, 4\n xor edx, edx\n xrstor [rbx + 0x800]\n mov edx, 0x10"),
		CODE64("mov r12, rcx\n xor ecx, ecx\n xgetbv\n and eax, 3\n xsetbv\n mov rcx, r12\n mov edx, 0x10"),
		CODE64("vmovdqu ymm5, [rbx]\n vmovdqu [rbx + 0x40], ymm15"),
		CODE64("vzeroupper"),
		CODE64("fldpi\n fstp qword ptr [rbx + 0x60]"),
		CODE64("movd mm3, edx"),
		CODE64("lea rdx, [rbx + 0x100]\n mov dr0, rdx\n mov edx, 0xd0401\n mov dr7, rdx"),
		CODE64("mov dr3, r10"),
		CODE64("mov r12, rcx\n mov ecx, 0xc0000102\n mov eax, r10d\n xor edx, edx\n wrmsr\n mov rcx, r12"),
		CODE64("swapgs"),
		CODE64("mov r12, rcx\n mov ecx, 0xc0000101\n mov eax, 8\n xor edx, edx\n wrmsr\n mov rcx, r12"),
		CODE64("add r10, gs:[rbx]"),
		CODE64("mov edx, 0x10\n mov fs, edx"),
		CODE64("mov cr2, r10"),
		CODE64("pushfq\n xor qword ptr [rsp], 0x40400\n popfq"),
		CODE64("mov ss, edx\n mov edx, 0x10"),
	};

	return pieces[which % (sizeof(pieces) / sizeof(pieces[0]))];
}

/* A page table like the one that has DATA, but for where DATA is. */
static uint64_t other_table(struct machine *machine)
{
	uint64_t table = machine_entry(machine, DATA, 2) & 0xff000;
	uint64_t other = machine->next_table;

	machine->next_table += HS_PAGE_SIZE;
	memcpy(machine_at(machine, other), machine_at(machine, table), HS_PAGE_SIZE);
	machine_at(machine, other)[0] = LEAF;
	machine_at(machine, other)[1] = OTHER_DATA >> 8 & 0xf0;
	machine_at(machine, other)[2] = OTHER_DATA >> 16;
	return other;
}

/* Entries that are exchanged have A and D or do not, so that they are, or are not, written on the way. */
static void prepare(struct trial *trial)
{
	const struct machine_config config = { .ops = &TEST_OPS, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL };
	const int all = HS_PROT_WRITE | HS_PROT_EXEC;
	struct machine *machine = &trial->machine;
	uint64_t *gpr = machine->cpu.gpr;
	uint64_t unused = random_below(&trial->seed, 2) ? 0 : 0x60;

	machine_init(machine, &config);
	machine_map(machine, MACHINE_TABLES, MACHINE_TABLES, MACHINE_BYTES - MACHINE_TABLES, all, false);
	machine_map(machine, DATA, MACHINE_DATA, 2 * HS_PAGE_SIZE, all, false);
	machine_map(machine, CALLEE, MACHINE_DATA + 2 * HS_PAGE_SIZE, HS_PAGE_SIZE, all, false);
	machine_change_entry(machine, DATA, 0x60, random_below(&trial->seed, 2) ? 0x60 : 0);
	machine_change_entry(machine, CALLEE, 0x60, random_below(&trial->seed, 2) ? 0x60 : 0);
	machine_put(machine, MACHINE_DATA + 2 * HS_PAGE_SIZE, "\x49\x83\xC2\x05\xC3", 5); /* add r10, 5; ret */
	machine_put(machine, OTHER_CALLEE, "\x49\x83\xC2\x07\xC3", 5);
	memset(machine_at(machine, MACHINE_DATA), 1, 16);
	memset(machine_at(machine, OTHER_DATA), 2, 16);
	machine->cpu.cr4 |= CR4_OSXSAVE;
	machine->cpu.xcr0 = TEST_OPS.xcr0_offered(machine->backend);
	if (random_below(&trial->seed, 2)) {
		memset(machine->cpu.xsave + HS_XSAVE_YMMH0, 0x77, 256);
		machine->cpu.xsave[HS_XSAVE_XSTATE_BV] |= AVX;
	}
	gpr[HS_RBX] = DATA;
	gpr[HS_RBP] = CALLEE;
	gpr[HS_RDI] = machine_entry_at(machine, DATA, -1);
	gpr[HS_RCX] = (OTHER_DATA | LEAF) & ~unused;
	gpr[HS_R8] = machine_entry_at(machine, CALLEE, -1);
	gpr[HS_R9] = (OTHER_CALLEE | LEAF) & ~unused;
	gpr[HS_RSI] = machine_entry_at(machine, DATA, 2);
	gpr[HS_R11] = other_table(machine) | 3;
	gpr[HS_RDX] = 0x10;
}

/* As in a guest that has run for long: what is used already is not written when it is used again. */
static void use_all_tables(struct machine *machine)
{
	for (uint64_t at = MACHINE_TABLES; at < machine->next_table; at += 8) {
		uint8_t *entry = machine_at(machine, at);

		*entry |= *entry & 1 ? 0x60 : 0;
	}
	machine_touched(machine, MACHINE_TABLES, machine->next_table - MACHINE_TABLES);
}

static void write_program(struct trial *trial)
{
	uint8_t bytes[1024];
	struct code program = { .bytes = bytes };

	for (unsigned int i = 0; i < PIECES; i++) {
		struct code next = piece(random_next(&trial->seed));

		memcpy(bytes + program.length, next.bytes, next.length);
		program.length += next.length;
	}
	machine_set_code(&trial->machine, program);
}

static void get(struct trial *trial, struct hs_cpu_state *ret)
{
	hs_cpu_state_init(ret);
	assert_int_equal(TEST_OPS.get_state(trial->machine.backend, HS_STATE_ALL, ret, NULL), HS_OK);
	ret->msr.tsc = 0; /* goes on */
}

/* As vmm/memory.c does it. */
static void go_back(struct trial *trial, const struct hs_cpu_state *cpu, bool again)
{
	struct hs_backend *backend = trial->machine.backend;

	assert_int_equal(TEST_OPS.abandon(backend, NULL), HS_OK);
	assert_int_equal(TEST_OPS.collect(backend, NULL), HS_OK);
	for (uint64_t page = 0; page < PAGES; page++) {
		uint64_t gpa = page * HS_PAGE_SIZE;

		if (trial->noted[page]) {
			memcpy(trial->machine.ram + gpa, trial->before + gpa, HS_PAGE_SIZE);
			TEST_OPS.memory_written(backend, hs_gpa_of(gpa), HS_PAGE_SIZE);
		}
		trial->noted[page] = false;
	}
	assert_int_equal(TEST_OPS.restore(backend, cpu, again, NULL), HS_OK);
}

/* What somebody sets before a run, a debugger or a host function, is not there in the next. */
static void meddle(struct trial *trial)
{
	static struct hs_cpu_state cpu;

	get(trial, &cpu);
	cpu.xsave[HS_XSAVE_YMMH0] = 7;
	cpu.xsave[HS_XSAVE_XSTATE_BV] |= AVX;
	cpu.xsave[HS_XSAVE_XMM0] = 8;
	cpu.msr.lstar = 9;
	cpu.seg[HS_GS].base = 10;
	assert_int_equal(TEST_OPS.set_state(trial->machine.backend, HS_STATE_ALL, &cpu, NULL), HS_OK);
}

static void assert_bytes(const struct trial *trial, const void *now, const void *then, size_t length, const char *what)
{
	for (size_t i = 0; i < length; i++) {
		uint8_t is = ((const uint8_t *)now)[i];
		uint8_t was = ((const uint8_t *)then)[i];

		if (is != was) {
			fail_msg("trial %u: byte 0x%zx of %s is 0x%x and was 0x%x", trial->number, i, what, is, was);
		}
	}
}

static void run_cycles(struct trial *trial)
{
	static struct hs_cpu_state cpu;
	struct machine_stop stop;

	for (unsigned int cycle = 0; cycle < CYCLES; cycle++) {
		go_back(trial, &trial->start, cycle > 0);
		get(trial, &cpu);
		assert_bytes(trial, trial->machine.ram, trial->before, MACHINE_BYTES, "memory gone back to");
		assert_bytes(trial, &cpu, &trial->start, sizeof(cpu), "registers gone back to");
		if (cycle == 1) {
			meddle(trial);
			continue;
		}
		machine_run(&trial->machine, &stop);
		get(trial, &cpu);
		if (cycle == 0) {
			memcpy(trial->after, trial->machine.ram, MACHINE_BYTES);
			trial->end = cpu;
		}
		assert_bytes(trial, trial->machine.ram, trial->after, MACHINE_BYTES, "memory behind a run");
		assert_bytes(trial, &cpu, &trial->end, sizeof(cpu), "registers behind a run");
	}
}

static void test_restore_runs_are_the_same_whatever_the_one_before_has_left(void **state)
{
	static struct trial trial;

	(void)state;
	for (unsigned int i = 0; i < TRIALS; i++) {
		trial.number = i;
		trial.seed = i;
		prepare(&trial);
		if (i % 2) {
			use_all_tables(&trial.machine);
		}
		write_program(&trial);
		machine_load(&trial.machine);
		memcpy(trial.before, trial.machine.ram, MACHINE_BYTES);
		memset(trial.noted, 0, sizeof(trial.noted));
		assert_int_equal(TEST_OPS.track(trial.machine.backend, note, &trial, NULL), HS_OK);
		get(&trial, &trial.start);
		run_cycles(&trial);
		machine_deinit(&trial.machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restore_runs_are_the_same_whatever_the_one_before_has_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
