/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gdbstub/space.h"

#include "gdbstub/stub.h"

#include <stdlib.h>

uint32_t hs_gdb_list_spaces(const struct hs_gdb *gdb, struct hs_target_space **ret_items)
{
	const struct hs_target_ops *ops = gdb->target.ops;
	struct hs_target_space *items;
	uint32_t count = 0;

	*ret_items = NULL;
	if (!ops->spaces || gdb->running) {
		return 0;
	}
	items = reallocarray(NULL, HS_GDB_SPACES_MAX, sizeof(*items));
	if (!items || ops->spaces(gdb->target.ctx, items, HS_GDB_SPACES_MAX, &count, NULL)) {
		free(items);
		return 0;
	}
	*ret_items = items;
	return count < HS_GDB_SPACES_MAX ? count : HS_GDB_SPACES_MAX;
}

uint32_t hs_gdb_cpu_space(const struct hs_gdb *gdb)
{
	struct hs_target_space *items;
	uint32_t count = hs_gdb_list_spaces(gdb, &items);
	uint32_t number = 1;

	for (uint32_t i = 0; i < count; i++) {
		if (items[i].current) {
			number = items[i].number;
		}
	}
	free(items);
	return number;
}

static bool is_space(const struct hs_gdb *gdb, uint32_t number)
{
	struct hs_target_space *items;
	uint32_t count = hs_gdb_list_spaces(gdb, &items);
	bool found = number == 1;

	for (uint32_t i = 0; i < count; i++) {
		found = found || items[i].number == number;
	}
	free(items);
	return found;
}

static bool is_attached(const struct hs_gdb_processes *processes, uint32_t number)
{
	return number < HS_GDB_SPACES_MAX && (processes->map[number / 8] & (1u << number % 8));
}

static void attach(struct hs_gdb_processes *processes, uint32_t number)
{
	if (number < HS_GDB_SPACES_MAX && !is_attached(processes, number)) {
		processes->map[number / 8] |= (uint8_t)(1u << number % 8);
		processes->count++;
	}
}

static uint32_t home_of(const struct hs_gdb_processes *processes)
{
	return processes->home ? processes->home : 1;
}

void hs_gdb_name_processes(struct hs_gdb *gdb)
{
	struct hs_gdb_processes *processes = &gdb->client.processes;

	if (processes->named || !gdb->target.ops->spaces || !gdb->target.ops->space_use) {
		return;
	}
	processes->named = true;
	processes->home = hs_gdb_cpu_space(gdb);
	attach(processes, processes->home);
}

/* Any that the client is attached to. */
static uint32_t first_attached(const struct hs_gdb_processes *processes)
{
	for (uint32_t i = 0; i < HS_GDB_SPACES_MAX; i++) {
		if (is_attached(processes, i)) {
			return i;
		}
	}
	return home_of(processes);
}

uint32_t hs_gdb_cpu_process(const struct hs_gdb *gdb)
{
	const struct hs_gdb_processes *processes = &gdb->client.processes;
	uint32_t number;

	if (!processes->apart) {
		return home_of(processes);
	}
	number = hs_gdb_cpu_space(gdb);
	if (is_attached(processes, number)) {
		return number;
	}
	return is_attached(processes, home_of(processes)) ? home_of(processes) : first_attached(processes);
}

uint32_t hs_gdb_general_process(const struct hs_gdb *gdb)
{
	uint32_t general = gdb->client.processes.general;

	return gdb->client.processes.apart && general ? general : hs_gdb_cpu_process(gdb);
}

uint32_t hs_gdb_general_space(const struct hs_gdb *gdb)
{
	if (!gdb->client.processes.apart) {
		return 0;
	}
	return hs_gdb_has_cpu(gdb) ? HS_SPACE_CPU : gdb->client.processes.general;
}

uint32_t hs_gdb_break_space(const struct hs_gdb *gdb)
{
	return gdb->client.processes.apart ? hs_gdb_general_process(gdb) : 0;
}

bool hs_gdb_has_cpu(const struct hs_gdb *gdb)
{
	const struct hs_gdb_processes *processes = &gdb->client.processes;

	return !processes->apart || !processes->general || processes->general == hs_gdb_cpu_process(gdb);
}

bool hs_gdb_names_process(const struct hs_gdb *gdb, uint32_t process)
{
	const struct hs_gdb_processes *processes = &gdb->client.processes;

	if (process == HS_ID_ANY || process == HS_ID_ALL) {
		return true;
	}
	return processes->named ? is_attached(processes, process) : process == 1;
}

bool hs_gdb_names_thread(const struct hs_gdb *gdb, struct hs_thread_id id)
{
	return (id.thread == 1 || id.thread == HS_ID_ANY || id.thread == HS_ID_ALL) &&
	       hs_gdb_names_process(gdb, id.process);
}

void hs_gdb_put_thread(struct hs_gdb *gdb, uint32_t process)
{
	if (gdb->client.processes.named) {
		hs_buf_printf(&gdb->payload, "p%x.", (unsigned int)process);
	}
	hs_buf_append_byte(&gdb->payload, '1');
}

bool hs_gdb_attach_process(struct hs_gdb *gdb, uint32_t process)
{
	struct hs_gdb_processes *processes = &gdb->client.processes;

	if (!processes->named) {
		return process == 1;
	}
	if (process >= HS_GDB_SPACES_MAX ||
	    (process != home_of(processes) && !is_attached(processes, process) && !is_space(gdb, process))) {
		return false;
	}
	processes->apart = processes->apart || process != home_of(processes);
	attach(processes, process);
	processes->general = process;
	return true;
}

static void clear_space(struct hs_gdb *gdb, uint32_t number)
{
	gdb->target.ops->break_clear_space(gdb->target.ctx, number);
	hs_agent_points_clear_space(&gdb->points, number);
}

bool hs_gdb_detach_process(struct hs_gdb *gdb, uint32_t process)
{
	struct hs_gdb_processes *processes = &gdb->client.processes;
	const struct hs_target_ops *ops = gdb->target.ops;

	if (!is_attached(processes, process)) {
		return false;
	}
	processes->map[process / 8] &= (uint8_t) ~(1u << process % 8);
	processes->count--;
	processes->general = processes->general == process ? 0 : processes->general;
	if (processes->count == 0) {
		return false;
	}
	if (ops->break_clear_space) {
		clear_space(gdb, process);
		/* Those from before the client told processes apart were all of the one that it came to. */
		if (process == home_of(processes)) {
			clear_space(gdb, 0);
		}
	}
	return true;
}
