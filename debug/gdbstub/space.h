/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address spaces as processes (docs/gdb-remote.md, "Address spaces"). A client has the process that the CPU was in when
 * it came, and with that alone it debugs the CPU, whatever space that is in. Once it attaches to another one it tells
 * them apart: memory, breakpoints and registers are those of the process that it names, and a stop is of the process
 * that the CPU is in. A process is a space of the target, with that number, and its one thread is the CPU.
 */
#ifndef HS_GDBSTUB_SPACE_H
#define HS_GDBSTUB_SPACE_H

#include "gdbstub/request.h"

#include <hindsight/target.h>

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct hs_gdb;

/* Most spaces of a target that can be told apart. */
#define HS_GDB_SPACES_MAX 4160u

/* What one client knows of processes. Zero is a client that knows of process 1. */
struct hs_gdb_processes {
	bool named;       /* multiprocess: identifiers are pPID.TID */
	bool apart;       /* it has attached to more than one since it came */
	uint32_t home;    /* the one that it came to; 0 for number 1 */
	uint32_t general; /* of Hg; 0 for the one that the CPU is in */
	uint32_t count;   /* how many it is attached to, of those in the map; all only where named */
	uint8_t map[HS_GDB_SPACES_MAX / 8];
};

/* The client understands multiprocess: attach it to the process that the CPU is in. */
void hs_gdb_name_processes(struct hs_gdb *gdb);
/* The number of the space that the CPU is in; 1 where nobody knows. */
uint32_t hs_gdb_cpu_space(const struct hs_gdb *gdb);
/* The process that has the CPU, as the client sees it: one that it is attached to. While the CPU is in a space that it
 * is not attached to, that is the one that it came to: gdb 13 makes nothing of one that it learns of by a stop. */
uint32_t hs_gdb_cpu_process(const struct hs_gdb *gdb);
/* The process that general requests are about. */
uint32_t hs_gdb_general_process(const struct hs_gdb *gdb);
/* What the target is to be told of that for memory (struct hs_target_ops): 0 until the client tells them apart. */
uint32_t hs_gdb_general_space(const struct hs_gdb *gdb);
/* And for breakpoints, which stay where they are when the CPU goes elsewhere. */
uint32_t hs_gdb_break_space(const struct hs_gdb *gdb);
/* Whether registers that a request means are there: its process has the CPU. */
bool hs_gdb_has_cpu(const struct hs_gdb *gdb);

/* Whether an identifier names a thread that the client is attached to: one, some or all of them. */
bool hs_gdb_names_thread(const struct hs_gdb *gdb, struct hs_thread_id id);
/* Likewise a process. */
bool hs_gdb_names_process(const struct hs_gdb *gdb, uint32_t process);
/* Append the identifier of a process's thread. */
void hs_gdb_put_thread(struct hs_gdb *gdb, uint32_t process);

/* All spaces of the target; *ret_items is heap, the caller's to free. 0 when it has none to tell of, or runs. */
uint32_t hs_gdb_list_spaces(const struct hs_gdb *gdb, struct hs_target_space **ret_items);
/* Attach to a process: false if there is none of that number. */
bool hs_gdb_attach_process(struct hs_gdb *gdb, uint32_t process);
/* Let go of one, and of its breakpoints; false for the last one, which is the target itself. */
bool hs_gdb_detach_process(struct hs_gdb *gdb, uint32_t process);

#endif
