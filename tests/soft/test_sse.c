/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moves and bitwise operations on SSE registers, fxsave and fxrstor, the control words: each does to the machine's
 * registers and memory what it does to the host's, where the same text runs as well. Faults come from a table.
 *
 * Addresses are in esi and edi, so that one text is 64-bit code of the host, and 64-bit and 32-bit code of the machine.
 */
#include "machine.h"

#include "base/bytes.h"
#include "lib/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define MEMORY_BYTES 0x800u
#define TO 0x400u /* where edi points to in it; esi points to its start */
#define CR0_MP 2u
#define CR0_EM 4u
#define CR0_TS 8u
#define CR4_OSFXSR 0x200u

/* What the text works on; the offsets are those of the assembly below. */
struct state {
	uint8_t xmm[16][16];
	uint64_t rax, rcx, rsi, rdi;
	uint32_t mxcsr; /* as programs start with it */
};

struct scene {
	struct state before, after;
	uint8_t memory_before[MEMORY_BYTES], memory_after[MEMORY_BYTES]; /* after: on the host */
	uint8_t *low;                                                    /* the host's, at an address of 32 bits */
};

#define EACH_XMM(op)                                                                                                   \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_XMM(n) "movups " #n "*16(%%rbx), %%xmm" #n "\n"
#define STORE_XMM(n) "movups %%xmm" #n ", " #n "*16(%%rbx)\n"
#define LOAD_GPR "movq 256(%%rbx), %%rax\n movq 264(%%rbx), %%rcx\n movq 272(%%rbx), %%rsi\n movq 280(%%rbx), %%rdi\n"
#define STORE_GPR "movq %%rax, 256(%%rbx)\n movq %%rcx, 264(%%rbx)\n"
#define INIT "fninit\n ldmxcsr 288(%%rbx)\n"
#define BEFORE INIT EACH_XMM(LOAD_XMM) LOAD_GPR ".intel_syntax noprefix\n"
#define BEHIND "\n.att_syntax prefix\n" EACH_XMM(STORE_XMM) STORE_GPR INIT

/* Run the text here, with control words as programs start with them, before and behind it. */
#define RUN_HERE(text, state)                                                                                          \
	__asm__ volatile(BEFORE text BEHIND                                                                            \
			 :                                                                                             \
			 : "b"(state)                                                                                  \
			 : "rax", "rcx", "rsi", "rdi", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", \
			   "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

static void scene_init(struct scene *scene)
{
	uint64_t seed = 1;

	memset(scene, 0, sizeof(*scene));
	scene->low = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_ptr_not_equal(scene->low, MAP_FAILED);
	random_fill(&seed, scene->before.xmm, sizeof(scene->before.xmm));
	random_fill(&seed, scene->memory_before, MEMORY_BYTES);
	scene->before.rax = 0x89ABCDEF;
	scene->before.rcx = 0x01234567;
	scene->before.mxcsr = 0x1F80;
}

static void scene_deinit(struct scene *scene)
{
	munmap(scene->low, MEMORY_BYTES);
}

/* Before the text runs here. */
static struct state *scene_arm(struct scene *scene)
{
	memcpy(scene->low, scene->memory_before, MEMORY_BYTES);
	scene->after = scene->before;
	scene->after.rsi = (uintptr_t)scene->low;
	scene->after.rdi = (uintptr_t)scene->low + TO;
	return &scene->after;
}

static void load_machine(const struct scene *scene, struct machine *machine)
{
	memcpy(machine_at(machine, MACHINE_DATA), scene->memory_before, MEMORY_BYTES);
	memcpy(machine->cpu.xsave + HS_XSAVE_XMM0, scene->before.xmm, sizeof(scene->before.xmm));
	machine->cpu.gpr[HS_RAX] = scene->before.rax;
	machine->cpu.gpr[HS_RCX] = scene->before.rcx;
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA + TO;
}

/* Run it on a machine and compare with what the host had. */
static void check_on(struct scene *scene, const struct machine_config *config, const char *text, struct code code)
{
	size_t registers = config->mode == MACHINE_64 ? 16 : 8;
	struct machine machine;
	struct machine_stop stop;

	machine_init(&machine, config);
	machine_set_code(&machine, code);
	load_machine(scene, &machine);
	machine_start(&machine, &stop);
	if (stop.kind != MACHINE_HLT) {
		fail_msg("%s: stopped by %d, vector %u", text, (int)stop.kind, stop.vector);
	}
	if (memcmp(stop.cpu.xsave + HS_XSAVE_XMM0, scene->after.xmm, registers * 16) != 0 ||
	    stop.cpu.gpr[HS_RAX] != scene->after.rax || stop.cpu.gpr[HS_RCX] != scene->after.rcx) {
		fail_msg("%s: the registers differ", text);
	}
	for (size_t i = 0; i < MEMORY_BYTES; i++) {
		if (*machine_at(&machine, MACHINE_DATA + i) != scene->memory_after[i]) {
			fail_msg("%s: byte 0x%zx of memory is 0x%02x, not 0x%02x", text, i,
				 *machine_at(&machine, MACHINE_DATA + i), scene->memory_after[i]);
		}
	}
	machine_deinit(&machine);
}

static void check(struct scene *scene, const char *text, struct code code64, struct code code32)
{
	memcpy(scene->memory_after, scene->low, MEMORY_BYTES);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		if (configs[i].mode == MACHINE_64) {
			check_on(scene, &configs[i], text, code64);
		} else if (code32.length > 0) {
			check_on(scene, &configs[i], text, code32);
		}
	}
}

