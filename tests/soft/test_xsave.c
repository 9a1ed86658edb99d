/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * xsave, xsaveopt, xsavec and xrstor do to areas and registers what they do on the host, for every choice of
 * components, where the same text runs as well.
 *
 * Areas are in esi, so that one text is 64-bit code of the host, and 64-bit and 32-bit code of the machine.
 */
#include "machine.h"

#include "base/bytes.h"
#include "lib/random.h"

#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* What the texts work on, by offset from esi: a state that is loaded first, one that is worked with, what comes out. */
#define FIRST 0
#define AREA 0x400
#define RESULT 0x800
#define MEMORY_BYTES 0xc00u
#define AREA_BYTES 832u
#define COMPACTED (UINT64_C(1) << 63)
#define COMPONENTS 7u /* x87, SSE, AVX */

#define CR4_OSXSAVE (1u << 18)

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 0 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

/* FOP, FIP and FDP are zero: not all CPUs keep them. */
static void fill_area(uint8_t *area, uint64_t seed, uint64_t used, uint64_t format)
{
	uint64_t next = seed;

	random_fill(&next, area, AREA_BYTES);
	memset(area, 0, HS_XSAVE_ST0);
	for (unsigned int i = 0; i < 8; i++) {
		memset(area + HS_XSAVE_ST0 + i * 16 + 10, 0, 6);
	}
	memset(area + HS_XSAVE_XSTATE_BV, 0, 64);
	hs_put_le16(area + HS_XSAVE_FCW, 0x27f);
	hs_put_le16(area + HS_XSAVE_FSW, 0x3800);
	area[HS_XSAVE_FTW] = (uint8_t)seed;
	hs_put_le32(area + HS_XSAVE_MXCSR, seed % 2 ? 0x9fc0 : 0x1f80);
	hs_put_le64(area + HS_XSAVE_XSTATE_BV, used);
	hs_put_le64(area + HS_XSAVE_XCOMP_BV, format);
}

static void arm(struct machine *machine, const uint8_t *memory)
{
	memcpy(machine_at(machine, MACHINE_DATA), memory, MEMORY_BYTES);
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
	machine->cpu.cr4 |= CR4_OSXSAVE;
	machine->cpu.xcr0 = COMPONENTS;
}

/* ---- As on the host ---- */

/* rfbm: of the instruction in the middle, in ecx. */
#define AROUND(text)                                                                                                   \
	"mov eax, 7\n xor edx, edx\n xrstor [esi]\n mov eax, ecx\n" text "\n mov eax, 7\n xsave [esi + 0x800]"
#define RUN_HERE(text, memory, rfbm)                                                                                   \
	do {                                                                                                           \
		uintptr_t memory_ = (uintptr_t)(memory);                                                               \
		uint32_t mxcsr_;                                                                                       \
		__asm__ volatile("stmxcsr %0\n.intel_syntax noprefix\n" AROUND(                                        \
					 text) "\nfninit\nvzeroall\n.att_syntax prefix\nldmxcsr %0"                    \
				 : "=m"(mxcsr_)                                                                        \
				 : "S"(memory_), "c"(rfbm)                                                             \
				 : "rax", "rdx", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",     \
				   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");      \
	} while (0)

static bool host_has_avx(void)
{
	const unsigned int wanted = bit_OSXSAVE | bit_AVX;
	unsigned int eax, ebx, ecx = 0, edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & wanted) != wanted) {
		return false;
	}
	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return (eax & COMPONENTS) == COMPONENTS;
}

/* MXCSR_MASK is the CPU's own. */
static void forget_masks(uint8_t *memory)
{
	for (unsigned int area = FIRST; area <= RESULT; area += AREA) {
		hs_put_le32(memory + area + HS_XSAVE_MXCSR_MASK, 0);
	}
}

struct trial {
	const char *text;
	struct code code64, code32;
	uint64_t rfbm;
	uint8_t before[MEMORY_BYTES], after[MEMORY_BYTES]; /* after: on the host */
};

