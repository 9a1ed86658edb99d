/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fake_target.h"

#include "arch/regs.h"
#include "base/arith.h"
#include "base/error.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static bool misused(struct fake_target *fake)
{
	if (fake->running) {
		fake->misuses++;
	}
	return fake->running;
}

static struct fake_segment *segment_of(struct fake_target *fake, uint64_t address)
{
	for (size_t i = 0; i < fake->segment_count; i++) {
		struct fake_segment *segment = &fake->segments[i];

		if (address >= segment->start && address - segment->start < segment->length) {
			return segment;
		}
	}
	return NULL;
}

static void fake_info(void *ctx, struct hs_target_info *ret)
{
	*ret = ((struct fake_target *)ctx)->info;
}

static enum hs_status fake_cpu_read(void *ctx, struct hs_cpu_state *ret, struct hs_error *err)
{
	struct fake_target *fake = ctx;

	if (misused(fake)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "running");
	}
	*ret = fake->cpu;
	return HS_OK;
}

static enum hs_status fake_cpu_write(void *ctx, const struct hs_cpu_state *state, struct hs_error *err)
{
	struct fake_target *fake = ctx;

	if (misused(fake)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "running");
	}
	fake->cpu = *state;
	return HS_OK;
}

static enum hs_status fake_mem_read(void *ctx, hs_gva gva, void *buffer, size_t length, size_t *ret_length,
				    struct hs_error *err)
{
	struct fake_target *fake = ctx;
	uint8_t *to = buffer;
	size_t done = 0;

	if (misused(fake)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "running");
	}
	while (done < length) {
		struct fake_segment *segment = segment_of(fake, gva.v + done);
		size_t part;

		if (!segment) {
			break;
		}
		part = segment->length - (gva.v + done - segment->start);
		part = part < length - done ? part : length - done;
		memcpy(to + done, segment->bytes + (gva.v + done - segment->start), part);
		done += part;
	}
	if (done == 0) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva.v, "nothing there");
	}
	*ret_length = done;
	return HS_OK;
}

static enum hs_status fake_mem_write(void *ctx, hs_gva gva, const void *buffer, size_t length, struct hs_error *err)
{
	struct fake_target *fake = ctx;
	struct fake_segment *segment = segment_of(fake, gva.v);

	if (misused(fake)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "running");
	}
	if (!segment || length > segment->length - (gva.v - segment->start)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, gva.v, "nothing there");
	}
	memcpy(segment->bytes + (gva.v - segment->start), buffer, length);
	return HS_OK;
}

/* Physical addresses are the others and FAKE_PHYSICAL. */
static enum hs_status fake_phys_read(void *ctx, hs_gpa gpa, void *buffer, size_t length, size_t *ret_length,
				     struct hs_error *err)
{
	return fake_mem_read(ctx, hs_gva_of(gpa.v - FAKE_PHYSICAL), buffer, length, ret_length, err);
}

static enum hs_status fake_phys_write(void *ctx, hs_gpa gpa, const void *buffer, size_t length, struct hs_error *err)
{
	return fake_mem_write(ctx, hs_gva_of(gpa.v - FAKE_PHYSICAL), buffer, length, err);
}

static enum hs_status fake_mem_region(void *ctx, hs_gva gva, struct hs_target_region *ret, struct hs_error *err)
{
	struct fake_target *fake = ctx;
	const struct fake_segment *here = segment_of(fake, gva.v);
	uint64_t end = 0; /* of all addresses */

	(void)err;
	if (here) {
		*ret = (struct hs_target_region){
			.start = hs_gva_of(here->start),
			.length = here->length,
			.mapped = true,
			.prot = HS_PROT_READ | HS_PROT_WRITE,
		};
		return HS_OK;
	}
	for (size_t i = 0; i < fake->segment_count; i++) {
		if (fake->segments[i].start > gva.v && fake->segments[i].start - 1 < end - 1) {
			end = fake->segments[i].start;
		}
	}
	*ret = (struct hs_target_region){ .start = gva, .length = end == gva.v ? UINT64_MAX : end - gva.v };
	return HS_OK;
}

static enum hs_status fake_phys_region(void *ctx, hs_gpa gpa, struct hs_target_region *ret, struct hs_error *err)
{
	enum hs_status st = fake_mem_region(ctx, hs_gva_of(gpa.v - FAKE_PHYSICAL), ret, err);

	ret->start.v += FAKE_PHYSICAL;
	return st;
}

static bool same(const struct hs_breakpoint *a, const struct hs_breakpoint *b)
{
	return a->kind == b->kind && a->gva.v == b->gva.v && a->length == b->length;
}