#define CHECK(scene, text)                                                                                             \
	do {                                                                                                           \
		RUN_HERE(text, scene_arm(scene));                                                                      \
		check(scene, text, CODE64(text), CODE32(text));                                                        \
	} while (0)

#define CHECK_64(scene, text)                                                                                          \
	do {                                                                                                           \
		RUN_HERE(text, scene_arm(scene));                                                                      \
		check(scene, text, CODE64(text), (struct code){ NULL, 0 });                                            \
	} while (0)

static void test_sse_whole_registers_move_as_on_the_host(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	CHECK(&scene, "movups xmm1, [esi + 1]\n movups [edi + 3], xmm1\n movups xmm2, xmm3");
	CHECK(&scene, "movupd xmm1, [esi + 2]\n movupd [edi + 5], xmm1\n movupd xmm2, xmm3");
	CHECK(&scene, "movdqu xmm1, [esi + 7]\n movdqu [edi + 9], xmm1\n movdqu xmm2, xmm3");
	CHECK(&scene, "movaps xmm1, [esi]\n movaps [edi], xmm4\n movaps xmm2, xmm3");
	CHECK(&scene, "movapd xmm1, [esi + 16]\n movapd [edi], xmm4\n movapd xmm2, xmm3");
	CHECK(&scene, "movdqa xmm1, [esi + 32]\n movdqa [edi], xmm4\n movdqa xmm2, xmm3");
	CHECK(&scene, "lddqu xmm7, [esi + 5]");
	CHECK(&scene, "movntps [edi], xmm1\n movntpd [edi + 16], xmm2\n movntdq [edi + 32], xmm3");
	CHECK_64(&scene, "movaps xmm9, xmm15\n movups [edi + 1], xmm8\n movdqa xmm10, [esi]");
	scene_deinit(&scene);
}

static void test_sse_parts_move_as_on_the_host(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	CHECK(&scene, "movss xmm1, [esi + 1]\n movss xmm2, xmm3\n movss [edi], xmm4");
	CHECK(&scene, "movsd xmm1, [esi + 1]\n movsd xmm2, xmm3\n movsd [edi], xmm4");
	CHECK(&scene, "movd xmm1, eax\n movd ecx, xmm2\n movd [edi], xmm3\n movd xmm4, [esi]");
	CHECK(&scene, "movq xmm1, [esi]\n movq [edi], xmm2\n movq xmm3, xmm4\n movq xmm5, xmm5");
	CHECK(&scene, "movlps xmm1, [esi]\n movlps [edi], xmm2\n movhps xmm3, [esi]\n movhps [edi + 8], xmm4");
	CHECK(&scene, "movlpd xmm1, [esi]\n movlpd [edi], xmm2\n movhpd xmm3, [esi]\n movhpd [edi + 8], xmm4");
	CHECK(&scene, "movhlps xmm1, xmm2\n movlhps xmm3, xmm4\n movlhps xmm5, xmm5");
	CHECK_64(&scene, "movq xmm1, rax\n movq rcx, xmm9\n movq xmm10, [esi]\n movd xmm11, eax");
	scene_deinit(&scene);
}

