/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * arch/regs: the table against itself (nothing overlaps, everything round-trips) and against the outside: this host's
 * <sys/user.h> for the core offsets, the psABI numbers, and x87 states made by hand for the tag word.
 */
#include "arch/regs.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include <cmocka.h>

static const enum hs_arch arches[] = { HS_ARCH_AMD64, HS_ARCH_I686 };
#define ARCH_COUNT (sizeof(arches) / sizeof(arches[0]))

/* XCR0 with all that there are rows for. */
#define ALL UINT64_C(0x2e7)

/* What a register of this kind can hold: the bits that must survive a write and a read. */
static void sample_value(const struct hs_reg *reg, uint8_t seed, uint8_t *ret)
{
	for (size_t i = 0; i < reg->bytes; i++) {
		ret[i] = (uint8_t)(seed + 37 * i + 1);
	}
	if (reg->codec == HS_REG_SELECTOR || reg->codec == HS_REG_FIELD16) {
		ret[2] = ret[3] = 0;
	}
	if (reg->codec == HS_REG_NO_CALL) {
		memset(ret, 0xff, reg->bytes);
	}
	if (reg->codec == HS_REG_FTAG) {
		/* With all contents zero a register is either empty (3) or zero (1). */
		hs_put_le32(ret, seed & 1 ? 0x7dd7 : 0x5555);
	}
}

static void assert_round_trip(enum hs_arch arch, const struct hs_reg *reg, uint8_t seed)
{
	struct hs_cpu_state cpu;
	uint8_t wanted[HS_REG_BYTES_MAX] = { 0 };
	uint8_t got[HS_REG_BYTES_MAX] = { 0 };

	hs_cpu_state_init(&cpu);
	cpu.xcr0 = ALL;
	sample_value(reg, seed, wanted);
	hs_reg_set(reg, &cpu, wanted);
	hs_reg_get(reg, &cpu, got);
	if (memcmp(wanted, got, sizeof(got)) != 0) {
		fail_msg("%s of %s", reg->name, hs_arch_name(arch));
	}
}

static void test_regs_each_written_and_read_gives_the_value_back(void **state)
{
	(void)state;
	for (size_t a = 0; a < ARCH_COUNT; a++) {
		size_t count;
		const struct hs_reg *regs = hs_regs(arches[a], &count);

		for (size_t i = 0; i < count; i++) {
			assert_round_trip(arches[a], &regs[i], (uint8_t)i);
		}
	}
}

static bool same_value(const struct hs_reg *reg, const struct hs_cpu_state *a, const struct hs_cpu_state *b)
{
	uint8_t of_a[HS_REG_BYTES_MAX] = { 0 };
	uint8_t of_b[HS_REG_BYTES_MAX] = { 0 };

	hs_reg_get(reg, a, of_a);
	hs_reg_get(reg, b, of_b);
	return memcmp(of_a, of_b, sizeof(of_a)) == 0;
}

static void assert_only_changes_itself(const struct hs_reg *regs, size_t count, size_t which)
{
	struct hs_cpu_state before;
	struct hs_cpu_state after;
	uint8_t value[HS_REG_BYTES_MAX];

	hs_cpu_state_init(&before);
	before.xcr0 = ALL;
	/* What lies in the areas of components that are in their initial configuration is nobody's. */
	memset(before.xsave + HS_XSAVE_YMMH0, 0xa5, HS_XSAVE_SIZE - HS_XSAVE_YMMH0);
	after = before;
	sample_value(&regs[which], 0x80, value);
	hs_reg_set(&regs[which], &after, value);
	for (size_t i = 0; i < count; i++) {
		/* The full tag word is computed from the status word and the contents. */
		if (i != which && regs[i].codec != HS_REG_FTAG && !same_value(&regs[i], &before, &after)) {
			fail_msg("writing %s changed %s", regs[which].name, regs[i].name);
		}
	}
}

static void test_regs_write_of_one_changes_no_other(void **state)
{
	(void)state;
	for (size_t a = 0; a < ARCH_COUNT; a++) {
		size_t count;
		const struct hs_reg *regs = hs_regs(arches[a], &count);

		for (size_t i = 0; i < count; i++) {
			assert_only_changes_itself(regs, count, i);
		}
	}
}

static size_t stored_bytes(const struct hs_reg *reg)
{
	switch (reg->codec) {
	case HS_REG_SELECTOR:
	case HS_REG_FIELD16:
		return 2;
	case HS_REG_FTAG:
		return 1;
	case HS_REG_NO_CALL:
		return 0;
	default:
		return reg->bytes;
	}
}

