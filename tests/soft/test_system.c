/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ports, MSRs, counters and CPUID of the software CPU. */
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
#define IOPL3 0x3000u
#define DF 0x400u
#define EFER_MSR 0xc0000080u

static const struct machine_config configs[] = {
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_64, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_COMPAT, .format = HS_PAGING_4LEVEL, .cpl = 3 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_32BIT, .cpl = 0 },
	{ .ops = &hs_soft_backend_ops, .mode = MACHINE_32, .format = HS_PAGING_PAE, .cpl = 3 },
};

#define CONFIG_COUNT (sizeof(configs) / sizeof(configs[0]))

static void each_config(void (*check)(struct machine *machine))
{
	machine_each(configs, CONFIG_COUNT, check);
}

static void start_code(struct machine *machine, struct code code, struct machine_stop *ret)
{
	machine_set_code(machine, code);
	machine_start(machine, ret);
}

static void expect_fault(const struct machine_stop *stop, unsigned int vector)
{
	assert_int_equal(stop->kind, MACHINE_FAULT);
	assert_int_equal(stop->vector, vector);
	assert_int_equal(stop->cpu.rip, MACHINE_CODE);
}

/* ---- Ports ---- */

static void expect_out(struct machine *machine, struct code code, uint16_t port, unsigned int size, uint32_t data)
{
	struct machine_stop stop;

	start_code(machine, code, &stop);
	assert_int_equal(stop.kind, MACHINE_EXIT);
	assert_int_equal(stop.exit.kind, HS_EXIT_PORT_OUT);
	assert_int_equal(stop.exit.port, port);
	assert_int_equal(stop.exit.size, size);
	assert_int_equal(stop.exit.data, data);
	assert_true(stop.exit.insn_rip_known);
	assert_int_equal(stop.exit.insn_rip, MACHINE_CODE);
	assert_int_equal(stop.cpu.rip, MACHINE_CODE + code.length);
}

static void expect_in(struct machine *machine, struct code code, uint16_t port, unsigned int size, uint64_t rax)
{
	struct machine_stop stop;

	start_code(machine, code, &stop);
	assert_int_equal(stop.kind, MACHINE_EXIT);
	assert_int_equal(stop.exit.kind, HS_EXIT_PORT_IN);
	assert_int_equal(stop.exit.port, port);
	assert_int_equal(stop.exit.size, size);
	assert_int_equal(stop.cpu.rip, MACHINE_CODE);
	machine->config.ops->port_in(machine->backend, 0xa1b2c3d4);
	machine_run(machine, &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_RAX], rax);
}

static void check_port_forms(struct machine *machine)
{
	uint64_t high = machine->config.mode == MACHINE_64 ? UINT64_C(0x1122334400000000) : 0;

	machine->cpu.rflags |= IOPL3;
	machine->cpu.gpr[HS_RAX] = high | 0x55667788;
	machine->cpu.gpr[HS_RDX] = high | 0x99991234;
	expect_out(machine, CODE_FOR(machine, "out 0xff, al"), 0xff, 1, 0x88);
	expect_out(machine, CODE_FOR(machine, "out 0xff, ax"), 0xff, 2, 0x7788);
	expect_out(machine, CODE_FOR(machine, "out 0xff, eax"), 0xff, 4, 0x55667788);
	expect_out(machine, CODE_FOR(machine, "out dx, al"), 0x1234, 1, 0x88);
	expect_out(machine, CODE_FOR(machine, "out dx, eax"), 0x1234, 4, 0x55667788);
	expect_in(machine, CODE_FOR(machine, "in al, 0x80"), 0x80, 1, high | 0x556677d4);
	expect_in(machine, CODE_FOR(machine, "in ax, dx"), 0x1234, 2, high | 0x5566c3d4);
	expect_in(machine, CODE_FOR(machine, "in eax, dx"), 0x1234, 4, 0xa1b2c3d4);
}

