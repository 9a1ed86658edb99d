/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hs_soft_decode(): what operations say of the operands, in all three modes, and what is no instruction. */
#include "vmm/soft/cpu.h"

#include "arch/exception.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct hs_soft_op decode_bytes(enum hs_soft_mode mode, const char *bytes, size_t length)
{
	struct hs_soft_op op;

	assert_true(hs_soft_decode(mode, (const uint8_t *)bytes, length, &op));
	return op;
}

#define DECODE(mode, bytes) decode_bytes(HS_SOFT_MODE_##mode, bytes, sizeof(bytes) - 1)

static void assert_operand(const struct hs_soft_op *op, unsigned int i, enum hs_soft_kind kind, unsigned int reg,
			   unsigned int bytes)
{
	assert_int_equal(op->operand[i].kind, kind);
	assert_int_equal(op->operand[i].reg, reg);
	assert_int_equal(op->operand[i].bytes, bytes);
}

static void assert_address(const struct hs_soft_op *op, unsigned int base, unsigned int index, unsigned int shift,
			   int64_t displacement)
{
	assert_int_equal(op->base, base);
	assert_int_equal(op->index, index);
	assert_int_equal(op->shift, shift);
	assert_int_equal(op->displacement, displacement);
}

/* ---- Registers and sizes ---- */