/* Registers 8 to 15 neither go nor come in 32-bit code: what the host had there is none of its business. */
static void leave_upper_registers(const uint8_t *machine, uint8_t *after)
{
	for (unsigned int area = FIRST; area <= RESULT; area += AREA) {
		memcpy(after + area + HS_XSAVE_XMM0 + 128, machine + area + HS_XSAVE_XMM0 + 128, 128);
		memcpy(after + area + HS_XSAVE_YMMH0 + 128, machine + area + HS_XSAVE_YMMH0 + 128, 128);
	}
}

static void check_on(const struct trial *trial, const struct machine_config *config)
{
	uint8_t expected[MEMORY_BYTES];
	struct machine machine;
	struct machine_stop stop;

	machine_init(&machine, config);
	machine_set_code(&machine, config->mode == MACHINE_64 ? trial->code64 : trial->code32);
	arm(&machine, trial->before);
	machine.cpu.gpr[HS_RCX] = trial->rfbm;
	machine_start(&machine, &stop);
	if (stop.kind != MACHINE_HLT) {
		fail_msg("%s: stopped by %d, vector %u", trial->text, (int)stop.kind, stop.vector);
	}
	forget_masks(machine_at(&machine, MACHINE_DATA));
	memcpy(expected, trial->after, MEMORY_BYTES);
	if (config->mode != MACHINE_64) {
		leave_upper_registers(machine_at(&machine, MACHINE_DATA), expected);
	}
	for (size_t i = 0; i < MEMORY_BYTES; i++) {
		if (*machine_at(&machine, MACHINE_DATA + i) != expected[i]) {
			fail_msg("%s of %u: byte 0x%zx is 0x%02x, not 0x%02x; XSTATE_BV 0x%x and 0x%x", trial->text,
				 (unsigned int)trial->rfbm, i, *machine_at(&machine, MACHINE_DATA + i), expected[i],
				 trial->before[FIRST + HS_XSAVE_XSTATE_BV], trial->before[AREA + HS_XSAVE_XSTATE_BV]);
		}
	}
	machine_deinit(&machine);
}

/* first: XSTATE_BV of the state before; used, format: of the area that the instruction takes. */
#define CHECK(the_text, first, used, format, mask)                                                                     \
	do {                                                                                                           \
		struct trial trial = {                                                                                 \
			the_text, CODE64(AROUND(the_text)), CODE32(AROUND(the_text)), mask, { 0 }, { 0 }               \
		};                                                                                                     \
		uint8_t *low = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,                                        \
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);                                   \
		assert_ptr_not_equal(low, MAP_FAILED);                                                                 \
		random_fill(&(uint64_t){ 1 }, trial.before, MEMORY_BYTES);                                             \
		memset(trial.before + RESULT + HS_XSAVE_XSTATE_BV, 0, 64);                                             \
		fill_area(trial.before + FIRST, 4 + (first), first, 0);                                                \
		fill_area(trial.before + AREA, 16 + (used), used, format);                                             \
		/* A task switch in between has the host count a component as used: what it says twice is so. */       \
		do {                                                                                                   \
			memcpy(low, trial.before, MEMORY_BYTES);                                                       \
			RUN_HERE(the_text, low, trial.rfbm);                                                           \
			forget_masks(low);                                                                             \
			memcpy(trial.after, low, MEMORY_BYTES);                                                        \
			memcpy(low, trial.before, MEMORY_BYTES);                                                       \
			RUN_HERE(the_text, low, trial.rfbm);                                                           \
			forget_masks(low);                                                                             \
		} while (memcmp(trial.after, low, MEMORY_BYTES) != 0);                                                 \
		munmap(low, MEMORY_BYTES);                                                                             \
		for (size_t config = 0; config < CONFIG_COUNT; config++) {                                             \
			check_on(&trial, &configs[config]);                                                            \
		}                                                                                                      \
	} while (0)