/* Note who owns the bytes of a row; owner[] holds the row's number + 1. */
static void claim(const struct hs_reg *regs, size_t which, uint8_t *owner)
{
	const struct hs_reg *reg = &regs[which];

	assert_true(reg->bytes >= 1 && reg->bytes <= HS_REG_BYTES_MAX);
	assert_true(reg->offset + stored_bytes(reg) <= sizeof(struct hs_cpu_state));
	for (size_t i = reg->offset; i < reg->offset + stored_bytes(reg); i++) {
		if (owner[i]) {
			fail_msg("%s overlaps %s", reg->name, regs[owner[i] - 1].name);
		}
		owner[i] = (uint8_t)(which + 1);
	}
}

static void test_regs_offsets_lie_in_the_state_and_do_not_overlap(void **state)
{
	(void)state;
	for (size_t a = 0; a < ARCH_COUNT; a++) {
		uint8_t owner[sizeof(struct hs_cpu_state)] = { 0 };
		size_t count;
		const struct hs_reg *regs = hs_regs(arches[a], &count);

		for (size_t i = 0; i < count; i++) {
			claim(regs, i, owner);
		}
	}
}

static void test_regs_names_and_dwarf_numbers_are_unique_and_found(void **state)
{
	(void)state;
	for (size_t a = 0; a < ARCH_COUNT; a++) {
		size_t count;
		const struct hs_reg *regs = hs_regs(arches[a], &count);

		for (size_t i = 0; i < count; i++) {
			assert_ptr_equal(hs_reg_by_name(arches[a], regs[i].name), &regs[i]);
			if (regs[i].dwarf >= 0) {
				assert_ptr_equal(hs_reg_by_dwarf(arches[a], regs[i].dwarf), &regs[i]);
			}
		}
		assert_null(hs_reg_by_name(arches[a], "rax2"));
		assert_null(hs_reg_by_name(arches[a], ""));
		assert_null(hs_reg_by_dwarf(arches[a], -1));
		assert_null(hs_reg_by_dwarf(arches[a], 1000));
	}
}

static void assert_dwarf(enum hs_arch arch, int dwarf, const char *name)
{
	const struct hs_reg *reg = hs_reg_by_dwarf(arch, dwarf);

	assert_non_null(reg);
	assert_string_equal(reg->name, name);
}

/* Those that are easy to get wrong: rdx before rcx and rsi before rdi on amd64, neither on i686. */
static void test_regs_dwarf_numbers_are_those_of_the_psabi(void **state)
{
	(void)state;
	assert_dwarf(HS_ARCH_AMD64, 1, "rdx");
	assert_dwarf(HS_ARCH_AMD64, 2, "rcx");
	assert_dwarf(HS_ARCH_AMD64, 3, "rbx");
	assert_dwarf(HS_ARCH_AMD64, 6, "rbp");
	assert_dwarf(HS_ARCH_AMD64, 7, "rsp");
	assert_dwarf(HS_ARCH_AMD64, 15, "r15");
	assert_dwarf(HS_ARCH_AMD64, 16, "rip");
	assert_dwarf(HS_ARCH_AMD64, 32, "xmm15");
	assert_dwarf(HS_ARCH_AMD64, 33, "st0");
	assert_dwarf(HS_ARCH_AMD64, 49, "eflags");
	assert_dwarf(HS_ARCH_AMD64, 58, "fs_base");
	assert_dwarf(HS_ARCH_I686, 1, "ecx");
	assert_dwarf(HS_ARCH_I686, 2, "edx");
	assert_dwarf(HS_ARCH_I686, 4, "esp");
	assert_dwarf(HS_ARCH_I686, 5, "ebp");
	assert_dwarf(HS_ARCH_I686, 8, "eip");
	assert_dwarf(HS_ARCH_I686, 11, "st0");
	assert_dwarf(HS_ARCH_I686, 21, "xmm0");
}

struct slot {
	const char *name;
	int offset;
};

static void assert_prstatus(enum hs_arch arch, const struct slot *slots, size_t slot_count)
{
	size_t count;
	size_t with_offset = 0;
	const struct hs_reg *regs = hs_regs(arch, &count);

	for (size_t i = 0; i < slot_count; i++) {
		const struct hs_reg *reg = hs_reg_by_name(arch, slots[i].name);

		assert_non_null(reg);
		if (reg->prstatus != slots[i].offset) {
			fail_msg("%s: %d, not %d", slots[i].name, reg->prstatus, slots[i].offset);
		}
	}
	for (size_t i = 0; i < count; i++) {
		with_offset += regs[i].prstatus >= 0;
	}
	assert_int_equal(with_offset, slot_count);
}