static void test_operand_size_follows_mode_and_prefixes(void **state)
{
	static const struct {
		enum hs_soft_mode mode;
		const char *bytes;
		size_t length;
		unsigned int size;
	} cases[] = {
		{ HS_SOFT_MODE_64, "\x01\xd8", 2, 4 },     { HS_SOFT_MODE_64, "\x66\x01\xd8", 3, 2 },
		{ HS_SOFT_MODE_64, "\x48\x01\xd8", 3, 8 }, { HS_SOFT_MODE_64, "\x66\x48\x01\xd8", 4, 8 },
		{ HS_SOFT_MODE_64, "\x00\xd8", 2, 1 },     { HS_SOFT_MODE_32, "\x01\xd8", 2, 4 },
		{ HS_SOFT_MODE_32, "\x66\x01\xd8", 3, 2 }, { HS_SOFT_MODE_16, "\x01\xd8", 2, 2 },
		{ HS_SOFT_MODE_16, "\x66\x01\xd8", 3, 4 }, { HS_SOFT_MODE_16, "\x00\xd8", 2, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hs_soft_op op = decode_bytes(cases[i].mode, cases[i].bytes, cases[i].length);

		assert_int_equal(op.length, cases[i].length);
		assert_int_equal(op.bytes, cases[i].size);
		assert_operand(&op, 0, HS_SOFT_GPR, HS_RAX, cases[i].size);
		assert_operand(&op, 1, HS_SOFT_GPR, HS_RBX, cases[i].size);
		assert_operand(&op, 2, HS_SOFT_NONE, 0, 0);
	}
}

static void test_high_byte_registers_become_low_with_rex(void **state)
{
	struct hs_soft_op op = DECODE(64, "\x00\xe7"); /* add bh, ah */

	(void)state;
	assert_operand(&op, 0, HS_SOFT_GPR_HIGH, HS_RBX, 1);
	assert_operand(&op, 1, HS_SOFT_GPR_HIGH, HS_RAX, 1);
	op = DECODE(64, "\x40\x00\xe7"); /* add dil, spl */
	assert_operand(&op, 0, HS_SOFT_GPR, HS_RDI, 1);
	assert_operand(&op, 1, HS_SOFT_GPR, HS_RSP, 1);
	op = DECODE(64, "\x45\x00\xe7"); /* add r15b, r12b */
	assert_operand(&op, 0, HS_SOFT_GPR, HS_R15, 1);
	assert_operand(&op, 1, HS_SOFT_GPR, HS_R12, 1);
}

static void test_operands_of_different_sizes_keep_their_own(void **state)
{
	struct hs_soft_op op = DECODE(64, "\x48\x0f\xbe\xc4"); /* movsx rax, spl */

	(void)state;
	assert_operand(&op, 0, HS_SOFT_GPR, HS_RAX, 8);
	assert_operand(&op, 1, HS_SOFT_GPR, HS_RSP, 1);
	op = DECODE(32, "\x0f\xb7\x01"); /* movzx eax, word [ecx] */
	assert_operand(&op, 0, HS_SOFT_GPR, HS_RAX, 4);
	assert_operand(&op, 1, HS_SOFT_MEMORY, 0, 2);
	op = DECODE(64, "\xd3\xe0"); /* shl eax, cl */
	assert_operand(&op, 1, HS_SOFT_GPR, HS_RCX, 1);
}

/* ---- Addresses ---- */

static void test_address_has_base_index_scale_and_displacement(void **state)
{
	struct hs_soft_op op = DECODE(64, "\x43\x8b\x44\x8d\xf0"); /* mov eax, [r13 + r9 * 4 - 16] */

	(void)state;
	assert_operand(&op, 1, HS_SOFT_MEMORY, 0, 4);
	assert_address(&op, HS_R13, HS_R9, 2, -16);
	assert_int_equal(op.address_bits, 64);
	op = DECODE(64, "\x8b\x04\x24"); /* [rsp]: no index */
	assert_address(&op, HS_RSP, HS_SOFT_ZERO, 0, 0);
	op = DECODE(32, "\x8b\x04\xcd\x00\x00\x00\x80"); /* [ecx * 8 + 80000000h]: no base */
	assert_address(&op, HS_SOFT_ZERO, HS_RCX, 3, INT32_MIN);
	assert_int_equal(op.address_bits, 32);
	op = DECODE(16, "\x8b\x40\x02"); /* [bx + si + 2] */
	assert_address(&op, HS_RBX, HS_RSI, 0, 2);
	assert_int_equal(op.address_bits, 16);
	op = DECODE(64, "\x67\x8b\x01"); /* [ecx] */
	assert_int_equal(op.address_bits, 32);
}

static void test_address_relative_to_rip_counts_from_the_next_instruction(void **state)
{
	struct hs_soft_op op = DECODE(64, "\xc7\x05\x10\x00\x00\x00\x78\x56\x34\x12"); /* mov dword [rip + 16], imm */

	(void)state;
	assert_address(&op, HS_SOFT_RIP, HS_SOFT_ZERO, 0, 16 + 10);
	op = DECODE(32, "\x8b\x05\x10\x00\x00\x00"); /* an absolute address in other modes */
	assert_address(&op, HS_SOFT_ZERO, HS_SOFT_ZERO, 0, 16);
}

/* SDM vol. 2A table 2-3: SIB with base 101B and mod 00B has no base, whatever REX.B says. */
static void test_address_without_base_ignores_rex_b(void **state)
{
	struct hs_soft_op op = DECODE(64, "\x41\x8d\x14\xbd\x46\xb5\x7f\x1f"); /* lea edx, [rdi * 4 + disp] */

	(void)state;
	assert_address(&op, HS_SOFT_ZERO, HS_RDI, 2, 0x1f7fb546);
	op = DECODE(64, "\x67\x41\x8d\x14\xbd\x46\xb5\x7f\x1f");
	assert_address(&op, HS_SOFT_ZERO, HS_RDI, 2, 0x1f7fb546);
	assert_int_equal(op.length, 9);
	op = DECODE(64, "\x67\x41\x8d\x54\xbd\x46"); /* with mod 01B there is one */
	assert_address(&op, HS_R13, HS_RDI, 2, 0x46);
}

static void test_segment_is_the_default_or_the_override(void **state)
{
	(void)state;
	assert_int_equal(DECODE(32, "\x8b\x01").segment, HS_DS);         /* [ecx] */
	assert_int_equal(DECODE(32, "\x8b\x45\x00").segment, HS_SS);     /* [ebp] */
	assert_int_equal(DECODE(32, "\x8b\x04\x24").segment, HS_SS);     /* [esp] */
	assert_int_equal(DECODE(32, "\x3e\x8b\x45\x00").segment, HS_DS); /* ds:[ebp] */
	assert_int_equal(DECODE(32, "\x26\x8b\x01").segment, HS_ES);     /* es:[ecx] */
	assert_int_equal(DECODE(64, "\x64\x8b\x01").segment, HS_FS);     /* fs:[rcx] */
	assert_int_equal(DECODE(64, "\x65\xd7").segment, HS_GS);         /* xlat, whose operand is implied */
	assert_int_equal(DECODE(32, "\x2e\xa4").segment, HS_CS);         /* movsb */
	assert_int_equal(DECODE(32, "\xa4").segment, HS_DS);
}

/* ---- Immediates ---- */

static void test_immediates_are_extended_as_the_instruction_says(void **state)
{
	struct hs_soft_op op = DECODE(64, "\x48\x83\xc0\xff"); /* add rax, -1 */

	(void)state;
	assert_operand(&op, 1, HS_SOFT_IMMEDIATE, 0, 8);
	assert_int_equal(op.immediate, UINT64_MAX);
	op = DECODE(64, "\x48\xc7\xc0\x00\x00\x00\x80"); /* mov rax, sign-extended */
	assert_int_equal(op.immediate, UINT64_C(0xffffffff80000000));
	op = DECODE(64, "\x48\xb8\x08\x07\x06\x05\x04\x03\x02\x81"); /* mov rax, imm64 */
	assert_int_equal(op.immediate, UINT64_C(0x8102030405060708));
	op = DECODE(64, "\xc1\xe0\xff"); /* shl eax, 255: zero-extended */
	assert_operand(&op, 1, HS_SOFT_IMMEDIATE, 0, 1);
	assert_int_equal(op.immediate, 255);
	op = DECODE(32, "\x6b\xc1\x80"); /* imul eax, ecx, -128 */
	assert_operand(&op, 2, HS_SOFT_IMMEDIATE, 0, 4);
	assert_int_equal(op.immediate, (uint64_t)-128);
}

static void test_second_immediates_and_far_pointers_are_in_aux(void **state)
{
	struct hs_soft_op op = DECODE(32, "\xc8\x34\x12\x05"); /* enter 1234h, 5 */

	(void)state;
	assert_int_equal(op.immediate, 0x1234);
	assert_int_equal(op.aux, 5);
	op = DECODE(32, "\xea\x78\x56\x34\x12\xcd\xab"); /* jmp abcdh:12345678h */
	assert_int_equal(op.operand[0].kind, HS_SOFT_FAR);
	assert_int_equal(op.immediate, 0x12345678);
	assert_int_equal(op.aux, 0xabcd);
}

static void test_prefixes_are_noted(void **state)
{
	(void)state;
	assert_int_equal(DECODE(64, "\xf3\xa4").prefixes, HS_SOFT_REP);
	assert_int_equal(DECODE(64, "\xf3\xa6").prefixes, HS_SOFT_REP);
	assert_int_equal(DECODE(64, "\xf2\xa6").prefixes, HS_SOFT_REPNE);
	assert_int_equal(DECODE(64, "\xf0\x01\x18").prefixes, HS_SOFT_LOCK);
	assert_int_equal(DECODE(64, "\xc3").prefixes, HS_SOFT_ENDS);
	assert_int_equal(DECODE(64, "\x75\x00").prefixes, 0); /* jnz may fall through */
}

/* ---- What is not whole, and what is nothing ---- */

static void test_truncated_instruction_wants_more_bytes(void **state)
{
	static const uint8_t longest[15] = { 0x66, 0x67, 0x2e, 0x2e, 0x2e, 0x81, 0x84, 0xc8, 1, 2, 3, 4, 5, 6, 7 };
	static const uint8_t lock_add[] = { 0xf0, 0x48, 0x81, 0x84, 0xc8, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct hs_soft_op op = { .length = 77 };

	(void)state;
	for (size_t length = 0; length < sizeof(lock_add); length++) {
		assert_false(hs_soft_decode(HS_SOFT_MODE_64, lock_add, length, &op));
		assert_int_equal(op.length, 77);
	}
	assert_true(hs_soft_decode(HS_SOFT_MODE_64, lock_add, sizeof(lock_add), &op));
	assert_int_equal(op.length, sizeof(lock_add));
	/* In 64-bit mode 66 makes the immediate two bytes: 14 in all. */
	assert_true(hs_soft_decode(HS_SOFT_MODE_64, longest, sizeof(longest), &op));
	assert_int_equal(op.length, 14);
	assert_false(hs_soft_decode(HS_SOFT_MODE_64, longest, 13, &op));
}

static void assert_raises(enum hs_soft_mode mode, const char *bytes, size_t length, unsigned int vector)
{
	struct hs_soft_op op = decode_bytes(mode, bytes, length);
	struct hs_soft_cpu *cpu = aligned_alloc(_Alignof(struct hs_soft_cpu), sizeof(*cpu));

	assert_non_null(cpu);
	memset(cpu, 0, sizeof(*cpu));
	cpu->mode = (uint8_t)mode;
	assert_int_equal(op.execute(cpu, &op), HS_SOFT_FAULT);
	assert_int_equal(cpu->why, HS_SOFT_WHY_EXCEPTION);
	assert_int_equal(cpu->fault.vector, vector);
	assert_true(op.prefixes & HS_SOFT_ENDS);
	free(cpu);
}

#define ASSERT_UNDEFINED(mode, bytes) assert_raises(HS_SOFT_MODE_##mode, bytes, sizeof(bytes) - 1, HS_VECTOR_UD)

static void test_undefined_opcodes_raise_ud(void **state)
{
	(void)state;
	ASSERT_UNDEFINED(64, "\x0f\x0b");     /* ud2 */
	ASSERT_UNDEFINED(64, "\x06");         /* push es */
	ASSERT_UNDEFINED(64, "\x27");         /* daa */
	ASSERT_UNDEFINED(64, "\xd6");         /* salc */
	ASSERT_UNDEFINED(64, "\x0f\xff\xc0"); /* ud0 */
	ASSERT_UNDEFINED(64, "\x8d\xc0");     /* lea of a register */
	ASSERT_UNDEFINED(64, "\x0f\xc7\xf0"); /* rdrand is not offered */
	ASSERT_UNDEFINED(32, "\x0f\x0d\xc0"); /* a prefetch of a register */
}

static void test_lock_where_it_may_not_be_raises_ud(void **state)
{
	(void)state;
	ASSERT_UNDEFINED(64, "\xf0\x01\xd8");         /* add eax, ebx */
	ASSERT_UNDEFINED(64, "\xf0\x03\x18");         /* add ebx, [rax] */
	ASSERT_UNDEFINED(64, "\xf0\x39\x18");         /* cmp [rax], ebx */
	ASSERT_UNDEFINED(64, "\xf0\x85\x18");         /* test */
	ASSERT_UNDEFINED(64, "\xf0\x89\x18");         /* mov */
	ASSERT_UNDEFINED(64, "\xf0\xc1\x20\x05");     /* shl */
	ASSERT_UNDEFINED(64, "\xf0\x0f\xa3\x18");     /* bt */
	ASSERT_UNDEFINED(64, "\xf0\x0f\xb3\xd8");     /* btr eax, ebx */
	ASSERT_UNDEFINED(64, "\xf0\x0f\xb1\xd8");     /* cmpxchg eax, ebx */
	ASSERT_UNDEFINED(64, "\xf0\x87\xd8");         /* xchg eax, ebx */
	ASSERT_UNDEFINED(64, "\xf0\x90");             /* nop */
	ASSERT_UNDEFINED(32, "\xf0\x40");             /* inc eax */
	ASSERT_UNDEFINED(32, "\xf0\x0f\xba\xe8\x01"); /* bts eax, 1 */
}

static void test_more_than_15_bytes_raise_gp(void **state)
{
	char bytes[15];

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	assert_raises(HS_SOFT_MODE_64, bytes, sizeof(bytes), HS_VECTOR_GP);
	bytes[14] = (char)0x90; /* 15 are allowed */
	assert_int_equal(decode_bytes(HS_SOFT_MODE_64, bytes, sizeof(bytes)).length, 15);
	memcpy(bytes + 13, "\x04\x05", 2); /* add al, 5, and 13 prefixes */
	assert_int_equal(decode_bytes(HS_SOFT_MODE_32, bytes, sizeof(bytes)).length, 15);
	memcpy(bytes + 13, "\x83\xc0", 2); /* add r, i8, whose immediate is the 16th */
	assert_raises(HS_SOFT_MODE_64, bytes, sizeof(bytes), HS_VECTOR_GP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operand_size_follows_mode_and_prefixes),
		cmocka_unit_test(test_high_byte_registers_become_low_with_rex),
		cmocka_unit_test(test_operands_of_different_sizes_keep_their_own),
		cmocka_unit_test(test_address_has_base_index_scale_and_displacement),
		cmocka_unit_test(test_address_relative_to_rip_counts_from_the_next_instruction),
		cmocka_unit_test(test_address_without_base_ignores_rex_b),
		cmocka_unit_test(test_segment_is_the_default_or_the_override),
		cmocka_unit_test(test_immediates_are_extended_as_the_instruction_says),
		cmocka_unit_test(test_second_immediates_and_far_pointers_are_in_aux),
		cmocka_unit_test(test_prefixes_are_noted),
		cmocka_unit_test(test_truncated_instruction_wants_more_bytes),
		cmocka_unit_test(test_undefined_opcodes_raise_ud),
		cmocka_unit_test(test_lock_where_it_may_not_be_raises_ud),
		cmocka_unit_test(test_more_than_15_bytes_raise_gp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
