/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * toy_target [ADDRESS]: how an emulator gets the stub. The CPU here is an interpreter of eight instructions of the
 * i386, with 64 KiB of memory and a program in it; real gdb and lldb debug it.
 *
 *   cc toy_target.c $(pkg-config --cflags --libs hindsight-gdbstub) -pthread -o toy_target
 *   ./toy_target :1234 &
 *   gdb -ex 'target remote :1234'
 *
 * The CPU runs in a thread of its own, so that the stub can read its socket meanwhile.
 */
#include <hindsight/gdb.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MEMORY_BYTES 0x10000u
#define ENTRY 0x1000u
#define ZERO_FLAG UINT64_C(0x40)

/* Adds 10, 9, ... 1 into 0x2000, for ever; once 0x2004 is not zero it halts, with the double of that in eax. */
static const uint8_t program[] = {
	0xb9, 0x0a, 0,    0, 0, /* 1000 mov ecx, 10 */
	0xb8, 0,    0,    0, 0, /* 1005 mov eax, 0 */
	0x01, 0xc8,             /* 100a add eax, ecx */
	0xa3, 0,    0x20, 0, 0, /* 100c mov [0x2000], eax */
	0x49,                   /* 1011 dec ecx */
	0x75, 0xf6,             /* 1012 jne 0x100a */
	0xa1, 0x04, 0x20, 0, 0, /* 1014 mov eax, [0x2004] */
	0x01, 0xc0,             /* 1019 add eax, eax */
	0x74, 0xe3,             /* 101b je 0x1000 */
	0xf4,                   /* 101d hlt */
};

struct toy {
	struct hs_cpu_state cpu;
	uint8_t memory[MEMORY_BYTES];
	uint8_t breaks[MEMORY_BYTES]; /* a bit for each kind: nothing is planted, so nothing is seen in a read */
	struct hs_resume how;
	struct hs_stop stop; /* the last one */
	pthread_t thread;
	atomic_bool interrupted;
	int event_fd;
};

static enum hs_status fail(struct hs_error *err, enum hs_status status, const char *message)
{
	if (err) {
		*err = (struct hs_error){ .status = status };
		snprintf(err->message, sizeof(err->message), "%s", message);
	}
	return status;
}

/* One instruction; false where the program ends or breaks, with toy->stop saying how. */
static bool execute(struct toy *toy)
{
	uint64_t *gpr = toy->cpu.gpr, *flags = &toy->cpu.rflags, pc = toy->cpu.rip;
	uint8_t code[8] = { 0 };
	uint32_t operand, result;

	/* Behind the memory there is no instruction. */
	if (pc <= MEMORY_BYTES - sizeof(code)) {
		memcpy(code, toy->memory + pc, sizeof(code));
	}
	memcpy(&operand, code + 1, 4);
	if (code[0] >= 0xb8 && code[0] <= 0xbf) { /* mov register, number */
		gpr[code[0] & 7] = operand;
		toy->cpu.rip += 5;
	} else if (code[0] == 0xa1 && operand <= MEMORY_BYTES - 4) { /* mov eax, [number] */
		memcpy(&gpr[HS_RAX], toy->memory + operand, 4);
		toy->cpu.rip += 5;
	} else if (code[0] == 0xa3 && operand <= MEMORY_BYTES - 4) { /* mov [number], eax */
		memcpy(toy->memory + operand, &gpr[HS_RAX], 4);
		toy->cpu.rip += 5;
	} else if (code[0] == 0x01 || (code[0] & 0xf8) == 0x48) { /* add register, register; dec register */
		unsigned int to = code[0] == 0x01 ? code[1] & 7 : code[0] & 7;

		result = (uint32_t)(gpr[to] + (code[0] == 0x01 ? gpr[code[1] >> 3 & 7] : UINT32_MAX));
		gpr[to] = result;
		*flags = (*flags & ~ZERO_FLAG) | (result == 0 ? ZERO_FLAG : 0);
		toy->cpu.rip += code[0] == 0x01 ? 2 : 1;
	} else if ((code[0] & 0xfe) == 0x74) { /* je, jne */
		toy->cpu.rip += 2 + (((*flags & ZERO_FLAG) != 0) == (code[0] == 0x74) ? (int8_t)code[1] : 0);
	} else if (code[0] == 0xf4) { /* hlt */
		toy->stop = (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = (int)gpr[HS_RAX] & 0xff };
		return false;
	} else {
		toy->stop = (struct hs_stop){ .kind = HS_STOP_SIGNAL, .signal = SIGILL, .code = ILL_ILLOPC };
		toy->stop.fault_address = pc;
		return false;
	}
	return true;
}

/* Whether it stops where it is now. A breakpoint that it began at has not been looked at: it would never get on. */
static bool arrived(struct toy *toy)
{
	const struct hs_resume *how = &toy->how;
	uint8_t here = toy->cpu.rip < MEMORY_BYTES ? toy->breaks[toy->cpu.rip] : 0;

	if (here) {
		toy->stop.kind = here & 1 << HS_BREAK_SOFTWARE ? HS_STOP_SWBREAK : HS_STOP_HWBREAK;
	} else if (how->kind == HS_RESUME_STEP ||
		   (how->kind == HS_RESUME_RANGE && toy->cpu.rip - how->range_start.v >= how->range_length)) {
		toy->stop.kind = HS_STOP_STEPPED;
	} else if (atomic_load(&toy->interrupted)) {
		toy->stop.kind = HS_STOP_INTERRUPTED;
	} else {
		return false;
	}
	return true;
}

