/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HS_TESTS_SNAPSHOT_DEBUGGED_H
#define HS_TESTS_SNAPSHOT_DEBUGGED_H

#include "scene.h"

/** A debugger's breakpoints that are set before restores are hit once after each, and no byte of them is seen. */
bool check_debugged(struct scene *scene, const struct hs_snapshot *snapshot);

#endif
