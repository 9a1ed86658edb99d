/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vector_scene.h"

#include "base/bytes.h"

#include <cpuid.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct machine_config vector_configs[VECTOR_CONFIGS] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

static void put_doubles(uint8_t *to, double low, double high)
{
	memcpy(to, &low, 8);
	memcpy(to + 8, &high, 8);
}

uint8_t *vector_xmm(struct hs_cpu_state *cpu, unsigned int number)
{
	return cpu->xsave + HS_XSAVE_XMM0 + (size_t)number * 16;
}

uint8_t *vector_high(struct hs_cpu_state *cpu, unsigned int number)
{
	return cpu->xsave + HS_XSAVE_YMMH0 + (size_t)number * 16;
}

void vector_begin(struct machine *machine, const struct machine_config *config, const struct vector_text *text)
{
	uint64_t nan = 0x7FF4000000000000, denormal = 1;

	machine_init(machine, config);
	machine_set_code(machine, config->mode == MACHINE_64 ? text->code64 : text->code32);
	for (unsigned int i = 0; i < 16; i++) {
		memset(vector_xmm(&machine->cpu, i), (int)(0x40 + i), 16);
		memset(vector_high(&machine->cpu, i), (int)i, 16);
	}
	put_doubles(vector_xmm(&machine->cpu, 1), 3, 5);
	put_doubles(vector_xmm(&machine->cpu, 2), 2, 4);
	put_doubles(vector_xmm(&machine->cpu, 3), 0, 0);
	put_doubles(vector_xmm(&machine->cpu, 4), 0x1p-1022, 0x1p-1022);
	put_doubles(vector_xmm(&machine->cpu, 5), 0, 1);
	memcpy(vector_xmm(&machine->cpu, 5), &nan, 8);
	put_doubles(vector_xmm(&machine->cpu, 6), 0, 0);
	memcpy(vector_xmm(&machine->cpu, 6), &denormal, 8);
	machine->cpu.xsave[HS_XSAVE_XSTATE_BV] = 7;
	hs_put_le32(machine->cpu.xsave + HS_XSAVE_MXCSR, MXCSR_INITIAL);
	machine->cpu.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	machine->cpu.xcr0 = 7;
	machine->cpu.gpr[HS_RSI] = VECTOR_FROM;
	machine->cpu.gpr[HS_RDI] = VECTOR_TO;
	memcpy(machine_at(machine, VECTOR_FROM), vector_xmm(&machine->cpu, 1), 16);
	memcpy(machine_at(machine, VECTOR_FROM + 16), vector_high(&machine->cpu, 1), 16);
}

uint32_t vector_mxcsr(const struct hs_cpu_state *cpu)
{
	return hs_get_le32(cpu->xsave + HS_XSAVE_MXCSR);
}

void vector_run_to_hlt(struct machine *machine, const char *name, struct machine_stop *ret)
{
	machine_start(machine, ret);
	if (ret->kind != MACHINE_HLT) {
		fail_msg("%s: stopped by %d, vector %u", name, (int)ret->kind, ret->vector);
	}
}

void vector_run_to_fault(struct machine *machine, const char *name, unsigned int vector, struct machine_stop *ret)
{
	uint8_t *before = machine_copy_memory(machine);
	uint8_t *after;

	machine_start(machine, ret);
	if (ret->kind != MACHINE_FAULT || ret->vector != vector) {
		fail_msg("%s: stopped by %d, vector %u and not %u", name, (int)ret->kind, ret->vector, vector);
	}
	after = machine_copy_memory(machine);
	assert_int_equal(ret->cpu.rip, machine->cpu.rip);
	assert_memory_equal(ret->cpu.gpr, machine->cpu.gpr, sizeof(ret->cpu.gpr));
	assert_memory_equal(vector_xmm(&ret->cpu, 0), vector_xmm(&machine->cpu, 0), 256);
	assert_memory_equal(vector_high(&ret->cpu, 0), vector_high(&machine->cpu, 0), 256);
	assert_int_equal(ret->cpu.rflags & FLAG_STATUS, machine->cpu.rflags & FLAG_STATUS);
	assert_int_equal(machine_compare_memory(machine, before, after, 0, 0), MACHINE_BYTES);
	free(before);
	free(after);
}

bool vector_is_there(const struct vector_text *text)
{
	unsigned int eax, ebx, ecx, edx;

	if (text->name[0] != 'v') {
		return true;
	}
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	       __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
}
