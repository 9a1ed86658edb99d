/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ORACLE_OPTIONS_H
#define ORACLE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct oracle_options {
	uint64_t seed;
	unsigned int cases;   /* for each form */
	unsigned int vectors; /* for each of x87, MMX, SSE and AVX; 0: the same */
	const char *form;     /* only forms of this name, or whose name begins with it before a '*' */
	unsigned int bits;    /* 32, 64, 0 for both */
	long only;            /* only the case of this number, -1 for all */
	unsigned int shown;   /* differences printed for one form */
	const char *spoil;    /* name of a field of the XSAVE area to make wrong in each case, to see it found */
	const char *backend;  /* "soft", "kvm", or "host": the host's CPU against itself */
	bool list, undefined; /* print the forms, the table of undefined flags, and end */
};

/** False: usage has been printed. */
bool oracle_options_parse(int argc, char **argv, struct oracle_options *ret);

#endif