static void *run(void *ctx)
{
	struct toy *toy = ctx;

	toy->stop = (struct hs_stop){ .kind = HS_STOP_STEPPED };
	if (toy->how.signal) { /* a fault that is delivered: nothing here could handle it */
		toy->stop = (struct hs_stop){ .kind = HS_STOP_KILLED, .signal = toy->how.signal };
	} else {
		while (execute(toy) && !arrived(toy)) {
		}
	}
	eventfd_write(toy->event_fd, 1);
	return NULL;
}

static void toy_info(void *ctx, struct hs_target_info *ret)
{
	const struct toy *toy = ctx;

	*ret = (struct hs_target_info){
		.arch = HS_ARCH_I686, .image_fd = -1, .event_fd = toy->event_fd, .entry = ENTRY
	};
}

static enum hs_status toy_cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	(void)err;
	*ret = ((struct toy *)ctx)->cpu;
	return HS_OK;
}

static enum hs_status toy_cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	(void)err;
	((struct toy *)ctx)->cpu = *state;
	return HS_OK;
}

static enum hs_status toy_mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret,
				   struct hs_error *err)
{
	if (gva.v >= MEMORY_BYTES) {
		return fail(err, HS_ERR_UNREADABLE, "there is no memory");
	}
	*ret = length < MEMORY_BYTES - gva.v ? length : MEMORY_BYTES - gva.v;
	memcpy(buffer, ((struct toy *)ctx)->memory + gva.v, *ret);
	return HS_OK;
}

static enum hs_status toy_mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	if (gva.v >= MEMORY_BYTES || length > MEMORY_BYTES - gva.v) {
		return fail(err, HS_ERR_UNREADABLE, "there is no memory");
	}
	memcpy(((struct toy *)ctx)->memory + gva.v, buffer, length);
	return HS_OK;
}

static enum hs_status toy_break_insert(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	if (breakpoint->kind > HS_BREAK_HARDWARE) {
		return fail(err, HS_ERR_UNSUPPORTED, "there are no watchpoints");
	}
	if (breakpoint->gva.v >= MEMORY_BYTES) {
		return fail(err, HS_ERR_UNREADABLE, "there is no memory");
	}
	((struct toy *)ctx)->breaks[breakpoint->gva.v] |= (uint8_t)(1 << breakpoint->kind);
	return HS_OK;
}

static enum hs_status toy_break_remove(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct toy *toy = ctx;
	uint8_t bit = (uint8_t)(1 << breakpoint->kind);

	if (breakpoint->gva.v >= MEMORY_BYTES || !(toy->breaks[breakpoint->gva.v] & bit)) {
		return fail(err, HS_ERR_NOT_FOUND, "there is no such breakpoint");
	}
	toy->breaks[breakpoint->gva.v] &= (uint8_t)~bit;
	return HS_OK;
}

static void toy_break_clear(void *ctx)
{
	memset(((struct toy *)ctx)->breaks, 0, MEMORY_BYTES);
}

static enum hs_status toy_resume(void *ctx, const struct hs_resume *resume, struct hs_error *err)
{
	struct toy *toy = ctx;

	toy->how = *resume;
	atomic_store(&toy->interrupted, false);
	return pthread_create(&toy->thread, NULL, run, toy) == 0 ? HS_OK : fail(err, HS_ERR_NOMEM, "no thread");
}

static void toy_interrupt(void *ctx)
{
	atomic_store(&((struct toy *)ctx)->interrupted, true);
}

static bool toy_stop_take(void *ctx, struct hs_stop *ret)
{
	struct toy *toy = ctx;
	eventfd_t count;

	if (eventfd_read(toy->event_fd, &count)) {
		return false; /* it still runs */
	}
	pthread_join(toy->thread, NULL);
	*ret = toy->stop;
	return true;
}

static void toy_stop_current(void *ctx, struct hs_stop *ret)
{
	*ret = ((struct toy *)ctx)->stop;
}

/* The stub has stopped it already. */
static void toy_kill(void *ctx)
{
	(void)ctx;
}

int main(int argc, char **argv)
{
	static const struct hs_target_ops ops = {
		.info = toy_info,
		.cpu_read = toy_cpu_read,
		.cpu_write = toy_cpu_write,
		.mem_read = toy_mem_read,
		.mem_write = toy_mem_write,
		.break_insert = toy_break_insert,
		.break_remove = toy_break_remove,
		.break_clear = toy_break_clear,
		.resume = toy_resume,
		.interrupt = toy_interrupt,
		.stop_take = toy_stop_take,
		.stop_current = toy_stop_current,
		.kill = toy_kill,
	};
	static struct toy toy = { .cpu = { .rip = ENTRY, .rflags = 2 }, .stop = { .kind = HS_STOP_STEPPED } };
	const struct hs_target target = { &ops, &toy };
	struct hs_gdb_listener *listener;
	enum hs_gdb_end end;
	struct hs_error err;

	toy.event_fd = eventfd(0, EFD_NONBLOCK);
	memcpy(toy.memory + ENTRY, program, sizeof(program));
	if (hs_gdb_listen(argc > 1 ? argv[1] : ":0", false, &listener, &err)) {
		fprintf(stderr, "toy_target: %s\n", err.message);
		return 1;
	}
	fprintf(stderr, "toy_target: waiting for a debugger on %s\n", hs_gdb_listener_address(listener));
	if (hs_gdb_serve(listener, &target, NULL, &end, &err)) {
		fprintf(stderr, "toy_target: %s\n", err.message);
	} else {
		fprintf(stderr, end == HS_GDB_END_EXITED ? "toy_target: ended\n" : "toy_target: killed\n");
	}
	hs_gdb_listener_close(listener);
	close(toy.event_fd);
	return 0;
}
