/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between traces.c and its host (tests/snapshot/traces_*.c). The host writes a request into the first four bytes of the
 * input buffer, which is where scratch begins, and lets the guest run on to an end.
 */
#ifndef TRACES_H
#define TRACES_H

/* Low byte of a request. 0 is none: the guest waits in a loop of three instructions. */
enum traces_request {
	TRACES_WAIT,
	TRACES_DIGEST, /* prints "kept HEX whole HEX" and exits with 0 */
	TRACES_LEAVE,  /* leaves traces everywhere and ends as the next byte says */
	TRACES_LOOK,   /* prints a line for each trace and exits with their number */
	TRACES_ABORT,  /* aborts with TRACES_MESSAGE */
	TRACES_PLACES, /* prints where two breakpoints and a watchpoint of 4 bytes may be, and exits */
	TRACES_TOUCH,  /* goes there, each once, writes to a few pages and exits with 0 */
};

/* How to end with traces left. */
enum traces_end {
	TRACES_END_OUT,      /* exit with 0; data breakpoint and shadow of mov ss with it */
	TRACES_END_TRAP,     /* the same with TF set */
	TRACES_END_STRING,   /* the first of three exits by one rep outs */
	TRACES_END_IN,       /* in from a port that nobody has */
	TRACES_END_UNMAPPED, /* write to where no memory is */
	TRACES_END_FAULT,    /* ud2 without a handler */
	TRACES_END_SHUTDOWN, /* ud2 without an IDT */
	TRACES_END_LOOP,     /* prints TRACES_READY and never ends */
	TRACES_ENDS,
};
#define TRACES_END_SHIFT 8

/* Printed alone when the guest begins to wait, and by TRACES_END_LOOP. */
#define TRACES_READY '!'
#define TRACES_MESSAGE "clean"

#endif
