/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * toy_target [ADDRESS]: what an emulator (toy_cpu.h) adds to be debugged by gdb and lldb.
 *
 *   cc toy_target.c $(pkg-config --cflags --libs hindsight-gdbstub) -o toy_target
 *   ./toy_target :1234 &
 *   gdb -ex 'target remote :1234'
 *
 * It tells the stub what its CPU and memory are, and how to execute one instruction. Breakpoints, steps, Ctrl-C and
 * all else that gdb and lldb ask for are then the stub's own business.
 */
#include "toy_cpu.h"

#include <hindsight/gdb.h>

#include <signal.h>
#include <stdio.h>

struct toy {
	struct hs_cpu_state cpu;
	uint8_t memory[TOY_MEMORY_BYTES];
};

static void info(void *ctx, struct hs_target_info *ret)
{
	(void)ctx;
	*ret = (struct hs_target_info){ .arch = HS_ARCH_I686, .image_fd = -1, .event_fd = -1 };
}

static enum hs_status cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	(void)err;
	*ret = ((struct toy *)ctx)->cpu;
	return HS_OK;
}

static enum hs_status cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	(void)err;
	((struct toy *)ctx)->cpu = *state;
	return HS_OK;
}

/* As much as is there of what is asked for. */
static enum hs_status mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret, struct hs_error *err)
{
	(void)err;
	if (gva.v >= TOY_MEMORY_BYTES) {
		return HS_ERR_UNREADABLE;
	}
	*ret = length < TOY_MEMORY_BYTES - gva.v ? length : TOY_MEMORY_BYTES - gva.v;
	memcpy(buffer, ((struct toy *)ctx)->memory + gva.v, *ret);
	return HS_OK;
}

/* All or nothing. */
static enum hs_status mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	(void)err;
	if (gva.v >= TOY_MEMORY_BYTES || length > TOY_MEMORY_BYTES - gva.v) {
		return HS_ERR_UNREADABLE;
	}
	memcpy(((struct toy *)ctx)->memory + gva.v, buffer, length);
	return HS_OK;
}

static bool step(void *ctx, hs_gva *ret_next, struct hs_stop *ret)
{
	struct toy *toy = ctx;

	switch (toy_execute(&toy->cpu, toy->memory)) {
	case TOY_HALTED:
		*ret = (struct hs_stop){ HS_STOP_EXITED, .exit_status = (int)toy->cpu.gpr[HS_RAX] & 0xff };
		return false;
	case TOY_UNDEFINED:
		*ret = (struct hs_stop){ HS_STOP_SIGNAL, .signal = SIGILL, .code = ILL_ILLOPC };
		ret->fault_address = toy->cpu.rip;
		return false;
	case TOY_EXECUTED:
		break;
	}
	*ret_next = hs_gva_of(toy->cpu.rip);
	return true;
}

int main(int argc, char **argv)
{
	static const struct hs_target_ops ops = {
		.info = info,
		.cpu_read = cpu_read,
		.cpu_write = cpu_write,
		.mem_read = mem_read,
		.mem_write = mem_write,
		.step = step,
	};
	static struct toy toy = { .cpu = { .rip = TOY_ENTRY, .rflags = 2 } };
	const struct hs_target target = { &ops, &toy };
	struct hs_gdb_listener *listener;
	struct hs_error err;
	enum hs_gdb_end end;

	memcpy(toy.memory + TOY_ENTRY, toy_program, sizeof(toy_program));
	if (hs_gdb_listen(argc > 1 ? argv[1] : ":0", false, &listener, &err)) {
		fprintf(stderr, "toy_target: %s\n", err.message);
		return 1;
	}
	fprintf(stderr, "toy_target: waiting for a debugger on %s\n", hs_gdb_listener_address(listener));
	if (hs_gdb_serve(listener, &target, NULL, &end, &err)) {
		fprintf(stderr, "toy_target: %s\n", err.message);
		return 1;
	}
	fprintf(stderr, end == HS_GDB_END_EXITED ? "toy_target: ended\n" : "toy_target: killed\n");
	hs_gdb_listener_close(listener);
	return 0;
}
