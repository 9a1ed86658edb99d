/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stub's byte machine in one thread, as docs/gdbstub.md has its loop: standard input and output are the client, and
 * the target runs a slice in each round. The target executes no-operations (one byte) and, at the end of its memory,
 * begins again.
 */
#include <hindsight/gdb.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES 0x1000u
#define SLICE 1000
#define NOP 0x90

struct nops {
	struct hs_cpu_state cpu;
	uint8_t memory[MEMORY_BYTES];
	struct hs_resume how;
	struct hs_stop stop;
	hs_gva stop_at; /* the one breakpoint */
	bool has_stop_at;
	bool running;
	bool interrupted;
};

static void nops_info(void *ctx, struct hs_target_info *ret)
{
	(void)ctx;
	*ret = (struct hs_target_info){ .arch = HS_ARCH_AMD64, .image_fd = -1, .event_fd = -1 };
}

static enum hs_status nops_cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	(void)err;
	*ret = ((struct nops *)ctx)->cpu;
	return HS_OK;
}

static enum hs_status nops_cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	(void)err;
	((struct nops *)ctx)->cpu = *state;
	return HS_OK;
}

static enum hs_status nops_mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret,
				    struct hs_error *err)
{
	(void)err;
	if (gva.v >= MEMORY_BYTES) {
		return HS_ERR_UNREADABLE;
	}
	*ret = length < MEMORY_BYTES - gva.v ? length : MEMORY_BYTES - gva.v;
	memcpy(buffer, ((struct nops *)ctx)->memory + gva.v, *ret);
	return HS_OK;
}

static enum hs_status nops_mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	(void)ctx;
	(void)gva;
	(void)buffer;
	(void)length;
	(void)err;
	return HS_ERR_UNSUPPORTED;
}

static enum hs_status nops_break_insert(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct nops *nops = ctx;

	(void)err;
	if (breakpoint->kind != HS_BREAK_SOFTWARE || nops->has_stop_at) {
		return HS_ERR_EXHAUSTED;
	}
	nops->stop_at = breakpoint->gva;
	nops->has_stop_at = true;
	return HS_OK;
}

static void nops_break_clear(void *ctx)
{
	((struct nops *)ctx)->has_stop_at = false;
}

static enum hs_status nops_break_remove(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	(void)breakpoint;
	(void)err;
	nops_break_clear(ctx);
	return HS_OK;
}

static enum hs_status nops_resume(void *ctx, const struct hs_resume *resume, struct hs_error *err)
{
	struct nops *nops = ctx;

	(void)err;
	nops->how = *resume;
	nops->running = true;
	nops->interrupted = false;
	return HS_OK;
}

static void nops_interrupt(void *ctx)
{
	((struct nops *)ctx)->interrupted = true;
}

static bool nops_stop_take(void *ctx, struct hs_stop *ret)
{
	const struct nops *nops = ctx;

	*ret = nops->stop;
	return !nops->running;
}

static void nops_stop_current(void *ctx, struct hs_stop *ret)
{
	*ret = ((struct nops *)ctx)->stop;
}

static void nops_kill(void *ctx)
{
	(void)ctx;
}

/* Some instructions; true when it has stopped. */
static bool run_slice(struct nops *nops)
{
	for (int i = 0; i < SLICE && nops->running; i++) {
		nops->cpu.rip = (nops->cpu.rip + 1) % MEMORY_BYTES;
		nops->cpu.gpr[HS_RAX]++;
		nops->running = false;
		if (nops->has_stop_at && nops->cpu.rip == nops->stop_at.v) {
			nops->stop.kind = HS_STOP_SWBREAK;
		} else if (nops->how.kind == HS_RESUME_STEP) {
			nops->stop.kind = HS_STOP_STEPPED;
		} else if (nops->interrupted) {
			nops->stop.kind = HS_STOP_INTERRUPTED;
		} else {
			nops->running = true;
		}
	}
	return !nops->running;
}

/* What has come from the client, as far as the machine takes it. False when the client is gone. */
static bool take_input(struct hs_gdb *gdb, bool wait)
{
	static uint8_t bytes[4096];
	static size_t start, end;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	if (start == end && poll(&input, 1, wait ? -1 : 0) == 1) {
		ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));

		if (got <= 0) {
			return false;
		}
		start = 0;
		end = (size_t)got;
	}
	start += hs_gdb_feed(gdb, bytes + start, end - start);
	return true;
}

static void serve(struct hs_gdb *gdb, struct nops *nops)
{
	hs_gdb_connect(gdb);
	while (hs_gdb_phase(gdb) == HS_GDB_PRESENT) {
		const uint8_t *output;
		size_t length;

		if (hs_gdb_wants_input(gdb) && !take_input(gdb, !hs_gdb_target_running(gdb))) {
			break;
		}
		if (hs_gdb_target_running(gdb) && run_slice(nops)) {
			hs_gdb_target_stopped(gdb);
		}
		output = hs_gdb_output(gdb, &length);
		fwrite(output, 1, length, stdout);
		fflush(stdout);
		hs_gdb_output_consume(gdb, length);
	}
	hs_gdb_disconnect(gdb);
}

int main(void)
{
	static const struct hs_target_ops ops = {
		.info = nops_info,
		.cpu_read = nops_cpu_read,
		.cpu_write = nops_cpu_write,
		.mem_read = nops_mem_read,
		.mem_write = nops_mem_write,
		.break_insert = nops_break_insert,
		.break_remove = nops_break_remove,
		.break_clear = nops_break_clear,
		.resume = nops_resume,
		.interrupt = nops_interrupt,
		.stop_take = nops_stop_take,
		.stop_current = nops_stop_current,
		.kill = nops_kill,
	};
	static struct nops nops = { .stop = { .kind = HS_STOP_STEPPED } };
	struct hs_gdb *gdb;

	memset(nops.memory, NOP, sizeof(nops.memory));
	if (hs_gdb_create(&(struct hs_target){ &ops, &nops }, false, &gdb, NULL)) {
		return 1;
	}
	serve(gdb, &nops);
	fprintf(stderr, "%llu instructions, phase %d\n", (unsigned long long)nops.cpu.gpr[HS_RAX], hs_gdb_phase(gdb));
	hs_gdb_destroy(gdb);
	return 0;
}
