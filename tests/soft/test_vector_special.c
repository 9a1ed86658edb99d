/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gathers, masked moves, vzeroall and vzeroupper do to the machine's registers and memory what they do to the host's,
 * where the same text runs as well; an element that the mask leaves out cannot fault, and a fault leaves what the SDM
 * says.
 *
 * Addresses are in esi and edi, so that one text is 64-bit code of the host, and 64-bit and 32-bit code of the machine.
 */
#include "machine.h"

#include "base/bytes.h"
#include "lib/random.h"
#include "vmm/soft/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define MEMORY_BYTES 0x1000u
/* Where esi and edi point to in it: indices reach 64 elements of 8 bytes to either side. */
#define FROM 0x600u
#define TO 0xc00u
#define CR0_AM (1u << 18)
#define CR4_OSXSAVE (1u << 18)
#define FLAG_AC (1u << 18)
#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_PF 14
#define CR0_TS 8u
#define PRESENT 1u
#define COMPONENTS 7u
#define SEEDS 6u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 0 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

/* What the text works on. ymm1 has indices of 32 bits, ymm2 of 64, ymm3 and ymm4 masks. */
struct state {
	uint8_t ymm[16][32];
	uint64_t rsi, rdi;
};

struct scene {
	struct state before, after;
	uint8_t memory_before[MEMORY_BYTES], memory_after[MEMORY_BYTES]; /* after: on the host */
	uint8_t *low;                                                    /* the host's, at an address of 32 bits */
};

#define EACH_YMM(op)                                                                                                   \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_YMM(n) "vmovups " #n "*32(%%rbx), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovups %%ymm" #n ", " #n "*32(%%rbx)\n"
#define BEFORE EACH_YMM(LOAD_YMM) "movq 512(%%rbx), %%rsi\n movq 520(%%rbx), %%rdi\n.intel_syntax noprefix\n"
#define BEHIND "\n.att_syntax prefix\n" EACH_YMM(STORE_YMM) "vzeroall"

#define RUN_HERE(text, state)                                                                                          \
	__asm__ volatile(BEFORE text BEHIND                                                                            \
			 :                                                                                             \
			 : "b"(state)                                                                                  \
			 : "rsi", "rdi", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",       \
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

static void scene_init(struct scene *scene, uint64_t seed)
{
	memset(scene, 0, sizeof(*scene));
	scene->low = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_ptr_not_equal(scene->low, MAP_FAILED);
	random_fill(&seed, scene->before.ymm, sizeof(scene->before.ymm));
	random_fill(&seed, scene->memory_before, MEMORY_BYTES);
	for (unsigned int i = 0; i < 8; i++) {
		hs_put_le32(scene->before.ymm[1] + i * 4, (uint32_t)((int)scene->before.ymm[1][i * 4] % 128 - 64));
	}
	for (unsigned int i = 0; i < 4; i++) {
		hs_put_le64(scene->before.ymm[2] + i * 8, (uint64_t)((int64_t)scene->before.ymm[2][i * 8] % 128 - 64));
	}
}

static void load_machine(const struct scene *scene, struct machine *machine)
{
	memcpy(machine_at(machine, MACHINE_DATA), scene->memory_before, MEMORY_BYTES);
	for (unsigned int i = 0; i < 16; i++) {
		memcpy(machine->cpu.xsave + HS_XSAVE_XMM0 + i * 16, scene->before.ymm[i], 16);
		memcpy(machine->cpu.xsave + HS_XSAVE_YMMH0 + i * 16, scene->before.ymm[i] + 16, 16);
	}
	machine->cpu.xsave[HS_XSAVE_XSTATE_BV] = COMPONENTS;
	machine->cpu.xcr0 = COMPONENTS;
	machine->cpu.cr4 |= CR4_OSXSAVE;
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA + FROM;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA + TO;
}

static void get_ymm(const struct hs_cpu_state *cpu, unsigned int reg, uint8_t *ret)
{
	memcpy(ret, cpu->xsave + HS_XSAVE_XMM0 + (size_t)reg * 16, 16);
	memcpy(ret + 16, cpu->xsave + HS_XSAVE_YMMH0 + (size_t)reg * 16, 16);
}

static void check_on(struct scene *scene, const struct machine_config *config, const char *text, struct code code)
{
	unsigned int registers = config->mode == MACHINE_64 ? 16 : 8;
	struct machine machine;
	struct machine_stop stop;

	machine_init(&machine, config);
	machine_set_code(&machine, code);
	load_machine(scene, &machine);
	machine_start(&machine, &stop);
	if (stop.kind != MACHINE_HLT) {
		fail_msg("%s: stopped by %d, vector %u", text, (int)stop.kind, stop.vector);
	}
	for (unsigned int i = 0; i < 16; i++) {
		uint8_t ymm[32];

		get_ymm(&stop.cpu, i, ymm);
		if (memcmp(ymm, i < registers ? scene->after.ymm[i] : scene->before.ymm[i], 32) != 0) {
			fail_msg("%s: ymm%u differs", text, i);
		}
	}
	if (memcmp(machine_at(&machine, MACHINE_DATA), scene->memory_after, MEMORY_BYTES) != 0) {
		fail_msg("%s: memory differs", text);
	}
	machine_deinit(&machine);
}

static void check(struct scene *scene, const char *text, struct code code64, struct code code32)
{
	memcpy(scene->memory_after, scene->low, MEMORY_BYTES);
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		struct code code = configs[i].mode == MACHINE_64 ? code64 : code32;

		if (code.length > 0) {
			check_on(scene, &configs[i], text, code);
		}
	}
}