#ifdef __x86_64__
static void test_regs_amd64_prstatus_offsets_are_those_of_the_system_headers(void **state)
{
#define SLOT(reg)                                                                                                      \
	{                                                                                                              \
#reg, (int)offsetof(struct user_regs_struct, reg)                                                      \
	}
	static const struct slot slots[] = {
		SLOT(rax), SLOT(rbx), SLOT(rcx), SLOT(rdx),     SLOT(rsi),     SLOT(rdi),      SLOT(rbp),
		SLOT(rsp), SLOT(r8),  SLOT(r9),  SLOT(r10),     SLOT(r11),     SLOT(r12),      SLOT(r13),
		SLOT(r14), SLOT(r15), SLOT(rip), SLOT(eflags),  SLOT(cs),      SLOT(ss),       SLOT(ds),
		SLOT(es),  SLOT(fs),  SLOT(gs),  SLOT(fs_base), SLOT(gs_base), SLOT(orig_rax),
	};
#undef SLOT

	(void)state;
	assert_int_equal(sizeof(elf_gregset_t), sizeof(struct user_regs_struct));
	assert_prstatus(HS_ARCH_AMD64, slots, sizeof(slots) / sizeof(slots[0]));
}
#endif

/* struct user_regs_struct of a 32-bit <sys/user.h>: ebx ecx edx esi edi ebp eax ds es fs gs orig_eax eip cs ... */
static void test_regs_i686_prstatus_offsets_are_those_of_the_kernel(void **state)
{
	static const struct slot slots[] = {
		{ "ebx", 0 },  { "ecx", 4 },     { "edx", 8 },  { "esi", 12 }, { "edi", 16 },      { "ebp", 20 },
		{ "eax", 24 }, { "ds", 28 },     { "es", 32 },  { "fs", 36 },  { "gs", 40 },       { "eip", 48 },
		{ "cs", 52 },  { "eflags", 56 }, { "esp", 60 }, { "ss", 64 },  { "orig_eax", 44 },
	};

	(void)state;
	assert_prstatus(HS_ARCH_I686, slots, sizeof(slots) / sizeof(slots[0]));
}

static uint32_t get32(enum hs_arch arch, const char *name, const struct hs_cpu_state *cpu)
{
	uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

	hs_reg_get(hs_reg_by_name(arch, name), cpu, bytes);
	return hs_get_le32(bytes);
}

static void set32(enum hs_arch arch, const char *name, struct hs_cpu_state *cpu, uint32_t value)
{
	uint8_t bytes[HS_REG_BYTES_MAX] = { 0 };

	hs_put_le32(bytes, value);
	hs_reg_set(hs_reg_by_name(arch, name), cpu, bytes);
}

static void test_regs_32_bit_write_clears_the_upper_half_of_a_general_register(void **state)
{
	struct hs_cpu_state cpu;

	(void)state;
	hs_cpu_state_init(&cpu);
	cpu.gpr[HS_RBX] = ~0ull;
	cpu.rip = ~0ull;
	cpu.msr.kernel_gs_base = ~0ull;
	set32(HS_ARCH_I686, "ebx", &cpu, 0x12345678);
	set32(HS_ARCH_I686, "eip", &cpu, 0x1000);
	assert_int_equal(cpu.gpr[HS_RBX], 0x12345678);
	assert_int_equal(cpu.rip, 0x1000);
	assert_int_equal(cpu.msr.kernel_gs_base, ~0ull);
}

static void test_regs_selector_write_leaves_the_hidden_part(void **state)
{
	struct hs_cpu_state cpu;

	(void)state;
	hs_cpu_state_init(&cpu);
	cpu.seg[HS_CS] = (struct hs_segment){ .base = 0x1234, .limit = 0xfffff, .selector = 8, .type = 11, .l = 1 };
	set32(HS_ARCH_AMD64, "cs", &cpu, 0xffff0010);
	assert_int_equal(get32(HS_ARCH_AMD64, "cs", &cpu), 0x10);
	assert_int_equal(cpu.seg[HS_CS].base, 0x1234);
	assert_int_equal(cpu.seg[HS_CS].limit, 0xfffff);
	assert_int_equal(cpu.seg[HS_CS].type, 11);
}

static void test_regs_write_of_mxcsr_leaves_its_mask(void **state)
{
	struct hs_cpu_state cpu;

	(void)state;
	hs_cpu_state_init(&cpu);
	hs_put_le32(cpu.xsave + HS_XSAVE_MXCSR_MASK, 0xffff);
	set32(HS_ARCH_I686, "mxcsr", &cpu, 0x1fa0);
	assert_int_equal(hs_get_le32(cpu.xsave + HS_XSAVE_MXCSR), 0x1fa0);
	assert_int_equal(hs_get_le32(cpu.xsave + HS_XSAVE_MXCSR_MASK), 0xffff);
}

static void put_st(struct hs_cpu_state *cpu, int index, uint16_t sign_exponent, uint64_t significand)
{
	hs_put_le64(cpu->xsave + HS_XSAVE_ST0 + 16 * index, significand);
	hs_put_le16(cpu->xsave + HS_XSAVE_ST0 + 16 * index + 8, sign_exponent);
}