static enum hs_status fake_break_insert(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct fake_target *fake = ctx;
	size_t hardware = 0;

	if (misused(fake)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "running");
	}
	for (size_t i = 0; i < fake->break_count; i++) {
		if (same(&fake->breaks[i], breakpoint)) {
			return HS_OK;
		}
		hardware += fake->breaks[i].kind != HS_BREAK_SOFTWARE;
	}
	if (breakpoint->kind != HS_BREAK_SOFTWARE && hardware >= FAKE_HARDWARE_SLOTS) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "no hardware slot is free");
	}
	if (!segment_of(fake, breakpoint->gva.v)) {
		return hs_error_set(err, HS_ERR_UNREADABLE, 0, breakpoint->gva.v, "nothing there");
	}
	if (fake->break_count == FAKE_BREAKS) {
		return hs_error_set(err, HS_ERR_EXHAUSTED, 0, 0, "too many");
	}
	fake->breaks[fake->break_count++] = *breakpoint;
	return HS_OK;
}

static enum hs_status fake_break_remove(void *ctx, const struct hs_breakpoint *breakpoint, struct hs_error *err)
{
	struct fake_target *fake = ctx;

	if (misused(fake)) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "running");
	}
	for (size_t i = 0; i < fake->break_count; i++) {
		if (same(&fake->breaks[i], breakpoint)) {
			fake->breaks[i] = fake->breaks[--fake->break_count];
			return HS_OK;
		}
	}
	return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no such breakpoint");
}

static void fake_break_clear(void *ctx)
{
	struct fake_target *fake = ctx;

	(void)misused(fake);
	fake->clears++;
	fake->break_count = 0;
}

void fake_stop(struct fake_target *fake, struct hs_stop stop)
{
	const uint64_t one = 1;

	fake->running = false;
	fake->ended = stop.kind == HS_STOP_EXITED || stop.kind == HS_STOP_KILLED;
	fake->current = stop;
	fake->announced = true;
	if (write(fake->info.event_fd, &one, sizeof(one)) < 0) {
		abort();
	}
}

/* The breakpoint that "execution" reaches next: the lowest above the instruction pointer, else the lowest of all. */
static const struct hs_breakpoint *next_break(const struct fake_target *fake)
{
	const struct hs_breakpoint *above = NULL;
	const struct hs_breakpoint *lowest = NULL;

	for (size_t i = 0; i < fake->break_count; i++) {
		const struct hs_breakpoint *one = &fake->breaks[i];

		if (one->kind > HS_BREAK_HARDWARE) {
			continue;
		}
		if (one->gva.v > fake->cpu.rip && (!above || one->gva.v < above->gva.v)) {
			above = one;
		}
		if (!lowest || one->gva.v < lowest->gva.v) {
			lowest = one;
		}
	}
	return above ? above : lowest;
}

/* A watchpoint "is hit" when there is nothing else to reach: its first byte changes, so that the client sees a
 * change. */
static bool simulate_watch(struct fake_target *fake)
{
	for (size_t i = 0; i < fake->break_count; i++) {
		const struct hs_breakpoint *one = &fake->breaks[i];

		if (one->kind >= HS_WATCH_WRITE) {
			struct fake_segment *segment = segment_of(fake, one->gva.v);

			segment->bytes[one->gva.v - segment->start]++;
			fake_stop(fake, (struct hs_stop){
						.kind = HS_STOP_WATCH,
						.watch_kind = one->kind,
						.watch_address = one->gva,
					});
			return true;
		}
	}
	return false;
}

static void simulate(struct fake_target *fake, const struct hs_resume *resume)
{
	const struct hs_breakpoint *at = next_break(fake);

	if (resume->kind != HS_RESUME_CONTINUE) {
		fake->cpu.rip = resume->kind == HS_RESUME_STEP ? fake->cpu.rip + 1
							       : resume->range_start.v + resume->range_length;
		fake_stop(fake, (struct hs_stop){ .kind = HS_STOP_STEPPED });
	} else if (at) {
		fake->cpu.rip = at->gva.v;
		fake_stop(fake, (struct hs_stop){ .kind = at->kind == HS_BREAK_SOFTWARE ? HS_STOP_SWBREAK
											: HS_STOP_HWBREAK });
	} else if (!simulate_watch(fake) && fake->on_run) {
		fake->on_run();
	}
}

static enum hs_status fake_resume(void *ctx, const struct hs_resume *resume, struct hs_error *err)
{
	struct fake_target *fake = ctx;

	if (misused(fake) || fake->ended) {
		return hs_error_set(err, HS_ERR_STATE, 0, 0, "running or ended");
	}
	fake->resumes++;
	fake->last_resume = *resume;
	fake->running = true;
	if (fake->script_next < fake->script_length) {
		fake_stop(fake, fake->script[fake->script_next++]);
	} else if (fake->simulate) {
		simulate(fake, resume);
	}
	return HS_OK;
}

static void fake_interrupt(void *ctx)
{
	struct fake_target *fake = ctx;

	fake->interrupts++;
	if (fake->running) {
		fake_stop(fake, (struct hs_stop){ .kind = HS_STOP_INTERRUPTED });
	}
}