#define CHECK_IN(text, text32)                                                                                         \
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {                                                               \
		struct scene scene;                                                                                    \
                                                                                                                       \
		scene_init(&scene, seed);                                                                              \
		memcpy(scene.low, scene.memory_before, MEMORY_BYTES);                                                  \
		scene.after = scene.before;                                                                            \
		scene.after.rsi = (uintptr_t)scene.low + FROM;                                                         \
		scene.after.rdi = (uintptr_t)scene.low + TO;                                                           \
		RUN_HERE(text, &scene.after);                                                                          \
		check(&scene, text, CODE64(text), text32);                                                             \
		munmap(scene.low, MEMORY_BYTES);                                                                       \
	}

/* Where the host has no AVX2 it is not offered, and there is nothing to compare with. */
#define NEED_AVX2()                                                                                                    \
	do {                                                                                                           \
		if (!hs_soft_isa_offered(ZYDIS_ISA_SET_AVX2)) {                                                        \
			skip();                                                                                        \
		}                                                                                                      \
	} while (0)

#define CHECK(text) CHECK_IN(text, CODE32(text))
#define CHECK_64(text) CHECK_IN(text, ((struct code){ NULL, 0 }))

static void test_gathers_are_as_on_the_host(void **state)
{
	(void)state;
	NEED_AVX2();
	CHECK("vpgatherdd ymm0, [esi + ymm1*4], ymm3\n vpgatherdd xmm5, [esi + xmm1*8 + 3], xmm4");
	CHECK("vgatherdps ymm0, [esi + ymm1*1 - 5], ymm3\n vgatherdps xmm5, [esi + xmm1*2], xmm4");
	CHECK("vpgatherdq ymm0, [esi + xmm1*8], ymm3\n vpgatherdq xmm5, [esi + xmm1*4], xmm4");
	CHECK("vgatherdpd ymm0, [esi + xmm1*8], ymm3\n vgatherdpd xmm5, [esi + xmm1*1 + 0x20], xmm4");
	CHECK("vpgatherqd xmm0, [esi + ymm2*4], xmm3\n vpgatherqd xmm5, [esi + xmm2*4], xmm4");
	CHECK("vgatherqps xmm0, [esi + ymm2*4], xmm3\n vgatherqps xmm5, [esi + xmm2*8], xmm4");
	CHECK("vpgatherqq ymm0, [esi + ymm2*8], ymm3\n vpgatherqq xmm5, [esi + xmm2*1], xmm4");
	CHECK("vgatherqpd ymm0, [esi + ymm2*2], ymm3\n vgatherqpd xmm5, [esi + xmm2*8], xmm4");
	CHECK_64("vpgatherdd ymm0, [rsi + ymm1*4], ymm3\n vpgatherqd xmm15, [rsi + xmm2*4], xmm4\n"
		 "vgatherdpd ymm9, [rsi + xmm1*8], ymm13");
}

static void test_masked_moves_are_as_on_the_host(void **state)
{
	(void)state;
	NEED_AVX2();
	CHECK("vmaskmovps ymm0, ymm3, [esi + 1]\n vmaskmovps xmm5, xmm4, [esi]\n vmaskmovps [edi + 2], ymm4, ymm6\n"
	      "vmaskmovps [edi + 64], xmm3, xmm7");
	CHECK("vmaskmovpd ymm0, ymm3, [esi + 1]\n vmaskmovpd xmm5, xmm4, [esi]\n vmaskmovpd [edi + 2], ymm4, ymm6\n"
	      "vmaskmovpd [edi + 64], xmm3, xmm7");
	CHECK("vpmaskmovd ymm0, ymm3, [esi + 1]\n vpmaskmovd xmm5, xmm4, [esi]\n vpmaskmovd [edi + 2], ymm4, ymm6\n"
	      "vpmaskmovd [edi + 64], xmm3, xmm7");
	CHECK("vpmaskmovq ymm0, ymm3, [esi + 1]\n vpmaskmovq xmm5, xmm4, [esi]\n vpmaskmovq [edi + 2], ymm4, ymm6\n"
	      "vpmaskmovq [edi + 64], xmm3, xmm7");
	CHECK("maskmovdqu xmm3, xmm5\n add edi, 33\n vmaskmovdqu xmm6, xmm7");
	CHECK("fld1\n fldpi\n fldz\n maskmovq mm6, mm7\n fnstenv [esi]\n emms\n mov dword ptr [esi + 12], 0\n"
	      "mov dword ptr [esi + 16], 0\n mov dword ptr [esi + 20], 0\n mov dword ptr [esi + 24], 0");
}