static void test_xsave_stores_what_the_host_stores(void **state)
{
	(void)state;
	if (!host_has_avx()) {
		skip();
	}
	for (uint64_t first = 0; first <= COMPONENTS; first++) {
		for (uint64_t rfbm = 0; rfbm <= COMPONENTS; rfbm++) {
			CHECK("xsave [esi + 0x400]", first, COMPONENTS & ~first, 0, rfbm);
			CHECK("xsaveopt [esi + 0x400]", first, first | 8, 0, rfbm);
			CHECK("xsavec [esi + 0x400]", first, first | 8, 1, rfbm);
		}
	}
}

static void test_xrstor_loads_what_the_host_loads(void **state)
{
	(void)state;
	if (!host_has_avx()) {
		skip();
	}
	for (uint64_t used = 0; used <= COMPONENTS; used++) {
		for (uint64_t rfbm = 0; rfbm <= COMPONENTS; rfbm++) {
			CHECK("xrstor [esi + 0x400]", COMPONENTS, used, 0, rfbm);
			CHECK("xrstor [esi + 0x400]", COMPONENTS, used, COMPACTED | COMPONENTS, rfbm);
			CHECK("xrstor [esi + 0x400]", COMPONENTS, used, COMPACTED | used, rfbm);
		}
	}
}

/* ---- Formats and modes ---- */

static void start_with(struct machine *machine, struct code code, struct machine_stop *ret)
{
	machine_set_code(machine, code);
	machine_start(machine, ret);
	assert_int_equal(ret->kind, MACHINE_HLT);
}

/* Offsets into code and data of 64 bits, or of 32 beside selectors that are 0. */
static void test_xsave_has_offsets_as_wide_as_asked(void **state)
{
	uint8_t memory[MEMORY_BYTES] = { 0 };
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	machine_init(&machine, &configs[0]);
	arm(&machine, memory);
	machine.cpu.gpr[HS_RAX] = 1;
	hs_put_le64(machine.cpu.xsave + HS_XSAVE_FIP, 0x1122334455667788);
	hs_put_le64(machine.cpu.xsave + HS_XSAVE_FDP, 0x99AABBCCDDEEFF00);
	start_with(&machine,
		   CODE64("xsave64 [rsi]\n xsave [rsi + 0x400]\n xrstor64 [rsi]\n xsave64 [rsi + 0x800]\n"
			  "xrstor [rsi]"),
		   &stop);
	assert_int_equal(hs_get_le64(machine_at(&machine, MACHINE_DATA + HS_XSAVE_FIP)), 0x1122334455667788);
	assert_int_equal(hs_get_le64(machine_at(&machine, MACHINE_DATA + HS_XSAVE_FDP)), 0x99AABBCCDDEEFF00);
	assert_int_equal(hs_get_le64(machine_at(&machine, MACHINE_DATA + AREA + HS_XSAVE_FIP)), 0x55667788);
	assert_int_equal(hs_get_le64(machine_at(&machine, MACHINE_DATA + AREA + HS_XSAVE_FDP)), 0xDDEEFF00);
	assert_int_equal(hs_get_le64(machine_at(&machine, MACHINE_DATA + RESULT + HS_XSAVE_FIP)), 0x1122334455667788);
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_FIP), 0x55667788);
	assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_FDP), 0xDDEEFF00);
	machine_deinit(&machine);
}

