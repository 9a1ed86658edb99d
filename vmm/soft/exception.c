/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exceptions: noting one, and bringing it to the guest through its IDT. */
#include "vmm/soft/cpu.h"

#include "arch/exception.h"

enum hs_soft_flow hs_soft_raise(struct hs_soft_cpu *cpu, uint8_t vector, uint32_t error_code)
{
	cpu->fault = (struct hs_soft_fault){
		.vector = vector,
		.has_error_code = hs_exception_of(vector)->has_error_code,
		.error_code = error_code,
	};
	cpu->why = HS_SOFT_WHY_EXCEPTION;
	return HS_SOFT_FAULT;
}

bool hs_soft_raise_pf(struct hs_soft_cpu *cpu, uint64_t cr2, uint32_t error_code)
{
	hs_soft_raise(cpu, HS_VECTOR_PF, error_code);
	cpu->fault.cr2 = cr2;
	return false;
}

bool hs_soft_deliver(struct hs_soft_cpu *cpu)
{
	hs_soft_leave(cpu, HS_EXIT_SHUTDOWN);
	return false;
}

enum hs_soft_flow hs_soft_software_interrupt(struct hs_soft_cpu *cpu, const struct hs_soft_op *op, uint8_t vector)
{
	(void)op;
	return hs_soft_raise(cpu, vector, 0);
}
