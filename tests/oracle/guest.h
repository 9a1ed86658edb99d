/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A CPU backend as the other side: a ring-3 address space with the same pages at the same addresses, an IDT whose every
 * gate leads to a hlt of its own, and one instruction a case.
 */
#ifndef ORACLE_GUEST_H
#define ORACLE_GUEST_H

#include "case.h"

#include "vmm/backend.h"

#include <Zydis/Zydis.h>

enum oracle_mode {
	ORACLE_MODE_64,     /* 64-bit code under 4-level paging */
	ORACLE_MODE_COMPAT, /* 32-bit code under the same */
	ORACLE_MODE_32,     /* 32-bit code under PAE paging: an i686 guest */
	ORACLE_MODES,
};

/** How an instruction is stopped behind: by the debugger's step, by its own TF and #DB handler, or not at all until the
 *  int3 that follows it: then a repeated one does all of its iterations. The host does the latter two. */
enum oracle_step { ORACLE_STEP_DEBUG, ORACLE_STEP_TF, ORACLE_STEP_RUN };

struct oracle_guest;

/** NULL, and why on stderr. before is borrowed until destroy. */
struct oracle_guest *oracle_guest_create(const struct hs_backend_ops *ops, enum oracle_mode mode,
					 const uint8_t *before);
void oracle_guest_destroy(struct oracle_guest *guest);
/**
 * Execute one case. False: what came is neither a step nor an exception, and text (text_bytes of it) says what; the
 * case's memory is undone all the same.
 */
bool oracle_guest_run(struct oracle_guest *guest, const struct oracle_case *test, enum oracle_step step,
		      struct oracle_result *ret, char *text, size_t text_bytes);

/** Whether a backend's guests are offered an instruction set of vectors or x87; its instructions are #UD if not. */
bool oracle_guest_offers(const struct hs_backend_ops *ops, ZydisISASet set);

/** From a signal handler, every second or so: end a run that was under way the last time too. */
void oracle_guest_watchdog(void);

const char *oracle_mode_name(enum oracle_mode mode);
unsigned int oracle_mode_bits(enum oracle_mode mode);

#endif