static void test_ports_all_forms_exit(void **state)
{
	(void)state;
	each_config(check_port_forms);
}

static void check_string_ports(struct machine *machine)
{
	struct machine_stop stop;

	machine->cpu.rflags |= IOPL3 | DF;
	machine->cpu.gpr[HS_RDX] = 0x70;
	machine->cpu.gpr[HS_RCX] = 3;
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA + 8;
	machine->cpu.gpr[HS_RDI] = MACHINE_DATA + 0x100;
	memcpy(machine_at(machine, MACHINE_DATA), "\1\0\0\0\2\0\0\0\3\0\0", 12);
	start_code(machine, CODE_FOR(machine, "rep outsd"), &stop);
	for (unsigned int left = 3; left > 0; left--) {
		assert_int_equal(stop.exit.kind, HS_EXIT_PORT_OUT);
		assert_int_equal(stop.exit.data, left);
		assert_int_equal(stop.exit.left, 0);
		/* Nothing has moved until the access is over. */
		assert_int_equal(stop.cpu.gpr[HS_RCX], left);
		assert_int_equal(stop.cpu.gpr[HS_RSI], MACHINE_DATA + 4 * (left - 1));
		assert_int_equal(stop.cpu.rip, MACHINE_CODE);
		machine_run(machine, &stop);
	}
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_RSI], MACHINE_DATA - 4);

	machine->cpu.rflags &= ~(uint64_t)DF;
	start_code(machine, CODE_FOR(machine, "rep insw"), &stop);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(stop.exit.kind, HS_EXIT_PORT_IN);
		assert_int_equal(stop.exit.size, 2);
		machine->config.ops->port_in(machine->backend, 0x1111 * (i + 1));
		if (i == 2) {
			/* As the VM takes a step to its end. */
			assert_int_equal(machine->config.ops->complete(machine->backend, NULL), HS_OK);
			machine_read(machine, &stop.cpu);
			assert_int_equal(stop.cpu.rip, MACHINE_CODE + 3);
		}
		machine_run(machine, &stop);
	}
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_RCX], 0);
	assert_int_equal(stop.cpu.gpr[HS_RDI], MACHINE_DATA + 0x106);
	assert_memory_equal(machine_at(machine, MACHINE_DATA + 0x100), "\x11\x11\x22\x22\x33\x33\0", 7);
}

static void test_string_ports_exit_for_each_iteration(void **state)
{
	(void)state;
	each_config(check_string_ports);
}

/* The page faults before the port sees anything. */
static void check_string_port_fault(struct machine *machine)
{
	struct machine_stop stop;

	machine->cpu.rflags |= IOPL3;
	machine->cpu.gpr[HS_RSI] = machine->cpu.gpr[HS_RDI] = MACHINE_DATA + 0xffe;
	machine_change_entry(machine, MACHINE_DATA + 0x1000, 1, 0);
	start_code(machine, CODE_FOR(machine, "insd"), &stop);
	expect_fault(&stop, VECTOR_PF);
	assert_int_equal(stop.cpu.cr2, MACHINE_DATA + 0x1000);
	start_code(machine, CODE_FOR(machine, "outsd"), &stop);
	expect_fault(&stop, VECTOR_PF);
	assert_int_equal(stop.cpu.gpr[HS_RSI], MACHINE_DATA + 0xffe);
}

static void test_string_port_faults_before_its_access(void **state)
{
	(void)state;
	each_config(check_string_port_fault);
}

