/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the host can do, as text for a person and as JSON for a program. In: the probe's answers (vmm/probe.h). Out:
 * bytes in a buffer, whose failed state says when there was no memory. It finds nothing out itself.
 */
#ifndef HS_SESSION_DOCTOR_H
#define HS_SESSION_DOCTOR_H

#include "base/buf.h"
#include "vmm/probe.h"

#include <stdbool.h>

/**
 * An aligned table: what works, what the debugger makes of it, what to do about the rest. colour: with ANSI colours.
 */
void hs_doctor_text(const struct hs_probe *probe, bool colour, struct hs_buf *out);

/** The same as one JSON object, with a newline at its end. Names of members are stable. */
void hs_doctor_json(const struct hs_probe *probe, struct hs_buf *out);

#endif
