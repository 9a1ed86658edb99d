/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All of libhindsight: a debugging micro-VMM. The pieces and where to begin:
 *
 *   vm.h        run one ELF image in a VM with one CPU, from event to event
 *   debug.h     a sandbox of a program under gdb or lldb
 *   gdb.h       serve anything with a table of target operations (target.h) to gdb and lldb
 *   coredump.h  write an ELF core from plain data, and read one
 *   paging.h    read and build page tables in guest-physical memory (mem.h)
 *   spaces.h    several address spaces together, and a walk level by level
 *   sandbox.h   call a guest's functions, and put it back to a snapshot
 *   snapshot.h  what a guest is between two calls, made dense
 *   cpu.h       one CPU's registers as plain data
 *   error.h     how every call fails
 *
 * abi.h, the interface between hindsight and a guest, is for guests as much as for hosts and is included by name.
 */
#ifndef HINDSIGHT_HINDSIGHT_H
#define HINDSIGHT_HINDSIGHT_H

#include <hindsight/call.h>
#include <hindsight/coredump.h>
#include <hindsight/cpu.h>
#include <hindsight/debug.h>
#include <hindsight/crash.h>
#include <hindsight/error.h>
#include <hindsight/gdb.h>
#include <hindsight/mem.h>
#include <hindsight/paging.h>
#include <hindsight/sandbox.h>
#include <hindsight/snapshot.h>
#include <hindsight/spaces.h>
#include <hindsight/target.h>
#include <hindsight/types.h>
#include <hindsight/vm.h>

#endif