static bool fake_stop_take(void *ctx, struct hs_stop *ret)
{
	struct fake_target *fake = ctx;
	uint64_t count;

	if (!fake->announced) {
		return false;
	}
	if (read(fake->info.event_fd, &count, sizeof(count)) < 0) {
		abort();
	}
	fake->announced = false;
	*ret = fake->current;
	return true;
}

static void fake_stop_current(void *ctx, struct hs_stop *ret)
{
	struct fake_target *fake = ctx;

	(void)misused(fake);
	*ret = fake->current;
}

static void fake_break_filter(void *ctx, hs_break_filter_fn *filter, void *filter_ctx)
{
	struct fake_target *fake = ctx;

	fake->filter = filter;
	fake->filter_ctx = filter_ctx;
}

static void fake_kill(void *ctx)
{
	struct fake_target *fake = ctx;

	(void)misused(fake);
	fake->kills++;
	fake->ended = true;
}

/* "echo TEXT", "quiet", "exit N" and "fault ADDR": what the next resume ends in. */
static enum hs_status fake_restart(void *ctx, struct hs_error *err)
{
	struct fake_target *fake = ctx;

	(void)misused(fake);
	if (fake->restart_fails) {
		return hs_error_set(err, fake->restart_fails, 0, 0, "not again");
	}
	fake->restarts++;
	fake->ended = false;
	fake->current = (struct hs_stop){ .kind = HS_STOP_STEPPED };
	return HS_OK;
}

static enum hs_status fake_monitor(void *ctx, const char *line, char **ret_text, struct hs_error *err)
{
	struct fake_target *fake = ctx;
	unsigned long long number;

	if (strcmp(line, "help") == 0) {
		*ret_text = strdup("echo TEXT      say it\n");
		return HS_OK;
	}
	if (strncmp(line, "echo ", 5) == 0) {
		*ret_text = strdup(line + 5);
		return HS_OK;
	}
	if (strcmp(line, "quiet") == 0) {
		return HS_OK;
	}
	if (sscanf(line, "exit %llu", &number) == 1) {
		fake_script(fake, (struct hs_stop){ .kind = HS_STOP_EXITED, .exit_status = (int)number });
		return HS_OK;
	}
	if (sscanf(line, "fault %llx", &number) == 1) {
		fake_script(fake, (struct hs_stop){
					  .kind = HS_STOP_SIGNAL,
					  .signal = SIGSEGV,
					  .code = 1,
					  .fault_address = number,
				  });
		return HS_OK;
	}
	return hs_error_set(err, HS_ERR_NOT_FOUND, 0, 0, "no such command");
}

static const struct hs_target_ops fake_ops = {
	.info = fake_info,
	.cpu_read = fake_cpu_read,
	.cpu_write = fake_cpu_write,
	.mem_read = fake_mem_read,
	.mem_write = fake_mem_write,
	.break_insert = fake_break_insert,
	.break_remove = fake_break_remove,
	.break_clear = fake_break_clear,
	.resume = fake_resume,
	.interrupt = fake_interrupt,
	.break_filter = fake_break_filter,
	.stop_take = fake_stop_take,
	.stop_current = fake_stop_current,
	.kill = fake_kill,
	.monitor = fake_monitor,
	.mem_region = fake_mem_region,
	.phys_read = fake_phys_read,
	.phys_region = fake_phys_region,
	.phys_write = fake_phys_write,
	.restart = fake_restart,
};

void fake_init(struct fake_target *fake, enum hs_arch arch)
{
	memset(fake, 0, sizeof(*fake));
	fake->target = (struct hs_target){ .ops = &fake_ops, .ctx = fake };
	fake->info = (struct hs_target_info){
		.arch = arch,
		.image_fd = -1,
		.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.xcr0 = 3,
	};
	fake->current = (struct hs_stop){ .kind = HS_STOP_STEPPED };
	hs_cpu_state_init(&fake->cpu);
}

void fake_deinit(struct fake_target *fake)
{
	for (size_t i = 0; i < fake->segment_count; i++) {
		free(fake->segments[i].bytes);
	}
	close(fake->info.event_fd);
	if (fake->info.image_fd >= 0) {
		close(fake->info.image_fd);
	}
}

uint8_t *fake_add_memory(struct fake_target *fake, uint64_t start, size_t length)
{
	struct fake_segment *segment = &fake->segments[fake->segment_count];

	if (fake->segment_count == FAKE_SEGMENTS) {
		abort();
	}
	fake->segment_count++;
	*segment = (struct fake_segment){ .start = start, .length = length, .bytes = calloc(1, length) };
	return segment->bytes;
}

void fake_script(struct fake_target *fake, struct hs_stop stop)
{
	if (fake->script_length == FAKE_STOPS) {
		abort();
	}
	fake->script[fake->script_length++] = stop;
}