/* SDM vol. 1 19.5.2: the map of the TSS. */
static void check_permission_map(struct machine *machine)
{
	uint8_t *tss = machine_at(machine, MACHINE_TSS);
	struct machine_stop stop;

	if (machine->config.cpl == 0) {
		return;
	}
	machine->cpu.gpr[HS_RDX] = 0x17;
	start_code(machine, CODE_FOR(machine, "out dx, ax"), &stop);
	expect_fault(&stop, VECTOR_GP); /* no map */
	tss[102] = 0x68;
	memset(tss + 0x68, 0, 4);
	machine->cpu.seg[HS_TR].limit = 0x68 + 3;
	start_code(machine, CODE_FOR(machine, "out dx, ax"), &stop);
	assert_int_equal(stop.exit.kind, HS_EXIT_PORT_OUT);
	tss[0x68 + 3] = 1; /* 0x18, the second port of the access */
	start_code(machine, CODE_FOR(machine, "out dx, ax"), &stop);
	expect_fault(&stop, VECTOR_GP);
	start_code(machine, CODE_FOR(machine, "out dx, al"), &stop);
	assert_int_equal(stop.exit.kind, HS_EXIT_PORT_OUT);
	machine->cpu.seg[HS_TR].limit = 0x68 + 2; /* the byte behind has to be there */
	start_code(machine, CODE_FOR(machine, "out dx, al"), &stop);
	expect_fault(&stop, VECTOR_GP);
	machine->cpu.rflags |= IOPL3;
	start_code(machine, CODE_FOR(machine, "out dx, al"), &stop);
	assert_int_equal(stop.exit.kind, HS_EXIT_PORT_OUT);
	start_code(machine, CODE_FOR(machine, "sti\n cli"), &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
}

static void test_ports_obey_iopl_and_the_map_of_the_tss(void **state)
{
	(void)state;
	each_config(check_permission_map);
}

/* ---- MSRs and counters ---- */

static int write_msr(struct machine *machine, uint32_t number, uint64_t value, struct machine_stop *ret)
{
	machine->cpu.gpr[HS_RCX] = number;
	machine->cpu.gpr[HS_RAX] = (uint32_t)value;
	machine->cpu.gpr[HS_RDX] = value >> 32;
	start_code(machine, CODE64("wrmsr\n rdmsr"), ret);
	return ret->kind == MACHINE_FAULT ? (int)ret->vector : -1;
}

static void test_msrs_keep_what_is_allowed_and_refuse_the_rest(void **state)
{
	static const uint64_t canonical = 0xffff800000000000, not_canonical = 0x800000000000;
	static const struct {
		uint32_t number;
		uint64_t good, bad; /* 0: nothing is refused */
	} rows[] = {
		{ 0x174, 0x1234, 0 },
		{ 0x175, canonical, not_canonical },
		{ 0x176, canonical, not_canonical },
		{ 0x277, 0x0007040600070401, 0x0007040600070402 },
		{ 0xc0000081, 0x1234567812345678, 0 },
		{ 0xc0000082, canonical, not_canonical },
		{ 0xc0000083, canonical, not_canonical },
		{ 0xc0000084, 0xffffffff, UINT64_C(1) << 32 },
		{ 0xc0000100, canonical, not_canonical },
		{ 0xc0000101, canonical, not_canonical },
		{ 0xc0000102, canonical, not_canonical },
		{ 0xc0000103, 0xffffffff, UINT64_C(1) << 32 },
		{ EFER_MSR, 0xd01, 0xc01 },  /* LME cannot go while paging is on */
		{ EFER_MSR, 0xd00, 0x1d00 }, /* SVME */
		{ 0x1d9, 0, 1 },
	};
	struct machine machine;

	(void)state;
	machine_init(&machine, &configs[0]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct machine_stop stop;

		assert_int_equal(write_msr(&machine, rows[i].number, rows[i].good, &stop), -1);
		assert_int_equal(stop.cpu.gpr[HS_RAX], (uint32_t)rows[i].good);
		assert_int_equal(stop.cpu.gpr[HS_RDX], rows[i].good >> 32);
		if (rows[i].bad) {
			assert_int_equal(write_msr(&machine, rows[i].number, rows[i].bad, &stop), VECTOR_GP);
		}
		assert_int_equal(write_msr(&machine, 0x12345678, 0, &stop), VECTOR_GP);
	}
	machine_deinit(&machine);
}

static void test_fs_base_written_is_used_at_once(void **state)
{
	struct machine machine;
	struct machine_stop stop;

	(void)state;
	machine_init(&machine, &configs[0]);
	*machine_at(&machine, MACHINE_DATA + 0x20) = 7;
	machine.cpu.gpr[HS_RCX] = 0xc0000100;
	machine.cpu.gpr[HS_RAX] = MACHINE_DATA;
	start_code(&machine, CODE64("wrmsr\n movzx ebx, byte ptr fs:[0x20]"), &stop);
	assert_int_equal(stop.cpu.gpr[HS_RBX], 7);
	machine_deinit(&machine);
}

static void check_time(struct machine *machine)
{
	struct machine_stop stop;

	machine->cpu.msr.tsc = UINT64_C(0x1fffffffd);
	machine->cpu.msr.tsc_aux = 42;
	start_code(machine, CODE_FOR(machine, "nop\n rdtsc\n mov ebx, eax\n mov esi, edx\n rdtscp"), &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	assert_int_equal(stop.cpu.gpr[HS_RBX], 0xfffffffe);
	assert_int_equal(stop.cpu.gpr[HS_RSI], 1);
	assert_int_equal(stop.cpu.gpr[HS_RAX], 1);
	assert_int_equal(stop.cpu.gpr[HS_RDX], 2);
	assert_int_equal(stop.cpu.gpr[HS_RCX], 42);
	machine->cpu.cr4 |= 4; /* TSD */
	start_code(machine, CODE_FOR(machine, "rdtsc"), &stop);
	if (machine->config.cpl == 0) {
		assert_int_equal(stop.kind, MACHINE_HLT);
	} else {
		expect_fault(&stop, VECTOR_GP);
	}
}

static void test_time_is_the_count_of_instructions(void **state)
{
	(void)state;
	each_config(check_time);
}

/* ---- CPUID ---- */

static struct hs_cpu_state cpuid(struct machine *machine, uint32_t leaf, uint32_t subleaf)
{
	struct machine_stop stop;

	machine->cpu.gpr[HS_RAX] = leaf;
	machine->cpu.gpr[HS_RCX] = subleaf;
	start_code(machine, CODE_FOR(machine, "cpuid"), &stop);
	assert_int_equal(stop.kind, MACHINE_HLT);
	return stop.cpu;
}

static void check_offered_bit(struct machine *machine, uint32_t leaf, enum hs_gpr reg, unsigned int bit,
			      struct code code)
{
	struct machine_stop stop;

	if (!(cpuid(machine, leaf, 0).gpr[reg] >> bit & 1)) {
		fail_msg("bit %u of leaf 0x%x is not set", bit, leaf);
	}
	machine->cpu.gpr[HS_RSI] = MACHINE_DATA;
	start_code(machine, code, &stop);
	if (stop.kind != MACHINE_HLT) {
		fail_msg("leaf 0x%x bit %u is offered, and its instruction is vector %u", leaf, bit, stop.vector);
	}
}

/* What has an instruction of its own that can be tried. */
static void check_offered(struct machine *machine)
{
	check_offered_bit(machine, 1, HS_RCX, 22, CODE_FOR(machine, "movbe eax, [esi]"));
	check_offered_bit(machine, 1, HS_RCX, 23, CODE_FOR(machine, "popcnt eax, esi"));
	check_offered_bit(machine, 1, HS_RDX, 8, CODE_FOR(machine, "cmpxchg8b [esi]"));
	check_offered_bit(machine, 1, HS_RDX, 15, CODE_FOR(machine, "cmovz eax, esi"));
	check_offered_bit(machine, 1, HS_RDX, 19, CODE_FOR(machine, "clflush [esi]"));
	check_offered_bit(machine, 1, HS_RDX, 24, CODE_FOR(machine, "fxsave [esi]"));
	check_offered_bit(machine, 7, HS_RBX, 3,
			  CODE_FOR(machine, "andn eax, esi, edi\n tzcnt eax, esi\n blsr eax, esi"));
	check_offered_bit(machine, 7, HS_RBX, 8, CODE_FOR(machine, "bzhi eax, esi, edi\n pdep eax, esi, edi"));
	check_offered_bit(machine, 7, HS_RBX, 19, CODE_FOR(machine, "adcx eax, esi\n adox eax, esi"));
	check_offered_bit(machine, 7, HS_RBX, 23, CODE_FOR(machine, "clflushopt [esi]"));
	check_offered_bit(machine, 7, HS_RBX, 24, CODE_FOR(machine, "clwb [esi]"));
	check_offered_bit(machine, 0x80000001, HS_RCX, 5, CODE_FOR(machine, "lzcnt eax, esi"));
	check_offered_bit(machine, 0x80000001, HS_RCX, 8, CODE_FOR(machine, "prefetchw [esi]"));
	check_offered_bit(machine, 0x80000001, HS_RDX, 27, CODE_FOR(machine, "rdtscp"));
	if (machine->config.mode == MACHINE_64) {
		check_offered_bit(machine, 1, HS_RCX, 13, CODE64("cmpxchg16b [rsi]"));
		check_offered_bit(machine, 0x80000001, HS_RCX, 0, CODE64("lahf\n sahf"));
		machine->cpu.cr4 |= 1u << 16;
		check_offered_bit(machine, 7, HS_RBX, 0, CODE64("rdfsbase rax\n wrgsbase rsi"));
	}
	if (machine->config.cpl == 0) {
		check_offered_bit(machine, 7, HS_RBX, 20, CODE_FOR(machine, "clac\n stac"));
	}
}

static void test_cpuid_what_is_offered_is_executed(void **state)
{
	(void)state;
	each_config(check_offered);
}

static void check_names(struct machine *machine)
{
	struct hs_cpu_state cpu = cpuid(machine, 0, 0);
	char name[49] = { 0 };

	assert_int_equal(cpu.gpr[HS_RAX], 0xd);
	assert_int_equal(cpuid(machine, 7, 1).gpr[HS_RBX], 0);
	for (unsigned int i = 0; i < 3; i++) {
		cpu = cpuid(machine, 0x80000002 + i, 0);
		memcpy(name + (size_t)i * 16, &cpu.gpr[HS_RAX], 4);
		memcpy(name + (size_t)i * 16 + 4, &cpu.gpr[HS_RBX], 4);
		memcpy(name + (size_t)i * 16 + 8, &cpu.gpr[HS_RCX], 4);
		memcpy(name + (size_t)i * 16 + 12, &cpu.gpr[HS_RDX], 4);
	}
	assert_string_equal(name, "hindsight software CPU");
	assert_int_equal(cpuid(machine, 0x80000008, 0).gpr[HS_RAX], 57 << 8 | 48);
	assert_int_equal(cpuid(machine, 1, 0).gpr[HS_RCX] >> 31, 1);
	cpu = cpuid(machine, 0x40000000, 0);
	assert_memory_equal(&cpu.gpr[HS_RBX], "hind", 4);
}

static void test_cpuid_names_and_widths(void **state)
{
	(void)state;
	each_config(check_names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports_all_forms_exit),
		cmocka_unit_test(test_string_ports_exit_for_each_iteration),
		cmocka_unit_test(test_string_port_faults_before_its_access),
		cmocka_unit_test(test_ports_obey_iopl_and_the_map_of_the_tss),
		cmocka_unit_test(test_msrs_keep_what_is_allowed_and_refuse_the_rest),
		cmocka_unit_test(test_fs_base_written_is_used_at_once),
		cmocka_unit_test(test_time_is_the_count_of_instructions),
		cmocka_unit_test(test_cpuid_what_is_offered_is_executed),
		cmocka_unit_test(test_cpuid_names_and_widths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