static void test_vzero_is_as_on_the_host(void **state)
{
	(void)state;
	NEED_AVX2();
	CHECK("vzeroupper");
	CHECK("vzeroall");
}

/* ---- Faults ---- */

/* Registers and memory as they are before; ymm1 and ymm2 have what esi needs to reach [esi] + 8 * i. */
static void prepare(struct machine *machine, struct scene *scene, const struct machine_config *config, struct code code)
{
	scene_init(scene, 1);
	munmap(scene->low, MEMORY_BYTES);
	for (unsigned int i = 0; i < 8; i++) {
		hs_put_le32(scene->before.ymm[1] + i * 4, i);
	}
	memset(scene->before.ymm[3], 0x80, 32);
	machine_init(machine, config);
	machine_set_code(machine, code);
	load_machine(scene, machine);
}

static void assert_unchanged(const struct machine *machine, const struct machine_stop *stop)
{
	assert_memory_equal(stop->cpu.xsave, machine->cpu.xsave, HS_XSAVE_SIZE);
	assert_int_equal(stop->cpu.rip, machine->cpu.rip);
}

/* Four elements lie in the first page: they are there, and not in the mask any more; the restart loads the others. */
static void test_gather_that_faults_keeps_what_it_has_loaded(void **state)
{
	(void)state;
	NEED_AVX2();
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		uint8_t whole[32], part[32], mask[32];
		struct machine machine;
		struct machine_stop stop;
		struct scene scene;

		prepare(&machine, &scene, &configs[i], CODE32("vpgatherdd ymm0, [esi + ymm1*4], ymm3"));
		machine.cpu.gpr[HS_RSI] = MACHINE_DATA + 0x1000 - 16;
		memcpy(machine_at(&machine, MACHINE_DATA + 0x1000), "0123456789abcdef", 16);
		machine_change_entry(&machine, MACHINE_DATA + 0x1000, PRESENT, 0);
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_FAULT);
		assert_int_equal(stop.vector, VECTOR_PF);
		assert_int_equal(stop.cpu.cr2, MACHINE_DATA + 0x1000);
		assert_int_equal(stop.cpu.rip, machine.cpu.rip);
		get_ymm(&stop.cpu, 0, part);
		get_ymm(&stop.cpu, 3, mask);
		assert_memory_equal(part, machine_at(&machine, MACHINE_DATA + 0x1000 - 16), 16);
		assert_memory_equal(part + 16, scene.before.ymm[0] + 16, 16);
		assert_memory_equal(mask + 16, scene.before.ymm[3] + 16, 16);
		assert_true(hs_get_le64(mask) == 0 && hs_get_le64(mask + 8) == 0);
		machine_change_entry(&machine, MACHINE_DATA + 0x1000, 0, PRESENT);
		*machine_at(&machine, MACHINE_DATA + 0x1000 - 16) ^= 1; /* it is not loaded again */
		machine.cpu = stop.cpu;
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_HLT);
		get_ymm(&stop.cpu, 0, whole);
		assert_memory_equal(whole, part, 16);
		assert_memory_equal(whole + 16, "0123456789abcdef", 16);
		machine_deinit(&machine);
	}
}

struct row {
	struct code code;
	uint64_t rsi; /* and rdi; the page at MACHINE_DATA + 0x1000 is not present */
	uint8_t mask[32];
	bool faults;
};