/* They are neither saved nor initialised, and what has them stays in use. */
static void test_xsave_in_32_bit_code_leaves_the_upper_registers_alone(void **state)
{
	const struct code code = CODE32("xsave [esi]\n mov dword ptr [esi + 0x200], 0\n xrstor [esi]");
	uint8_t memory[MEMORY_BYTES];

	(void)state;
	random_fill(&(uint64_t){ 9 }, memory, sizeof(memory));
	for (size_t i = 0; i < CONFIG_COUNT; i++) {
		struct machine machine;
		struct machine_stop stop;

		if (configs[i].mode == MACHINE_64) {
			continue;
		}
		machine_init(&machine, &configs[i]);
		fill_area(machine.cpu.xsave, 5, COMPONENTS, 0);
		memset(memory + HS_XSAVE_XSTATE_BV, 0, 64);
		arm(&machine, memory);
		machine.cpu.gpr[HS_RAX] = COMPONENTS;
		start_with(&machine, code, &stop);
		assert_memory_equal(machine_at(&machine, MACHINE_DATA + HS_XSAVE_XMM0),
				    machine.cpu.xsave + HS_XSAVE_XMM0, 128);
		assert_memory_equal(machine_at(&machine, MACHINE_DATA + HS_XSAVE_XMM0 + 128),
				    memory + HS_XSAVE_XMM0 + 128, 128);
		assert_memory_equal(machine_at(&machine, MACHINE_DATA + HS_XSAVE_YMMH0 + 128),
				    memory + HS_XSAVE_YMMH0 + 128, 128);
		assert_memory_equal(stop.cpu.xsave + HS_XSAVE_XMM0 + 128, machine.cpu.xsave + HS_XSAVE_XMM0 + 128, 128);
		assert_memory_equal(stop.cpu.xsave + HS_XSAVE_YMMH0 + 128, machine.cpu.xsave + HS_XSAVE_YMMH0 + 128,
				    128);
		assert_int_equal(hs_get_le64(stop.cpu.xsave + HS_XSAVE_XMM0), 0);
		assert_int_equal(stop.cpu.xsave[HS_XSAVE_XSTATE_BV], 6);
		machine_deinit(&machine);
	}
}

/* What XCR0 leaves out is neither stored nor loaded, and its bit in the header not touched. */
static void test_xsave_knows_only_what_is_enabled(void **state)
{
	uint8_t memory[MEMORY_BYTES];
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	random_fill(&(uint64_t){ 9 }, memory, sizeof(memory));
	memset(memory + HS_XSAVE_XSTATE_BV, 0, 64);
	hs_put_le64(memory + HS_XSAVE_XSTATE_BV, UINT64_C(0xff00) | 4);
	machine_init(&machine, &configs[0]);
	fill_area(machine.cpu.xsave, 5, COMPONENTS, 0);
	arm(&machine, memory);
	machine.cpu.xcr0 = 3;
	machine.cpu.gpr[HS_RAX] = machine.cpu.gpr[HS_RDX] = 0xffffffff;
	start_with(&machine, CODE64("xsave [rsi]"), &stop);
	assert_int_equal(hs_get_le64(machine_at(&machine, MACHINE_DATA + HS_XSAVE_XSTATE_BV)), 0xff07);
	assert_memory_equal(machine_at(&machine, MACHINE_DATA + HS_XSAVE_YMMH0), memory + HS_XSAVE_YMMH0, 256);
	assert_memory_equal(machine_at(&machine, MACHINE_DATA + HS_XSAVE_XMM0), machine.cpu.xsave + HS_XSAVE_XMM0, 256);
	start_with(&machine, CODE64("mov dword ptr [rsi + 512], 0\n mov dword ptr [rsi + 516], 0\n xrstor [rsi]"),
		   &stop);
	assert_memory_equal(stop.cpu.xsave + HS_XSAVE_YMMH0, machine.cpu.xsave + HS_XSAVE_YMMH0, 256);
	assert_int_equal(stop.cpu.xsave[HS_XSAVE_XSTATE_BV], 4);
	machine_deinit(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xsave_stores_what_the_host_stores),
		cmocka_unit_test(test_xrstor_loads_what_the_host_loads),
		cmocka_unit_test(test_xsave_has_offsets_as_wide_as_asked),
		cmocka_unit_test(test_xsave_in_32_bit_code_leaves_the_upper_registers_alone),
		cmocka_unit_test(test_xsave_knows_only_what_is_enabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
