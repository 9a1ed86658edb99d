/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/target_live.h"

#include "arch/mode.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "session/live.h"
#include "session/live_kept.h"
#include "session/region.h"
#include "vmm/peek.h"

#include <hindsight/paging.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Bytes compared at a time to see whether a write changes anything. */
#define COMPARE_BYTES 4096

static enum hs_status check_stopped(const struct hs_live *live, struct hs_error *err)
{
	if (live->running) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest is running");
	}
	return HS_OK;
}

/* Reading is possible as long as the VM is there; changing it makes no sense once the guest has ended. */
static enum hs_status check_alive(const struct hs_live *live, struct hs_error *err)
{
	if (live->end != HS_LIVE_NOT_ENDED) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "the guest has ended");
	}
	return check_stopped(live, err);
}

static void op_info(void *ctx, struct hs_target_info *ret)
{
	struct hs_live *live = ctx;
	const struct hs_vm_image *image = hs_vm_image(live->vm);
	const struct hs_cpu_state *cpu = live->running ? NULL : hs_vm_peek(live->vm, false, NULL);
	*ret = (struct hs_target_info){
		.arch = cpu ? hs_mode_arch(cpu, image->arch) : image->arch,
		.image_path = image->path,
		.image_fd = image->fd,
		.debug_path = live->debug_file.path,
		.debug_fd = live->debug_file.fd,
		.event_fd = hs_session_event_fd(live->config.session),
		.entry = image->entry,
		.phdr = image->phdr,
		.phent = image->phentsize,
		.phnum = image->phnum,
		.xcr0 = hs_vm_xcr0_offered(live->vm),
	};
}

static enum hs_status op_cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = check_stopped(live, err);

	return st ? st : hs_vm_cpu_get(live->vm, ret, err);
}

static enum hs_status op_cpu_read_core(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	struct hs_live *live = ctx;
	const struct hs_cpu_state *cpu;
	struct hs_error failure;
	enum hs_status st = check_stopped(live, err);

	if (st) {
		return st;
	}
	cpu = hs_vm_peek(live->vm, false, &failure);
	if (cpu) {
		*ret = *cpu;
		return HS_OK;
	}
	if (err) {
		*err = failure;
	}
	return failure.status;
}

static enum hs_status op_cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = check_alive(live, err);

	return st ? st : hs_vm_cpu_set(live->vm, state, err);
}

static enum hs_status op_mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				  struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = check_stopped(live, err);

	return st ? st : hs_live_mem_read(live, gva, buffer, length, ret_length, err);
}

static bool memory_equals(struct hs_live *live, hs_gva gva, const uint8_t *bytes, size_t length)
{
	uint8_t now[COMPARE_BYTES];

	for (size_t done = 0; done < length;) {
		size_t part = length - done < sizeof(now) ? length - done : sizeof(now);
		size_t got;

		if (hs_live_mem_read(live, hs_gva_of(gva.v + done), now, part, &got, NULL) != HS_OK || got != part ||
		    memcmp(now, bytes + done, part) != 0) {
			return false;
		}
		done += part;
	}
	return true;
}

static enum hs_status op_mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = check_alive(live, err);
	bool changes;

	if (st) {
		return st;
	}
	changes = live->crash_pending && !live->memory_changed && !memory_equals(live, gva, buffer, length);
	st = hs_live_mem_write(live, gva, buffer, length, err);
	if (!st && changes) {
		live->memory_changed = true;
	}
	return st;
}

static enum hs_status op_mem_region(void *ctx, hs_gva gva, struct hs_target_region *ret, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_phys phys = hs_vm_phys(live->vm);
	enum hs_status st = check_stopped(live, err);
	struct hs_root root;

	st = st ? st : hs_live_root(live, &root, err);
	if (st) {
		return st;
	}
	hs_region_find(&phys, &root, gva, ret);
	return HS_OK;
}

static enum hs_status op_phys_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, size_t *ret_length,
				   struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_phys phys = hs_vm_phys(live->vm);
	enum hs_status st = check_stopped(live, err);

	return st ? st : hs_region_read_physical(&phys, gpa, buffer, length, ret_length, err);
}

static enum hs_status op_phys_region(void *ctx, hs_gpa gpa, struct hs_target_region *ret, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_phys phys = hs_vm_phys(live->vm);
	enum hs_status st = check_stopped(live, err);

	if (!st) {
		hs_region_of_physical(&phys, gpa, ret);
	}
	return st;
}