static void test_sse_bitwise_operations_are_as_on_the_host(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	CHECK(&scene, "pxor xmm1, xmm2\n xorps xmm3, [esi]\n xorpd xmm4, xmm4\n pxor xmm5, [esi + 16]");
	CHECK(&scene, "por xmm1, xmm2\n orps xmm3, [esi]\n orpd xmm4, xmm5");
	CHECK(&scene, "pand xmm1, xmm2\n andps xmm3, [esi]\n andpd xmm4, xmm5");
	CHECK(&scene, "pandn xmm1, xmm2\n andnps xmm3, [esi]\n andnpd xmm4, xmm5");
	CHECK_64(&scene, "pxor xmm8, xmm9\n pandn xmm15, [esi]");
	scene_deinit(&scene);
}

/* The image's MXCSR_MASK is the CPU's own, and overwritten. */
static void test_fxsave_and_fxrstor_are_as_on_the_host(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	CHECK_64(&scene, "fxsave [edi]\n mov dword ptr [edi + 28], 0");
	CHECK_64(&scene, "fxsave64 [edi]\n mov dword ptr [edi + 28], 0");
	memcpy(scene.memory_before + 0x200, scene.memory_before, 0x200);
	hs_put_le16(scene.memory_before + 0x200 + HS_XSAVE_FCW, 0x0F5F); /* #P is pending */
	hs_put_le16(scene.memory_before + 0x200 + HS_XSAVE_FSW, 0x3821);
	hs_put_le32(scene.memory_before + 0x200 + HS_XSAVE_MXCSR, 0x9FC0);
	CHECK(&scene, "fxrstor [esi + 0x200]\n fnstcw [edi]\n fnstsw [edi + 2]\n fnstsw ax\n stmxcsr [edi + 4]");
	CHECK_64(&scene, "fxrstor64 [esi + 0x200]\n fnstcw [edi]\n fnstsw [edi + 2]\n stmxcsr [edi + 4]\n"
			 "movups [edi + 16], xmm15");
	/* FOP, FIP and FDP: not all CPUs keep them. */
	CHECK_64(&scene,
		 "fxrstor [esi + 0x200]\n fxsave64 [edi]\n mov word ptr [edi + 6], 0\n mov dword ptr [edi + 28], 0\n"
		 "mov dword ptr [edi + 8], 0\n mov dword ptr [edi + 12], 0\n"
		 "mov dword ptr [edi + 16], 0\n mov dword ptr [edi + 20], 0");
	scene_deinit(&scene);
}

static void test_control_words_are_as_on_the_host(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene);
	CHECK(&scene, "fninit\n fnstcw [edi]\n fnstsw [edi + 2]\n fwait");
	CHECK(&scene, "mov word ptr [edi], 0\n fldcw [edi]\n fnstcw [edi]\n fnclex\n fnstsw ax");
	CHECK(&scene, "mov word ptr [edi], 0xFFFF\n fldcw [edi]\n fnstcw [edi]");
	CHECK(&scene, "stmxcsr [edi]\n mov dword ptr [edi + 4], 0xBF80\n ldmxcsr [edi + 4]\n stmxcsr [edi + 8]");
	scene_deinit(&scene);
}

/* In 32-bit code XMM8 to 15 are neither saved nor restored, and the image ends before them. */
static void test_fxsave_in_32_bit_code_leaves_the_upper_registers_alone(void **state)
{
	const struct code code = CODE32("fxsave [edi]\n pxor xmm0, xmm0\n fxrstor [edi]");
	struct scene scene;

	(void)state;
	scene_init(&scene);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		struct machine machine;
		struct machine_stop stop;

		if (configs[i].mode == MACHINE_64) {
			continue;
		}
		machine_init(&machine, &configs[i]);
		machine_set_code(&machine, code);
		load_machine(&scene, &machine);
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_HLT);
		assert_memory_equal(machine_at(&machine, MACHINE_DATA + TO + HS_XSAVE_XMM0), scene.before.xmm, 128);
		assert_memory_equal(machine_at(&machine, MACHINE_DATA + TO + HS_XSAVE_XMM0 + 128),
				    scene.memory_before + TO + HS_XSAVE_XMM0 + 128, 512 - HS_XSAVE_XMM0 - 128);
		assert_memory_equal(stop.cpu.xsave + HS_XSAVE_XMM0, scene.before.xmm, 256);
		machine_deinit(&machine);
	}
	scene_deinit(&scene);
}

struct fault_row {
	const char *text;
	struct code code;
	uint32_t cr0_set, cr4_clear;
	unsigned int vector; /* 0: none */
};

