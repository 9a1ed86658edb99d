/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * 16-bit code on a 16-bit stack: what of rip, rsp and the counters counts, what operand- and address-size prefixes make
 * of it. KVM must come to the same results, as far as it runs this here.
 */
#include "machine.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CODE16(text) CODE_OF_BITS("16", text)

/* call 1f; jmp 2f; clang makes a call of 32 bits of the first. */
#define CALL_1 ".byte 0xE8, 2, 0\n jmp 2f\n"

/* Within their segments. Bits above 15 of esp do not count, and are kept. */
#define STACK_BASE 0x20000u
#define SP 0x6800u
#define ESP 0x2AAA6800u
#define BP 0x6900u

struct row {
	const char *text;
	struct code code;
	uint64_t gpr[8]; /* afterwards */
	bool only_soft;  /* kvm_pvm emulates 16-bit code, and has neither enter nor movd */
};

static void init(struct machine *machine, const struct machine_config *config, struct code code)
{
	const uint64_t gpr[8] = { 0x89ABCDEF, 0, 0, 0, ESP, BP, 0x1000, 0x1000 };

	machine_init(machine, config);
	machine_set_code(machine, code);
	machine->cpu.seg[HS_CS].db = 0;
	machine->cpu.seg[HS_SS].db = 0;
	machine->cpu.seg[HS_SS].base = STACK_BASE;
	machine->cpu.seg[HS_DS].base = MACHINE_DATA;
	machine->cpu.seg[HS_ES].base = MACHINE_DATA;
	memcpy(machine->cpu.gpr, gpr, sizeof(gpr));
	for (unsigned int i = 0; i < 0x2000; i++) {
		*machine_at(machine, MACHINE_DATA + i) = (uint8_t)(i + (i >> 8));
	}
}

static void check(const struct machine_config *config, const struct row *row)
{
	struct machine machine;
	struct machine_stop stop;

	init(&machine, config, row->code);
	machine_start(&machine, &stop);
	if (stop.kind != MACHINE_HLT) {
		fail_msg("%s, %s: stopped by %d, vector %u, rip 0x%llx", config->ops->name, row->text, (int)stop.kind,
			 stop.vector, (unsigned long long)stop.cpu.rip);
	}
	for (unsigned int i = 0; i < 8; i++) {
		if (stop.cpu.gpr[i] != row->gpr[i]) {
			fail_msg("%s: register %u is 0x%llx, not 0x%llx", row->text, i,
				 (unsigned long long)stop.cpu.gpr[i], (unsigned long long)row->gpr[i]);
		}
	}
	machine_deinit(&machine);
}

/* The registers in the order of their encoding; only_soft where it is wanted. */
#define ROW(instructions, ...)                                                                                         \
	{                                                                                                              \
		.text = instructions, .code = CODE16(instructions), .gpr = __VA_ARGS__                                 \
	}

static void test_code_16_uses_16_bits_of_stack_counters_and_pointers(void **state)
{
	const struct row rows[] = {
		ROW("push ax\n push 0x1234\n pop cx\n pop dx",
		    { 0x89ABCDEF, 0x1234, 0xCDEF, 0, ESP, BP, 0x1000, 0x1000 }),
		ROW("push eax\n pop bx\n pop dx", { 0x89ABCDEF, 0, 0x89AB, 0xCDEF, ESP, BP, 0x1000, 0x1000 }),
		ROW("push esp\n pop esi\n push sp\n pop di", { 0x89ABCDEF, 0, 0, 0, ESP, BP, ESP, SP }),
		ROW(CALL_1 "1: mov bx, sp\n .byte 0xC2, 0, 0\n 2:",
		    { 0x89ABCDEF, 0, 0, SP - 2, ESP, BP, 0x1000, 0x1000 }),
		ROW("push 9\n" CALL_1 "1: .byte 0xC2, 2, 0\n 2:", { 0x89ABCDEF, 0, 0, 0, ESP, BP, 0x1000, 0x1000 }),
		ROW("mov ecx, 0x50003\n 1: inc dx\n loop 1b\n jcxz 2f\n inc dx\n 2:",
		    { 0x89ABCDEF, 0x50000, 3, 0, ESP, BP, 0x1000, 0x1000 }),
		ROW("mov ecx, 0x10001\n jecxz 1f\n inc dx\n 1: jcxz 2f\n inc dx\n 2:",
		    { 0x89ABCDEF, 0x10001, 2, 0, ESP, BP, 0x1000, 0x1000 }),
		ROW("pusha\n mov bx, sp\n popa\n pushad\n mov dx, sp\n popad",
		    { 0x89ABCDEF, 0, 0, 0, ESP, BP, 0x1000, 0x1000 }),
		ROW("pusha\n mov bp, sp\n add sp, 6\n pop cx\n mov sp, bp\n add sp, 16\n mov bp, 0x6900",
		    { 0x89ABCDEF, SP, 0, 0, ESP, BP, 0x1000, 0x1000 }),
		ROW("mov di, 0xFFFE\n mov ecx, 0x30004\n rep stosb", { 0x89ABCDEF, 0x30000, 0, 0, ESP, BP, 0x1000, 2 }),
		ROW("mov edi, 0x71FFE\n mov cx, 3\n rep movsw", { 0x89ABCDEF, 0, 0, 0, ESP, BP, 0x1006, 0x72004 }),
		ROW("lodsw\n lodsd", { 0x15141312, 0, 0, 0, ESP, BP, 0x1006, 0x1000 }),
		ROW("enter 0x10, 3\n mov bx, sp\n mov dx, bp\n leave",
		    { 0x89ABCDEF, 0, SP - 2, SP - 8 - 0x10, ESP, BP, 0x1000, 0x1000 }, .only_soft = true),
		ROW("movups xmm0, [si]\n movd ebx, xmm0", { 0x89ABCDEF, 0, 0, 0x13121110, ESP, BP, 0x1000, 0x1000 },
		    .only_soft = true),
	};
	const struct machine_config configs[] = {
		{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
		{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
		{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_NONE, .cpl = 0 },
		{ .ops = &hs_kvm_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
			bool is_soft = configs[i].ops == &hs_soft_backend_ops;

			if (!machine_missing(&configs[i]) && (is_soft || !rows[j].only_soft)) {
				check(&configs[i], &rows[j]);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code_16_uses_16_bits_of_stack_counters_and_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