static enum hs_status op_phys_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	struct hs_live *live = ctx;
	struct hs_phys phys = hs_vm_phys(live->vm);
	enum hs_status st = check_alive(live, err);

	st = st ? st : hs_region_write_physical(&phys, gpa, buffer, length, err);
	live->memory_changed = live->memory_changed || !st;
	return st;
}

static enum hs_status op_break_insert(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = check_alive(live, err);

	return st ? st : hs_live_break_insert(live, breakpoint, err);
}

static enum hs_status op_break_remove(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct hs_live *live = ctx;
	/* Also after the end: a debugger takes its breakpoints out whenever it stops. */
	enum hs_status st = check_stopped(live, err);

	return st ? st : hs_vm_break_remove(live->vm, breakpoint, err);
}

static void op_break_clear(void *ctx)
{
	struct hs_live *live = ctx;

	if (!live->running) {
		hs_vm_break_clear(live->vm);
	}
}

static void op_break_clear_space(void *ctx, uint32_t number)
{
	struct hs_live *live = ctx;

	if (!live->running) {
		hs_vm_break_clear_space(live->vm, number);
	}
}

static enum hs_status op_spaces(void *ctx, struct hs_target_space *items, uint32_t max, uint32_t *ret_count,
				struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = check_stopped(live, err);

	return st ? st : hs_live_list_spaces(live, items, max, ret_count, err);
}

static void op_space_use(void *ctx, uint32_t number)
{
	((struct hs_live *)ctx)->space_used = number;
}

static enum hs_status op_resume(void *ctx, const struct hs_resume *resume, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = check_alive(live, err);

	if (st) {
		return st;
	}
	live->final = live->crash_pending && resume->signal != 0 && !hs_live_changed_since_crash(live);
	if (live->final) {
		st = hs_session_post(live->config.session, &live->result.event, err);
	} else {
		if (resume->kind != HS_RESUME_CONTINUE) {
			hs_live_before_step(live);
		}
		st = hs_session_start(live->config.session, resume, err);
	}
	if (st) {
		return st;
	}
	live->running = true;
	live->stats.resumes++;
	return HS_OK;
}

static void op_interrupt(void *ctx)
{
	struct hs_live *live = ctx;

	hs_session_interrupt(live->config.session);
}

static void stop_at_crash(struct hs_live *live)
{
	const struct hs_crash *crash = &live->result.event.crash;

	live->stop = (struct hs_stop){
		.kind = HS_STOP_SIGNAL,
		.signal = crash->signal,
		.code = crash->code,
		.fault_address = crash->fault_address,
	};
	if (!live->final) {
		hs_live_note_crash(live);
		return;
	}
	live->stop.kind = HS_STOP_KILLED;
	live->end = HS_LIVE_CRASHED;
	if (live->config.crashed) {
		live->config.crashed(live->config.ctx, crash);
	}
}

static void stop_at_breakpoint(struct hs_live *live)
{
	const struct hs_breakpoint *breakpoint = &live->result.event.breakpoint;

	live->stop.kind = breakpoint->kind == HS_BREAK_HARDWARE ? HS_STOP_HWBREAK : HS_STOP_SWBREAK;
}

static void stop_at_watchpoint(struct hs_live *live)
{
	const struct hs_breakpoint *breakpoint = &live->result.event.breakpoint;

	live->stop.kind = HS_STOP_WATCH;
	live->stop.watch_kind = breakpoint->kind;
	live->stop.watch_address = breakpoint->gva;
}

/* Make live->stop from live->result. */
static void settle(struct hs_live *live)
{
	live->running = false;
	live->crash_pending = false;
	live->stop = (struct hs_stop){ .kind = HS_STOP_STEPPED };
	if (live->result.status) {
		live->end = HS_LIVE_FAILED;
		live->stop = (struct hs_stop){ .kind = HS_STOP_KILLED, .signal = SIGKILL };
		return;
	}
	switch (live->result.event.kind) {
	case HS_EVENT_EXITED:
		live->end = HS_LIVE_EXITED;
		live->stop.kind = HS_STOP_EXITED;
		live->stop.exit_status = live->result.event.exit_status;
		return;
	case HS_EVENT_CRASHED:
		stop_at_crash(live);
		return;
	case HS_EVENT_INTERRUPTED:
		live->stop.kind = HS_STOP_INTERRUPTED;
		return;
	case HS_EVENT_STEPPED:
		return;
	case HS_EVENT_READY:
	case HS_EVENT_HOST_CALL:
	case HS_EVENT_LOG:
		/* These are the driver's, and none comes here. */
		live->stop.kind = HS_STOP_INTERRUPTED;
		return;
	case HS_EVENT_BREAKPOINT:
		stop_at_breakpoint(live);
		return;
	case HS_EVENT_WATCHPOINT:
		stop_at_watchpoint(live);
		return;
	}
}