/* Only elements that are asked for fault, and then nothing has happened. */
static void test_masked_moves_fault_by_elements(void **state)
{
	const struct row rows[] = {
		{ CODE32("vmaskmovps ymm0, ymm3, [esi]"), MACHINE_DATA + 0xff0, { [15] = 0x80 }, false },
		{ CODE32("vmaskmovps ymm0, ymm3, [esi]"), MACHINE_DATA + 0xff0, { [15] = 0x80, [19] = 0x80 }, true },
		{ CODE32("vmaskmovps ymm0, ymm3, [esi]"), MACHINE_DATA + 0xfff, { 0 }, false },
		{ CODE32("vmaskmovps ymm0, ymm3, [esi]"), MACHINE_DATA + 0xfff, { [3] = 0x80 }, true },
		{ CODE32("vpmaskmovq [edi], ymm3, ymm0"), MACHINE_DATA + 0xff0, { [15] = 0x80 }, false },
		{ CODE32("vpmaskmovq [edi], ymm3, ymm0"), MACHINE_DATA + 0xff0, { [15] = 0x80, [31] = 0x80 }, true },
		{ CODE32("maskmovdqu xmm0, xmm3"), MACHINE_DATA + 0xff8, { [7] = 0x80 }, false },
		{ CODE32("maskmovdqu xmm0, xmm3"), MACHINE_DATA + 0xff8, { [7] = 0x80, [8] = 0x80 }, true },
		{ CODE32("vpgatherdd ymm0, [esi + ymm1*4], ymm3"), MACHINE_DATA + 0x1000, { 0 }, false },
	};

	(void)state;
	NEED_AVX2();
	for (size_t i = 0; i < CONFIG_COUNT * sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i / CONFIG_COUNT];
		uint8_t before[MEMORY_BYTES];
		struct machine machine;
		struct machine_stop stop;
		struct scene scene;

		prepare(&machine, &scene, &configs[i % CONFIG_COUNT], row->code);
		machine.cpu.gpr[HS_RSI] = machine.cpu.gpr[HS_RDI] = row->rsi;
		memcpy(machine.cpu.xsave + HS_XSAVE_XMM0 + 3 * 16, row->mask, 16);
		memcpy(machine.cpu.xsave + HS_XSAVE_YMMH0 + 3 * 16, row->mask + 16, 16);
		machine_change_entry(&machine, MACHINE_DATA + 0x1000, PRESENT, 0);
		memcpy(before, machine_at(&machine, MACHINE_DATA), MEMORY_BYTES);
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, row->faults ? MACHINE_FAULT : MACHINE_HLT);
		if (row->faults) {
			assert_int_equal(stop.vector, VECTOR_PF);
			assert_int_equal(stop.cpu.cr2, MACHINE_DATA + 0x1000 + (row->mask[31] ? 8 : 0));
			assert_unchanged(&machine, &stop);
			assert_memory_equal(machine_at(&machine, MACHINE_DATA), before, MEMORY_BYTES);
		}
		machine_deinit(&machine);
	}
}

/* None of them checks alignment, and all of them what AVX, or SSE, needs. */
static void test_vector_special_gates(void **state)
{
	const struct code codes[] = {
		CODE32("vpgatherdd ymm0, [esi + ymm1*4 + 1], ymm3"),
		CODE32("vmaskmovps ymm0, ymm3, [esi + 1]"),
		CODE32("vpmaskmovq [edi + 1], ymm3, ymm0"),
		CODE32("vzeroall"),
		CODE32("vzeroupper"),
	};

	(void)state;
	NEED_AVX2();
	for (size_t i = 0; i < CONFIG_COUNT * sizeof(codes) / sizeof(codes[0]); i++) {
		const struct machine_config *config = &configs[i % CONFIG_COUNT];
		struct machine machine;
		struct machine_stop stop;
		struct scene scene;

		prepare(&machine, &scene, config, codes[i / CONFIG_COUNT]);
		machine.cpu.cr0 |= CR0_AM;
		machine.cpu.rflags |= FLAG_AC;
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_HLT);
		machine.cpu.cr0 |= CR0_TS;
		machine_start(&machine, &stop);
		assert_int_equal(stop.kind, MACHINE_FAULT);
		assert_int_equal(stop.vector, VECTOR_NM);
		assert_unchanged(&machine, &stop);
		machine.cpu.xcr0 = 3;
		machine_start(&machine, &stop);
		assert_int_equal(stop.vector, VECTOR_UD);
		machine.cpu.xcr0 = COMPONENTS;
		machine.cpu.cr4 &= ~(uint64_t)CR4_OSXSAVE;
		machine_start(&machine, &stop);
		assert_int_equal(stop.vector, VECTOR_UD);
		assert_unchanged(&machine, &stop);
		machine_deinit(&machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gathers_are_as_on_the_host),
		cmocka_unit_test(test_masked_moves_are_as_on_the_host),
		cmocka_unit_test(test_vzero_is_as_on_the_host),
		cmocka_unit_test(test_gather_that_faults_keeps_what_it_has_loaded),
		cmocka_unit_test(test_masked_moves_fault_by_elements),
		cmocka_unit_test(test_vector_special_gates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
