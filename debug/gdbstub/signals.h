/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Signal numbers: Linux's, which targets use, and gdb's, which the protocol uses (gdb source, include/gdb/signals.def).
 */
#ifndef HS_GDBSTUB_SIGNALS_H
#define HS_GDBSTUB_SIGNALS_H

/* gdb's number of a Linux signal; 143 ("unknown signal") for one that gdb has no number for, 0 for 0. */
int hs_signal_to_gdb(int linux_signal);
/* The Linux signal of gdb's number, or -1 where there is none. 0 for 0. */
int hs_signal_from_gdb(int gdb_signal);

#endif