static bool op_stop_take(void *ctx, struct hs_stop *ret)
{
	struct hs_live *live = ctx;

	if (!live->running || !hs_session_take(live->config.session, &live->result)) {
		return false;
	}
	settle(live);
	live->stats.stops[live->stop.kind]++;
	*ret = live->stop;
	return true;
}

static void op_stop_current(void *ctx, struct hs_stop *ret)
{
	struct hs_live *live = ctx;

	*ret = live->stop;
}

static void op_kill(void *ctx)
{
	struct hs_live *live = ctx;
	struct hs_error err;

	if (live->running) {
		hs_session_interrupt(live->config.session);
		if (hs_session_wait(live->config.session, -1, &live->result, &err) == HS_OK) {
			settle(live);
		}
	}
	if (live->end == HS_LIVE_NOT_ENDED) {
		live->end = HS_LIVE_KILLED;
		live->stop = (struct hs_stop){ .kind = HS_STOP_KILLED, .signal = SIGKILL };
		live->crash_pending = false;
	}
}

static enum hs_status op_restart(void *ctx, struct hs_error *err)
{
	struct hs_live *live = ctx;
	enum hs_status st = hs_session_restart(live->config.session, err);

	if (!st) {
		live->end = HS_LIVE_NOT_ENDED;
		live->stats.restores++;
		hs_live_begin_again(live);
	}
	return st;
}

enum hs_status hs_live_create(const struct hs_live_config *config, struct hs_live **ret, struct hs_error *err)
{
	struct hs_live *live = HS_NEW_ALIGNED(struct hs_live);

	if (!live) {
		return hs_error_set(err, HS_ERR_NOMEM, 0, 0, "no memory for a debugger's target");
	}
	live->config = *config;
	live->vm = hs_session_vm(config->session);
	/* Before the first instruction: what a debugger shows as SIGTRAP, as after a step. */
	live->stop.kind = HS_STOP_STEPPED;
	hs_debug_file_find(hs_vm_image(live->vm)->fd, hs_vm_image(live->vm)->path, NULL, &live->debug_file);
	*ret = live;
	return HS_OK;
}

void hs_live_destroy(struct hs_live *live)
{
	if (live) {
		hs_debug_file_deinit(&live->debug_file);
		hs_live_drop_all(live);
	}
	free(live);
}

struct hs_target hs_live_target(struct hs_live *live)
{
	static const struct hs_target_ops ops = {
		.info = op_info,
		.cpu_read = op_cpu_read,
		.cpu_read_core = op_cpu_read_core,
		.cpu_write = op_cpu_write,
		.mem_read = op_mem_read,
		.mem_write = op_mem_write,
		.break_insert = op_break_insert,
		.break_remove = op_break_remove,
		.break_clear = op_break_clear,
		.break_filter = hs_live_break_filter,
		.resume = op_resume,
		.interrupt = op_interrupt,
		.stop_take = op_stop_take,
		.stop_current = op_stop_current,
		.kill = op_kill,
		.monitor = hs_live_monitor,
		.mem_region = op_mem_region,
		.phys_read = op_phys_read,
		.phys_region = op_phys_region,
		.phys_write = op_phys_write,
		.restart = op_restart,
		.spaces = op_spaces,
		.space_use = op_space_use,
		.break_clear_space = op_break_clear_space,
	};

	return (struct hs_target){ .ops = &ops, .ctx = live };
}

void hs_live_stand_at(struct hs_live *live, const struct hs_event *crashed)
{
	live->result = (struct hs_session_result){ .status = HS_OK, .event = *crashed };
	settle(live);
}

void hs_live_begin_again(struct hs_live *live)
{
	live->crash_pending = false;
	live->final = false;
	live->stop = (struct hs_stop){ .kind = HS_STOP_STEPPED };
	if (live->config.origin) {
		hs_live_stand_at(live, live->config.origin);
	}
}

enum hs_live_end hs_live_end(const struct hs_live *live, struct hs_session_result *ret)
{
	*ret = live->result;
	return live->end;
}