/*
 * TOP = 5, so ST(0) is physical register 5, ST(1) 6, ST(2) 7, ST(3) 0, ST(4) 1. Five of them in use, one of each kind:
 * 1.0, 0.0, infinity, a denormal, an unnormal. Tags from physical 7 down: special, zero, valid, empty x3, special x2.
 */
static void test_regs_ftag_follows_top_and_contents(void **state)
{
	struct hs_cpu_state cpu;

	(void)state;
	hs_cpu_state_init(&cpu);
	assert_int_equal(get32(HS_ARCH_AMD64, "ftag", &cpu), 0xffff);
	hs_put_le16(cpu.xsave + HS_XSAVE_FSW, 5 << 11);
	cpu.xsave[HS_XSAVE_FTW] = 0xe3;
	put_st(&cpu, 0, 0x3fff, 1ull << 63);
	put_st(&cpu, 1, 0x8000, 0);
	put_st(&cpu, 2, 0x7fff, 1ull << 63);
	put_st(&cpu, 3, 0, 1);
	put_st(&cpu, 4, 0x3fff, 1);
	assert_int_equal(get32(HS_ARCH_AMD64, "ftag", &cpu), 0x93fa);
	assert_int_equal(get32(HS_ARCH_I686, "ftag", &cpu), 0x93fa);
	set32(HS_ARCH_I686, "ftag", &cpu, 0x93fa);
	assert_int_equal(cpu.xsave[HS_XSAVE_FTW], 0xe3);
	set32(HS_ARCH_I686, "ftag", &cpu, 0xffff);
	assert_int_equal(cpu.xsave[HS_XSAVE_FTW], 0);
}

#ifdef __x86_64__
/* The CPU itself as the oracle: FNSTENV writes the full tag word, FXSAVE the abridged one, of the same x87 state. */
static void test_regs_ftag_agrees_with_the_cpu(void **state)
{
	struct hs_cpu_state cpu;
	uint8_t env[28];
	/* A denormal: exponent 0, significand 1. */
	static const uint8_t denormal[10] = { 1 };

	(void)state;
	hs_cpu_state_init(&cpu);
	__asm__ volatile("fninit\n\tfld1\n\tfldz\n\tfldpi\n\tfldt %2\n\tfldz\n\tfdecstp\n\t"
			 "fxsave64 %0\n\tfnstenv %1\n\tfninit"
			 : "=m"(*(uint8_t(*)[512])cpu.xsave), "=m"(env)
			 : "m"(denormal));
	assert_int_equal(get32(HS_ARCH_AMD64, "ftag", &cpu), hs_get_le16(env + 8));
	assert_int_equal(get32(HS_ARCH_AMD64, "fstat", &cpu), hs_get_le16(env + 4));
	assert_int_not_equal(hs_get_le16(env + 8), 0xffff);
}
#endif

static void test_cpu_state_init_is_what_a_reset_fpu_has(void **state)
{
	struct hs_cpu_state a;
	struct hs_cpu_state b;

	(void)state;
	memset(&a, 0xaa, sizeof(a));
	memset(&b, 0x55, sizeof(b));
	hs_cpu_state_init(&a);
	hs_cpu_state_init(&b);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(a.rflags, 2);
	assert_int_equal(get32(HS_ARCH_AMD64, "fctrl", &a), 0x37f);
	assert_int_equal(get32(HS_ARCH_AMD64, "mxcsr", &a), 0x1f80);
	assert_int_equal(get32(HS_ARCH_AMD64, "ftag", &a), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regs_each_written_and_read_gives_the_value_back),
		cmocka_unit_test(test_regs_write_of_one_changes_no_other),
		cmocka_unit_test(test_regs_offsets_lie_in_the_state_and_do_not_overlap),
		cmocka_unit_test(test_regs_names_and_dwarf_numbers_are_unique_and_found),
		cmocka_unit_test(test_regs_dwarf_numbers_are_those_of_the_psabi),
#ifdef __x86_64__
		cmocka_unit_test(test_regs_amd64_prstatus_offsets_are_those_of_the_system_headers),
		cmocka_unit_test(test_regs_ftag_agrees_with_the_cpu),
#endif
		cmocka_unit_test(test_regs_i686_prstatus_offsets_are_those_of_the_kernel),
		cmocka_unit_test(test_regs_32_bit_write_clears_the_upper_half_of_a_general_register),
		cmocka_unit_test(test_regs_selector_write_leaves_the_hidden_part),
		cmocka_unit_test(test_regs_write_of_mxcsr_leaves_its_mask),
		cmocka_unit_test(test_regs_ftag_follows_top_and_contents),
		cmocka_unit_test(test_cpu_state_init_is_what_a_reset_fpu_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
