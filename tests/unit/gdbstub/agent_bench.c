/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent_bench.h"

#include "base/bytes.h"
#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup_for(void **state, enum hs_arch arch)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	uint8_t *data;

	fake_init(&bench->fake, arch);
	bench->cpu.arch = arch;
	bench->cpu.regs = bench->regs;
	bench->cpu.reg_count = hs_regs_of(arch, 3, bench->regs);
	data = fake_add_memory(&bench->fake, DATA, DATA_BYTES);
	hs_put_le64(data, 0x8182838485868788);
	memcpy(data + 0x20, "lamp", 5);
	memcpy(data + DATA_BYTES - 4, "end", 4);
	bench->fake.cpu.gpr[HS_RAX] = 0xfedcba9876543210;
	bench->fake.cpu.gpr[HS_RCX] = 5;
	bench->fake.cpu.rip = 0x401000;
	hs_buf_init(&bench->text, 64 * 1024);
	*state = bench;
	return 0;
}

int bench_setup(void **state)
{
	return setup_for(state, HS_ARCH_AMD64);
}

int bench_setup_i686(void **state)
{
	return setup_for(state, HS_ARCH_I686);
}

int bench_teardown(void **state)
{
	struct bench *bench = *state;

	fake_deinit(&bench->fake);
	hs_buf_deinit(&bench->text);
	free(bench);
	return 0;
}

struct hs_span bench_load(struct bench *bench, const char *hex)
{
	bench->length = strlen(hex) / 2;
	assert_true(bench->length <= sizeof(bench->program));
	assert_true(hs_hex_decode(hex, bench->length, bench->program));
	return (struct hs_span){ .data = bench->program, .length = bench->length };
}

enum hs_status bench_verify(struct bench *bench, const char *hex, enum hs_agent_use use)
{
	return hs_agent_verify(bench_load(bench, hex), use, &bench->cpu, &bench->err);
}

/* What is not asked for is not there. */
static const struct hs_cpu_state *bench_cpu(void *ctx, bool all)
{
	static struct hs_cpu_state cheap;
	const struct fake_target *fake = ctx;

	if (all) {
		return &fake->cpu;
	}
	memset(&cheap, 0xee, sizeof(cheap));
	memcpy(&cheap, &fake->cpu, offsetof(struct hs_cpu_state, dr));
	cheap.msr.efer = fake->cpu.msr.efer;
	return &cheap;
}

struct hs_agent_scene bench_scene(struct bench *bench)
{
	return (struct hs_agent_scene){
		.hit = {
			.cpu = bench_cpu,
			.mem_read = bench->fake.target.ops->mem_read,
			.ctx = bench->fake.target.ctx,
		},
		.cpu = bench->cpu,
		.text = &bench->text,
	};
}

enum hs_status bench_run(struct bench *bench, struct hs_span program, uint64_t *ret)
{
	struct hs_agent_scene scene = bench_scene(bench);

	return hs_agent_run(&scene, program, ret, &bench->err);
}
