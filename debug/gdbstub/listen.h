/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a listener, for the server: where clients come from. */
#ifndef HS_GDBSTUB_LISTEN_H
#define HS_GDBSTUB_LISTEN_H

#include <hindsight/gdb.h>

#include <sys/types.h>
#include <sys/un.h>

struct hs_gdb_listener {
	int fd;                                                 /* listening, not blocking; -1 for stdio */
	bool stdio;                                             /* the one client is on descriptors 0 and 1 */
	bool stdio_used;                                        /* and has been */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of an own unix socket, else empty */
	dev_t path_dev;                                         /* which file that was, to remove no other */
	ino_t path_ino;
	char address[160]; /* for people and clients */
};

#endif
