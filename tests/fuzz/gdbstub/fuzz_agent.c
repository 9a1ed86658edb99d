/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as agent bytecode: what the verifier takes, the evaluator ends with a value or a reason, within its bounds.
 * LLVMFuzzerTestOneInput() for libFuzzer (the script "libfuzzer" beside this file, "libfuzzer agent"); the main
 * below feeds it seeded programs, many of which pass.
 *
 * An input is a byte that chooses the architecture and the use, and the program.
 */
#include "fake_target.h"

#include "gdbstub/agent.h"
#include "lib/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_LIMIT 0x4000u

static unsigned long long accepted;

static void check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "broken: %s\n", what);
		abort();
	}
}

static const struct hs_cpu_state *fuzz_cpu(void *ctx, bool all)
{
	(void)all;
	return &((struct fake_target *)ctx)->cpu;
}

static void evaluate(struct fake_target *fake, const struct hs_agent_cpu *cpu, struct hs_span program)
{
	struct hs_buf text;
	struct hs_error err = { 0 };
	struct hs_agent_scene scene = {
		.hit = { .cpu = fuzz_cpu, .mem_read = fake->target.ops->mem_read, .ctx = fake->target.ctx },
		.cpu = *cpu,
		.text = &text,
	};
	uint64_t value;
	enum hs_status st;

	hs_buf_init(&text, TEXT_LIMIT);
	st = hs_agent_run(&scene, program, &value, &err);
	check(st == HS_OK || st == HS_ERR_UNREADABLE || st == HS_ERR_RANGE || st == HS_ERR_BUDGET || st == HS_ERR_NOMEM,
	      "an evaluation ends as the header says");
	check(st == HS_OK || err.message[0] != '\0', "a failure has a reason");
	check(text.length <= TEXT_LIMIT, "the text is bounded");
	hs_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake_target fake;
	struct hs_span program = { .data = data + 1, .length = size - 1 };
	const struct hs_reg *regs[HS_REGS_MAX];
	struct hs_agent_cpu cpu = { .regs = regs };
	struct hs_error err = { 0 };

	if (size < 1) {
		return 0;
	}
	cpu.arch = data[0] & 1 ? HS_ARCH_I686 : HS_ARCH_AMD64;
	cpu.reg_count = hs_regs_of(cpu.arch, data[0] & 4 ? ~0ull : 3, regs);
	fake_init(&fake, cpu.arch);
	memset(fake_add_memory(&fake, 0, 0x100), 'a', 0x80);
	if (hs_agent_verify(program, data[0] & 2 ? HS_AGENT_COMMAND : HS_AGENT_CONDITION, &cpu, &err)) {
		check(err.message[0] != '\0', "a refusal has a reason");
	} else {
		accepted++;
		evaluate(&fake, &cpu, program);
	}
	fake_deinit(&fake);
	return 0;
}

#ifndef HS_FUZZ_LIBFUZZER
static const char *const formats[] = { "%d", "n %5ld\\n", "%s", "%-9.3s|", "%#x%%", "%c", "%p", "%08llu", "%n", "\\" };

/* A printf of one value that lies there, with its function and channel. */
static size_t put_printf(uint64_t *random, uint8_t *to)
{
	const char *format = formats[random_next(random) % (sizeof(formats) / sizeof(formats[0]))];
	size_t length = strlen(format) + 1;

	memcpy(to, "\x22\x00\x28\x34\x01\x00", 6);
	to[6] = (uint8_t)length;
	memcpy(to + 7, format, length);
	return 7 + length;
}

/* Constants and registers that then are combined, read through, tested and jumped over; ended as it should be. */
static size_t make_program(uint64_t *random, uint8_t *to)
{
	static const uint8_t one_to_one[] = { 0x0e, 0x12, 0x17, 0x18, 0x19, 0x1a, 0x28, 0x2b, 0x33, 0x29 };
	size_t pieces = random_next(random) % 24;
	size_t length = 1;

	to[0] = (uint8_t)(random_next(random) | (random_next(random) % 4 ? 2 : 0));
	/* Something to work on. */
	for (size_t i = 0; i < 8; i++) {
		to[length++] = HS_AGENT_CONST8;
		to[length++] = (uint8_t)random_next(random);
	}
	for (size_t i = 0; i < pieces; i++) {
		uint8_t *at = to + length;

		switch (random_next(random) % 9) {
		case 0:
		case 1:
		case 2:
			at[0] = HS_AGENT_CONST8;
			at[1] = (uint8_t)random_next(random);
			length += 2;
			break;
		case 3:
			at[0] = HS_AGENT_REG;
			at[1] = 0;
			at[2] = (uint8_t)(random_next(random) % 30);
			length += 3;
			break;
		case 4:
		case 5:
			at[0] = (uint8_t)(HS_AGENT_ADD + random_next(random) % (HS_AGENT_LESS_UNSIGNED - 1));
			length += 1;
			break;
		case 6:
			at[0] = one_to_one[random_next(random) % sizeof(one_to_one)];
			length += 1;
			break;
		case 7:
			at[0] = random_next(random) % 2 ? HS_AGENT_IF_GOTO : HS_AGENT_EXT;
			at[1] = at[0] == HS_AGENT_EXT ? (uint8_t)(random_next(random) % 66) : 0;
			at[2] = (uint8_t)(random_next(random) % 4 ? length + 3 : random_next(random) % (length + 8));
			length += at[0] == HS_AGENT_EXT ? 2 : 3;
			break;
		default:
			length += put_printf(random, at);
			break;
		}
	}
	to[length] = HS_AGENT_END;
	return length + 1;
}

int main(int argc, char **argv)
{
	unsigned long long rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
	uint64_t random = argc > 2 ? strtoull(argv[2], NULL, 10) : 20240229;

	for (unsigned long long round = 0; round < rounds; round++) {
		uint8_t input[1024];
		size_t length = make_program(&random, input);

		if (round % 4 == 0) {
			input[random_next(&random) % length] = (uint8_t)random_next(&random);
		}
		LLVMFuzzerTestOneInput(input, length);
	}
	printf("%llu programs, %llu of them accepted\n", rounds, accepted);
	check(accepted > rounds / 20, "enough of them pass the verifier");
	return 0;
}
#endif
