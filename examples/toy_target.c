/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * toy_target [ADDRESS]: what an emulator (toy_cpu.h) adds to be debugged by gdb and lldb.
 *
 *   cc toy_target.c $(pkg-config --cflags --libs hindsight-gdbstub) -o toy_target
 *   ./toy_target :1234 &
 *   gdb -ex 'target remote :1234'
 *
 * All is one thread: while the CPU runs, the stub looks at its socket between two slices of instructions.
 */
#include "toy_cpu.h"

#include <hindsight/gdb.h>

#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>

static struct toy {
	struct hs_cpu_state cpu;
	uint8_t memory[TOY_MEMORY_BYTES];
	uint8_t breaks[TOY_MEMORY_BYTES]; /* a bit for each kind: nothing is planted, so nothing is seen in a read */
	struct hs_resume how;
	struct hs_stop stop; /* the last one */
	bool interrupted;
} toy = { .cpu = { .rip = TOY_ENTRY, .rflags = 2 }, .stop = { .kind = HS_STOP_STEPPED } };

static enum hs_status fail(struct hs_error *err, enum hs_status status, const char *message)
{
	if (err) {
		*err = (struct hs_error){ .status = status };
		snprintf(err->message, sizeof(err->message), "%s", message);
	}
	return status;
}

/* Execute one instruction. False: toy.stop says why it stops. A breakpoint that it begins at is not looked at: it would
 * never get on. */
static bool go_on(void)
{
	enum toy_end end = toy_execute(&toy.cpu, toy.memory);
	uint8_t here = toy.cpu.rip < TOY_MEMORY_BYTES ? toy.breaks[toy.cpu.rip] : 0;
	bool left = toy.cpu.rip - toy.how.range_start.v >= toy.how.range_length;

	if (end == TOY_HALTED) {
		toy.stop = (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = (int)toy.cpu.gpr[HS_RAX] & 0xff };
	} else if (end == TOY_UNDEFINED) {
		toy.stop = (struct hs_stop){ HS_STOP_SIGNAL, .signal = SIGILL, .code = ILL_ILLOPC };
		toy.stop.fault_address = toy.cpu.rip;
	} else if (here) {
		toy.stop.kind = here & 1 << HS_BREAK_SOFTWARE ? HS_STOP_SWBREAK : HS_STOP_HWBREAK;
	} else if (toy.how.kind == HS_RESUME_STEP || (toy.how.kind == HS_RESUME_RANGE && left)) {
		toy.stop.kind = HS_STOP_STEPPED;
	} else if (toy.interrupted) {
		toy.stop.kind = HS_STOP_INTERRUPTED;
	} else {
		return true;
	}
	return false;
}

static enum hs_status resume(void *ctx, const struct hs_resume *how, struct hs_error *err)
{
	(void)ctx, (void)err;
	toy.how = *how;
	toy.interrupted = false;
	return HS_OK;
}

static void interrupt(void *ctx)
{
	(void)ctx;
	toy.interrupted = true;
}

/* Called again and again while it runs, as the event descriptor is always readable. */
static bool stop_take(void *ctx, struct hs_stop *ret)
{
	bool stopped = toy.how.signal != 0;

	(void)ctx;
	if (stopped) { /* a fault that is delivered: nothing here could handle it */
		toy.stop = (struct hs_stop){ HS_STOP_KILLED, .signal = toy.how.signal };
	}
	for (int i = 0; i < 10000 && !stopped; i++) {
		stopped = !go_on();
	}
	*ret = toy.stop;
	return stopped;
}

static void stop_current(void *ctx, struct hs_stop *ret)
{
	(void)ctx;
	*ret = toy.stop;
}

/* The stub has stopped it already. */
static void kill_toy(void *ctx)
{
	(void)ctx;
}

static void info(void *ctx, struct hs_target_info *ret)
{
	*ret = (struct hs_target_info){ .arch = HS_ARCH_I686, .image_fd = -1, .event_fd = *(int *)ctx };
}

static enum hs_status cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	(void)ctx, (void)err;
	*ret = toy.cpu;
	return HS_OK;
}

static enum hs_status cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	(void)ctx, (void)err;
	toy.cpu = *state;
	return HS_OK;
}

static enum hs_status mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret, struct hs_error *err)
{
	(void)ctx;
	if (gva.v >= TOY_MEMORY_BYTES) {
		return fail(err, HS_ERR_UNREADABLE, "there is no memory");
	}
	*ret = length < TOY_MEMORY_BYTES - gva.v ? length : TOY_MEMORY_BYTES - gva.v;
	memcpy(buffer, toy.memory + gva.v, *ret);
	return HS_OK;
}

static enum hs_status mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	(void)ctx;
	if (gva.v >= TOY_MEMORY_BYTES || length > TOY_MEMORY_BYTES - gva.v) {
		return fail(err, HS_ERR_UNREADABLE, "there is no memory");
	}
	memcpy(toy.memory + gva.v, buffer, length);
	return HS_OK;
}

static enum hs_status break_insert(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	(void)ctx;
	if (breakpoint->kind > HS_BREAK_HARDWARE || breakpoint->gva.v >= TOY_MEMORY_BYTES) {
		return fail(err, HS_ERR_UNSUPPORTED, "there are no watchpoints, and no breakpoints behind the memory");
	}
	toy.breaks[breakpoint->gva.v] |= (uint8_t)(1 << breakpoint->kind);
	return HS_OK;
}

static enum hs_status break_remove(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	(void)ctx;
	if (breakpoint->gva.v >= TOY_MEMORY_BYTES || !(toy.breaks[breakpoint->gva.v] & 1 << breakpoint->kind)) {
		return fail(err, HS_ERR_NOT_FOUND, "there is no such breakpoint");
	}
	toy.breaks[breakpoint->gva.v] &= (uint8_t) ~(1 << breakpoint->kind);
	return HS_OK;
}

static void break_clear(void *ctx)
{
	(void)ctx;
	memset(toy.breaks, 0, sizeof(toy.breaks));
}

int main(int argc, char **argv)
{
	static const struct hs_target_ops ops = {
		.info = info,
		.cpu_read = cpu_read,
		.cpu_write = cpu_write,
		.mem_read = mem_read,
		.mem_write = mem_write,
		.break_insert = break_insert,
		.break_remove = break_remove,
		.break_clear = break_clear,
		.resume = resume,
		.interrupt = interrupt,
		.stop_take = stop_take,
		.stop_current = stop_current,
		.kill = kill_toy,
	};
	int always_readable = eventfd(1, EFD_CLOEXEC);
	const struct hs_target target = { &ops, &always_readable };
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