/* Nothing but the exception has happened, in any mode. */
static void check_fault(struct scene *scene, const struct machine_config *config, const struct fault_row *row)
{
	struct machine machine;
	struct machine_stop stop;

	machine_init(&machine, config);
	machine_set_code(&machine, row->code);
	load_machine(scene, &machine);
	machine.cpu.cr0 |= row->cr0_set;
	machine.cpu.cr4 &= ~(uint64_t)row->cr4_clear;
	/* Unmasked and pending. */
	hs_put_le16(machine.cpu.xsave + HS_XSAVE_FCW, 0x40);
	hs_put_le16(machine.cpu.xsave + HS_XSAVE_FSW, row->vector == 16 ? 0x8081 : 0);
	machine_start(&machine, &stop);
	if (stop.kind != (row->vector ? MACHINE_FAULT : MACHINE_HLT) || (row->vector && stop.vector != row->vector)) {
		fail_msg("%s: stopped by %d, vector %u", row->text, (int)stop.kind, stop.vector);
	}
	if (row->vector) {
		assert_int_equal(stop.error_code, 0);
		assert_int_equal(stop.cpu.rip, machine.cpu.rip);
		assert_memory_equal(stop.cpu.gpr, machine.cpu.gpr, sizeof(stop.cpu.gpr));
		assert_memory_equal(stop.cpu.xsave, machine.cpu.xsave, 512);
		assert_memory_equal(machine_at(&machine, MACHINE_DATA), scene->memory_before, MEMORY_BYTES);
	}
	machine_deinit(&machine);
}

#define ROW(text, ...)                                                                                                 \
	{                                                                                                              \
		text, CODE32(text), __VA_ARGS__                                                                        \
	}

static void test_sse_and_fpu_faults_come_before_anything_changes(void **state)
{
	const struct fault_row rows[] = {
		ROW("movaps xmm1, [esi + 8]", 0, 0, 13),
		ROW("movdqa [edi + 1], xmm1", 0, 0, 13),
		ROW("movntps [edi + 4], xmm1", 0, 0, 13),
		ROW("pxor xmm1, [esi + 4]", 0, 0, 13),
		ROW("movups xmm1, [esi + 4]", 0, 0, 0),
		ROW("fxsave [edi + 8]", 0, 0, 13),
		ROW("fxrstor [esi + 8]", 0, 0, 13),
		ROW("ldmxcsr [esi + 16]", 0, 0, 13), /* reserved bits: the memory is random */
		ROW("movups xmm1, xmm2", CR0_EM, 0, 6),
		ROW("movups xmm1, xmm2", CR0_EM | CR0_TS, 0, 6),
		ROW("movups xmm1, xmm2", 0, CR4_OSFXSR, 6),
		ROW("pxor xmm1, xmm1", CR0_TS, 0, 7),
		ROW("movaps xmm1, [esi + 8]", CR0_TS, 0, 7),
		ROW("stmxcsr [edi]", CR0_TS, 0, 7),
		ROW("stmxcsr [edi]", 0, CR4_OSFXSR, 6),
		ROW("fxsave [edi]", CR0_TS, 0, 7),
		ROW("fxsave [edi]", 0, CR4_OSFXSR, 0),
		ROW("fxrstor [edi]", CR0_TS, 0, 7),
		ROW("fninit", CR0_TS, 0, 7),
		ROW("fnstcw [edi]", CR0_EM, 0, 7),
		ROW("fwait", CR0_TS | CR0_MP, 0, 7),
		ROW("fwait", 0, 0, 16),
		ROW("fldcw [esi]", 0, 0, 16),
	};
	struct scene scene;

	(void)state;
	scene_init(&scene);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
			check_fault(&scene, &configs[i], &rows[j]);
		}
	}
	scene_deinit(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sse_whole_registers_move_as_on_the_host),
		cmocka_unit_test(test_sse_parts_move_as_on_the_host),
		cmocka_unit_test(test_sse_bitwise_operations_are_as_on_the_host),
		cmocka_unit_test(test_fxsave_and_fxrstor_are_as_on_the_host),
		cmocka_unit_test(test_control_words_are_as_on_the_host),
		cmocka_unit_test(test_fxsave_in_32_bit_code_leaves_the_upper_registers_alone),
		cmocka_unit_test(test_sse_and_fpu_faults_come_before_anything_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
