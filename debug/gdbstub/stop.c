/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stop replies (gdb manual, Stop Reply Packets): one stop of the target as the text of a T, W or X packet.
 * What a client has not announced to understand (swbreak, hwbreak, lldb's reason and thread list) is left out
 * for it.
 */
#include "gdbstub/signals.h"
#include "gdbstub/stub.h"

#include <signal.h>
#include <string.h>

/* The signal that stands for the stop, in Linux's numbering. */
static int stop_signal(const struct hs_stop *stop)
{
	switch (stop->kind) {
	case HS_STOP_SIGNAL:
	case HS_STOP_KILLED:
		return stop->signal;
	case HS_STOP_INTERRUPTED:
		return SIGINT;
	default:
		return SIGTRAP;
	}
}

static void put_watch(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	const char *name = "watch";

	if (stop->watch_kind == HS_WATCH_READ) {
		name = "rwatch";
	} else if (stop->watch_kind == HS_WATCH_ACCESS) {
		name = "awatch";
	}
	hs_buf_printf(&gdb->payload, "%s:%llx;", name, (unsigned long long)stop->watch_address.v);
}

/* The stop's own field. The signal alone says the rest. */
static void put_reason(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	switch (stop->kind) {
	case HS_STOP_SWBREAK:
		if (gdb->client.swbreak) {
			hs_buf_append_string(&gdb->payload, "swbreak:;");
		}
		break;
	case HS_STOP_HWBREAK:
		if (gdb->client.hwbreak) {
			hs_buf_append_string(&gdb->payload, "hwbreak:;");
		}
		break;
	case HS_STOP_WATCH:
		put_watch(gdb, stop);
		break;
	default:
		break;
	}
}

/* lldb's word for it (lldb-gdb-remote.txt, "STOP REPLY PACKET EXTENSIONS"), or NULL. */
static const char *lldb_reason(const struct hs_stop *stop)
{
	switch (stop->kind) {
	case HS_STOP_STEPPED:
		return "trace";
	case HS_STOP_SWBREAK:
	case HS_STOP_HWBREAK:
		return "breakpoint";
	case HS_STOP_SIGNAL:
	case HS_STOP_INTERRUPTED:
		return "signal";
	default:
		return NULL; /* for a watchpoint lldb goes by the watch field */
	}
}

static size_t number_of(const struct hs_gdb *gdb, const struct hs_reg *reg)
{
	size_t number = 0;

	while (gdb->regs[number] != reg) {
		number++;
	}
	return number;
}

/* The registers that clients want after every stop, so that they need not ask: frame, stack and instruction pointer. */
static void put_expedited(struct hs_gdb *gdb, const struct hs_cpu_state *cpu)
{
	static const char *const names[] = { "rbp", "rsp", "rip", "ebp", "esp", "eip" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct hs_reg *reg = hs_reg_by_name(gdb->info.arch, names[i]);
		uint8_t value[HS_REG_BYTES_MAX];

		if (!reg) {
			continue; /* the other architecture's */
		}
		hs_reg_get(reg, cpu, value);
		hs_buf_printf(&gdb->payload, "%02zx:", number_of(gdb, reg));
		hs_buf_append_hex(&gdb->payload, value, reg->bytes);
		hs_buf_append_byte(&gdb->payload, ';');
	}
}

static void put_lldb(struct hs_gdb *gdb, const struct hs_stop *stop, const struct hs_cpu_state *cpu)
{
	const char *reason = lldb_reason(stop);

	hs_buf_printf(&gdb->payload, "threads:1;thread-pcs:%llx;", (unsigned long long)cpu->rip);
	if (reason) {
		hs_buf_printf(&gdb->payload, "reason:%s;", reason);
	}
	if (gdb->client.libraries_due) {
		gdb->client.libraries_due = false;
		hs_buf_append_string(&gdb->payload, "library:;");
	}
}

/* Of a process that ends, and with it all others. */
static void put_end(struct hs_gdb *gdb, char letter, unsigned int number)
{
	hs_buf_printf(&gdb->payload, "%c%02x", letter, number);
	if (gdb->client.processes.named) {
		hs_buf_printf(&gdb->payload, ";process:%x", (unsigned int)hs_gdb_cpu_process(gdb));
	}
}

/*
 * The client has attached to a process that is not on the CPU, and that has no registers. gdb 13 reads the program
 * counter for every signal and gives the attaching up where there is none (infrun.c, handle_signal_stop). That
 * libraries have changed is a stop as well, and only has it look which there are.
 */
static void put_attached(struct hs_gdb *gdb, uint32_t process)
{
	hs_buf_append_string(&gdb->payload, "T05library:;thread:");
	hs_gdb_put_thread(gdb, process);
	hs_buf_append_byte(&gdb->payload, ';');
}

/* General registers, so that lldb need not ask for them: a member for each, the number as the name. */
static void put_general(struct hs_gdb *gdb, const struct hs_cpu_state *cpu)
{
	const char *before = ",\"registers\":{";

	for (size_t i = 0; i < gdb->reg_count; i++) {
		uint8_t value[HS_REG_BYTES_MAX];

		if (gdb->regs[i]->feature != HS_REG_CORE || gdb->regs[i]->bytes > 8) {
			continue;
		}
		hs_reg_get(gdb->regs[i], cpu, value);
		hs_buf_printf(&gdb->payload, "%s\"%zu\":\"", before, i);
		hs_buf_append_hex(&gdb->payload, value, gdb->regs[i]->bytes);
		hs_buf_append_byte(&gdb->payload, '"');
		before = ",";
	}
	hs_buf_append_byte(&gdb->payload, '}');
}

/* As far as general registers go. False: the client will ask, and be told. */
static bool read_core(const struct hs_gdb *gdb, struct hs_cpu_state *ret)
{
	const struct hs_target_ops *ops = gdb->target.ops;

	return (ops->cpu_read_core ? ops->cpu_read_core : ops->cpu_read)(gdb->target.ctx, ret, NULL) == HS_OK;
}

/*
 * The one thread with why it stands, for jThreadsInfo (lldb-gdb-remote.txt). A watchpoint's description is its
 * address and its number, as lldb makes it of the "watch" field of a stop reply (ProcessGDBRemote::SetThreadStopInfo).
 */
void hs_gdb_put_threads(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	const char *reason = stop->kind == HS_STOP_WATCH ? "watchpoint" : lldb_reason(stop);
	struct hs_cpu_state cpu;

	hs_buf_printf(&gdb->payload, "[{\"tid\":1,\"name\":\"CPU 0\",\"signal\":%d",
		      hs_signal_to_gdb(stop_signal(stop)));
	if (reason) {
		hs_buf_printf(&gdb->payload, ",\"reason\":\"%s\"", reason);
	}
	if (stop->kind == HS_STOP_WATCH) {
		hs_buf_printf(&gdb->payload, ",\"description\":\"%llu 0\"", (unsigned long long)stop->watch_address.v);
	}
	if (read_core(gdb, &cpu)) {
		put_general(gdb, &cpu);
	}
	hs_buf_append_string(&gdb->payload, "}]");
}

void hs_gdb_put_stop(struct hs_gdb *gdb, const struct hs_stop *stop)
{
	struct hs_cpu_state cpu;
	unsigned int signal = (unsigned int)hs_signal_to_gdb(stop_signal(stop));
	uint32_t attaching = gdb->client.attaching;

	gdb->client.attaching = 0;
	if (stop->kind == HS_STOP_EXITED) {
		put_end(gdb, 'W', (unsigned int)stop->exit_status & 0xff);
		return;
	}
	if (stop->kind == HS_STOP_KILLED) {
		put_end(gdb, 'X', signal);
		return;
	}
	gdb->client.processes.general = attaching;
	if (!hs_gdb_has_cpu(gdb)) {
		put_attached(gdb, attaching);
		return;
	}
	hs_buf_printf(&gdb->payload, "T%02xthread:", signal);
	hs_gdb_put_thread(gdb, hs_gdb_cpu_process(gdb));
	hs_buf_append_byte(&gdb->payload, ';');
	put_reason(gdb, stop);
	if (!read_core(gdb, &cpu)) {
		return;
	}
	if (gdb->client.lists_threads) {
		put_lldb(gdb, stop, &cpu);
	}
	put_expedited(gdb, &cpu);
}
